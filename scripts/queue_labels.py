"""Queue the sources from whose labels the networks would learn most."""

import argparse
from pathlib import Path

from tuningfork.core.stage.parameters import read_parameters
from tuningfork.core.stage.program import run
from tuningfork.label.queue import build_queue


def main() -> None:
    """Read the options and build the queue."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="params/queue_labels.json")
    parser.add_argument("--morphology", type=Path, nargs="+", required=True, help="the morphology table of each shard")
    parser.add_argument(
        "--stamps", type=Path, nargs="+", required=True, help="the stamps table of each shard, in the same order"
    )
    parser.add_argument("--catalogue", type=Path, required=True, help="the published catalogue")
    parser.add_argument("--output", type=Path, required=True, help="the queue")
    run(
        parser,
        lambda a: build_queue(
            read_parameters(a.parameters),
            morphology=a.morphology,
            stamps=a.stamps,
            catalogue=a.catalogue,
            output=a.output,
        ),
    )


if __name__ == "__main__":
    main()
