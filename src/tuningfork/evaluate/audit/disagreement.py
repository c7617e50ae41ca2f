"""Disagreement of model and votes: galaxies whose votes are unlikely given the model's prediction.

The votes on a question are modelled by a Dirichlet-multinomial distribution about the predicted fractions, with
concentrations `precision` x fraction. The precision of each question is fitted to the votes of most galaxies. It
accounts for all differences between volunteers and prediction beyond counting noise, so that listed galaxies exceed the
usual disagreement. The votes for a single answer follow a beta-binomial distribution.
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
"""Smallest number of votes on a question for a galaxy to be tested."""
PRECISION_LIMITS = (0.5, 1e4)
"""Limits of the precision; at the upper limit the distribution is nearly multinomial."""
MIN_PROBABILITY_OF_TRUSTED_VOTES = 0.01
"""Probability below which votes are ignored in the second fit of the precision."""
MIN_PREDICTED_FRACTION = 1e-3
"""Smallest predicted fraction; smaller ones are raised to it."""
DISAGREEMENT_PROBABILITY = 0.001
"""Probability below which a disagreement is counted in the summary."""
GALAXIES_AT_ONCE = 4096
"""Number of galaxies that are tested at once."""
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
    """Return all tested galaxies and questions, the least likely votes first, and a summary of each question.

    Parameters
    ----------
    frame : DataFrame
        `index`, and for each answer `{answer}_votes` and the predicted `{answer}_fraction`.
    origin : str
        Origin of the votes, for the table.
    entries : sequence of Question
        The questions; by default all questions of the tree.

    Returns
    -------
    table : pyarrow.Table
        Columns of `SCHEMA`: the answer with the largest deviation; `residual`, in standard deviations, positive for
        more votes than expected; `probability`, that of votes at least as unlikely; `false_discovery_rate`, the
        expected share of chance disagreements among this row and all rows above it (Benjamini & Hochberg 1995).
    summary : dict
        Question -> the number `n` of tested galaxies, `precision`, `residual_scatter` (1 for the right distribution),
        and the number of probabilities below 0.001, `found` and `expected` by chance.
    """
    parts, summary = [], {}
    for entry in entries or questions():
        # Votes of volunteers may be weighted, but the distribution needs integers.
        votes = np.rint(frame[[f"{label}_votes" for label in entry.labels]].to_numpy(dtype=float))
        fractions = frame[[f"{label}_fraction" for label in entry.labels]].to_numpy(dtype=float)
        good = np.isfinite(fractions).all(axis=1) & (np.nan_to_num(votes).sum(axis=1) >= MIN_VOTES)
        if good.sum() < FEWEST:
            continue
        judged, summary[entry.name] = _judged(entry, np.nan_to_num(votes[good]), _floored(fractions[good]))
        parts.append(judged.assign(origin=origin, index=frame["index"].to_numpy()[good]))
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
    # Two answers are one test, because each determines the other; more answers are as many tests.
    tries = 1 if votes.shape[1] == 2 else votes.shape[1]
    worst = tails.argmin(axis=1)
    worst_answers = np.arange(len(votes)), worst
    probability = np.minimum(tails[worst_answers] * tries, 1.0)
    rows = pd.DataFrame(
        {
            "question": entry.name,
            "answer": np.array(entry.answers, dtype=object)[worst],
            "votes": votes[worst_answers].astype(np.int32),
            "asked": asked.astype(np.int32),
            "vote_fraction": votes[worst_answers] / asked,
            "predicted_fraction": fractions[worst_answers],
            "residual": residual[worst_answers],
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
    """Return the precision that maximises the likelihood of the votes on most galaxies.

    The precision is fitted twice. The second fit ignores galaxies whose votes are extremely unlikely after the first
    fit, because wrong labels must not widen the distribution.

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
    """Return the excess of the votes over their expectation in standard deviations of the beta-binomial distribution.

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
    """Return the two-sided probability of each answer's votes: twice the smaller tail probability, at most 1.

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
