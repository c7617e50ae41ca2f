"""Test the networks on the held-out simulated galaxies and calibrate the bar lengths."""

import argparse
from pathlib import Path

from tuningfork.core.stage.parameters import read_parameters
from tuningfork.core.stage.program import run
from tuningfork.evaluate.stage import evaluate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True)
    parser.add_argument("--training", type=Path, nargs="+", required=True)
    parser.add_argument("--morphology", type=Path, nargs="+", required=True)
    parser.add_argument("--agreement", type=Path, required=True, help="agreement.json: the calibration of the votes")
    parser.add_argument("--profiles", type=Path, required=True, help="profiles.json: scores of the light profiles")
    parser.add_argument("--profiles-table", type=Path, required=True, help="profiles of the held-out galaxies")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--table", type=Path, required=True)
    run(
        parser,
        lambda a: evaluate(
            read_parameters(a.parameters),
            a.training,
            a.morphology,
            a.agreement,
            a.profiles,
            a.profiles_table,
            a.output,
            a.table,
        ),
    )


if __name__ == "__main__":
    main()
