"""The correction of votes, learned from draws whose truth is known."""

import numpy as np
import pytest
import torch

from tuningfork.calibrate.votes import learn_correction, log_likelihood
from tuningfork.measure.votes.correction import LearnedCorrection, VoteCorrection, corrected
from tuningfork.networks.losses import dirichlet_multinomial_nll

GALAXIES = 4000


def drawn(concentrations: list[float], volunteers: tuple[int, int], seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return true probabilities (N, A) from a Dirichlet distribution and votes (N, A) by a varying number of people."""
    rng = np.random.default_rng(seed)
    truth = rng.dirichlet(concentrations, GALAXIES)
    return truth, rng.multinomial(rng.integers(*volunteers, GALAXIES), truth).astype(float)


def test_the_likelihood_is_the_loss_that_is_trained() -> None:
    truth, votes = drawn([2.0, 1.0, 0.5], (1, 30))
    alpha = 5 * truth + 0.2
    ours = -log_likelihood(alpha, votes) + log_likelihood(alpha + 1, votes)
    theirs = [dirichlet_multinomial_nll(torch.tensor(a), torch.tensor(votes)).numpy() for a in (alpha, alpha + 1)]
    np.testing.assert_allclose(ours, theirs[0] - theirs[1], atol=1e-6)


def test_an_answer_that_people_give_more_often_is_shifted_towards_them() -> None:
    rng = np.random.default_rng(5)
    honest = 12 * rng.dirichlet([1.0, 1.5, 0.7], GALAXIES) + 0.05
    votes = np.array([rng.multinomial(30, rng.dirichlet(alpha)) for alpha in honest], dtype=float)
    shift = (0.8, -0.3, -0.5)
    found = learn_correction(
        corrected(honest, VoteCorrection(shift=tuple(-value for value in shift))), votes, "volunteers"
    )
    assert found.applied
    assert found.correction.shift == pytest.approx(shift, abs=0.1)
    assert found.correction.temperature == pytest.approx(1, rel=0.1)


def test_nothing_is_learned_from_galaxies_on_which_people_always_give_the_same_answer() -> None:
    # Classes of people that were turned into votes are such: arms were only asked about where there are arms.
    rng = np.random.default_rng(6)
    votes = np.repeat([[16.0, 1.0]], GALAXIES, axis=0)
    found = learn_correction(rng.gamma(2, 3, (GALAXIES, 2)) + 0.1, votes, "volunteers")
    assert not found.applied
    assert found.correction == VoteCorrection()


@pytest.mark.parametrize(("temperature", "concentration"), [(1.8, 0.3), (0.6, 2.5)])
def test_a_wrong_temperature_and_concentration_are_found_and_undone(temperature: float, concentration: float) -> None:
    rng = np.random.default_rng(4)
    honest = 12 * rng.dirichlet([1.0, 1.5, 0.7], GALAXIES) + 0.05
    votes = np.array([rng.multinomial(30, rng.dirichlet(alpha)) for alpha in honest], dtype=float)
    stated = corrected(honest, VoteCorrection(1 / temperature, 1 / concentration))
    found = learn_correction(stated, votes, "volunteers")
    assert found.applied
    assert found.learned_from == "volunteers"
    assert found.gain is not None
    assert found.gain > 0
    assert found.correction.temperature == pytest.approx(temperature, rel=0.08)
    assert found.correction.concentration == pytest.approx(concentration, rel=0.12)
    assert not learn_correction(honest, votes, "simulated").applied
    assert np.abs(found.correction.shift).max() < 0.1
    few = learn_correction(stated[:20], votes[:20], "simulated")
    assert few == LearnedCorrection(VoteCorrection(), False, "simulated", 20)
