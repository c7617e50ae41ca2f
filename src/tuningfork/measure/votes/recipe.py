"""The recipe for vote fractions and classes: the networks' answers with the corrections from held-out galaxies."""

import numpy as np

from tuningfork.core.classes import ARTIFACT, class_of
from tuningfork.core.decision_tree import answers, questions
from tuningfork.core.flags import Flag
from tuningfork.infer.answers import MorphologyAnswers
from tuningfork.measure.votes.correction import VoteCalibration, correct


def vote_columns_of(predicted: MorphologyAnswers, calibration: VoteCalibration) -> dict[str, np.ndarray]:
    """Return the columns of the stage classify.

    Parameters
    ----------
    predicted : MorphologyAnswers
        The networks' answers about N stamps.
    calibration : VoteCalibration
        Corrections from held-out galaxies; a question without one keeps the networks' answer.

    Returns
    -------
    dict
        Column -> array (N,): `{answer}_fraction`, `{answer}_fraction_error`, `{answer}_dirichlet`, `bar_vote_share`,
        `bar_probability` (NaN without a stamp) and `morphology` (None without a stamp).
    """
    fraction, error, concentration = (
        np.array(part, dtype=float) for part in (predicted.fraction, predicted.fraction_error, predicted.concentration)
    )
    correct(fraction, error, concentration, calibration.applied)
    values: dict[str, np.ndarray] = {}
    for column, label in enumerate(answers()):
        values[f"{label}_fraction"] = fraction[:, column]
        values[f"{label}_fraction_error"] = error[:, column]
        values[f"{label}_dirichlet"] = concentration[:, column]
    values["bar_vote_share"] = share_of_all(fraction, "bar_yes")
    values["bar_probability"] = calibration.presence.apply(np.asarray(predicted.bar_probability, dtype=float))
    values["morphology"] = class_of(fraction)
    return values


def class_flags(morphology: np.ndarray) -> np.ndarray:
    """Return the bits that the class adds to the flags.

    Parameters
    ----------
    morphology : ndarray
        (N,) classes, None without a stamp.

    Returns
    -------
    ndarray
        (N,) int64.
    """
    return np.where(np.asarray(morphology, dtype=object) == ARTIFACT, int(Flag.STAR_OR_ARTIFACT), 0).astype(np.int64)


def share_of_all(fraction: np.ndarray, answer: str) -> np.ndarray:
    """Return the expected share of all volunteers who reach a question and give a certain answer.

    Parameters
    ----------
    fraction : ndarray
        (N, A) expected fractions of all A answers.
    answer : str
        `question_answer`, for instance bar_yes.

    Returns
    -------
    ndarray
        (N,) the product of the fraction of the answer and the fractions of the answers that lead to its question.
    """
    names = list(answers())
    result = np.ones(len(fraction))
    label: str | None = answer
    while label is not None:
        result = result * fraction[:, names.index(label)]
        label = next(entry.after for entry in questions() if label in entry.labels)
    return result
