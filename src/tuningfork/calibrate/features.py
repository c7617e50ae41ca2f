"""The stage calibrate_features: learns the calibration of bulge and arm fractions from validation galaxies."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from tuningfork.calibrate.held_out import HeldOutAnswers, morphology_of_split
from tuningfork.calibrate.held_out_features import held_out_features, predictors_of
from tuningfork.core.calibration_file import read_calibration, write_calibration
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.statistics import CENTRAL_68
from tuningfork.core.tables import lineage_of, write_table
from tuningfork.measure.features.calibration import (
    BULGE,
    FEATURES,
    TRUTH_COLUMNS,
    FeatureCalibration,
    FractionCalibration,
    logit_of,
)
from tuningfork.measure.votes.correction import VoteCalibration
from tuningfork.networks.ensemble import load_ensemble
from tuningfork.stamps.store import StampFiles

MIN_GALAXIES = 30
"""Smallest number of galaxies for a calibration."""
MAX_BINS, MIN_GALAXIES_PER_BIN = 5, 20
"""Largest number of bins of the fraction in which errors are learned, and smallest number of galaxies per bin."""
MIN_FRACTION_ERROR = 0.01
"""Smallest error of a fraction."""


def calibrate_features(
    parameters: Parameters,
    *,
    training: Sequence[StampFiles],
    held_out: HeldOutAnswers,
    models: Sequence[Path],
    votes: Path,
    output: Path,
    table: Path,
) -> None:
    """Write the calibration of the fractions of bulge and spiral arms, learned from validation galaxies.

    Parameters
    ----------
    parameters : Parameters
        Of the stage calibrate_features.
    training : sequence of StampFiles
        Parts of the training set.
    held_out : HeldOutAnswers
        Answers of the morphology networks about its held-out galaxies.
    models : sequence of Path
        Cards of the morphology networks, for the feature maps.
    votes : Path
        calibration/votes.json.
    output : Path
        calibration/features.json.
    table : Path
        Parquet: the validation galaxies, for the baselines of the evaluation.

    Raises
    ------
    InputError
        A file is missing, damaged or about other galaxies.
    """
    configuration = parameters.configuration
    ensemble = load_ensemble(models, "morphology")
    corrections = read_calibration(votes, "votes", VoteCalibration)
    number, settings = configuration.calibrate.features, configuration.features
    rows, answers = morphology_of_split([part.table for part in training], held_out, "validation")
    frame = held_out_features(ensemble, training, rows, answers, corrections, number, configuration.seed, settings)
    lineage = parameters.lineage(lineage_of(*(part.table for part in training), held_out.table, votes, *models))
    write_calibration(output, "features", FeatureCalibration(learn_fractions(frame)), lineage)
    write_table(table, pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None), lineage)


def learn_fractions(frame: pd.DataFrame) -> dict[str, FractionCalibration]:
    """Learn the calibration of every fraction.

    Parameters
    ----------
    frame : DataFrame
        Result of :func:`tuningfork.calibrate.held_out_features.held_out_features`.

    Returns
    -------
    dict
        Each of :data:`tuningfork.measure.features.calibration.FEATURES` -> its calibration.
    """
    return {
        name: fit_fraction(predictors_of(name, frame), frame[TRUTH_COLUMNS[name]].to_numpy(dtype=float), name == BULGE)
        for name in FEATURES
    }


def fit_fraction(predictors: np.ndarray, truth: np.ndarray, logit: bool) -> FractionCalibration:
    """Fit a calibration by least squares.

    Parameters
    ----------
    predictors : ndarray
        (N, K).
    truth : ndarray
        (N,) true fractions. Rows with values that are not finite are ignored.
    logit : bool
        Whether the logit of the fraction is linear in the predictors.

    Returns
    -------
    FractionCalibration
        Without coefficients, and with a note, for fewer than `MIN_GALAXIES`.
    """
    good = np.isfinite(predictors).all(axis=1) & np.isfinite(truth)
    n = int(np.count_nonzero(good))
    if n < MIN_GALAXIES:
        return FractionCalibration(
            [], logit, [], [], n, f"only {n} held-out galaxies with a measurement: not calibrated"
        )
    x, y = predictors[good], truth[good]
    design = np.column_stack([np.ones(n), x])
    solution = np.linalg.lstsq(design, logit_of(y) if logit else y, rcond=None)[0]
    bare = FractionCalibration(solution.tolist(), logit, [0.0], [0.0], n)
    fractions, errors = _errors(bare.apply(x)[0], y)
    return FractionCalibration(solution.tolist(), logit, fractions, errors, n)


def _errors(predicted: np.ndarray, truth: np.ndarray) -> tuple[list[float], list[float]]:
    """Return the median predicted fraction in bins of it, and the 68.3 % quantile of the absolute errors there."""
    order = np.argsort(predicted, kind="stable")
    parts = np.array_split(order, int(np.clip(len(order) // MIN_GALAXIES_PER_BIN, 1, MAX_BINS)))
    miss = np.abs(predicted - truth)
    errors = [max(float(np.quantile(miss[part], CENTRAL_68)), MIN_FRACTION_ERROR) for part in parts]
    return [float(np.median(predicted[part])) for part in parts], errors
