"""Correct the expected votes of one shard's sources, and derive their classes."""

import argparse
from pathlib import Path

from tuningfork.core.stage.parameters import read_parameters
from tuningfork.core.stage.program import run
from tuningfork.measure.votes.shard import classify_shard


def main() -> None:
    """Parse the options and run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="frozen parameters of the stage")
    parser.add_argument("--answers", type=Path, required=True, help="the morphology networks' answers")
    parser.add_argument("--masks", type=Path, required=True, help="their bar masks (.npy)")
    parser.add_argument("--calibration", type=Path, required=True, help="calibration of the votes")
    parser.add_argument("--output", type=Path, required=True, help="file to write")
    run(
        parser,
        lambda a: classify_shard(
            read_parameters(a.parameters), answers=a.answers, masks=a.masks, calibration=a.calibration, output=a.output
        ),
    )


if __name__ == "__main__":
    main()
