"""Where model and votes disagree: galaxies whose votes the model, sure of itself, did not expect.

The votes on a question are taken to follow a Dirichlet-multinomial distribution about the predicted fractions, with
concentrations `precision` x fraction. The precision, one a question, is what makes the votes of most galaxies likely:
it stands for all by which volunteers differ from the prediction beyond counting, so that what is listed stands out
against the usual disagreement. Each answer by itself then follows a beta-binomial distribution.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.optimize import minimize_scalar
from scipy.special import gammaln
from scipy.stats import betabinom, false_discovery_control

from tuningfork.core.decision_tree import Question, questions
from tuningfork.core.statistics import FEWEST, figure

MIN_VOTES = 5
"""Votes on a question below which nothing is said about a galaxy."""
PRECISION_LIMITS = (0.5, 1e4)
"""Limits of the precision; the upper one is all but a plain multinomial distribution."""
MIN_PROBABILITY_OF_TRUSTED_VOTES = 0.01
"""Votes less likely than this do not count for the precision."""
MIN_PREDICTED_FRACTION = 1e-3
"""Floor of predicted fractions."""
DISAGREEMENT_PROBABILITY = 0.001
"""Probability below which a disagreement is counted in the summary."""
GALAXIES_AT_ONCE = 4096
"""Galaxies judged at once."""
SCHEMA = pa.schema(
    [
        ("origin", pa.string()),
        ("index", pa.int64()),
        ("question", pa.string()),
        ("answer", pa.string()),
        ("votes", pa.int32()),
        ("asked", pa.int32()),
        ("vote_fraction", pa.float32()),
        ("predicted_fraction", pa.float32()),
        ("residual", pa.float32()),
        ("probability", pa.float64()),
        ("false_discovery_rate", pa.float64()),
    ]
)


def label_errors(frame: pd.DataFrame, origin: str, entries: Sequence[Question] = ()) -> tuple[pa.Table, dict[str, Any]]:
    """Return every judged galaxy and question, the least likely votes first, and a summary of each question.

    Parameters
    ----------
    frame : DataFrame
        `index`, and for each answer `{answer}_votes` and `{answer}_fraction`, the predicted one.
    origin : str
        Where the votes are from, for the table.
    entries : sequence of Question
        By default all of the tree.

    Returns
    -------
    table : pyarrow.Table
        Columns of `SCHEMA`: the answer that departs most; `residual`, in standard deviations, positive if it has more
        votes than expected; `probability` of votes at least as unlikely; `false_discovery_rate`, the share of chance
        disagreements among this and all rows above (Benjamini & Hochberg 1995).
    summary : dict
        Question -> `n` galaxies judged, `precision`, `residual_scatter` (1 if the distribution fits) and, of
        probabilities below 0.001, the number `found` and that `expected` by chance.
    """
    parts, summary = [], {}
    for entry in entries or questions():
        # Votes of volunteers may be weighted ones: the distribution is one of whole numbers.
        votes = np.rint(frame[[f"{label}_votes" for label in entry.labels]].to_numpy(dtype=float))
        fractions = frame[[f"{label}_fraction" for label in entry.labels]].to_numpy(dtype=float)
        good = np.isfinite(fractions).all(axis=1) & (np.nan_to_num(votes).sum(axis=1) >= MIN_VOTES)
        if good.sum() < FEWEST:
            continue
        found, summary[entry.name] = _judged(entry, np.nan_to_num(votes[good]), _floored(fractions[good]))
        parts.append(found.assign(origin=origin, index=frame["index"].to_numpy()[good]))
    if not parts:
        return SCHEMA.empty_table(), {}
    rows = pd.concat(parts).sort_values(["probability", "index", "question"], ignore_index=True)
    rows["false_discovery_rate"] = false_discovery_control(rows["probability"].to_numpy())
    return pa.Table.from_pandas(rows[SCHEMA.names], schema=SCHEMA, preserve_index=False), summary


def _floored(fractions: np.ndarray) -> np.ndarray:
    raised = np.maximum(fractions, MIN_PREDICTED_FRACTION)
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _judged(entry: Question, votes: np.ndarray, fractions: np.ndarray) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the rows and the summary of one question; votes and predicted fractions are (N, answers)."""
    asked = votes.sum(axis=1)
    precision = fit_precision(votes, fractions)
    residual = residuals(votes, fractions, precision)
    tails = tail_probabilities(votes, fractions, precision)
    # Of two answers one says what the other says; more are as many chances for an unlikely one.
    tries = 1 if votes.shape[1] == 2 else votes.shape[1]
    worst = tails.argmin(axis=1)
    one = np.arange(len(votes)), worst
    probability = np.minimum(tails[one] * tries, 1.0)
    rows = pd.DataFrame(
        {
            "question": entry.name,
            "answer": np.array(entry.answers, dtype=object)[worst],
            "votes": votes[one].astype(np.int32),
            "asked": asked.astype(np.int32),
            "vote_fraction": votes[one] / asked,
            "predicted_fraction": fractions[one],
            "residual": residual[one],
            "probability": probability,
        }
    )
    return rows, {
        "n": len(votes),
        "precision": precision,
        "residual_scatter": figure(np.sqrt(np.mean(residual[:, 0] ** 2))),
        "found": int(np.count_nonzero(probability < DISAGREEMENT_PROBABILITY)),
        "expected": DISAGREEMENT_PROBABILITY * len(votes),
    }


