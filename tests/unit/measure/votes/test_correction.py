"""Corrections of predicted votes applied."""

import numpy as np
from helpers.corrections import vote_calibration

from tuningfork.core.decision_tree import answers, question
from tuningfork.measure.votes.correction import LearnedCorrection, VoteCorrection, correct


def test_only_questions_whose_correction_helps_are_changed() -> None:
    rng = np.random.default_rng(5)
    alpha = rng.uniform(0.5, 9, (6, len(answers())))
    alpha[2] = np.nan
    fraction, error, concentration = alpha.copy(), alpha.copy(), alpha.copy()
    entry = VoteCorrection(temperature=2.0, concentration=0.5)
    learned = vote_calibration(
        bar=LearnedCorrection(entry, True, "simulated", 100),
        merging=LearnedCorrection(entry, False, "simulated", 100),
    )
    correct(fraction, error, concentration, learned.applied)
    bar = question("bar").slice
    others = np.delete(np.arange(len(answers())), np.r_[bar])
    np.testing.assert_array_equal(concentration[:, others], alpha[:, others])
    np.testing.assert_allclose(fraction[:, bar].sum(axis=1)[[0, 1, 3]], 1)
    np.testing.assert_allclose(concentration[:, bar].sum(axis=1), 0.5 * alpha[:, bar].sum(axis=1))
    np.testing.assert_array_equal(fraction[:, bar].argmax(axis=1)[[0, 1]], alpha[:, bar].argmax(axis=1)[[0, 1]])
    assert np.isnan(fraction[2, bar]).all()
