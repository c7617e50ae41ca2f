"""Figures of merit of bulge and arm fractions on test galaxies, beside those of baselines."""

from typing import Any

import numpy as np
import pandas as pd

from tuningfork.calibrate.features import fit_fraction
from tuningfork.calibrate.held_out_features import SHARE_COLUMNS, predictors_of
from tuningfork.core.seeds import generator_for
from tuningfork.core.statistics import (
    FEWEST,
    correlation,
    correlation_error,
    figure,
    partial_correlation,
    robust_scatter,
)
from tuningfork.measure.bars.recipe import DISC_CLASSES
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
UNMAPPED_COLUMNS = {BULGE: "features_concentration", ARMS: "features_residual"}
"""What the light says about the feature without a map."""


def baseline_predictors(name: str, frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the predictors of the baselines that the recommended fraction must beat.

    Parameters
    ----------
    name : str
        One of :data:`tuningfork.measure.features.calibration.FEATURES`.
    frame : DataFrame
        Of :func:`tuningfork.calibrate.held_out_features.held_out_features`, N rows.

    Returns
    -------
    dict
        Baseline -> (N, K).
    """
    share, light = (frame[columns[name]].to_numpy(dtype=float) for columns in (SHARE_COLUMNS, UNMAPPED_COLUMNS))
    if name == BULGE:
        # Compared as shares are: between 0 and 1.
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


def votes_of(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the expected vote fractions in a table.

    Parameters
    ----------
    frame : DataFrame
        N rows.

    Returns
    -------
    dict
        `{answer}_fraction` -> (N,)
    """
    return {str(column): frame[column].to_numpy() for column in frame if str(column).endswith("_fraction")}


def recommended_fractions(frame: pd.DataFrame, calibration: FeatureCalibration) -> dict[str, np.ndarray]:
    """Return the catalogue's columns of bulge and arms, by the pipeline's own recipe.

    Parameters
    ----------
    frame : DataFrame
        Of :func:`tuningfork.calibrate.held_out_features.held_out_features`, N rows.
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
    """Return the figures of every fraction on the test galaxies, all of them and the spirals among them.

    All variants are judged by the same galaxies. `partial_r` is the correlation with the truth that is left once both
    are freed of what the answer alone predicts.

    Parameters
    ----------
    validation, test : DataFrame
        Of :func:`tuningfork.calibrate.held_out_features.held_out_features`; baselines are learned from the former.
    calibration : FeatureCalibration
        Of the recommended fractions.
    seed : int
        Of the configuration.

    Returns
    -------
    dict
        Fraction -> variant -> figures.
    """
    spirals = test["class"].isin(DISC_CLASSES).to_numpy()
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
