"""Ask the structure networks about the galaxies that they did not learn from."""

import argparse
from pathlib import Path

from tuningfork.core.stage.parameters import read_parameters
from tuningfork.core.stage.program import run
from tuningfork.infer.shard import infer_held_out_structure
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
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="cards of the networks")
    parser.add_argument("--output", type=Path, required=True, help="file to write")
    run(
        parser,
        lambda a: infer_held_out_structure(
            read_parameters(a.parameters),
            training=paired(a.training, a.training_pixels),
            models=a.models,
            output=a.output,
        ),
    )


if __name__ == "__main__":
    main()
