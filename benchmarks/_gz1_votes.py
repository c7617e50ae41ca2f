"""The six classes of Galaxy Zoo 1 as votes, for `tuningfork picture-votes`.

A galaxy has a class there if most of about 30 volunteers chose it; it is taken as `VOTES` votes with the shares below.

    python benchmarks/_gz1_votes.py FOLDER... --pictures FOLDER --out votes.csv
"""

import argparse
from pathlib import Path

import pandas as pd

VOTES = 20
SPIRAL = {
    "smooth_or_featured_smooth": 0.08, "smooth_or_featured_featured": 0.92, "edge_on_yes": 0.05, "edge_on_no": 0.85,
    "spiral_arms_yes": 0.8, "spiral_arms_no": 0.05, "merging_none": 0.9, "merging_disturbed": 0.08, "merging_merger": 0.02,
}  # fmt: skip
SHARES = {
    0: {
        "smooth_or_featured_smooth": 0.9, "smooth_or_featured_featured": 0.09, "smooth_or_featured_artifact": 0.01,
        "merging_none": 0.93, "merging_disturbed": 0.05, "merging_merger": 0.02,
    },
    1: SPIRAL,
    2: SPIRAL,
    3: {
        "smooth_or_featured_smooth": 0.12, "smooth_or_featured_featured": 0.88, "edge_on_yes": 0.78, "edge_on_no": 0.1,
        "merging_none": 0.93, "merging_disturbed": 0.05, "merging_merger": 0.02,
    },
    5: {"merging_none": 0.08, "merging_disturbed": 0.2, "merging_merger": 0.72},
}  # fmt: skip
"""Class -> share of all volunteers who give each answer. The class `don't know` is left out."""


def main() -> None:
    """Write the table, and links to the pictures in one folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", help="folders with labels.csv and images/")
    parser.add_argument("--pictures", type=Path, required=True, help="folder for links to all pictures")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.pictures.mkdir(parents=True, exist_ok=True)
    rows = []
    for folder in options.folders:
        table = pd.read_csv(folder / "labels.csv", dtype={"objid": str})
        for name, label in zip(table["objid"], table["class"], strict=True):
            found = sorted((folder / "images").glob(f"{name}.jp*g"))
            if label not in SHARES or not found:
                continue
            picture = found[0].resolve()
            link = options.pictures / picture.name
            if not link.exists():
                link.symlink_to(picture)
            votes = {f"{answer}_votes": VOTES * share for answer, share in SHARES[label].items()}
            rows.append({"file": picture.name} | votes)
    pd.DataFrame(rows).fillna(0.0).to_csv(options.out, index=False)
    print(f"{options.out}: {len(rows)} galaxies")


if __name__ == "__main__":
    main()
