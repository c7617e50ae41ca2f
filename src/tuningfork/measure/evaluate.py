"""The test on held-out simulated galaxies: calibration of the bar lengths, and every figure of merit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tuningfork.core.columns import STRUCTURE, vote_columns
from tuningfork.core.decision_tree import answers, questions
from tuningfork.core.files import write_json
from tuningfork.core.parameters import Parameters
from tuningfork.core.tables import lineage_of, read_table, write_table
from tuningfork.measure.bar_evaluation import bar_auc, calibrate, lengths, published_names, recommend, score
from tuningfork.measure.classify import CLASSES
from tuningfork.measure.held_out import Networks, held_out
from tuningfork.measure.scores import parameter_scores, question_scores
from tuningfork.networks.ensemble import load_ensemble

PROFILE = [column.name for column in STRUCTURE if not column.name.endswith("_error")]
LOGARITHMIC = ("r_eff", "sersic_n")
FLAT = 0.7
"""Axis ratio below which the position angle is compared."""


def evaluate(
    parameters: Parameters,
    training: Sequence[Path],
    morphology: Sequence[Path],
    structure: Sequence[Path],
    output: Path,
    table: Path,
) -> None:
    """Write how good every measurement is, and the calibration of the bar lengths.

    The calibration and the choice of the recommended estimator are learned on the validation split; every figure is
    of the test split.

    Parameters
    ----------
    parameters : Parameters
        Of the stage evaluate.
    training : sequence of Path
        Tables of the parts of the training set, with the stamps beside them.
    morphology, structure : sequence of Path
        Cards of the networks.
    output : Path
        evaluation.json.
    table : Path
        evaluation.parquet, one row for every test galaxy: truth (`true_...`), votes and predictions.
    """
    configuration = parameters.configuration
    networks = Networks(load_ensemble(morphology, "morphology"), load_ensemble(structure, "structure"))
    frame = held_out(training, networks, configuration)
    calibrations = calibrate(frame)
    found = lengths(frame, calibrations)
    method = configuration.bars.method
    names = published_names(method)
    test = frame[frame["split"] == "test"]
    lineage = parameters.lineage(lineage_of(*training, *morphology, *structure))
    write_table(table, test_table(frame, found, method), lineage)
    write_json(
        output,
        {
            "lineage": lineage,
            "splits": splits(training),
            "morphology": vote_scores(test, training),
            "confusion": confusion(test),
            "bar_auc": bar_auc(test),
            "structure": structure_scores(test),
            "bars": {
                names[name]: figures for name, figures in score(frame, found, calibrations, configuration.seed).items()
            },
            "bar_calibration": {
                "saliency": calibrations[f"saliency-{method}"].as_dict(),
                "direct": calibrations["direct"].as_dict(),
            },
            "bar_method": method,
            "recommended": recommend(frame, found, method),
        },
    )


def splits(training: Sequence[Path]) -> dict[str, int]:
    """Return the number of galaxies in each split."""
    names = np.concatenate([read_table(path, ["split"])["split"].to_numpy() for path in training])
    return {name: int(np.count_nonzero(names == name)) for name in ("train", "validation", "test")}


def vote_scores(test: pd.DataFrame, training: Sequence[Path]) -> dict[str, Any]:
    """Return the scores of every question; the constant predictor is the mean of the training split."""
    tables = [read_table(path, ["split", *vote_columns()]).to_pandas() for path in training]
    seen = pd.concat(tables)
    votes = seen.loc[seen["split"] == "train", vote_columns()].to_numpy(dtype=float)
    result = {}
    for entry in questions():
        cast = votes[:, entry.slice]
        asked = cast[cast.sum(axis=1) > 0]
        share = (
            (asked / asked.sum(axis=1, keepdims=True)).mean(axis=0)
            if len(asked)
            else np.full(cast.shape[1], 1 / cast.shape[1])
        )
        expected = test[[f"{label}_fraction" for label in entry.labels]].to_numpy()
        given = test[[f"{label}_votes" for label in entry.labels]].to_numpy(dtype=float)
        good = np.isfinite(expected).all(axis=1)
        result[entry.name] = {"answers": list(entry.answers)} | question_scores(expected[good], given[good], share)
    return result


def confusion(test: pd.DataFrame) -> dict[str, Any]:
    """Return how often each true class (rows) was given each class (columns), and the accuracy.

    Kinds that are simulated but are no class (single Sersic profiles, lenses) have a row; they say nothing about the
    accuracy.
    """
    good = test["morphology"].notna()
    truth, found = test.loc[good, "class"], test.loc[good, "morphology"].astype(str)
    names = sorted(set(truth) | set(found))
    matrix = pd.crosstab(truth, found).reindex(index=names, columns=names, fill_value=0).to_numpy()
    n = int(truth.isin(CLASSES).sum())
    return {"classes": names, "matrix": matrix.tolist(), "n": n, "accuracy": float(np.trace(matrix) / n) if n else None}


def structure_scores(test: pd.DataFrame) -> dict[str, Any]:
    """Return the scores of every profile parameter.

    Half-light radius and Sersic index are compared in natural logarithms; position angles only of galaxies flat
    enough to have one.
    """
    result = {}
    for name in PROFILE:
        truth, found, error = (test[key].to_numpy(dtype=float) for key in (name, f"{name}_predicted", f"{name}_error"))
        if name in LOGARITHMIC:
            truth, found, error = np.log(truth), np.log(found), error / found
        if name == "position_angle":
            truth = np.where(test["axis_ratio"] < FLAT, truth, np.nan)
        result[name] = parameter_scores(found, error, truth, angle=name == "position_angle")
    return result


def test_table(frame: pd.DataFrame, found: dict[str, np.ndarray], method: str) -> pa.Table:
    """Return the rows of evaluation.parquet: the test galaxies.

    Truth and votes have the names of the training table, predictions those of the catalogue's columns, except that
    `{parameter}_predicted` stands for what would have the name of the truth. Angles are in the pixel frame.
    """
    rows = (frame["split"] == "test").to_numpy()
    names = ["index", "split", "class", *PROFILE, "bar_length", "bar_position_angle", *vote_columns()]
    names += [f"{name}_{kind}" for name in PROFILE for kind in ("predicted", "error")]
    names += ["morphology", "p_bar", *(f"{label}_fraction" for label in answers())]
    test = frame.loc[rows, names].assign(psf_fwhm=frame["psf"] * frame["pixel_scale"])
    for estimator, name in published_names(method).items():
        test[f"bar_length_{name}"] = found[estimator][rows]
    test["bar_position_angle_predicted"] = frame[f"saliency-{method}_angle"]
    return pa.table({name: pa.array(test[name], from_pandas=True) for name in test})
