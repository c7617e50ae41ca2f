"""How the bar fraction depends on how well a galaxy is seen, and the shifts that would undo it.

With known truth (simulations) barred and unbarred galaxies are looked at apart: whatever dependence is left among
galaxies that all have a bar, or all have none, is beyond the truth. Without it, on real galaxies, all are looked at
together and the best-seen bin is the reference, as in the debiasing of Galaxy Zoo (Bamford+ 2009, Hart+ 2016): that
takes what changes with magnitude or redshift among the galaxies themselves for bias, too.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.special import expit, logit

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
COVARIATE_BINS = 5
MIN_SIGNIFICANCE = 3.5
"""Slopes of more standard errors than this are called significant: chance gives one to some fifty reports of twenty."""
MAX_LOGIT_SHIFT = 12.0
"""Largest shift of a logit; fractions of zero and one cannot be shifted to others."""


def audit_votes(
    parameters: Parameters, *, galaxies: Path, volunteers: VolunteerFiles | None, output: Path, table: Path
) -> None:
    """Write which votes are likely wrong, and how the bar fraction depends on what it should not depend on.

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
    """Return dependences and corrections of the bar fraction among galaxies that volunteers were asked about a bar.

    Parameters
    ----------
    frame : DataFrame
        Columns of evaluation.parquet; with `class` the truth is known, and `bar_length` says whether there is a bar.
    seed : int
        Of the bootstrap.

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
    """Return the covariates of the galaxies with votes on a bar and a prediction, and their bar fractions.

    `votes` and `model` are fractions, `asked` the number of votes; `truth` is 1 with a bar, 0 without, NaN if unknown.

    Parameters
    ----------
    frame : DataFrame
        Columns of evaluation/galaxies.parquet.

    Returns
    -------
    DataFrame
        `votes` and `model`, the bar fractions; `asked`, the number of votes; `truth`, 1 with a bar, 0 without, NaN if
        unknown; the covariates.
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
    return rows[(rows["asked"] > 0).to_numpy() & known_all].reset_index(drop=True)


def _varying(rows: pd.DataFrame) -> list[str]:
    """Return the covariates that are known and not the same for all."""
    return [name for name in COVARIATES if name in rows and rows[name].nunique() > 1]


def samples(rows: pd.DataFrame) -> Mapping[str, pd.DataFrame]:
    """Return the samples within which the truth is the same for all galaxies.

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
    """Return how the logit of the bar fraction changes with each covariate, the others held fixed.

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
    found = []
    names = _varying(rows)
    for sample, chosen in samples(rows).items():
        if len(chosen) < MIN_AUDITED_GALAXIES or not names:
            continue
        weights = bootstrap_weights(generator, len(chosen))
        values = chosen[names].to_numpy()
        for outcome, number in (("votes", chosen["asked"].to_numpy()), ("model", np.ones(len(chosen)))):
            slope, error = logistic_slopes(values, chosen[outcome].to_numpy(), number, weights)
            for place, name in enumerate(names):
                ratio = slope[place] / error[place] if error[place] > 0 else 0.0
                found.append(
                    {
                        "sample": sample,
                        "of": outcome,
                        "covariate": name,
                        "unit": COVARIATES[name][0],
                        "n": len(chosen),
                        "slope": figure(slope[place]),
                        "error": figure(error[place]),
                        "significance": figure(ratio),
                        "significant": bool(abs(ratio) > MIN_SIGNIFICANCE),
                    }
                )
    return found


def corrections(rows: pd.DataFrame, generator: np.random.Generator) -> list[dict[str, Any]]:
    """Return for bins of each covariate the shift of the logits that gives the bin the fraction it should have.

    That is the true fraction of the bin or, where the truth is not known, the fraction in the best-seen bin.

    Parameters
    ----------
    rows : DataFrame
        See :func:`measured_bars`.
    generator : numpy.random.Generator

    Returns
    -------
    list of dict
        `covariate`, `unit`, `low`, `high`, `n`, and for votes and model the mean `fraction_{of}`, the mean that it should
        be, `target_{of}`, the `shift_{of}` and its `error_{of}` (bootstrap). A debiased fraction is expit(logit(fraction) + shift), with
        (votes + 1/2) / (asked + 1) for the fraction of votes.
    """
    found = []
    for name in _varying(rows):
        unit, best = COVARIATES[name]
        edges = np.unique(np.quantile(rows[name], np.linspace(0, 1, COVARIATE_BINS + 1)))
        place = np.clip(np.searchsorted(edges, rows[name], side="right") - 1, 0, len(edges) - 2)
        groups = [rows[place == k] for k in range(len(edges) - 1)]
        reference = None if rows["truth"].notna().all() else groups[-1 if best > 0 else 0]
        for k, group in enumerate(groups):
            if len(group):
                limits = {"low": float(edges[k]), "high": float(edges[k + 1])}
                found.append({"covariate": name, "unit": unit} | limits | _correction(group, reference, generator))
    return found


def _correction(group: pd.DataFrame, reference: pd.DataFrame | None, generator: np.random.Generator) -> dict[str, Any]:
    own, other = bootstrap_weights(generator, len(group)), None
    if reference is not None and reference is not group:
        other = bootstrap_weights(generator, len(reference))
    entry: dict[str, Any] = {"n": len(group)}
    for outcome in ("votes", "model"):
        values = smoothed(group, outcome)
        if reference is None:
            target = own @ group["truth"].to_numpy()
        elif other is None:
            target = own @ values
        else:
            target = other @ smoothed(reference, outcome)
        shift = shifts_to(values, own, target)
        entry |= {
            f"fraction_{outcome}": float(values.mean()),
            f"target_{outcome}": float(target[0]),
            f"shift_{outcome}": float(shift[0]),
            f"error_{outcome}": float(shift[1:].std()),
        }
    return entry


def smoothed(rows: pd.DataFrame, outcome: str) -> np.ndarray:
    """Return fractions with a finite logit: those of the model as they are, votes with half a vote added to each answer.

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
    """Return what is to be added to the logits of fractions for their weighted means to be `targets`, by bisection.

    Parameters
    ----------
    fractions : ndarray
        (N,) above 0 and below 1.
    weights : ndarray
        (R, N), each row of sum one.
    targets : ndarray
        (R,).

    Returns
    -------
    ndarray
        (R,), at most `MAX_LOGIT_SHIFT` from zero.
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
