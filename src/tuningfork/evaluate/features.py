"""Bulge and arm fractions against the truth: calibration on the validation galaxies, figures on the test galaxies.

The frame has one row for every held-out galaxy, with the truth, the votes that are expected, `psf` (px), and what
:class:`tuningfork.measure.features.maps.Measured` holds as `features_{name}`, NaN where it was not measured.
"""

from typing import Any

import numpy as np
import pandas as pd

from tuningfork.core.seeds import generator_for
from tuningfork.core.statistics import (
    FEWEST,
    correlation,
    correlation_error,
    figure,
    partial_correlation,
    robust_scatter,
)
from tuningfork.measure.bars.shard import DISCS
from tuningfork.measure.features.calibration import (
    ARMS,
    BULGE,
    FEATURES,
    TRUTH,
    FeatureCalibration,
    answer_of,
    fit,
    predictors,
)

RECOMMENDED, ANSWER = "recommended", "answer_only"
SHARES = {BULGE: "features_bulge", ARMS: "features_arms"}
UNMAPPED = {BULGE: "features_concentration", ARMS: "features_residual"}
"""What the light says of the feature without a map."""


def variants(name: str, frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the predictors (N, K) of the recommended fraction and of those that it must be better than."""
    share, light = (frame[columns[name]].to_numpy(dtype=float) for columns in (SHARES, UNMAPPED))
    if name == BULGE:
        # Compared as shares are: between 0 and 1.
        light = 1 - 1 / light
    votes = {str(column): frame[column] for column in frame if str(column).endswith("_fraction")}
    answer, psf, end = answer_of(name, votes), frame["psf"].to_numpy(), frame["features_end"].to_numpy(dtype=float)
    size = np.log(frame["r_eff"].to_numpy(dtype=float) / frame["pixel_scale"].to_numpy(dtype=float))
    return {
        RECOMMENDED: predictors(name, share, answer, psf, end),
        "map_only": predictors(name, share, None, psf, end),
        ANSWER: predictors(name, None, answer, psf, end),
        "light_only": predictors(name, light, None, psf, end),
        "answer_and_light": predictors(name, light, answer, psf, end),
        "size_only": np.column_stack([np.log(psf), size]),
    }


def learn_features(frame: pd.DataFrame) -> dict[str, dict[str, FeatureCalibration]]:
    """Learn the calibrations of each fraction's variants on the validation galaxies."""
    rows = frame[frame["split"] == "validation"]
    return {
        name: {
            kind: fit(columns, rows[TRUTH[name]].to_numpy(dtype=float), name == BULGE)
            for kind, columns in variants(name, rows).items()
        }
        for name in FEATURES
    }


def fractions(frame: pd.DataFrame, learnt: dict[str, dict[str, FeatureCalibration]]) -> dict[str, np.ndarray]:
    """Return the recommended fractions and their errors of every row, as the catalogue's columns."""
    values: dict[str, np.ndarray] = {}
    for name in FEATURES:
        found = learnt[name][RECOMMENDED].apply(variants(name, frame)[RECOMMENDED])
        values |= dict(zip((name, f"{name}_error"), found, strict=True))
    return values


def score_features(frame: pd.DataFrame, learnt: dict[str, dict[str, FeatureCalibration]], seed: int) -> dict[str, Any]:
    """Return the figures of every variant on the test galaxies, all of them and the spirals among them.

    Every variant is judged by the same galaxies. `partial_r` is the correlation with the truth that is left once both
    are freed of what the answer alone predicts.
    """
    rows = frame[frame["split"] == "test"]
    discs = rows["class"].isin(DISCS).to_numpy()
    result: dict[str, Any] = {}
    for name in FEATURES:
        truth, columns = rows[TRUTH[name]].to_numpy(dtype=float), variants(name, rows)
        good = np.isfinite(truth) & np.all([np.isfinite(part).all(axis=1) for part in columns.values()], axis=0)
        found = {kind: learnt[name][kind].apply(part) for kind, part in columns.items()}
        answer = found[ANSWER][0]
        result[name] = {
            kind: _figures(value, error, truth, answer, good, seed)
            | {"spirals": _figures(value, error, truth, answer, good & discs, seed)}
            for kind, (value, error) in found.items()
        }
    return result


def _figures(
    value: np.ndarray, error: np.ndarray, truth: np.ndarray, answer: np.ndarray, chosen: np.ndarray, seed: int
) -> dict[str, Any]:
    good = chosen & np.isfinite(value)
    value, error, truth, answer = (part[good] for part in (value, error, truth, answer))
    miss, n = value - truth, int(np.count_nonzero(good))
    enough = n >= FEWEST
    return {
        "n": n,
        "r": correlation(value, truth),
        "r_error": correlation_error(value, truth, generator_for(seed, "evaluate", "features")),
        "partial_r": partial_correlation(value, truth, answer),
        "bias": figure(float(np.mean(miss))) if enough else None,
        "scatter": robust_scatter(miss) if enough else None,
        "rms": figure(float(np.sqrt(np.mean(miss**2)))) if enough else None,
        "coverage_68": figure(float(np.mean(np.abs(miss) <= error))) if enough else None,
    }
