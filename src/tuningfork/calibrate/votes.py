"""The stage calibrate_votes: learns the corrections of the predicted votes from validation galaxies."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy.optimize import minimize
from scipy.special import gammaln, logit

from tuningfork.calibrate.held_out import HeldOutAnswers, morphology_of_split
from tuningfork.core.calibration_file import write_calibration
from tuningfork.core.decision_tree import answers, question, questions
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.statistics import FEWEST
from tuningfork.core.tables import lineage_of
from tuningfork.infer.answers import MorphologyAnswers
from tuningfork.measure.votes.correction import (
    MIN_PROBABILITY,
    LearnedCorrection,
    PresenceCorrection,
    VoteCalibration,
    VoteCorrection,
    corrected,
)

MIN_GALAXIES = 5 * FEWEST
"""Smallest number of galaxies from which a correction is learned."""
MAX_LOG_FACTOR = np.log(20.0)
"""Largest |ln| of temperature and factor of a correction, and largest |shift|."""
SHIFT_SPREAD = 1.0
"""Standard deviation of the normal prior of each shift."""
MIN_LEADING = 0.02
"""Share of the galaxies on which another answer than the commonest leads, below which nothing can be learned."""
MIN_SIGNIFICANCE = 2.0
"""Gain of the likelihood in cross-validation, in standard errors, above which a correction is applied."""


def calibrate_votes(
    parameters: Parameters,
    *,
    training: Sequence[Path],
    held_out: HeldOutAnswers,
    volunteers: Path | None,
    volunteers_answers: HeldOutAnswers | None,
    output: Path,
) -> None:
    """Write the corrections of predicted votes, learned from validation galaxies.

    The correction of a question is learned from the votes of real volunteers or, if these are too few, from simulated
    votes.

    Parameters
    ----------
    parameters : Parameters
        Of the stage calibrate_votes.
    training : sequence of Path
        Tables of the parts of the simulated training set.
    held_out : HeldOutAnswers
        Answers of the networks about its held-out galaxies.
    volunteers : Path or None
        Table of the part with votes of real volunteers.
    volunteers_answers : HeldOutAnswers or None
        Answers of the networks about the held-out galaxies of this part.
    output : Path
        calibration/votes.json.

    Raises
    ------
    InputError
        A file is missing, damaged or about other galaxies.
    """
    known = {"simulated": morphology_of_split(training, held_out, "validation")}
    files = [*training, held_out.table]
    if volunteers is not None and volunteers_answers is not None:
        known["volunteers"] = morphology_of_split([volunteers], volunteers_answers, "validation")
        files += [volunteers, volunteers_answers.table]
    learned = {entry.name: _learn_question(entry.name, known) for entry in questions()}
    lineage = parameters.lineage(lineage_of(*files))
    write_calibration(output, "votes", VoteCalibration(learned, learn_presence(*known["simulated"])), lineage)


def learn_presence(rows: pa.Table, predicted: MorphologyAnswers) -> PresenceCorrection:
    """Learn the correction of the probability of a bar from simulated galaxies, which have a bar or have none.

    Parameters
    ----------
    rows : pyarrow.Table
        N rows of a simulated training set.
    predicted : MorphologyAnswers
        The networks' answers about these galaxies.

    Returns
    -------
    PresenceCorrection
        One that changes nothing for fewer than `MIN_GALAXIES`.
    """
    strength, probability = rows["bar_strength"].to_numpy().astype(float), predicted.bar_probability
    good = np.isfinite(strength) & np.isfinite(probability)
    barred, probability = strength[good] > 0, np.clip(probability[good], MIN_PROBABILITY, 1 - MIN_PROBABILITY)
    n = len(barred)
    if n < MIN_GALAXIES or barred.all() or not barred.any():
        return PresenceCorrection()
    # Platt's targets keep the slope finite where the two kinds can be separated without an error.
    ones, zeros = np.count_nonzero(barred), np.count_nonzero(~barred)
    target = np.where(barred, (ones + 1) / (ones + 2), 1 / (zeros + 2))
    x = logit(probability)

    def loss(values: np.ndarray) -> float:
        answer = values[0] * x + values[1]
        return float((np.logaddexp(0, answer) - target * answer).mean())

    slope, offset = minimize(loss, [1.0, 0.0], method="L-BFGS-B", bounds=[(0.05, 20), (-10, 10)]).x
    return PresenceCorrection(float(slope), float(offset), n)


def _learn_question(name: str, known: dict[str, tuple[pa.Table, MorphologyAnswers]]) -> LearnedCorrection:
    votes = {source: votes_on(name, rows, predicted) for source, (rows, predicted) in known.items()}
    asked = {source: np.count_nonzero(cast.sum(axis=1) > 0) for source, (_, cast) in votes.items()}
    source = "volunteers" if asked.get("volunteers", 0) >= MIN_GALAXIES else "simulated"
    return learn_correction(*votes[source], source)


def votes_on(name: str, rows: pa.Table, predicted: MorphologyAnswers) -> tuple[np.ndarray, np.ndarray]:
    """Return predicted concentrations and votes on a question.

    Parameters
    ----------
    name : str
        Name of the question.
    rows : pyarrow.Table
        N rows of a training set, with `{answer}_votes`.
    predicted : MorphologyAnswers
        The networks' answers about these galaxies.

    Returns
    -------
    alpha, votes : ndarray
        (N, answers of the question).
    """
    entry = question(name)
    columns = [list(answers()).index(label) for label in entry.labels]
    votes = np.stack([rows[f"{label}_votes"].to_numpy().astype(float) for label in entry.labels], axis=1)
    return predicted.concentration[:, columns], votes


def learn_correction(alpha: np.ndarray, votes: np.ndarray, learned_from: str) -> LearnedCorrection:
    """Learn the correction of one question, and whether it is applied.

    It is applied if it raises the likelihood of votes that it was not learned from: in cross-validation, the correction
    learned from each half of the galaxies is tested on the other half.

    Parameters
    ----------
    alpha, votes : ndarray
        (N, answers) of the validation galaxies.
    learned_from : str
        Source of the votes: `volunteers` or `simulated`.

    Returns
    -------
    LearnedCorrection
    """
    good = np.isfinite(alpha).all(axis=1) & (votes.sum(axis=1) > 0)
    alpha, votes = alpha[good], votes[good]
    if len(alpha) < MIN_GALAXIES or _one_answer_leads(votes):
        return LearnedCorrection(VoteCorrection(), False, learned_from, len(alpha))
    half = np.arange(len(alpha)) % 2 == 0
    gain = np.empty(len(alpha))
    for rows in (half, ~half):
        other = fit_correction(alpha[~rows], votes[~rows])
        gain[rows] = log_likelihood(corrected(alpha[rows], other), votes[rows]) - log_likelihood(
            alpha[rows], votes[rows]
        )
    mean, error = float(gain.mean()), float(gain.std() / np.sqrt(len(gain)))
    correction, helps = fit_correction(alpha, votes), mean > MIN_SIGNIFICANCE * error
    return LearnedCorrection(correction, helps, learned_from, len(alpha), mean, error)


def _one_answer_leads(votes: np.ndarray) -> bool:
    """Return whether the same answer leads on almost all galaxies."""
    leading = np.bincount(votes.argmax(axis=1), minlength=votes.shape[1])
    return bool(np.sort(leading)[-2] < MIN_LEADING * len(votes))


def fit_correction(alpha: np.ndarray, votes: np.ndarray) -> VoteCorrection:
    """Return the correction that maximises the likelihood of the votes.

    Parameters
    ----------
    alpha, votes : ndarray
        (N, answers).

    Returns
    -------
    VoteCorrection
    """

    number = alpha.shape[1]

    def correction(values: np.ndarray) -> VoteCorrection:
        shift = values[2:] - values[2:].mean()
        temperature, concentration = np.exp(values[:2])
        return VoteCorrection(float(temperature), float(concentration), tuple(map(float, shift)))

    def loss(values: np.ndarray) -> float:
        prior = 0.5 * float(np.sum((values[2:] / SHIFT_SPREAD) ** 2)) / len(alpha)
        return prior - float(log_likelihood(corrected(alpha, correction(values)), votes).mean())

    bounds = [(-MAX_LOG_FACTOR, MAX_LOG_FACTOR)] * (2 + number)
    return correction(minimize(loss, np.zeros(2 + number), method="L-BFGS-B", bounds=bounds).x)


def log_likelihood(alpha: np.ndarray, votes: np.ndarray) -> np.ndarray:
    """Return ln of the Dirichlet-multinomial probability of votes, without the multinomial coefficient.

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


def as_dict(calibration: VoteCalibration) -> dict[str, dict[str, object]]:
    """Return the calibration as JSON values, with one flat entry per question, for the summary of the evaluation."""
    return {
        name: asdict(entry.correction) | {key: value for key, value in asdict(entry).items() if key != "correction"}
        for name, entry in calibration.questions.items()
    }
