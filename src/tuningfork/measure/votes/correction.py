"""The correction of predicted votes.

Two numbers correct the votes on each question. The temperature T replaces the expected vote fractions m by m^(1/T),
scaled to a sum of one (Guo+ 2017, ICML, applied to fractions): above one they were too extreme. The other factor
multiplies the Dirichlet concentrations: below one the networks were too sure of their fractions.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tuningfork.core.decision_tree import questions
from tuningfork.infer.votes import MIN_CONCENTRATION


@dataclass(frozen=True)
class VoteCorrection:
    """The correction of one question.

    Attributes
    ----------
    temperature, concentration : float
        See the module's text; one changes nothing.
    """

    temperature: float = 1.0
    concentration: float = 1.0


@dataclass(frozen=True)
class LearnedCorrection:
    """What held-out galaxies taught about the votes on one question.

    Attributes
    ----------
    correction : VoteCorrection
    applied : bool
        Whether the correction makes the votes on galaxies that it was not learned from more likely.
    learned_from : str
        `volunteers` or `simulated`: whose votes.
    n : int
        Galaxies that were asked the question.
    gain, gain_error : float or None
        Change of ln likelihood per galaxy in cross-validation, and its standard error.
    """

    correction: VoteCorrection
    applied: bool
    learned_from: str
    n: int
    gain: float | None = None
    gain_error: float | None = None


@dataclass(frozen=True)
class VoteCalibration:
    """What held-out galaxies taught about the votes on every question.

    Attributes
    ----------
    questions : dict
        Question -> :class:`LearnedCorrection`.
    """

    questions: dict[str, LearnedCorrection]

    @property
    def applied(self) -> dict[str, VoteCorrection]:
        """The corrections that help, by question."""
        return {name: entry.correction for name, entry in self.questions.items() if entry.applied}


def corrected(alpha: np.ndarray, correction: VoteCorrection) -> np.ndarray:
    """Return corrected Dirichlet concentrations.

    Parameters
    ----------
    alpha : ndarray
        (N, answers of the question).
    correction : VoteCorrection

    Returns
    -------
    ndarray
        (N, answers of the question).
    """
    total = alpha.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        log_mean = np.log(alpha / total) / correction.temperature
    mean = np.exp(log_mean - log_mean.max(axis=1, keepdims=True))
    mean /= mean.sum(axis=1, keepdims=True)
    return np.asarray(np.maximum(correction.concentration * total * mean, MIN_CONCENTRATION))


def correct(
    fraction: np.ndarray, error: np.ndarray, concentration: np.ndarray, corrections: Mapping[str, VoteCorrection]
) -> None:
    """Correct predictions in place.

    Parameters
    ----------
    fraction, error, concentration : ndarray
        (N, A) of all answers; see :func:`tuningfork.infer.votes.join_concentrations`.
    corrections : mapping
        Question -> its correction; other questions are left as they are.
    """
    for entry in questions():
        if entry.name in corrections:
            alpha = corrected(concentration[:, entry.slice], corrections[entry.name])
            total = alpha.sum(axis=1, keepdims=True)
            mean = alpha / total
            concentration[:, entry.slice], fraction[:, entry.slice] = alpha, mean
            error[:, entry.slice] = np.sqrt(mean * (1 - mean) / (total + 1))
