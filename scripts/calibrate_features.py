"""Learn from validation galaxies how to calibrate the fractions of bulge and spiral arms."""

import argparse
from pathlib import Path

from tuningfork.calibrate.features import calibrate_features
from tuningfork.calibrate.held_out import HeldOutAnswers
from tuningfork.core.stage.parameters import read_parameters
from tuningfork.core.stage.program import run
from tuningfork.stamps.store import paired


def main() -> None:
    """Parse the options and run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="frozen parameters of the stage")
    parser.add_argument(
        "--training", type=Path, nargs="+", required=True, help="tables of the parts of the training set"
    )
    parser.add_argument(
        "--training-pixels", type=Path, nargs="+", required=True, help="stamps of the parts (.npy), in the same order"
    )
    parser.add_argument(
        "--held-out", type=Path, required=True, help="the morphology networks' answers about its held-out galaxies"
    )
    parser.add_argument("--held-out-masks", type=Path, required=True, help="their bar masks (.npy)")
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="cards of the networks")
    parser.add_argument("--votes", type=Path, required=True, help="calibration of the votes")
    parser.add_argument("--output", type=Path, required=True, help="file to write")
    parser.add_argument("--table", type=Path, required=True, help="table of the galaxies behind it, to write")
    run(
        parser,
        lambda a: calibrate_features(
            read_parameters(a.parameters),
            training=paired(a.training, a.training_pixels),
            held_out=HeldOutAnswers(a.held_out, a.held_out_masks),
            models=a.models,
            votes=a.votes,
            output=a.output,
            table=a.table,
        ),
    )


if __name__ == "__main__":
    main()
