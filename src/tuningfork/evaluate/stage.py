"""The test on held-out simulated galaxies: calibration of the bar lengths, and every figure of merit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tuningfork.calibrate.held_out import held_out
from tuningfork.calibrate.held_out_stamps import mean_fractions
from tuningfork.core.classes import CLASSES
from tuningfork.core.columns import PROFILE, vote_columns
from tuningfork.core.decision_tree import answers, question, questions
from tuningfork.core.files import read_json, write_json
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import lineage_of, read_table, write_table
from tuningfork.evaluate.bars import (
    bar_auc,
    combined_names,
    learn_bars,
    measured,
    published_names,
    score,
)
from tuningfork.evaluate.features import RECOMMENDED, fractions, learn_features, score_features
from tuningfork.evaluate.scores import question_scores
from tuningfork.evaluate.structure import PARAMETERS
from tuningfork.measure.bars.shard import barred
from tuningfork.measure.features.calibration import FEATURES
from tuningfork.measure.votes.correction import corrections_of
from tuningfork.networks.ensemble import load_ensemble


def evaluate(
    parameters: Parameters,
    training: Sequence[Path],
    morphology: Sequence[Path],
    agreement: Path,
    profiles: Path,
    profiles_table: Path,
    output: Path,
    table: Path,
) -> None:
    """Write how good every measurement is, and the calibrations of bar lengths and of bulge and arm fractions.

    The calibration and the choice of the recommended estimator are learned on the validation split; every figure is
    of the test split.

    Parameters
    ----------
    parameters : Parameters
        Of the stage evaluate.
    training : sequence of Path
        Tables of the parts of the training set, with the stamps beside them.
    morphology : sequence of Path
        Cards of the networks.
    agreement : Path
        What :mod:`tuningfork.calibrate.votes` has written: its calibration is used, its figures are taken over.
    profiles, profiles_table : Path
        What :mod:`tuningfork.calibrate.structure` has written: its figures are taken over.
    output : Path
        evaluation.json.
    table : Path
        evaluation.parquet, one row for every test galaxy: truth (`true_...`), votes and predictions.
    """
    configuration = parameters.configuration
    votes = {name: figures for name, figures in read_json(agreement).items() if name != "lineage"}
    frame = held_out(training, load_ensemble(morphology, "morphology"), configuration, corrections_of(votes))
    frame = frame.join(read_table(profiles_table).to_pandas().set_index("index"), on="index")
    method = configuration.bars.method
    learnt = learn_bars(frame, method)
    found = measured(frame, learnt, method)
    features = learn_features(frame)
    frame = frame.assign(**fractions(frame, features))
    names, seed = published_names(method), configuration.seed
    label = question("bar").labels[0]
    published = barred(
        frame[f"{label}_fraction"].to_numpy(), frame["morphology"].to_numpy(), configuration.bars.min_fraction
    )
    test = frame[frame["split"] == "test"]
    lineage = parameters.lineage(lineage_of(*training, *morphology, agreement, profiles))
    write_table(table, test_table(frame, found, method), lineage)
    write_json(
        output,
        {
            "lineage": lineage,
            "splits": splits(training),
            "morphology": vote_scores(test, training),
            "agreement": votes,
            "confusion": confusion(test),
            "bar_auc": bar_auc(test),
            **{name: figures for name, figures in read_json(profiles).items() if name != "lineage"},
            "bars": {names.get(name, name): row for name, row in score(frame, found, learnt, seed).items()},
            "bars_published": {
                names.get(name, name): row for name, row in score(frame, found, learnt, seed, published).items()
            },
            "bar_calibration": {
                **{new: learnt.lengths[old].as_dict() for old, new in combined_names(method).items()},
                "axis_ratio": learnt.axis_ratio.as_dict(),
            },
            "bar_combination": learnt.combination.as_dict(),
            "bar_method": method,
            "features": score_features(frame, features, seed),
            "feature_calibration": {name: kinds[RECOMMENDED].as_dict() for name, kinds in features.items()},
        },
    )


def splits(training: Sequence[Path]) -> dict[str, int]:
    """Return the number of galaxies in each split."""
    names = np.concatenate([read_table(path, ["split"])["split"].to_numpy() for path in training])
    return {name: int(np.count_nonzero(names == name)) for name in ("train", "validation", "test")}


def vote_scores(test: pd.DataFrame, training: Sequence[Path]) -> dict[str, Any]:
    """Return the scores of every question; the constant predictor is the mean of the training split."""
    constant = mean_fractions(training)
    result = {}
    for entry in questions():
        expected = test[[f"{label}_fraction" for label in entry.labels]].to_numpy()
        given = test[[f"{label}_votes" for label in entry.labels]].to_numpy(dtype=float)
        good = np.isfinite(expected).all(axis=1)
        result[entry.name] = {"answers": list(entry.answers)} | question_scores(
            expected[good], given[good], constant[entry.name]
        )
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


def test_table(frame: pd.DataFrame, found: pd.DataFrame, method: str) -> pa.Table:
    """Return the rows of evaluation.parquet: the test galaxies.

    Truth and votes have the names of the training table, predictions those of the catalogue's columns, except that
    `{parameter}_predicted` stands for what would have the name of the truth. Angles are in the pixel frame.
    """
    rows = (frame["split"] == "test").to_numpy()
    names = ["index", "split", "class", *PARAMETERS, "redshift", "bar_length", "bar_position_angle", *vote_columns()]
    names += [f"{name}_{kind}" for name in PARAMETERS for kind in ("predicted", "error")]
    names += [*(f"{column.name}_network" for column in PROFILE), "structure_method", "reduced_chi2", "signal_to_noise"]
    names += ["morphology", "p_bar", *(f"{label}_fraction" for label in answers())]
    names += ["arm_strength", *(f"{name}{kind}" for name in FEATURES for kind in ("", "_error"))]
    test = frame.reindex(columns=names)[rows].assign(psf_fwhm=frame["psf"] * frame["pixel_scale"])
    for estimator, name in published_names(method).items():
        test[f"bar_length_{name}"] = found.loc[rows, f"{estimator}_length"]
    test["bar_length_predicted"] = found.loc[rows, "recommended_length"]
    test["bar_length_error"] = test["bar_length_predicted"] * found.loc[rows, "recommended_error"]
    test["bar_position_angle_predicted"] = found.loc[rows, "recommended_angle"]
    return pa.table({name: pa.array(test[name], from_pandas=True) for name in test})
