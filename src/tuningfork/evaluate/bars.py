"""Bar lengths against the truth: calibration on the validation galaxies, figures on the test galaxies.

The frame has one row for every held-out galaxy. For each of `ESTIMATORS` it has the estimate before calibration,
`{estimator}_raw` (ln of a length in pixels), its own standard deviation, `{estimator}_spread`, and of those that know
them the position angle and its own error (deg), `{estimator}_angle` and `_angle_spread`, and the ratio of width to
length, `mask_ratio`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tuningfork.core.seeds import generator_for
from tuningfork.core.statistics import FEWEST, area_under_curve
from tuningfork.evaluate.scores import length_scores, orientation_scores
from tuningfork.measure.bars.combination import BarCombination, learn
from tuningfork.measure.bars.length_calibration import LengthCalibration, fit

ESTIMATORS = ("direct", "mask", "saliency-moments", "saliency-paper", "fourier", "size_only")
"""What is compared; size_only is the null: a power of the galaxy's true half-light radius."""
RESOLVED = 2.0
"""Bars longer than this many PSF widths are scored."""
DISC_RESOLVED = 2.0
"""Half-light radius, in PSF widths, above which an unbarred galaxy counts as resolved."""
FACE_ON = 0.5
"""Axis ratio above which a galaxy counts as seen at low inclination."""
RECOMMENDED = "recommended"
ANGLE = ("angle", "angle_spread")


@dataclass(frozen=True)
class BarCalibration:
    """What turns raw estimates into bars, learnt on the validation galaxies.

    Attributes
    ----------
    lengths : dict
        Each of `ESTIMATORS` -> its calibration.
    axis_ratio : LengthCalibration
        Of the mask's ratio of width to length, calibrated as lengths are.
    combination : BarCombination
    """

    lengths: dict[str, LengthCalibration]
    axis_ratio: LengthCalibration
    combination: BarCombination


def published_names(method: str) -> dict[str, str]:
    """Return estimator -> its name in the evaluation: the configured way to measure maps is simply `saliency`."""
    return {name: "saliency" if name == f"saliency-{method}" else name for name in ESTIMATORS}


def combined_names(method: str) -> dict[str, str]:
    """Return the estimators that are combined -> their names in the catalogue."""
    return {"direct": "direct", "mask": "mask", f"saliency-{method}": "saliency", "fourier": "fourier"}


def learn_bars(frame: pd.DataFrame, method: str) -> BarCalibration:
    """Learn calibrations and weights on the barred galaxies of the validation split."""
    rows = frame[(frame["split"] == "validation") & frame["mapped"]]
    truth, psf = (rows["bar_length"] / rows["pixel_scale"]).to_numpy(), rows["psf"].to_numpy()
    calibrations = {}
    for name in ESTIMATORS:
        raw = np.exp(rows[f"{name}_raw"].to_numpy())
        calibrations[name] = fit(raw, rows[f"{name}_spread"].to_numpy(), truth, psf)
    ratio = fit(rows["mask_ratio"].to_numpy(), np.zeros(len(rows)), rows["bar_axis_ratio"].to_numpy(), psf)
    names = combined_names(method)
    found = {new: _calibrated(rows, old, calibrations[old]) for old, new in names.items()}
    unit = calibrations["direct"].error(rows["direct_spread"].to_numpy())
    angles = {new: rows[f"{old}_angle"].to_numpy() for old, new in names.items()}
    resolved = resolved_bars(rows).to_numpy()
    return BarCalibration(
        calibrations,
        ratio,
        learn(
            {name: values[resolved] for name, values in found.items()},
            unit[resolved],
            truth[resolved],
            {name: values[resolved] for name, values in angles.items()},
            rows["bar_position_angle"].to_numpy()[resolved],
        ),
    )


def _calibrated(frame: pd.DataFrame, name: str, calibration: LengthCalibration) -> np.ndarray:
    """Return the calibrated lengths (px) of an estimator."""
    return calibration.apply(np.exp(frame[f"{name}_raw"].to_numpy()), frame["psf"].to_numpy())


