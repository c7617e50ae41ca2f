"""The stage evaluate: all figures of merit, measured on test galaxies from which nothing was learned.

Only audit_votes and the report depend on its outputs, so a new figure needs no new measurement of the survey.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tuningfork.calibrate.held_out import (
    HeldOutAnswers,
    first_of,
    mean_fractions,
    morphology_of_split,
)
from tuningfork.calibrate.held_out_bars import held_out_bars, raw_table
from tuningfork.calibrate.held_out_features import held_out_features
from tuningfork.calibrate.held_out_profiles import PARAMETERS
from tuningfork.calibrate.votes import as_dict
from tuningfork.core.calibration_file import read_calibration
from tuningfork.core.classes import CLASSES, class_of_votes
from tuningfork.core.columns import PROFILE
from tuningfork.core.config import Configuration
from tuningfork.core.decision_tree import answers, questions, vote_columns
from tuningfork.core.errors import InputError
from tuningfork.core.files import read_json, write_json
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import lineage_of, read_table, require_columns, write_table
from tuningfork.evaluate.agreement import vote_agreement
from tuningfork.evaluate.bars import (
    RECOMMENDED,
    BarLengths,
    bar_auc,
    baseline_lengths,
    pipeline_lengths,
    resolved_bars,
    score_bars,
)
from tuningfork.evaluate.features import recommended_fractions, score_features
from tuningfork.evaluate.presence import presence_scores
from tuningfork.evaluate.scores import question_scores
from tuningfork.infer.answers import MorphologyAnswers
from tuningfork.measure.bars.calibration import BarCalibration, calibrated_bars
from tuningfork.measure.bars.estimators import psf_pixels
from tuningfork.measure.bars.recipe import counts_as_barred
from tuningfork.measure.features.calibration import FEATURES, FeatureCalibration
from tuningfork.measure.votes.correction import VoteCalibration
from tuningfork.measure.votes.recipe import vote_columns_of
from tuningfork.networks.ensemble import Ensemble, load_ensemble
from tuningfork.stamps.store import StampFiles


@dataclass(frozen=True)
class EvaluationInputs:
    """The files from which the pipeline is evaluated.

    Attributes
    ----------
    training : sequence of StampFiles
        Parts of the training set.
    held_out : HeldOutAnswers
        Answers of the morphology networks about its held-out galaxies.
    models : sequence of Path
        Cards of the morphology networks, for the maps.
    votes, bars, features : Path
        The calibrations of votes, bars and features.
    bars_table, features_table : Path
        Tables of the validation galaxies of the calibrations of bars and features, for the baselines.
    structure, structure_table : Path
        Outputs of the stage evaluate_structure, whose figures are copied.
    volunteers : Path or None
        Table of the part with votes of real volunteers.
    volunteers_answers : HeldOutAnswers or None
        Answers of the networks about the held-out galaxies of this part.
    """

    training: Sequence[StampFiles]
    held_out: HeldOutAnswers
    models: Sequence[Path]
    votes: Path
    bars: Path
    bars_table: Path
    features: Path
    features_table: Path
    structure: Path
    structure_table: Path
    volunteers: Path | None = None
    volunteers_answers: HeldOutAnswers | None = None

    @property
    def tables(self) -> list[Path]:
        """Tables of the parts of the training set."""
        return [part.table for part in self.training]

    @property
    def with_lineage(self) -> list[Path]:
        """All files that have a lineage."""
        files = [*self.tables, self.held_out.table, *self.models, self.votes, self.bars, self.features, self.structure]
        files += [self.bars_table, self.features_table, self.structure_table]
        more = [self.volunteers, self.volunteers_answers.table if self.volunteers_answers else None]
        return [*files, *(path for path in more if path is not None)]


def evaluate(parameters: Parameters, *, inputs: EvaluationInputs, output: Path, table: Path) -> None:
    """Write the figures of merit of every measurement.

    Parameters
    ----------
    parameters : Parameters
        Of the stage evaluate.
    inputs : EvaluationInputs
    output : Path
        evaluation/summary.json.
    table : Path
        evaluation/galaxies.parquet, one row per test galaxy: truth, votes and predictions.

    Raises
    ------
    InputError
        A file is missing, damaged or about other galaxies.
    """
    configuration = parameters.configuration
    seed, method = configuration.seed, configuration.bars.method
    votes = read_calibration(inputs.votes, "votes", VoteCalibration)
    rows, predicted = morphology_of_split(inputs.tables, inputs.held_out, "test")
    ensemble = load_ensemble(inputs.models, "morphology")
    test = rows.to_pandas().assign(psf=psf_pixels(rows, ensemble.reference_band), **vote_columns_of(predicted, votes))
    lineage = parameters.lineage(lineage_of(*inputs.with_lineage))
    validation = morphology_of_split(inputs.tables, inputs.held_out, "validation")[0]
    profiles = table_about(inputs.structure_table, rows, "test")
    validated = table_about(inputs.features_table, validation, "validation")
    table_about(inputs.bars_table, validation, "validation")
    lengths = _bar_lengths(inputs, ensemble, rows, predicted, configuration)
    features = read_calibration(inputs.features, "features", FeatureCalibration)
    featured = held_out_features(
        ensemble, inputs.training, rows, predicted, votes, configuration.evaluate.features, seed,
        configuration.features,
    )  # fmt: skip
    test = test.join(profiles.set_index("index"), on="index")
    fractions = pd.DataFrame({"index": featured["index"], **recommended_fractions(featured, features)})
    test = test.join(fractions.set_index("index"), on="index")
    scored = first_of(rows, configuration.evaluate.bars, barred=True) & resolved_bars(test, test["psf"].to_numpy())
    published = scored & _published(test, configuration.bars.min_probability)
    write_table(table, galaxy_table(test, lengths), lineage)
    write_json(
        output,
        {
            "lineage": lineage,
            "splits": splits(inputs.tables),
            "morphology": vote_scores(test, inputs.tables),
            "agreement": _agreement(inputs, rows, predicted, votes, seed),
            "confusion": confusion(test),
            "bar_auc": bar_auc(test),
            "bar_presence": presence_scores(test, configuration.bars.min_probability),
            **{name: figures for name, figures in read_json(inputs.structure).items() if name != "lineage"},
            "bars": score_bars(test, lengths, scored, seed),
            "bars_published": score_bars(test, lengths, published, seed),
            "bar_method": method,
            "features": score_features(validated, featured, features, seed),
        },
    )


def _bar_lengths(
    inputs: EvaluationInputs,
    ensemble: Ensemble,
    rows: pa.Table,
    predicted: MorphologyAnswers,
    configuration: Configuration,
) -> dict[str, BarLengths]:
    """Return the bar lengths of the test galaxies by every estimator and baseline."""
    mapped = first_of(rows, configuration.evaluate.bars, barred=True)
    seed, method, band = configuration.seed, configuration.bars.method, ensemble.reference_band
    estimates = held_out_bars(ensemble, inputs.training, rows, predicted, mapped, seed, configuration.saliency, method)
    calibration = read_calibration(inputs.bars, "bars", BarCalibration)
    combined = {name: estimates[name] for name in calibration.lengths}
    bars = calibrated_bars(combined, calibration, psf_pixels(rows, band))
    baselines = baseline_lengths(read_table(inputs.bars_table).to_pandas(), raw_table(rows, estimates, band), estimates)
    return pipeline_lengths(bars, combined, calibration.lengths) | baselines


def table_about(path: Path, rows: pa.Table, split: str) -> pd.DataFrame:
    """Return a table about held-out galaxies, all of the test galaxies or some of the validation galaxies, in their order.

    Parameters
    ----------
    path : Path
    rows : pyarrow.Table
        The galaxies of the split.
    split : str
        validation or test.

    Returns
    -------
    DataFrame

    Raises
    ------
    InputError
        The file is missing, damaged or about other galaxies.
    """
    table = read_table(path)
    require_columns(table, ["index"], path)
    place_of = {index: place for place, index in enumerate(rows["index"].to_pylist())}
    places = np.array([place_of.get(index, -1) for index in table["index"].to_pylist()], dtype=int)
    ordered = bool((places >= 0).all() and (np.diff(places) > 0).all())
    if not ordered or (split == "test" and len(places) != rows.num_rows):
        raise InputError(
            f"{path}: its {table.num_rows} galaxies are not the {split} galaxies, of which there are {rows.num_rows}, or are "
            "in another order; delete it and run again"
        )
    return table.to_pandas()


def _published(test: pd.DataFrame, min_probability: float) -> np.ndarray:
    """Return the galaxies for which the catalogue would publish a bar length."""
    return counts_as_barred(test["bar_probability"].to_numpy(), test["morphology"].to_numpy(), min_probability)


def _agreement(
    inputs: EvaluationInputs, rows: pa.Table, predicted: MorphologyAnswers, votes: VoteCalibration, seed: int
) -> dict[str, Any]:
    """Return the agreement of predicted votes with simulated and real volunteers, and the calibration."""
    result: dict[str, Any] = {
        "calibration": as_dict(votes),
        "simulated": vote_agreement(inputs.tables, rows, predicted, votes.applied, seed),
        "volunteers": None,
    }
    if inputs.volunteers is not None and inputs.volunteers_answers is not None:
        voted, answered = morphology_of_split([inputs.volunteers], inputs.volunteers_answers, "test")
        result["volunteers"] = vote_agreement([inputs.volunteers], voted, answered, votes.applied, seed)
    return result


def splits(training: Sequence[Path]) -> dict[str, int]:
    """Return the number of galaxies in each split."""
    names = np.concatenate([read_table(path, ["split"])["split"].to_numpy() for path in training])
    return {name: int(np.count_nonzero(names == name)) for name in ("train", "validation", "test")}


def vote_scores(test: pd.DataFrame, training: Sequence[Path]) -> dict[str, Any]:
    """Return the scores of every question; the constant predictor is the mean of the training split.

    Parameters
    ----------
    test : DataFrame
        Votes and predictions of the test galaxies.
    training : sequence of Path
        Tables of the parts of the training set.

    Returns
    -------
    dict
        Question -> the figures of :func:`tuningfork.evaluate.scores.question_scores`.
    """
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
    """Return the number of galaxies per class of the volunteers (rows) and predicted class (columns), and the accuracy.

    Parameters
    ----------
    test : DataFrame
        Votes and predicted classes of the test galaxies.

    Returns
    -------
    dict
        `classes`, `matrix`, `n` and `accuracy`.
    """
    voted = pd.Series(class_of_votes(test[vote_columns()].to_numpy(dtype=float)), index=test.index)
    good = test["morphology"].notna() & voted.notna()
    truth, predicted = voted[good].astype(str), test.loc[good, "morphology"].astype(str)
    names = [name for name in CLASSES if name in set(truth) | set(predicted)]
    matrix = pd.crosstab(truth, predicted).reindex(index=names, columns=names, fill_value=0).to_numpy()
    n = len(truth)
    return {"classes": names, "matrix": matrix.tolist(), "n": n, "accuracy": float(np.trace(matrix) / n) if n else None}


def galaxy_table(test: pd.DataFrame, lengths: dict[str, BarLengths]) -> pa.Table:
    """Return the rows of evaluation/galaxies.parquet.

    Truth and votes have the names of the training table, and predictions those of the catalogue's columns. A prediction
    whose name is that of the truth is called `{parameter}_predicted`. Angles are in the pixel frame.

    Parameters
    ----------
    test : DataFrame
        N test galaxies: truth, votes and predictions.
    lengths : dict
        Estimator -> its bar lengths for these galaxies.

    Returns
    -------
    pyarrow.Table
    """
    names = ["index", "split", "class", *PARAMETERS, "redshift", "bar_length", "bar_position_angle", *vote_columns()]
    names += [f"{name}_{kind}" for name in PARAMETERS for kind in ("predicted", "error")]
    names += [*(f"{column.name}_network" for column in PROFILE), "structure_method", "reduced_chi2", "signal_to_noise"]
    names += ["morphology", "bar_vote_share", "bar_probability", *(f"{label}_fraction" for label in answers())]
    names += ["arm_strength", *(f"{name}{kind}" for name in FEATURES for kind in ("", "_error"))]
    scale = test["pixel_scale"].to_numpy()
    table = test.reindex(columns=names).assign(psf_fwhm=test["psf"] * scale)
    for name, bars in lengths.items():
        if name != RECOMMENDED:
            table[f"bar_length_{name}"] = bars.length * scale
    recommended = lengths[RECOMMENDED]
    table["bar_length_predicted"] = recommended.length * scale
    table["bar_length_error"] = table["bar_length_predicted"] * recommended.error
    table["bar_position_angle_predicted"] = recommended.angle
    return pa.table({name: pa.array(table[name], from_pandas=True) for name in table})
