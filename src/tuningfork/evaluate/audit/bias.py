"""Dependence of the bar fraction on how well a galaxy is seen, and the shifts that would correct it.

Simulated galaxies have a known truth, and barred and unbarred galaxies are analysed separately: any dependence within
one of these samples is a bias. Real galaxies have no known truth. They are analysed together, with the best-seen bin as
the reference, as in the debiasing of Galaxy Zoo (Bamford+ 2009, Hart+ 2016). This treats real changes of the galaxies
with magnitude or redshift as bias, too.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.special import expit, logit

from tuningfork.core.classes import ARTIFACT
from tuningfork.core.decision_tree import question
from tuningfork.core.files import write_json
from tuningfork.core.seeds import generator_for
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.statistics import figure
from tuningfork.core.tables import lineage_of, read_table, write_table
from tuningfork.evaluate.audit.disagreement import label_errors
from tuningfork.evaluate.audit.logistic import bootstrap_weights, logistic_slopes
from tuningfork.evaluate.audit.volunteers import VolunteerFiles, held_out_volunteers

COVARIATES = {
    "mag": ("mag", -1),
    "log_r_eff_over_psf": ("", 1),
    "redshift": ("", -1),
    "axis_ratio": ("", 1),
    "psf_fwhm": ("arcsec", -1),
}
"""Covariate -> its unit, and whether galaxies are seen best where it is large (1) or small (-1)."""
MIN_AUDITED_GALAXIES = 30
"""Smallest number of galaxies in an analysed sample."""
COVARIATE_BINS = 5
"""Number of bins of each covariate."""
MIN_SIGNIFICANCE = 3.5
"""Ratio of a slope to its standard error above which the slope is called significant. By chance, about one in fifty
reports with twenty slopes contains such a slope."""
MAX_LOGIT_SHIFT = 12.0
"""Largest shift of a logit; no finite shift gives a fraction of exactly zero or one."""


def audit_votes(
    parameters: Parameters, *, galaxies: Path, volunteers: VolunteerFiles | None, output: Path, table: Path
) -> None:
    """Write the votes that are likely wrong, and the dependence of the bar fraction on how well galaxies are seen.

    Parameters
    ----------
    parameters : Parameters
        Of the stage audit_votes.
    galaxies : Path
        evaluation/galaxies.parquet: simulated test galaxies with votes, predictions and truth.
    volunteers : VolunteerFiles or None
        Votes of real volunteers, if there are any.
    output : Path
        evaluation/vote_bias.json.
    table : Path
        evaluation/label_errors.parquet.
    """
    seed, files = parameters.configuration.seed, [galaxies]
    frames = {"simulated": read_table(galaxies).to_pandas()}
    if volunteers is not None:
        frames["volunteers"] = held_out_volunteers(volunteers)
        files += volunteers.with_lineage
    errors, summaries = zip(*(label_errors(frame, name) for name, frame in frames.items()), strict=True)
    lineage = parameters.lineage(lineage_of(*files))
    order = [("probability", "ascending"), ("origin", "ascending"), ("index", "ascending")]
    write_table(table, pa.concat_tables(errors).sort_by(order), lineage)
    labels = dict(zip(frames, summaries, strict=True))
    bars = {name: bar_bias(frame, seed) for name, frame in frames.items()}
    write_json(output, {"lineage": lineage, "labels": labels, "bars": bars})


def bar_bias(frame: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Return the dependences and corrections of the bar fraction for galaxies with votes on the bar.

    Parameters
    ----------
    frame : DataFrame
        Columns of evaluation/galaxies.parquet. The truth is known for rows with a `class`; galaxies with a `bar_length`
        have a bar.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    dict
        `n`; `slopes`, see :func:`slopes`; `corrections`, see :func:`corrections`. All but `n` are empty for fewer
        than 30 galaxies.
    """
    rows = measured_bars(frame)
    if len(rows) < MIN_AUDITED_GALAXIES:
        return {"n": len(rows), "slopes": [], "corrections": []}
    return {
        "n": len(rows),
        "slopes": slopes(rows, generator_for(seed, "bias", "slopes")),
        "corrections": corrections(rows, generator_for(seed, "bias", "corrections")),
    }