def fit_precision(votes: np.ndarray, fractions: np.ndarray) -> float:
    """Return the precision with which the votes of most galaxies are most likely.

    It is fitted twice: galaxies whose votes are all but impossible after the first fit do not count in the second,
    for the labels that are looked for must not set the width of the distribution.

    Parameters
    ----------
    votes, fractions : ndarray
        (N, answers) votes, and predicted fractions above zero.
    """
    first = _most_likely(votes, fractions)
    kept = tail_probabilities(votes, fractions, first).min(axis=1) >= MIN_PROBABILITY_OF_TRUSTED_VOTES
    return _most_likely(votes[kept], fractions[kept]) if kept.sum() >= FEWEST else first


def _most_likely(votes: np.ndarray, fractions: np.ndarray) -> float:
    asked = votes.sum(axis=1)

    def loss(log_precision: float) -> float:
        total = np.exp(log_precision)
        alpha = total * fractions
        each = (gammaln(votes + alpha) - gammaln(alpha)).sum(axis=1) + gammaln(total) - gammaln(asked + total)
        return -float(each.sum())

    limits = tuple(np.log(PRECISION_LIMITS))
    return float(np.exp(minimize_scalar(loss, bounds=limits, method="bounded").x))


def residuals(votes: np.ndarray, fractions: np.ndarray, precision: float) -> np.ndarray:
    """Return by how many standard deviations of the beta-binomial distribution the votes exceed the expected ones.

    Parameters
    ----------
    votes, fractions : ndarray
        (N, answers) votes, and predicted fractions above zero.
    precision : float
        Sum of the concentrations.

    Returns
    -------
    ndarray
        (N, answers)
    """
    asked = votes.sum(axis=1, keepdims=True)
    variance = betabinom.var(asked, precision * fractions, precision * (1 - fractions))
    return np.asarray((votes - asked * fractions) / np.sqrt(variance))


def tail_probabilities(votes: np.ndarray, fractions: np.ndarray, precision: float) -> np.ndarray:
    """Return the two-sided probability of each answer's votes: twice the lesser tail, at most 1.

    Parameters
    ----------
    votes, fractions : ndarray
        (N, answers) votes, and predicted fractions above zero.
    precision : float
        Sum of the concentrations.

    Returns
    -------
    ndarray
        (N, answers)
    """
    result = np.empty(votes.shape)
    for first in range(0, len(votes), GALAXIES_AT_ONCE):
        part = slice(first, first + GALAXIES_AT_ONCE)
        asked = votes[part].sum(axis=1)
        possible = np.arange(int(asked.max()) + 1)
        for answer in range(votes.shape[1]):
            alpha = precision * fractions[part, answer, None]
            below = np.cumsum(betabinom.pmf(possible, asked[:, None], alpha, precision - alpha), axis=1)
            given = votes[part, answer].astype(int)[:, None]
            upto = np.take_along_axis(below, given, axis=1)
            before = np.where(given > 0, np.take_along_axis(below, np.maximum(given - 1, 0), axis=1), 0.0)
            result[part, answer] = np.clip(2 * np.minimum(upto, 1 - before), 0, 1)[:, 0]
    return result
