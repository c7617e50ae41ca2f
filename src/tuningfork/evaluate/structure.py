"""The stage evaluate_structure: figures of merit of profile parameters on galaxies from which nothing was learned."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tuningfork.calibrate.held_out import structure_of_split
from tuningfork.calibrate.held_out_profiles import (
    PARAMETERS,
    compared,
    held_out_profiles,
    numbers,
    predicted_columns,
    true_targets,
)
from tuningfork.core.calibration_file import read_calibration
from tuningfork.core.files import write_json
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.statistics import FEWEST
from tuningfork.core.tables import lineage_of, write_table
from tuningfork.evaluate.scores import challenge_scores, parameter_scores
from tuningfork.measure.structure.combine import StructureCalibration, signal_to_noise
from tuningfork.measure.structure.intervals import NORMAL_DEGREES, ErrorModel
from tuningfork.stamps.store import StampFiles, survey_of

CHALLENGE_PARAMETERS = ("r_eff", "sersic_n", "axis_ratio")
"""Parameters of the Euclid Morphology Challenge."""
SIGNAL_EDGES = (0.0, 10.0, 30.0, 100.0, 300.0, 1000.0, np.inf)
"""Edges of the bins of the true signal-to-noise ratio within the half-light ellipse."""


def evaluate_structure(
    parameters: Parameters,
    *,
    training: Sequence[StampFiles],
    held_out: Path,
    calibration: Path,
    output: Path,
    table: Path,
) -> None:
    """Write the figures of merit of the profile parameters of the test galaxies.

    Parameters
    ----------
    parameters : Parameters
        Of the stage evaluate_structure.
    training : sequence of StampFiles
        Parts of the training set.
    held_out : Path
        Answers of the structure networks about its held-out galaxies.
    calibration : Path
        calibration/structure.json.
    output : Path
        JSON: `structure`, `structure_network`, `structure_by_signal` and `structure_challenge`.
    table : Path
        Parquet, one row per test galaxy: its `index`, the columns of
        :func:`tuningfork.calibrate.held_out_profiles.predicted_columns` and the true `signal_to_noise`.

    Raises
    ------
    InputError
        A file is missing, damaged or about other galaxies.
    """
    tables = [part.table for part in training]
    _, band = survey_of(tables[0])
    rows, answers = structure_of_split(tables, held_out, "test")
    measured = held_out_profiles(training, rows, answers, band, parameters.configuration.structure)
    learned = read_calibration(calibration, "structure", StructureCalibration)
    frame = rows.to_pandas()
    predicted = predicted_columns(frame, measured, learned, band)
    predicted = predicted.assign(signal_to_noise=signal_to_noise(true_targets(frame, band)))
    lineage = parameters.lineage(lineage_of(*tables, held_out, calibration))
    columns = {"index": frame["index"]} | {name: predicted[name] for name in predicted}
    arrays = {name: pa.array(values, from_pandas=True) for name, values in columns.items()}
    write_table(table, pa.table(arrays), lineage)
    test = pd.concat([frame, predicted], axis=1)
    write_json(
        output,
        {
            "lineage": lineage,
            "structure": structure_scores(test, learned.errors),
            "structure_network": network_scores(test),
            "structure_by_signal": signal_scores(test, learned.errors),
            "structure_challenge": challenge(test),
        },
    )


def structure_scores(test: pd.DataFrame, errors: Mapping[str, ErrorModel]) -> dict[str, Any]:
    """Return the scores of every profile parameter, with the `degrees` of freedom of its error.

    Half-light radius and Sersic index are compared in natural logarithms; position angles are compared only for
    sufficiently flat galaxies.

    Parameters
    ----------
    test : DataFrame
        Truth and predictions.
    errors : mapping
        Parameter -> its error model.

    Returns
    -------
    dict
        Parameter -> the figures of :func:`tuningfork.evaluate.scores.parameter_scores`.
    """
    degrees = {name: errors[name].degrees if name in errors else NORMAL_DEGREES for name in PARAMETERS}
    return {
        name: _score(test, name, f"{name}_predicted", degrees[name]) | {"degrees": degrees[name]} for name in PARAMETERS
    }


def network_scores(test: pd.DataFrame) -> dict[str, Any]:
    """Return number, R^2, bias and scatter of the network without a fit.

    Parameters
    ----------
    test : DataFrame
        Truth and predictions.

    Returns
    -------
    dict
        Parameter -> its figures.
    """
    kept = ("n", "r2", "bias", "scatter")
    scores = {name: _score(test, name, f"{name}_network") for name in PARAMETERS if f"{name}_network" in test}
    return {name: {key: values[key] for key in kept} for name, values in scores.items()}


def signal_scores(test: pd.DataFrame, errors: Mapping[str, ErrorModel]) -> list[dict[str, Any]]:
    """Return the scores in bins of the signal-to-noise ratio, faint galaxies first, without bins of too few galaxies.

    Parameters
    ----------
    test : DataFrame
        Truth and predictions.
    errors : mapping
        Parameter -> its error model.

    Returns
    -------
    list of dict
        `low`, `high` (None for the last, open bin), `n`, `refined` (share of galaxies whose fit was used),
        `recommended` and `network` (parameter -> scores).
    """
    result = []
    for low, high in pairwise(SIGNAL_EDGES):
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
    """Return the figures of the Euclid Morphology Challenge for all test galaxies.

    Parameters
    ----------
    test : DataFrame
        Truth and predictions.

    Returns
    -------
    dict
        Parameter -> the figures of :func:`tuningfork.evaluate.scores.challenge_scores`.
    """
    return {
        name: challenge_scores(name, numbers(test, f"{name}_predicted"), numbers(test, name))
        for name in CHALLENGE_PARAMETERS
    }


def _score(test: pd.DataFrame, name: str, predicted: str, degrees: float = NORMAL_DEGREES) -> dict[str, Any]:
    comparison = compared(test, name, predicted)
    return parameter_scores(comparison.value, comparison.error, comparison.truth, comparison.angle, degrees)
