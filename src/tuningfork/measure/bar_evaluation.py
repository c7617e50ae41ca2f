"""Bar lengths against the truth: calibration on the validation galaxies, figures on the test galaxies.

The frame has one row for every held-out galaxy. For each of `ESTIMATORS` it has the estimate before calibration,
`{estimator}_raw` (ln of a length in pixels), and its own standard deviation, `{estimator}_spread`.
"""

from typing import Any

import numpy as np
import pandas as pd

from tuningfork.core.seeds import generator_for
from tuningfork.measure.calibration import LengthCalibration, fit
from tuningfork.measure.scores import (
    angle_difference,
    area_under_curve,
    correlation,
    length_scores,
    orientation_scores,
)

ESTIMATORS = ("saliency-moments", "saliency-paper", "direct", "size_only")
"""What is compared; size_only is the null: a power of the galaxy's true half-light radius."""
RESOLVED = 3.0
"""Bars longer than this many PSF widths are scored."""
DISC_RESOLVED = 2.0
"""Half-light radius, in PSF widths, above which an unbarred galaxy counts as resolved."""
FACE_ON = 0.5
"""Axis ratio above which a galaxy counts as seen at low inclination."""


def published_names(method: str) -> dict[str, str]:
    """Return estimator -> its name in the evaluation: the configured way to measure maps is simply `saliency`."""
    return {name: "saliency" if name == f"saliency-{method}" else name for name in ESTIMATORS}


def calibrate(frame: pd.DataFrame) -> dict[str, LengthCalibration]:
    """Fit the calibration of every estimator on the barred galaxies of the validation split."""
    rows = frame[(frame["split"] == "validation") & frame["mapped"]]
    found = {}
    for name in ESTIMATORS:
        miss = None
        if f"{name}_angle" in rows:
            miss = angle_difference(rows[f"{name}_angle"].to_numpy(), rows["bar_position_angle"].to_numpy())
        truth = (rows["bar_length"] / rows["pixel_scale"]).to_numpy()
        raw = np.exp(rows[f"{name}_raw"].to_numpy())
        found[name] = fit(raw, rows[f"{name}_spread"].to_numpy(), truth, rows["psf"].to_numpy(), miss)
    return found


def lengths(frame: pd.DataFrame, calibrations: dict[str, LengthCalibration]) -> dict[str, np.ndarray]:
    """Return the calibrated lengths (arcsec) of every row, for every estimator."""
    scale, psf = frame["pixel_scale"].to_numpy(), frame["psf"].to_numpy()
    return {
        name: calibration.apply(np.exp(frame[f"{name}_raw"].to_numpy()), psf) * scale
        for name, calibration in calibrations.items()
    }


def recommend(frame: pd.DataFrame, found: dict[str, np.ndarray], method: str) -> str:
    """Return "direct" or "saliency": the one whose lengths follow the truth better on the validation split."""
    rows = (resolved_bars(frame) & (frame["split"] == "validation")).to_numpy()
    if not rows.sum():
        return "direct"
    truth = np.log(frame["bar_length"].to_numpy())
    r = {}
    for name, key in (("direct", "direct"), ("saliency", f"saliency-{method}")):
        estimate = np.log(found[key])
        good = rows & np.isfinite(estimate)
        r[name] = correlation(estimate[good], truth[good]) or 0.0
    return "saliency" if r["saliency"] > r["direct"] else "direct"


def resolved_bars(frame: pd.DataFrame) -> pd.Series:
    """Return which rows have a map and a bar longer than three PSF widths."""
    return frame["mapped"] & (frame["bar_length"] > RESOLVED * frame["psf"] * frame["pixel_scale"])


def score(
    frame: pd.DataFrame, found: dict[str, np.ndarray], calibrations: dict[str, LengthCalibration], seed: int
) -> dict[str, Any]:
    """Return the figures of every estimator on the resolved bars of the test split."""
    rows = (resolved_bars(frame) & (frame["split"] == "test")).to_numpy()
    sample = frame[rows]
    truth, size = sample["bar_length"].to_numpy(), sample["r_eff"].to_numpy()
    result: dict[str, Any] = {}
    for name in ESTIMATORS:
        estimate = found[name][rows]
        result[name] = length_scores(estimate, truth, size, generator_for(seed, "evaluate", "bars"))
        angle = sample[f"{name}_angle"].to_numpy() if f"{name}_angle" in sample else np.full(len(sample), np.nan)
        result[name] |= orientation_scores(estimate, truth, angle, sample["bar_position_angle"].to_numpy())
        result[name]["calibration"] = calibrations[name].as_dict()
    return result


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
