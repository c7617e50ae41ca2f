"""Figures of merit of bulge and arm fractions and of baselines on test galaxies."""

from typing import Any

import numpy as np
import pandas as pd

from tuningfork.calibrate.features import fit_fraction
from tuningfork.calibrate.held_out_features import SHARE_COLUMNS, predictors_of, votes_of
from tuningfork.core.seeds import generator_for
from tuningfork.core.statistics import (
    FEWEST,
    correlation,
    correlation_error,
    figure,
    partial_correlation,
    robust_scatter,
)
from tuningfork.measure.features.calibration import (
    ARMS,
    BULGE,
    FEATURES,
    TRUTH_COLUMNS,
    FeatureCalibration,
    answer_of,
    feature_columns,
    predictors,
)

RECOMMENDED, ANSWER_ONLY = "recommended", "answer_only"
DISC_KINDS = ("spiral", "barred_spiral")
"""Simulated kinds of discs that are not seen edge-on."""
UNMAPPED_COLUMNS = {BULGE: "features_concentration", ARMS: "features_residual"}
"""Columns of the measurements that use the light without a map."""


def baseline_predictors(name: str, frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the predictors of the baselines with which the recommended fraction is compared.

    Parameters
    ----------
    name : str
        One of :data:`tuningfork.measure.features.calibration.FEATURES`.
    frame : DataFrame
        Result of :func:`tuningfork.calibrate.held_out_features.held_out_features`, N rows.

    Returns
    -------
    dict
        Baseline -> (N, K).
    """
    share, light = (frame[columns[name]].to_numpy(dtype=float) for columns in (SHARE_COLUMNS, UNMAPPED_COLUMNS))
    if name == BULGE:
        # The concentration is converted to a number between 0 and 1, as the shares are.
        light = 1 - 1 / light
    votes, end, psf = votes_of(frame), frame["features_end"].to_numpy(dtype=float), frame["psf"].to_numpy()
    answer = answer_of(name, votes)
    size = np.log(frame["r_eff"].to_numpy(dtype=float) / frame["pixel_scale"].to_numpy(dtype=float))
    return {
        "map_only": predictors(name, share, None, psf, end),
        ANSWER_ONLY: predictors(name, None, answer, psf, end),
        "light_only": predictors(name, light, None, psf, end),
        "answer_and_light": predictors(name, light, answer, psf, end),
        "size_only": np.column_stack([np.log(psf), size]),
    }


def recommended_fractions(frame: pd.DataFrame, calibration: FeatureCalibration) -> dict[str, np.ndarray]:
    """Return the catalogue's columns of bulge and arms, measured with the pipeline's own recipe.

    Parameters
    ----------
    frame : DataFrame
        Result of :func:`tuningfork.calibrate.held_out_features.held_out_features`, N rows.
    calibration : FeatureCalibration

    Returns
    -------
    dict
        Column -> (N,)
    """
    shares = {name: frame[SHARE_COLUMNS[name]].to_numpy(dtype=float) for name in FEATURES}
    end = frame["features_end"].to_numpy(dtype=float)
    return feature_columns(shares, end, votes_of(frame), frame["psf"].to_numpy(), calibration)


def score_features(
    validation: pd.DataFrame, test: pd.DataFrame, calibration: FeatureCalibration, seed: int
) -> dict[str, Any]:
    """Return the figures of every fraction for all test galaxies and for the spirals among them.

    All variants are scored on the same galaxies. `partial_r` is the partial correlation with the truth at a fixed
    prediction from the answer alone.

    Parameters
    ----------
    validation, test : DataFrame
        Results of :func:`tuningfork.calibrate.held_out_features.held_out_features`; the baselines are learned from
        `validation`.
    calibration : FeatureCalibration
        Calibration of the recommended fractions.
    seed : int
        Seed of the configuration.

    Returns
    -------
    dict
        Fraction -> variant -> figures.
    """
    spirals = test["class"].isin(DISC_KINDS).to_numpy()
    recommended, result = recommended_fractions(test, calibration), {}
    for name in FEATURES:
        truth = test[TRUTH_COLUMNS[name]].to_numpy(dtype=float)
        columns, learned = baseline_predictors(name, test), baseline_predictors(name, validation)
        known = validation[TRUTH_COLUMNS[name]].to_numpy(dtype=float)
        variants = {RECOMMENDED: (recommended[name], recommended[f"{name}_error"])}
        for kind, part in columns.items():
            variants[kind] = fit_fraction(learned[kind], known, name == BULGE).apply(part)
        everything = [predictors_of(name, test), *columns.values()]
        good = np.isfinite(truth) & np.all([np.isfinite(part).all(axis=1) for part in everything], axis=0)
        answer = variants[ANSWER_ONLY][0]
        result[name] = {
            kind: _figures(value, error, truth, answer, good, seed)
            | {"spirals": _figures(value, error, truth, answer, good & spirals, seed)}
            for kind, (value, error) in variants.items()
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
