"""Predict the vote fractions of one shard."""

import argparse
from pathlib import Path

from tuningfork.core.stage.parameters import read_parameters
from tuningfork.core.stage.program import run
from tuningfork.measure.votes.shard import classify_shard


def main() -> None:
    """Parse the options and predict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="frozen parameters of the stage")
    parser.add_argument("--stamps", type=Path, required=True, help="table of the shard's stamps")
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="cards of the morphology networks")
    parser.add_argument("--agreement", type=Path, required=True, help="agreement.json: the calibration of the votes")
    parser.add_argument("--output", type=Path, required=True, help="table to write")
    run(parser, lambda a: classify_shard(read_parameters(a.parameters), a.stamps, a.models, a.agreement, a.output))


if __name__ == "__main__":
    main()