def measured(frame: pd.DataFrame, learnt: BarCalibration, method: str) -> pd.DataFrame:
    """Return lengths (arcsec), errors of ln(length) and angles of every estimator and of the recommended bar.

    Columns are `{estimator}_length`, `_error` and `_angle`, with an estimator's name from `ESTIMATORS` or
    `recommended`; rows are those of `frame`.
    """
    scale = frame["pixel_scale"].to_numpy()
    result = {}
    for name, calibration in learnt.lengths.items():
        result[f"{name}_length"] = _calibrated(frame, name, calibration) * scale
        result[f"{name}_error"] = calibration.error(frame[f"{name}_spread"].to_numpy())
        if f"{name}_angle" in frame:
            result[f"{name}_angle"] = frame[f"{name}_angle"].to_numpy()
    names = combined_names(method)
    lengths = {new: result[f"{old}_length"] for old, new in names.items()}
    length, error, _ = learnt.combination.lengths(lengths, result["direct_error"])
    angles, spreads = ({new: frame[f"{old}_{key}"].to_numpy() for old, new in names.items()} for key in ANGLE)
    angle, angle_error = learnt.combination.angle(angles, spreads)
    result |= {f"{RECOMMENDED}_length": length, f"{RECOMMENDED}_error": error}
    result |= {f"{RECOMMENDED}_angle": angle, f"{RECOMMENDED}_angle_error": angle_error}
    return pd.DataFrame(result, index=frame.index)


def resolved_bars(frame: pd.DataFrame) -> pd.Series:
    """Return which rows have a map and a bar longer than `RESOLVED` PSF widths."""
    return frame["mapped"] & (frame["bar_length"] > RESOLVED * frame["psf"] * frame["pixel_scale"])


def score(
    frame: pd.DataFrame, found: pd.DataFrame, learnt: BarCalibration, seed: int, chosen: np.ndarray | None = None
) -> dict[str, Any]:
    """Return the figures of every estimator on the resolved bars of the test split.

    Parameters
    ----------
    frame : DataFrame
        Truth and raw estimates.
    found : DataFrame
        What :func:`measured` gives of it.
    learnt : BarCalibration
    seed : int
        Of the configuration.
    chosen : ndarray, optional
        (N,) bool: of these rows only.
    """
    rows = (resolved_bars(frame) & (frame["split"] == "test")).to_numpy()
    rows = rows if chosen is None else rows & chosen
    truth, size = frame.loc[rows, "bar_length"].to_numpy(), frame.loc[rows, "r_eff"].to_numpy()
    true_angle, nothing = frame.loc[rows, "bar_position_angle"].to_numpy(), np.full(rows.sum(), np.nan)
    result: dict[str, Any] = {}
    for name in (RECOMMENDED, *ESTIMATORS):
        estimate, error = (found.loc[rows, f"{name}_{key}"].to_numpy() for key in ("length", "error"))
        angle = found.loc[rows, f"{name}_angle"].to_numpy() if f"{name}_angle" in found else nothing
        result[name] = length_scores(estimate, truth, size, generator_for(seed, "evaluate", "bars"))
        result[name] |= orientation_scores(estimate, truth, angle, true_angle)
        with np.errstate(divide="ignore", invalid="ignore"):
            result[name]["coverage_68"] = coverage(np.log(estimate / truth), error)
        if name in learnt.lengths:
            result[name]["calibration"] = learnt.lengths[name].as_dict()
    return result


def coverage(miss: np.ndarray, error: np.ndarray) -> float | None:
    """Return the part of the errors within one standard deviation, None for too few."""
    good = np.isfinite(miss) & np.isfinite(error)
    return float(np.mean(np.abs(miss[good]) <= error[good])) if good.sum() >= FEWEST else None


def bar_auc(test: pd.DataFrame) -> dict[str, Any]:
    """Return the area under the curve of `p_bar`, for all test galaxies and for the bright, well-resolved ones.

    Bright: the brighter half of the test galaxies. Well resolved: a bar longer than three PSF widths or, without a
    bar, a half-light radius above two. Only ellipticals and spirals with and without a bar, seen at low inclination
    (axis ratio above 0.5), are in the second sample.
    """
    barred = test["bar_length"].notna().to_numpy()
    good = test["p_bar"].notna().to_numpy()
    psf = test["psf"] * test["pixel_scale"]
    resolved = np.where(barred, test["bar_length"] > RESOLVED * psf, test["r_eff"] > DISC_RESOLVED * psf)
    clear = (
        good
        & resolved
        & (test["mag"] <= test["mag"].median()).to_numpy()
        & (test["axis_ratio"] > FACE_ON).to_numpy()
        & test["class"].isin(["elliptical", "spiral", "barred_spiral"]).to_numpy()
    )
    score = test["p_bar"].to_numpy()
    return {
        "all": area_under_curve(score[good], barred[good]),
        "bright_resolved": area_under_curve(score[clear], barred[clear]),
        "definition": "bright: brighter half; resolved: bar > 3 PSF FWHM or, unbarred, r_eff > 2 PSF FWHM; "
        "axis ratio > 0.5; ellipticals and spirals, barred and not",
    }
