"""How well bars are measured on colour pictures: simulated barred galaxies, drawn as pictures.

What is learnt on half of the galaxies, calibrations and weights of the estimators, goes to --write: that is the file
that `tuningfork measure-folder` reads. The figures are of the other half.

    python benchmarks/pictures.py [--quick] [--galaxies N] [--model CARD] [--write FILE.json]
"""

import argparse
import json
from pathlib import Path

from tuningfork.core.config import validate
from tuningfork.core.description import describe
from tuningfork.core.files import write_json
from tuningfork.networks.compact import compact_card
from tuningfork.networks.ensemble import load_ensemble
from tuningfork.pictures.calibrate import calibrate_pictures

ROOT = Path(__file__).resolve().parents[1]
SEED = 2718
"""No network has been trained with it."""
FRACTIONS = {"elliptical": 0, "spiral": 0, "barred_spiral": 1, "edge_on": 0, "merger": 0, "lens": 0}
QUICK = 40


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few galaxies")
    parser.add_argument("--galaxies", type=int, default=400, help="to learn from, and as many to test on (400)")
    parser.add_argument("--model", type=Path, default=compact_card("morphology"))
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    number = QUICK if options.quick else options.galaxies
    values = {
        "seed": SEED,
        "survey": {"simulated": {"bands": ["r"]}},
        "simulate": {"population": {"classes": FRACTIONS}},
        "evaluate": {"bars": number},
    }
    configuration = validate(values)
    ensemble = load_ensemble([options.model], "morphology")
    found = calibrate_pictures(number, ensemble, configuration, describe(configuration, ROOT / "config" / "surveys"))
    if options.write:
        write_json(options.write, found)
    for name, figures in found["bars"].items():
        facts = {key: value for key, value in figures.items() if isinstance(value, int | float)}
        print(f"{name:18s} " + "  ".join(f"{key} {value:.3g}" for key, value in facts.items()))
    figures = {f"{key}_{name}": one.get(key) for name, one in found["bars"].items() for key in ("r", "scatter", "bias")}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
