"""Measure the profile parameters of one shard."""

import argparse
from pathlib import Path

from tuningfork.core.stage.parameters import read_parameters
from tuningfork.core.stage.program import run
from tuningfork.measure.structure.shard import structure_shard
from tuningfork.stamps.store import StampFiles


def main() -> None:
    """Parse the options and run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="frozen parameters of the stage")
    parser.add_argument("--stamps", type=Path, required=True, help="table of the shard's stamps")
    parser.add_argument("--pixels", type=Path, required=True, help="pixels of the shard's stamps (.npy)")
    parser.add_argument("--answers", type=Path, required=True, help="the structure networks' answers")
    parser.add_argument("--calibration", type=Path, required=True, help="calibration of the profiles")
    parser.add_argument("--output", type=Path, required=True, help="file to write")
    run(
        parser,
        lambda a: structure_shard(
            read_parameters(a.parameters),
            stamps=StampFiles(a.stamps, a.pixels),
            answers=a.answers,
            calibration=a.calibration,
            output=a.output,
        ),
    )


if __name__ == "__main__":
    main()
