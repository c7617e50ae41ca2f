"""Compare predicted vote fractions with the votes on held-out galaxies, and learn their calibration."""

import argparse
from pathlib import Path

from tuningfork.calibrate.votes import measure_agreement
from tuningfork.core.stage.parameters import read_parameters
from tuningfork.core.stage.program import run


def main() -> None:
    """Parse the options and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="frozen parameters of the stage")
    parser.add_argument("--training", type=Path, nargs="+", required=True, help="tables of the simulated training set")
    parser.add_argument("--people", type=Path, help="table with votes of people")
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="cards of the morphology networks")
    parser.add_argument("--output", type=Path, required=True, help="agreement.json")
    run(
        parser,
        lambda a: measure_agreement(read_parameters(a.parameters), a.training, a.people, a.models, a.output),
    )


if __name__ == "__main__":
    main()
