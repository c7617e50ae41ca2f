"""Measure the profiles of held-out simulated galaxies, and learn how to weight network and fit."""

import argparse
from pathlib import Path

from tuningfork.calibrate.structure import weigh_profiles
from tuningfork.core.stage.parameters import read_parameters
from tuningfork.core.stage.program import run


def main() -> None:
    """Parse the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="frozen parameters of the stage")
    parser.add_argument("--training", type=Path, nargs="+", required=True, help="tables of the training set")
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="cards of the structure networks")
    parser.add_argument("--output", type=Path, required=True, help="weights and scores to write")
    parser.add_argument("--table", type=Path, required=True, help="table of the held-out galaxies to write")
    run(parser, lambda a: weigh_profiles(read_parameters(a.parameters), a.training, a.models, a.output, a.table))


if __name__ == "__main__":
    main()
