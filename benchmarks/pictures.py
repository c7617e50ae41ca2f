"""How well bars are measured on colour pictures: simulated barred galaxies, drawn as pictures.

The figures are those of `tuningfork calibrate-pictures`, for galaxies from which the calibration was not learned.

    python benchmarks/pictures.py [--quick] [--galaxies N] [--model CARD]
"""

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory

from tuningfork.networks.compact import compact_card
from tuningfork.pictures.calibrate import calibrate_networks, figure_lines

SURVEYS = Path(__file__).resolve().parents[1] / "config" / "surveys"
QUICK_GALAXIES = 40


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few galaxies")
    parser.add_argument("--galaxies", type=int, default=400, help="to learn from, and as many to test on (400)")
    parser.add_argument("--model", type=Path, default=compact_card("morphology"))
    options = parser.parse_args()
    number = QUICK_GALAXIES if options.quick else options.galaxies
    with TemporaryDirectory() as folder:
        figures = calibrate_networks([options.model], number, SURVEYS, Path(folder) / "calibration.json")
    print(figure_lines(figures))
    keys = ("r", "scatter", "bias")
    print(json.dumps({f"{key}_{name}": values.get(key) for name, values in figures.items() for key in keys}))


if __name__ == "__main__":
    main()