def measured_bars(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the bar fractions and covariates of the galaxies with votes on the bar and a prediction.

    What most voters take for a star or an artifact is none of them.

    Parameters
    ----------
    frame : DataFrame
        Columns of evaluation/galaxies.parquet.

    Returns
    -------
    DataFrame
        `votes` and `model`, the observed and predicted bar fractions; `asked`, the number of votes; `truth`, 1 with a
        bar, 0 without a bar, NaN if unknown; the covariates.
    """
    yes, no = (frame[f"{label}_votes"].fillna(0).to_numpy(dtype=float) for label in question("bar").labels)
    model = frame[f"{question('bar').labels[0]}_fraction"].to_numpy(dtype=float)
    known = frame["class"].notna()
    rows = pd.DataFrame(
        {
            "asked": yes + no,
            "votes": yes / np.maximum(yes + no, 1),
            "model": model,
            "truth": np.where(known, frame["bar_length"].notna(), np.nan),
            "log_r_eff_over_psf": np.log10(frame["r_eff"] / frame["psf_fwhm"]),
        }
        | {name: frame[name].to_numpy(dtype=float) for name in COVARIATES if name in frame}
    )
    names = ["model", *_varying(rows)]
    known_all = np.isfinite(rows[names].to_numpy(dtype=float)).all(axis=1)
    return rows[(rows["asked"] > 0).to_numpy() & known_all & ~_artifacts(frame)].reset_index(drop=True)


def _artifacts(frame: pd.DataFrame) -> np.ndarray:
    """Return which rows have more votes for an artifact than for any galaxy."""
    first = question("smooth_or_featured")
    votes = frame.reindex(columns=[f"{label}_votes" for label in first.labels]).fillna(0).to_numpy(dtype=float)
    artifact = first.answers.index(ARTIFACT)
    return np.asarray(votes[:, artifact] > np.delete(votes, artifact, axis=1).max(axis=1))


def _varying(rows: pd.DataFrame) -> list[str]:
    """Return the covariates that are known and not constant."""
    return [name for name in COVARIATES if name in rows and rows[name].nunique() > 1]


def samples(rows: pd.DataFrame) -> Mapping[str, pd.DataFrame]:
    """Return the samples that are analysed separately.

    Parameters
    ----------
    rows : DataFrame
        See :func:`measured_bars`.

    Returns
    -------
    mapping
        Name of the sample -> its rows: `all`, or `barred` and `unbarred` where the truth is known.
    """
    if rows["truth"].isna().any():
        return {"all": rows}
    return {"barred": rows[rows["truth"] == 1], "unbarred": rows[rows["truth"] == 0]}


def slopes(rows: pd.DataFrame, generator: np.random.Generator) -> list[dict[str, Any]]:
    """Return the slope of the logit of the bar fraction with each covariate at fixed other covariates.

    Parameters
    ----------
    rows : DataFrame
        See :func:`measured_bars`.
    generator : numpy.random.Generator

    Returns
    -------
    list of dict
        `sample`, `of` (votes or model), `covariate`, `unit`, `n`, `slope` (1/unit), `error` (bootstrap),
        `significance` (slope / error) and whether it is `significant`.
    """
    entries = []
    names = _varying(rows)
    for sample, chosen in samples(rows).items():
        if len(chosen) < MIN_AUDITED_GALAXIES or not names:
            continue
        weights = bootstrap_weights(generator, len(chosen))
        values = chosen[names].to_numpy()
        for outcome, number in (("votes", chosen["asked"].to_numpy()), ("model", np.ones(len(chosen)))):
            slope, error = logistic_slopes(values, chosen[outcome].to_numpy(), number, weights)
            for column, name in enumerate(names):
                ratio = slope[column] / error[column] if error[column] > 0 else 0.0
                entries.append(
                    {
                        "sample": sample,
                        "of": outcome,
                        "covariate": name,
                        "unit": COVARIATES[name][0],
                        "n": len(chosen),
                        "slope": figure(slope[column]),
                        "error": figure(error[column]),
                        "significance": figure(ratio),
                        "significant": bool(abs(ratio) > MIN_SIGNIFICANCE),
                    }
                )
    return entries


def corrections(rows: pd.DataFrame, generator: np.random.Generator) -> list[dict[str, Any]]:
    """Return, for bins of each covariate, the shift of the logits that gives the bin its target fraction.

    The target is the true fraction of the bin or, where the truth is unknown, the fraction in the best-seen bin.

    Parameters
    ----------
    rows : DataFrame
        See :func:`measured_bars`.
    generator : numpy.random.Generator

    Returns
    -------
    list of dict
        `covariate`, `unit`, `low`, `high`, `n`, and for votes and model the mean `fraction_{of}`, its target
        `target_{of}`, the `shift_{of}` and its bootstrap error `error_{of}`. A corrected fraction is
        expit(logit(fraction) + shift); the fraction of votes in this formula is (votes + 1/2) / (asked + 1).
    """
    entries = []
    for name in _varying(rows):
        unit, best = COVARIATES[name]
        edges = np.unique(np.quantile(rows[name], np.linspace(0, 1, COVARIATE_BINS + 1)))
        bins = np.clip(np.searchsorted(edges, rows[name], side="right") - 1, 0, len(edges) - 2)
        groups = [rows[bins == k] for k in range(len(edges) - 1)]
        reference = None if rows["truth"].notna().all() else groups[-1 if best > 0 else 0]
        for k, group in enumerate(groups):
            if len(group):
                limits = {"low": float(edges[k]), "high": float(edges[k + 1])}
                entries.append({"covariate": name, "unit": unit} | limits | _correction(group, reference, generator))
    return entries


def _correction(group: pd.DataFrame, reference: pd.DataFrame | None, generator: np.random.Generator) -> dict[str, Any]:
    weights, reference_weights = bootstrap_weights(generator, len(group)), None
    if reference is not None and reference is not group:
        reference_weights = bootstrap_weights(generator, len(reference))
    entry: dict[str, Any] = {"n": len(group)}
    for outcome in ("votes", "model"):
        values = smoothed(group, outcome)
        if reference is None:
            target = weights @ group["truth"].to_numpy()
        elif reference_weights is None:
            target = weights @ values
        else:
            target = reference_weights @ smoothed(reference, outcome)
        shift = shifts_to(values, weights, target)
        entry |= {
            f"fraction_{outcome}": float(values.mean()),
            f"target_{outcome}": float(target[0]),
            f"shift_{outcome}": float(shift[0]),
            f"error_{outcome}": float(shift[1:].std()),
        }
    return entry


def smoothed(rows: pd.DataFrame, outcome: str) -> np.ndarray:
    """Return fractions with a finite logit: clipped ones of the model, and votes with half a vote added to each answer.

    Parameters
    ----------
    rows : DataFrame
        See :func:`measured_bars`; N rows.
    outcome : str
        votes or model.

    Returns
    -------
    ndarray
        (N,)
    """
    if outcome == "model":
        return np.clip(rows["model"].to_numpy(), 1e-6, 1 - 1e-6)
    return np.asarray((rows["votes"] * rows["asked"] + 0.5) / (rows["asked"] + 1))


def shifts_to(fractions: np.ndarray, weights: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the shifts of the logits that give fractions the weighted means `targets`, by bisection.

    Parameters
    ----------
    fractions : ndarray
        (N,) between 0 and 1, excluding both.
    weights : ndarray
        (R, N), each row with the sum one.
    targets : ndarray
        (R,) target means.

    Returns
    -------
    ndarray
        (R,), with absolute values of at most `MAX_LOGIT_SHIFT`.
    """
    low, high, logits = (
        np.full(len(targets), -MAX_LOGIT_SHIFT),
        np.full(len(targets), MAX_LOGIT_SHIFT),
        logit(fractions),
    )
    for _ in range(30):
        middle = (low + high) / 2
        more = np.einsum("rn,rn->r", weights, expit(logits + middle[:, None])) < targets
        low, high = np.where(more, middle, low), np.where(more, high, middle)
    return (low + high) / 2
