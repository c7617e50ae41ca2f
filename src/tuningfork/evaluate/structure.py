"""Profile parameters of held-out galaxies against the truth: the calibration, and every figure of merit."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from tuningfork.calibrate.structure_weighting import LEAST, learn
from tuningfork.core import columns
from tuningfork.core.records import take
from tuningfork.core.statistics import FEWEST, angle_difference
from tuningfork.evaluate.scores import challenge_scores, parameter_scores
from tuningfork.measure.structure.combine import StructureCalibration, combine, signal_to_noise
from tuningfork.measure.structure.intervals import NORMAL, ErrorModel, learn_errors
from tuningfork.measure.structure.shard import WEIGHED, Measured, profile_columns
from tuningfork.networks.ensemble import Ensemble
from tuningfork.training.tasks import structure_truth

PARAMETERS = [*(column.name for column in columns.PROFILE), "bulge_to_total"]
CHALLENGED = ("r_eff", "sersic_n", "axis_ratio")
"""Parameters of the Euclid Morphology Challenge."""
LOGARITHMIC = ("r_eff", "sersic_n")
FLAT = 0.7
"""Axis ratio below which the position angle is compared."""
SIGNALS = (0.0, 10.0, 30.0, 100.0, 300.0, 1000.0, np.inf)
"""Edges of the bins of the true signal-to-noise ratio within the half-light ellipse."""


def calibrated(
    frame: pd.DataFrame, measured: Measured, ensemble: Ensemble
) -> tuple[pd.DataFrame, StructureCalibration]:
    """Learn from the validation galaxies how to weight network and fit, and measure all held-out galaxies with it.

    Parameters
    ----------
    frame : DataFrame
        N held-out galaxies: split, truth and imaging, as in the training table.
    measured : Measured
        Of the same rows.
    ensemble : Ensemble
        Of structure networks.

    Returns
    -------
    DataFrame
        For each of `PARAMETERS` the recommended `{name}_predicted` and `{name}_error` and, but for the bulge,
        `{name}_network`; the other columns of the stage structure; `signal_to_noise`, the true one.
    StructureCalibration
    """
    truth = true_targets(frame, ensemble.reference_band)
    rows = np.flatnonzero(frame["split"] == "validation")
    calibration = learn(take(measured.estimates, rows), truth[rows])
    combination = combine(measured.estimates, calibration)

    def columns_with(errors: dict[str, ErrorModel]) -> pd.DataFrame:
        values = profile_columns(measured, combination, replace(calibration, errors=errors), frame, ensemble)
        return pd.DataFrame({f"{key}_predicted" if key in PARAMETERS else key: v for key, v in values.items()})

    stated, errors = pd.concat([frame, columns_with({})], axis=1), {}
    signal = signal_to_noise(combination.joint.mean)
    for name in PARAMETERS:
        value, error, known, angle = _compared(stated, name, f"{name}_predicted")
        miss = (angle_difference(value, known) if angle else value - known) / error
        if np.isfinite(miss[rows]).sum() >= LEAST:
            errors[name] = learn_errors(miss[rows], signal[rows], combination.weight[rows, WEIGHED[name]])
    found = columns_with(errors).assign(signal_to_noise=signal_to_noise(truth))
    return found, replace(calibration, errors=errors)


def true_targets(frame: pd.DataFrame, reference_band: str) -> np.ndarray:
    """Return the true targets (N, 6), NaN where not known."""
    nothing = np.full(len(frame), np.nan)
    names = [*PARAMETERS, "zero_point", "pixel_scale", f"sky_noise_{reference_band}"]
    known = {name: frame[name].to_numpy(dtype=float, na_value=np.nan) if name in frame else nothing for name in names}
    return structure_truth(known, reference_band)


def structure_scores(test: pd.DataFrame, errors: Mapping[str, ErrorModel]) -> dict[str, Any]:
    """Return the scores of every profile parameter, with the `degrees` of freedom of its error.

    Half-light radius and Sersic index are compared in natural logarithms; position angles only of galaxies flat
    enough to have one.
    """
    degrees = {name: errors[name].degrees if name in errors else NORMAL for name in PARAMETERS}
    return {
        name: _score(test, name, f"{name}_predicted", degrees[name]) | {"degrees": degrees[name]} for name in PARAMETERS
    }


def network_scores(test: pd.DataFrame) -> dict[str, Any]:
    """Return number, R^2, bias and scatter of what the network alone says."""
    kept = ("n", "r2", "bias", "scatter")
    found = {name: _score(test, name, f"{name}_network") for name in PARAMETERS if f"{name}_network" in test}
    return {name: {key: values[key] for key in kept} for name, values in found.items()}


def signal_scores(test: pd.DataFrame, errors: Mapping[str, ErrorModel]) -> list[dict[str, Any]]:
    """Return the scores for each bin of the signal-to-noise ratio that has galaxies enough, faint ones first.

    Returns
    -------
    list of dict
        `low`, `high` (None without end), `n`, `refined` (share of galaxies whose fit was used), `recommended` and
        `network` (parameter -> scores).
    """
    result = []
    for low, high in pairwise(SIGNALS):
        part = test[(test["signal_to_noise"] >= low) & (test["signal_to_noise"] < high)]
        if len(part) >= FEWEST:
            result.append(
                {
                    "low": low,
                    "high": high if np.isfinite(high) else None,
                    "n": len(part),
                    "refined": float(np.mean(part["structure_method"] == "refined")),
                    "recommended": structure_scores(part, errors),
                    "network": network_scores(part),
                }
            )
    return result


def challenge(test: pd.DataFrame) -> dict[str, Any]:
    """Return the figures of the Euclid Morphology Challenge for all test galaxies."""
    return {
        name: challenge_scores(name, _numbers(test, f"{name}_predicted"), _numbers(test, name)) for name in CHALLENGED
    }


def _score(test: pd.DataFrame, name: str, found: str, degrees: float = NORMAL) -> dict[str, Any]:
    value, error, truth, angle = _compared(test, name, found)
    return parameter_scores(value, error, truth, angle, degrees)


def _compared(test: pd.DataFrame, name: str, found: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Return value, error and truth in the units in which they are compared, and whether they are angles."""
    truth, value = _numbers(test, name), _numbers(test, found)
    error = _numbers(test, f"{name}_error")
    if name in LOGARITHMIC:
        with np.errstate(divide="ignore", invalid="ignore"):
            truth, value, error = np.log(truth), np.log(value), error / value
    if name == "position_angle":
        truth = np.where(_numbers(test, "axis_ratio") < FLAT, truth, np.nan)
    return value, error, truth, name == "position_angle"


def _numbers(test: pd.DataFrame, name: str) -> np.ndarray:
    return test[name].to_numpy(dtype=float, na_value=np.nan) if name in test else np.full(len(test), np.nan)
