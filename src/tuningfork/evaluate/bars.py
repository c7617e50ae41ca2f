"""Figures of merit of bar lengths and of baselines on test galaxies."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tuningfork.calibrate.bar_learning import fit_lengths
from tuningfork.calibrate.bars import MIN_BAR_LENGTH_PSF
from tuningfork.calibrate.held_out_bars import SIZE_ONLY
from tuningfork.core.seeds import generator_for
from tuningfork.core.statistics import FEWEST, angle_difference, area_under_curve
from tuningfork.evaluate.scores import length_scores, orientation_scores
from tuningfork.measure.bars.calibration import CalibratedBars
from tuningfork.measure.bars.estimators import BarEstimate
from tuningfork.measure.bars.length_calibration import LengthCalibration

MIN_DISC_RADIUS_PSF = 2.0
"""Half-light radius, in PSF widths (FWHM), above which an unbarred galaxy counts as resolved."""
MIN_FACE_ON_AXIS_RATIO = 0.5
"""Axis ratio above which a galaxy counts as seen at low inclination."""
CLEAR_KINDS = ("elliptical", "spiral", "barred_spiral")
"""Simulated kinds of galaxies that can be clear cases."""
RECOMMENDED = "recommended"


@dataclass(frozen=True)
class BarLengths:
    """The bar lengths of one estimator for N galaxies.

    Attributes
    ----------
    length : ndarray
        (N,) calibrated full length (px), NaN without a measurement.
    error : ndarray
        (N,) standard deviation of ln(length).
    angle : ndarray
        (N,) position angle in the pixel frame (deg), NaN without a measurement.
    calibration : LengthCalibration or None
    angle_error : ndarray or None
        (N,) standard deviation of `angle` (deg); only the recommended angle has one.
    """

    length: np.ndarray
    error: np.ndarray
    angle: np.ndarray
    calibration: LengthCalibration | None
    angle_error: np.ndarray | None = None


def pipeline_lengths(
    bars: CalibratedBars, estimates: Mapping[str, BarEstimate], learned: Mapping[str, LengthCalibration]
) -> dict[str, BarLengths]:
    """Return the recommended lengths and those of the pipeline's estimators.

    Parameters
    ----------
    bars : CalibratedBars
        Of N galaxies.
    estimates : mapping
        Estimator -> its estimates for these galaxies before calibration.
    learned : mapping
        Estimator -> calibration of its lengths.

    Returns
    -------
    dict
        `RECOMMENDED` and every estimator -> its lengths.
    """
    result = {RECOMMENDED: BarLengths(bars.length, bars.length_error, bars.angle, None, bars.angle_error)}
    for name, length in bars.lengths.items():
        result[name] = BarLengths(length, bars.length_errors[name], estimates[name].angle, learned[name])
    return result


def baseline_lengths(
    validation: pd.DataFrame, test: pd.DataFrame, estimates: Mapping[str, BarEstimate]
) -> dict[str, BarLengths]:
    """Return the lengths of the baselines: other methods of measuring the maps, and the galaxy's size alone.

    Parameters
    ----------
    validation, test : DataFrame
        Results of :func:`tuningfork.calibrate.held_out_bars.raw_table`; the calibrations are learned from `validation`.
    estimates : mapping
        Estimator -> its estimates for the test galaxies.

    Returns
    -------
    dict
        Baseline -> its lengths for the test galaxies.
    """
    names = [str(column).removesuffix("_length") for column in validation if str(column).endswith("_length")]
    result = {}
    for name in names:
        if name != SIZE_ONLY and "-" not in name:
            continue
        raw, spread = (validation[f"{name}_{key}"].to_numpy() for key in ("length", "spread"))
        fitted = fit_lengths(raw, spread, validation["true_length"].to_numpy(), validation["psf_fwhm"].to_numpy())
        length = fitted.apply(test[f"{name}_length"].to_numpy(), test["psf_fwhm"].to_numpy())
        angle = estimates[name].angle if name in estimates else np.full(len(test), np.nan)
        result[name] = BarLengths(length, fitted.error(test[f"{name}_spread"].to_numpy()), angle, fitted)
    return result


def resolved_bars(rows: pd.DataFrame, psf_fwhm: np.ndarray) -> np.ndarray:
    """Return which galaxies have a bar longer than `MIN_BAR_LENGTH_PSF` PSF widths.

    Parameters
    ----------
    rows : DataFrame
        N galaxies with their `bar_length` and `pixel_scale` (arcsec).
    psf_fwhm : ndarray
        (N,) px.

    Returns
    -------
    ndarray
        (N,) bool.
    """
    with np.errstate(invalid="ignore"):
        return np.asarray(rows["bar_length"] / rows["pixel_scale"] > MIN_BAR_LENGTH_PSF * psf_fwhm)


def score_bars(
    rows: pd.DataFrame, lengths: Mapping[str, BarLengths], chosen: np.ndarray, seed: int
) -> dict[str, dict[str, Any]]:
    """Return the figures of every estimator.

    Parameters
    ----------
    rows : DataFrame
        N test galaxies with truth and imaging.
    lengths : mapping
        Estimator -> its lengths for these galaxies.
    chosen : ndarray
        (N,) bool, whether a galaxy is scored.
    seed : int
        Seed of the configuration.

    Returns
    -------
    dict
        Estimator -> the figures of :func:`tuningfork.evaluate.scores.length_scores` and
        :func:`tuningfork.evaluate.scores.orientation_scores`, `coverage_68`, its `calibration`, and for the
        recommended bar `angle_coverage_68`: the share of position angles within one standard deviation.
    """
    kept = rows[chosen]
    scale = kept["pixel_scale"].to_numpy()
    truth, size = kept["bar_length"].to_numpy(), kept["r_eff"].to_numpy()
    true_angle = kept["bar_position_angle"].to_numpy()
    result: dict[str, dict[str, Any]] = {}
    for name, bars in lengths.items():
        length = bars.length[chosen] * scale
        result[name] = length_scores(length, truth, size, generator_for(seed, "evaluate", "bars"))
        result[name] |= orientation_scores(length, truth, bars.angle[chosen], true_angle)
        with np.errstate(divide="ignore", invalid="ignore"):
            result[name]["coverage_68"] = coverage(np.log(length / truth), bars.error[chosen])
        if bars.angle_error is not None:
            miss = angle_difference(bars.angle[chosen], true_angle)
            result[name]["angle_coverage_68"] = coverage(miss, bars.angle_error[chosen])
        if bars.calibration is not None:
            result[name]["calibration"] = vars(bars.calibration)
    return result


def coverage(miss: np.ndarray, error: np.ndarray) -> float | None:
    """Return the share of errors within one standard deviation.

    Parameters
    ----------
    miss, error : ndarray
        (N,) errors and their standard deviations.

    Returns
    -------
    float or None
        None for too few galaxies.
    """
    good = np.isfinite(miss) & np.isfinite(error)
    return float(np.mean(np.abs(miss[good]) <= error[good])) if good.sum() >= FEWEST else None


def bar_auc(test: pd.DataFrame) -> dict[str, Any]:
    """Return the area under the curve of `bar_probability`, for all test galaxies and for clear cases.

    Parameters
    ----------
    test : DataFrame
        N test galaxies: truth, `bar_probability`, `psf` (px).

    Returns
    -------
    dict
        `all` and `clear`, each a result of :func:`tuningfork.core.statistics.area_under_curve`, and the `definition` of
        a clear case.
    """
    barred = test["bar_length"].notna().to_numpy()
    good = test["bar_probability"].notna().to_numpy()
    psf = test["psf"] * test["pixel_scale"]
    resolved = np.where(
        barred, test["bar_length"] > MIN_BAR_LENGTH_PSF * psf, test["r_eff"] > MIN_DISC_RADIUS_PSF * psf
    )
    clear = (
        good
        & resolved
        & (test["mag"] <= test["mag"].median()).to_numpy()
        & (test["axis_ratio"] > MIN_FACE_ON_AXIS_RATIO).to_numpy()
        & test["class"].isin(CLEAR_KINDS).to_numpy()
    )
    score = test["bar_probability"].to_numpy()
    return {
        "all": area_under_curve(score[good], barred[good]),
        "clear": area_under_curve(score[clear], barred[clear]),
        "definition": (
            f"the brighter half of the test galaxies; a bar longer than {MIN_BAR_LENGTH_PSF:g} PSF FWHM or, without a bar, "
            f"a half-light radius above {MIN_DISC_RADIUS_PSF:g} PSF FWHM; axis ratio above {MIN_FACE_ON_AXIS_RATIO:g}; "
            f"{', '.join(name.replace('_', ' ') + 's' for name in CLEAR_KINDS)}"
        ),
    }
