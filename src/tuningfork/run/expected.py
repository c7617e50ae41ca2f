"""How long the jobs of each rule are expected to take, so that progress is measured in time and not in jobs."""

import csv
from collections.abc import Mapping
from pathlib import Path
from statistics import mean

from tuningfork.core.stage import paths

DEFAULT_SECONDS = 10.0
"""For a rule that is neither measured nor listed."""
SECONDS: dict[str, float] = {
    "parameters": 0.1,
    "all": 0.0,
    "publish": 0.1,
    "sources": 2.0,
    "tiles": 12.0,
    "stamps": 3.0,
    "simulate": 7.0,
    "match_votes": 4.0,
    "match_measurements": 4.0,
    "pretrain": 60.0,
    "train": 21.0,
    "infer_held_out": 14.0,
    "infer_held_out_structure": 8.0,
    "infer_morphology": 11.0,
    "infer_structure": 5.0,
    "calibrate_votes": 1.0,
    "calibrate_structure": 7.0,
    "calibrate_bars": 10.0,
    "calibrate_features": 10.0,
    "evaluate_structure": 7.0,
    "evaluate": 18.0,
    "audit_votes": 1.0,
    "classify": 1.0,
    "structure": 9.0,
    "saliency": 33.0,
    "feature_maps": 15.0,
    "bars": 4.0,
    "features": 3.0,
    "inject": 60.0,
    "selection_function": 4.0,
    "catalogue": 1.0,
    "explain": 10.0,
    "queue_labels": 1.0,
    "report": 8.0,
}
"""Rule -> seconds per job of the default run on two cores."""


def expected_seconds(benchmarks: Path = Path(paths.BENCHMARKS)) -> dict[str, float]:
    """Return the expected seconds per job of each rule: measured in an earlier run, or else built in.

    Parameters
    ----------
    benchmarks : Path
        Snakemake's own measurements of an earlier run: one folder per rule, one table per job.

    Returns
    -------
    dict
        Rule -> seconds.
    """
    measured: dict[str, list[float]] = {}
    for path in sorted(benchmarks.glob("*/*.tsv")):
        measured.setdefault(path.parent.name, []).extend(_seconds(path))
    return SECONDS | {rule: mean(values) for rule, values in measured.items() if values}


def seconds_of(rule: str, expected: Mapping[str, float]) -> float:
    """Return the expected seconds of one job of a rule."""
    return expected.get(rule, DEFAULT_SECONDS)


def _seconds(path: Path) -> list[float]:
    """Return what a table of Snakemake says in its column `s`; a table that is cut short says nothing."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [float(row["s"]) for row in csv.DictReader(file, delimiter="\t")]
    except (OSError, ValueError, KeyError, TypeError):
        return []
