"""Measure the profile parameters of one shard."""

import argparse
from pathlib import Path

from tuningfork.core.stage.parameters import read_parameters
from tuningfork.core.stage.program import run
from tuningfork.measure.structure.shard import structure_shard


def main() -> None:
    """Parse the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="frozen parameters of the stage")
    parser.add_argument("--stamps", type=Path, required=True, help="table of the shard's stamps")
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="cards of the structure networks")
    parser.add_argument("--profiles", type=Path, required=True, help="profiles.json: how to weight network and fit")
    parser.add_argument("--output", type=Path, required=True, help="table to write")
    run(
        parser,
        lambda a: structure_shard(read_parameters(a.parameters), a.stamps, a.models, a.profiles, a.output),
    )


if __name__ == "__main__":
    main()
