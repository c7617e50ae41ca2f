"""List the sources of one shard."""

import argparse
from pathlib import Path

from tuningfork.core.stage.parameters import read_parameters, read_transfer
from tuningfork.core.stage.program import run
from tuningfork.surveys.jobs import list_sources


def main() -> None:
    """Read the options and list the sources."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="params/sources.json")
    parser.add_argument("--shard", required=True, help="name of the shard: order-pixel")
    parser.add_argument("--plan", type=Path, required=True, help="plan.json of the run, which says how to transfer")
    parser.add_argument("--output", type=Path, required=True, help="the table of sources (Parquet)")
    run(
        parser,
        lambda a: list_sources(
            parameters=read_parameters(a.parameters), shard=a.shard, transfer=read_transfer(a.plan), output=a.output
        ),
    )


if __name__ == "__main__":
    main()
