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
from scipy.special import betaln, gammaln

from tuningfork.core.decision_tree import Question, questions
from tuningfork.core.statistics import FEWEST, figure

FEWEST_VOTES = 5
"""Votes on a question below which nothing is said about a galaxy."""
PRECISIONS = (0.5, 1e4)
"""Limits of the precision; the upper one is all but a plain multinomial distribution."""
DISTRUSTED = 0.01
"""Votes less likely than this do not count for the precision."""
SMALLEST = 1e-3
"""Floor of predicted fractions."""
SURE = 0.001
"""Probability below which a disagreement is counted in the summary."""
CHUNK = 4096
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
        # Votes of people may be weighted ones: the distribution is one of whole numbers.
        votes = np.rint(frame[[f"{label}_votes" for label in entry.labels]].to_numpy(dtype=float))
        fractions = frame[[f"{label}_fraction" for label in entry.labels]].to_numpy(dtype=float)
        good = np.isfinite(fractions).all(axis=1) & (np.nan_to_num(votes).sum(axis=1) >= FEWEST_VOTES)
        if good.sum() < FEWEST:
            continue
        found, summary[entry.name] = _judged(entry, np.nan_to_num(votes[good]), _floored(fractions[good]))
        parts.append(found.assign(origin=origin, index=frame["index"].to_numpy()[good]))
    if not parts:
        return SCHEMA.empty_table(), {}
    rows = pd.concat(parts).sort_values(["probability", "index", "question"], ignore_index=True)
    rows["false_discovery_rate"] = false_discovery_rates(rows["probability"].to_numpy())
    return pa.Table.from_pandas(rows[SCHEMA.names], schema=SCHEMA, preserve_index=False), summary


def _floored(fractions: np.ndarray) -> np.ndarray:
    raised = np.maximum(fractions, SMALLEST)
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
        "found": int(np.count_nonzero(probability < SURE)),
        "expected": SURE * len(votes),
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
    kept = tail_probabilities(votes, fractions, first).min(axis=1) >= DISTRUSTED
    return _most_likely(votes[kept], fractions[kept]) if kept.sum() >= FEWEST else first


def _most_likely(votes: np.ndarray, fractions: np.ndarray) -> float:
    asked = votes.sum(axis=1)

    def loss(log_precision: float) -> float:
        total = np.exp(log_precision)
        alpha = total * fractions
        each = (gammaln(votes + alpha) - gammaln(alpha)).sum(axis=1) + gammaln(total) - gammaln(asked + total)
        return -float(each.sum())

    limits = tuple(np.log(PRECISIONS))
    return float(np.exp(minimize_scalar(loss, bounds=limits, method="bounded").x))


def residuals(votes: np.ndarray, fractions: np.ndarray, precision: float) -> np.ndarray:
    """Return (votes - expected votes) / standard deviation of the beta-binomial distribution, (N, answers)."""
    asked = votes.sum(axis=1, keepdims=True)
    variance = asked * fractions * (1 - fractions) * (asked + precision) / (1 + precision)
    return np.asarray((votes - asked * fractions) / np.sqrt(variance))


def tail_probabilities(votes: np.ndarray, fractions: np.ndarray, precision: float) -> np.ndarray:
    """Return the two-sided probability of each answer's votes, (N, answers): twice the lesser tail, at most 1."""
    result = np.empty(votes.shape)
    for first in range(0, len(votes), CHUNK):
        part = slice(first, first + CHUNK)
        asked = votes[part].sum(axis=1)
        possible = np.arange(int(asked.max()) + 1)
        for answer in range(votes.shape[1]):
            given = votes[part, answer]
            below = np.cumsum(_beta_binomial(possible, asked, precision * fractions[part, answer], precision), axis=1)
            place = given.astype(int)[:, None]
            upto = np.take_along_axis(below, place, axis=1)[:, 0]
            before = np.where(given > 0, np.take_along_axis(below, np.maximum(place - 1, 0), axis=1)[:, 0], 0.0)
            result[part, answer] = np.clip(2 * np.minimum(upto, 1 - before), 0, 1)
    return result


def _beta_binomial(possible: np.ndarray, asked: np.ndarray, alpha: np.ndarray, precision: float) -> np.ndarray:
    """Return the probability (N, K) of each number of votes (K,), of `asked` (N,), for an answer of alpha (N,)."""
    n, a = asked[:, None], alpha[:, None]
    rest = np.maximum(n - possible, 0)
    logarithm = (
        gammaln(n + 1) - gammaln(possible + 1) - gammaln(rest + 1)
        + betaln(possible + a, rest + precision - a) - betaln(a, precision - a)
    )  # fmt: skip
    return np.asarray(np.where(possible <= n, np.exp(logarithm), 0.0))


def false_discovery_rates(ordered: np.ndarray) -> np.ndarray:
    """Return for probabilities in rising order the false discovery rate of each with all before it."""
    rates = ordered * len(ordered) / np.arange(1, len(ordered) + 1)
    return np.minimum(np.minimum.accumulate(rates[::-1])[::-1], 1.0)
