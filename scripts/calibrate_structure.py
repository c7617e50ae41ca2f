"""Learn from validation galaxies how to weight network and fit, and how large the errors are."""

import argparse
from pathlib import Path

from tuningfork.calibrate.structure import calibrate_structure
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
        "--held-out", type=Path, required=True, help="the structure networks' answers about the held-out galaxies"
    )
    parser.add_argument("--output", type=Path, required=True, help="file to write")
    run(
        parser,
        lambda a: calibrate_structure(
            read_parameters(a.parameters),
            training=paired(a.training, a.training_pixels),
            held_out=a.held_out,
            output=a.output,
        ),
    )


if __name__ == "__main__":
    main()
