"""What `tuningfork measure-folder` says of real pictures that people have classified and measured, as it comes.

Two sets: galaxies whose bars people measured (Hoyle+ 2011, lengths over the size of the galaxy), and SDSS pictures with
the classes of Galaxy Zoo 1. Of the latter only those count that were held out from the training of the network, by their
names (`tuningfork picture-votes`).

    TUNINGFORK_REAL_DATA=... python benchmarks/real_pictures.py [--quick] [--models CARD ...] [--calibration FILE]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from _real_scores import bootstrapped

from tuningfork.core.classes import DISC_CLASSES
from tuningfork.core.flags import Flag
from tuningfork.pictures.votes import split_of_file

SETS = ("gz1_stamps", "gz1_more")
PEOPLE = {0: "smooth", 1: "spiral", 2: "spiral", 3: "edge_on", 5: "merger"}
"""Class of Galaxy Zoo 1 -> what it is called here; `don't know` is left out."""
OURS = {"smooth": "smooth", "edge_on": "edge_on", "merger": "merger"} | dict.fromkeys(DISC_CLASSES, "spiral")
BALANCED = ("smooth", "spiral", "edge_on")
"""Classes whose shares of right answers are averaged; mergers are shown beside them."""
QUICK = 60
ESTIMATORS = ("direct", "mask", "saliency", "fourier")


def measure(files: Sequence[Path], further: Sequence[str]) -> pd.DataFrame:
    """Measure pictures and return the table, by file name without its ending."""
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder) / "pictures"
        pictures.mkdir()
        for path in files:
            (pictures / path.name).symlink_to(path.resolve())
        output = Path(folder) / "table.parquet"
        command = [
            sys.executable,
            "-m",
            "tuningfork.cli",
            "measure-folder",
            str(pictures),
            "--out",
            str(output),
            *further,
        ]
        subprocess.run(command, check=True, stdout=sys.stderr)
        return pd.read_parquet(output).assign(name=lambda table: table["file"].map(lambda file: Path(file).stem))


def bars(data: Path, further: Sequence[str]) -> dict[str, float]:
    """Print and return how well the bars that people measured are found and measured."""
    folder = data / "barred_with_lengths"
    truth = pd.read_csv(folder / "lengths.csv")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".png", ".jpg", ".jpeg"))
    table = measure(files, further)
    table = table.merge(
        truth.assign(name=truth["file"].map(lambda file: Path(file).stem)).drop(columns="file"), on="name"
    )
    called = (table["flags"] & int(Flag.NOT_BARRED)) == 0
    print(f"{len(table)} galaxies with bars measured by people; {int(called.sum())} are called barred")
    figures: dict[str, float] = {"n_bars": len(table), "called_barred": int(called.sum())}
    true = table["length_scaled"].to_numpy(dtype=float)
    columns = {"recommended": table["bar_length_scaled"]} | {
        name: table[f"bar_length_{name}_pixels"] / (2 * table["r90"]) for name in ESTIMATORS
    }
    columns["size_only"] = pd.Series(np.full(len(table), true.mean()))
    for name, values in columns.items():
        found = values.to_numpy(dtype=float)
        good = np.isfinite(found) & np.isfinite(true)
        r = bootstrapped(_correlation, found[good], true[good])
        distance = bootstrapped(np.mean, np.abs(found[good] - true[good]))
        ratio = bootstrapped(np.median, found[good] / true[good])
        print(
            f"  {name:12s} n {good.sum():3d}  r {r[0]:.2f} +- {r[1]:.2f}  L1 {distance[0]:.3f} +- {distance[1]:.3f}  "
            f"median ratio {ratio[0]:.2f} +- {ratio[1]:.2f}"
        )
        figures |= {f"r_{name}": r[0], f"r_{name}_error": r[1], f"l1_{name}": distance[0]}
    return figures


def _correlation(found: np.ndarray, true: np.ndarray) -> float:
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.corrcoef(found, true)[0, 1])


def classes(data: Path, further: Sequence[str], number: int | None) -> dict[str, float]:
    """Print and return how the class compares with that of people, on pictures held out from the training."""
    files, people = [], {}
    for folder in (data / name for name in SETS):
        labels = pd.read_csv(folder / "labels.csv", dtype={"objid": str}).set_index("objid")["class"]
        for path in sorted((folder / "images").iterdir()):
            if labels.get(path.stem) in PEOPLE and split_of_file(path.name) != "train":
                files.append(path)
                people[path.stem] = PEOPLE[int(labels[path.stem])]
    table = measure(files[:number], further)
    truth, found = table["name"].map(people), table["morphology"].astype(str).map(OURS).fillna("none")
    print(f"\n{len(table)} pictures with classes of Galaxy Zoo 1, held out from the training")
    print(pd.crosstab(truth, found, rownames=["people"], colnames=["found"]).to_string())
    return scores(truth.to_numpy(), found.to_numpy())


def scores(truth: np.ndarray, found: np.ndarray) -> dict[str, float]:
    """Print and return the share of right answers of each class with its binomial error, and the balanced accuracy."""
    shares: Mapping[str, tuple[float, float]] = {
        name: (share := float(np.mean(found[truth == name] == name)), float(np.sqrt(share * (1 - share) / n)))
        for name in (*BALANCED, "merger")
        if (n := int((truth == name).sum()))
    }
    for name, (share, error) in shares.items():
        print(f"  {name:8s} {share:.3f} +- {error:.3f}")
    known = [shares[name] for name in BALANCED if name in shares]
    balanced = float(np.mean([share for share, _ in known]))
    error = float(np.sqrt(np.sum([error**2 for _, error in known])) / len(known))
    print(f"balanced accuracy of {', '.join(BALANCED)}: {balanced:.3f} +- {error:.3f} (chance {1 / len(BALANCED):.2f})")
    return {"balanced_accuracy": balanced, "balanced_accuracy_error": error} | {
        f"right_{name}": share for name, (share, _) in shares.items()
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} pictures with classes")
    parser.add_argument("--models", nargs="+", default=[], metavar="CARD", help="for measure-folder")
    parser.add_argument("--calibration", metavar="FILE", help="for measure-folder")
    options = parser.parse_args()
    root = os.environ.get("TUNINGFORK_REAL_DATA")
    if not root:
        parser.exit(0, "TUNINGFORK_REAL_DATA names no folder: nothing to do\n")
    further = (["--models", *options.models] if options.models else []) + (
        ["--calibration", options.calibration] if options.calibration else []
    )
    figures = bars(Path(root), further) | classes(Path(root), further, QUICK if options.quick else None)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
