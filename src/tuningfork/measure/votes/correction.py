"""The correction of predicted votes.

The temperature T and the shifts b replace the expected vote fractions m by m^(1/T) exp(b), scaled to a sum of one (Guo+
2017, ICML, applied to fractions). T is above one where the predicted fractions were too extreme; the shift of an answer
is above zero where people give it more often than the networks say. A last number multiplies the Dirichlet
concentrations; it is below one where the networks overestimated the precision of their fractions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit, logit

from tuningfork.core.calibration_file import ADDED, require, require_names, require_not_negative, require_range
from tuningfork.core.decision_tree import questions
from tuningfork.infer.votes import MIN_CONCENTRATION

MIN_PROBABILITY = 1e-4
"""Probabilities of a bar are kept this far from 0 and 1."""
MAX_FACTOR = 1e3
"""Largest factor of a correction, and the inverse of the smallest."""
MAX_SHIFT = 10.0
"""Largest |shift| of an answer."""
VOTE_SOURCES = ("volunteers", "simulated")
"""Where the votes come from that a correction is learned from."""


@dataclass(frozen=True)
class VoteCorrection:
    """The correction of one question.

    Attributes
    ----------
    temperature, concentration : float
        Temperature and factor of the concentrations, defined in the module's docstring; a value of one changes nothing.
    shift : tuple of float
        Shift of each answer; none: zero.
    """

    temperature: float = 1.0
    concentration: float = 1.0
    shift: tuple[float, ...] = field(default=(), metadata=ADDED)

    def __post_init__(self) -> None:
        require_range(self, 1 / MAX_FACTOR, MAX_FACTOR, "temperature", "concentration")
        require(
            all(abs(value) <= MAX_SHIFT for value in self.shift),
            f"shift must lie between -{MAX_SHIFT:g} and {MAX_SHIFT:g}",
        )


@dataclass(frozen=True)
class LearnedCorrection:
    """The correction of the votes on one question, as learned from held-out galaxies.

    Attributes
    ----------
    correction : VoteCorrection
    applied : bool
        Whether the correction raises the likelihood of the votes on galaxies that it was not learned from.
    learned_from : str
        Source of the votes: `volunteers` or `simulated`.
    n : int
        Number of galaxies with votes on the question.
    gain, gain_error : float or None
        Change of ln likelihood per galaxy in cross-validation, and its standard error.
    """

    correction: VoteCorrection
    applied: bool
    learned_from: str
    n: int
    gain: float | None = None
    gain_error: float | None = None

    def __post_init__(self) -> None:
        require(self.learned_from in VOTE_SOURCES, f"learned_from must be one of {', '.join(VOTE_SOURCES)}")
        require_not_negative(self, "n", "gain_error")


@dataclass(frozen=True)
class PresenceCorrection:
    """The correction of the probability that a galaxy has a bar (Platt 1999): its logit becomes slope x logit + offset.

    Attributes
    ----------
    slope, offset : float
        1 and 0 change nothing.
    n : int
        Number of galaxies from which it was learned.
    """

    slope: float = 1.0
    offset: float = 0.0
    n: int = 0

    def __post_init__(self) -> None:
        require_range(self, 1e-3, 1e3, "slope")
        require_not_negative(self, "n")

    def apply(self, probability: np.ndarray) -> np.ndarray:
        """Return corrected probabilities.

        Parameters
        ----------
        probability : ndarray
            (N,)

        Returns
        -------
        ndarray
            (N,)
        """
        return np.asarray(
            expit(self.slope * logit(np.clip(probability, MIN_PROBABILITY, 1 - MIN_PROBABILITY)) + self.offset)
        )


@dataclass(frozen=True)
class VoteCalibration:
    """The corrections of the votes on all questions, as learned from held-out galaxies.

    Attributes
    ----------
    questions : dict
        Question -> :class:`LearnedCorrection`, for every question of the decision tree.
    presence : PresenceCorrection
        Of the probability that there is a bar.
    """

    questions: dict[str, LearnedCorrection]
    presence: PresenceCorrection

    def __post_init__(self) -> None:
        require_names("questions", self.questions, [entry.name for entry in questions()])
        for entry in questions():
            shift = self.questions[entry.name].correction.shift
            require(
                len(shift) in (0, len(entry.labels)), f"{entry.name}: one shift for each of {', '.join(entry.labels)}"
            )

    @property
    def applied(self) -> dict[str, VoteCorrection]:
        """The corrections that are applied, by question."""
        return {name: entry.correction for name, entry in self.questions.items() if entry.applied}


def uncorrected() -> VoteCalibration:
    """Return the calibration that changes nothing."""
    nothing = LearnedCorrection(VoteCorrection(), False, "simulated", 0)
    return VoteCalibration({entry.name: nothing for entry in questions()}, PresenceCorrection())


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
        log_mean = np.log(alpha / total) / correction.temperature + np.array(correction.shift or [0.0])
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
        (N, A) values of all answers; see :func:`tuningfork.infer.votes.join_concentrations`.
    corrections : mapping
        Question -> its correction; the votes on other questions stay unchanged.
    """
    for entry in questions():
        if entry.name in corrections:
            alpha = corrected(concentration[:, entry.slice], corrections[entry.name])
            total = alpha.sum(axis=1, keepdims=True)
            mean = alpha / total
            concentration[:, entry.slice], fraction[:, entry.slice] = alpha, mean
            error[:, entry.slice] = np.sqrt(mean * (1 - mean) / (total + 1))
