"""The calibration of predicted votes: what makes the votes on held-out galaxies most likely.

For each question two numbers are learnt. The temperature T replaces the expected vote fractions m by m^(1/T), scaled to
a sum of one (Guo+ 2017, ICML, applied to fractions): above one they were too extreme. The factor of concentration
multiplies the concentrations: below one the network was too sure of its fractions.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import gammaln

from tuningfork.core.decision_tree import questions
from tuningfork.core.statistics import FEWEST

SMALLEST = 1e-3
"""Floor of Dirichlet concentrations."""
FEWEST_TO_LEARN = 5 * FEWEST
"""With fewer galaxies nothing is learnt."""
WIDEST = np.log(20.0)
"""Largest |ln| of either number."""
SURE = 2.0
"""Standard errors by which a correction must raise the likelihood of galaxies that it was not learnt from."""


@dataclass(frozen=True)
class Correction:
    """The correction of one question.

    Attributes
    ----------
    temperature, concentration : float
        See the module's text; one changes nothing.
    """

    temperature: float = 1.0
    concentration: float = 1.0


def corrected(alpha: np.ndarray, correction: Correction) -> np.ndarray:
    """Return corrected Dirichlet concentrations; `alpha` is (N, answers of the question)."""
    total = alpha.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        log_mean = np.log(alpha / total) / correction.temperature
    mean = np.exp(log_mean - log_mean.max(axis=1, keepdims=True))
    mean /= mean.sum(axis=1, keepdims=True)
    return np.asarray(np.maximum(correction.concentration * total * mean, SMALLEST))


def log_likelihood(alpha: np.ndarray, votes: np.ndarray) -> np.ndarray:
    """Return ln of the Dirichlet-multinomial probability of votes, without the binomial coefficient.

    Parameters
    ----------
    alpha, votes : ndarray
        (N, answers); votes need not be integers.

    Returns
    -------
    ndarray
        (N,)
    """
    each = gammaln(votes + alpha) - gammaln(alpha)
    total, asked = alpha.sum(axis=1), votes.sum(axis=1)
    return np.asarray(each.sum(axis=1) + gammaln(total) - gammaln(total + asked))


def fit_correction(alpha: np.ndarray, votes: np.ndarray) -> Correction:
    """Return the correction that makes the votes most likely; both arrays are (N, answers)."""

    def loss(logs: np.ndarray) -> float:
        return -float(log_likelihood(corrected(alpha, Correction(*np.exp(logs))), votes).mean())

    found = minimize(loss, np.zeros(2), method="L-BFGS-B", bounds=[(-WIDEST, WIDEST)] * 2)
    return Correction(*map(float, np.exp(found.x)))


def learn_correction(alpha: np.ndarray, votes: np.ndarray) -> dict[str, Any]:
    """Learn the correction of one question, and whether it helps.

    It does if it makes the votes of galaxies more likely that it was not learnt from: each half of the galaxies is
    judged with what was learnt from the other.

    Parameters
    ----------
    alpha, votes : ndarray
        (N, answers) of the validation galaxies.

    Returns
    -------
    dict
        `n` galaxies that were asked; `temperature`, `concentration` (of all galaxies); `gain` and `gain_error` of
        ln likelihood a galaxy; `applied`, whether it helps.
    """
    good = np.isfinite(alpha).all(axis=1) & (votes.sum(axis=1) > 0)
    alpha, votes = alpha[good], votes[good]
    result: dict[str, Any] = {"n": len(alpha), **asdict(Correction()), "gain": None, "gain_error": None}
    if len(alpha) < FEWEST_TO_LEARN:
        return result | {"applied": False}
    half = np.arange(len(alpha)) % 2 == 0
    gain = np.empty(len(alpha))
    for rows in (half, ~half):
        other = fit_correction(alpha[~rows], votes[~rows])
        gain[rows] = log_likelihood(corrected(alpha[rows], other), votes[rows]) - log_likelihood(
            alpha[rows], votes[rows]
        )
    mean, error = float(gain.mean()), float(gain.std() / np.sqrt(len(gain)))
    learnt = asdict(fit_correction(alpha, votes))
    return result | learnt | {"gain": mean, "gain_error": error, "applied": mean > SURE * error}


def corrections_of(agreement: Mapping[str, Any]) -> dict[str, Correction]:
    """Return the corrections that help, by question, from what is in agreement.json."""
    return {
        name: Correction(entry["temperature"], entry["concentration"])
        for name, entry in agreement["calibration"].items()
        if entry["applied"]
    }


def calibrate(
    fraction: np.ndarray, error: np.ndarray, concentration: np.ndarray, corrections: Mapping[str, Correction]
) -> None:
    """Correct predictions in place; all arrays are (N, all answers), see :func:`tuningfork.measure.votes.shard.combine`."""
    for entry in questions():
        if entry.name in corrections:
            alpha = corrected(concentration[:, entry.slice], corrections[entry.name])
            total = alpha.sum(axis=1, keepdims=True)
            mean = alpha / total
            concentration[:, entry.slice], fraction[:, entry.slice] = alpha, mean
            error[:, entry.slice] = np.sqrt(mean * (1 - mean) / (total + 1))
