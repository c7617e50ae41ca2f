"""Measurements and their true values, taken from the tables of the evaluation and of the survey."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from tuningfork.calibrate.bars import MIN_BAR_LENGTH_PSF
from tuningfork.calibrate.held_out_profiles import MAX_AXIS_RATIO_OF_ANGLES
from tuningfork.core.columns import ESTIMATORS
from tuningfork.core.decision_tree import Question, questions
from tuningfork.core.statistics import angle_difference
from tuningfork.report.figures.quality import Comparison, confusion
from tuningfork.report.inputs import ReportInputs

QUANTITIES = {
    "mag": ("magnitude", "mag", False, False),
    "r_eff": ("half-light radius", "arcsec", True, False),
    "sersic_n": ("Sersic index", "", True, False),
    "axis_ratio": ("axis ratio", "", False, False),
    "position_angle": ("position angle (axis ratio < 0.7)", "deg", False, True),
    "bulge_to_total": ("bulge-to-total ratio", "", False, False),
}
"""Column -> name, unit, whether it is compared by ratios, whether it is an angle."""
SHORT_NAMES = {
    "recommended": "recommended",
    "direct": "direct regression",
    "mask": "mask",
    "saliency": "saliency map",
    "saliency-moments": "saliency, moments",
    "saliency-paper": "saliency, published",
    "fourier": "Fourier harmonics",
    "size_only": "size alone (null)",
}


def held_out_structure(table: pd.DataFrame) -> list[Comparison]:
    """Return the profile parameters of the simulated test galaxies.

    Parameters
    ----------
    table : pandas.DataFrame
        The evaluation's table of galaxies.
    """
    return _structure(table, "{}", "{}_predicted")


def survey_structure(galaxies: pd.DataFrame) -> list[Comparison]:
    """Return the profile parameters of the survey's galaxies, where the truth is known.

    Parameters
    ----------
    galaxies : pandas.DataFrame
        Rows of the catalogue, with columns `true_...`.
    """
    return _structure(galaxies, "true_{}", "{}")


def _structure(table: pd.DataFrame, truth: str, measured: str) -> list[Comparison]:
    items = []
    for name, (title, unit, logarithmic, angle) in QUANTITIES.items():
        if {truth.format(name), measured.format(name)} <= set(table):
            true_values, values = (_numbers(table, form.format(name)) for form in (truth, measured))
            if angle:
                flat = _numbers(table, truth.format("axis_ratio")) < MAX_AXIS_RATIO_OF_ANGLES
                true_values = np.where(flat, true_values, np.nan)
            items.append(Comparison(title, unit, true_values, values, logarithmic, angle))
    return items


def held_out_bars(inputs: ReportInputs) -> list[Comparison]:
    """Return the bar lengths of the test galaxies with resolved bars by each estimator."""
    table, scores = inputs.held_out, inputs.evaluation.get("bars") or {}
    items = []
    for name in (name for name in SHORT_NAMES if name in scores):
        column = "bar_length_predicted" if name == "recommended" else f"bar_length_{name}"
        if {column, "bar_length", "psf_fwhm"} <= set(table):
            truth, length = _numbers(table, "bar_length"), _numbers(table, column)
            truth = np.where(truth > MIN_BAR_LENGTH_PSF * _numbers(table, "psf_fwhm"), truth, np.nan)
            remark = "" if scores[name].get("r") is None else f"r = {scores[name]['r']:.2f}"
            items.append(Comparison(SHORT_NAMES[name], "arcsec", truth, length, logarithmic=True, remark=remark))
    return items


def survey_bars(galaxies: pd.DataFrame) -> list[Comparison]:
    """Return bar lengths and angles of the survey's galaxies, where the truth is known.

    Parameters
    ----------
    galaxies : pandas.DataFrame
        Rows of the catalogue, with columns `true_...`.
    """
    if "true_bar_length" not in galaxies:
        return []
    truth = _numbers(galaxies, "true_bar_length")
    truth_of_barred = np.where(galaxies["bar_length"].notna(), truth, np.nan)
    columns = {
        "bar_length": "bar length as recommended",
        **{f"bar_length_{name}": SHORT_NAMES[name] for name in ESTIMATORS},
    }
    items = [
        Comparison(title, "arcsec", truth_of_barred, _numbers(galaxies, column), logarithmic=True)
        for column, title in columns.items()
    ]
    true_angle, angle = _numbers(galaxies, "true_bar_position_angle"), _numbers(galaxies, "bar_position_angle")
    miss = np.abs(angle_difference(angle, true_angle))
    known = np.isfinite(miss)
    remark = f"median |error| {np.median(miss[known]):.1f} deg" if known.any() else ""
    return [*items, Comparison("bar position angle", "deg", true_angle, angle, angle=True, remark=remark)]


def confusion_chart(evaluation: dict[str, Any]) -> Figure | None:
    """Return the chart of the confusion matrix, or None if the evaluation has none."""
    entry = evaluation.get("confusion")
    return confusion(np.array(entry["matrix"], dtype=float), entry["classes"]) if entry else None


def reliability_bins(scores: dict[str, Any]) -> list[tuple[Question, Any]]:
    """Return the bins of the calibration of each question that was asked often enough."""
    return [
        (question, scores[question.name]["reliability"])
        for question in questions()
        if (scores.get(question.name) or {}).get("reliability")
    ]


def bar_scores(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return bar_probability of each test galaxy, and whether it has a bar.

    Parameters
    ----------
    table : pandas.DataFrame
        The evaluation's table of galaxies.

    Returns
    -------
    bar_probability : ndarray
        (N,)
    barred : ndarray of bool
        (N,) whether the galaxy was simulated with one.
    """
    if not {"bar_probability", "class"} <= set(table):
        return np.array([]), np.array([], dtype=bool)
    return _numbers(table, "bar_probability"), (table["class"] == "barred_spiral").to_numpy()


def evidence(explanations: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return the bands and the rings whose importance the explanations give.

    Parameters
    ----------
    explanations : pandas.DataFrame
        With columns `band_{band}` and `ring_{name}`.
    """
    bands, rings = (
        [name.removeprefix(prefix) for name in map(str, explanations) if name.startswith(prefix)]
        for prefix in ("band_", "ring_")
    )
    return bands, rings


def _numbers(table: pd.DataFrame, name: str) -> np.ndarray:
    return table[name].to_numpy(dtype=float, na_value=np.nan)
