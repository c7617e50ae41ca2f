"""Agreement with people and calibration of votes, on draws whose truth is known."""

import numpy as np
import pytest
from scipy.stats import binom

from tuningfork.core.decision_tree import answers, question
from tuningfork.evaluate.votes import agreement, as_good_as, calibration_error, mean_deviation, noise_floor
from tuningfork.measure.votes.correction import (
    Correction,
    calibrate,
    corrected,
    corrections_of,
    learn_correction,
    log_likelihood,
)
from tuningfork.networks.losses import dirichlet_multinomial_nll

GALAXIES = 4000


def drawn(concentrations: list[float], volunteers: tuple[int, int], seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return true probabilities (N, A) from a Dirichlet distribution and votes (N, A) by a varying number of people."""
    rng = np.random.default_rng(seed)
    truth = rng.dirichlet(concentrations, GALAXIES)
    return truth, rng.multinomial(rng.integers(*volunteers, GALAXIES), truth).astype(float)


def test_the_mean_deviation_is_that_of_the_binomial_distribution() -> None:
    for n, p in ((1, 0.3), (7, 0.5), (40, 0.02), (13, 1 - 1e-9)):
        k = np.arange(n + 1)
        expected = (binom.pmf(k, n, p) * np.abs(k / n - p)).sum()
        assert mean_deviation(np.array(float(n)), np.array(p)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("concentrations", [[0.4, 0.6], [3.0, 2.0, 1.0], [0.15, 0.3, 0.1, 0.8]])
@pytest.mark.parametrize("volunteers", [(3, 8), (20, 60)])
def test_the_floor_is_the_error_of_who_knows_the_truth(concentrations: list[float], volunteers: tuple) -> None:
    truth, votes = drawn(concentrations, volunteers)
    perfect = np.abs(truth - votes / votes.sum(axis=1, keepdims=True)).mean()
    assert noise_floor(votes) == pytest.approx(perfect, rel=0.06)


@pytest.mark.parametrize("k", [4, 25])
def test_the_mean_of_k_volunteers_is_as_good_as_k_volunteers(k: int) -> None:
    truth, votes = drawn([0.8, 0.5, 0.4], (20, 40))
    rng = np.random.default_rng(2)
    found = as_good_as(rng.multinomial(k, truth) / k, votes, rng)
    assert found["volunteers"] == pytest.approx(k, rel=0.1)
    assert found["volunteers_low"] < k * 1.03
    assert found["volunteers_high"] > k / 1.03
    better = as_good_as(truth, votes, rng)["volunteers"]
    assert better is None or better > 200


def test_a_calibrated_prediction_has_the_calibration_error_of_chance() -> None:
    truth, votes = drawn([1.0, 1.0], (10, 30))
    observed = votes / votes.sum(axis=1, keepdims=True)
    error, by_chance = calibration_error(truth, observed)
    assert error == pytest.approx(by_chance, rel=0.6)
    extreme = truth**2 / (truth**2).sum(axis=1, keepdims=True)
    assert calibration_error(extreme, observed)[0] > 5 * by_chance


def test_figures_stand_beside_the_constant_and_galaxies_that_were_not_asked_do_not_count() -> None:
    truth, votes = drawn([0.5, 0.5], (20, 21))
    votes[::2] = 0
    found = agreement(truth, votes, np.array([0.5, 0.5]), np.random.default_rng(3))
    assert found["n"] == GALAXIES // 2
    assert found["mae_floor"] == pytest.approx(found["mae"], rel=0.06)
    assert found["mae_constant"] > 3 * found["mae"]
    assert agreement(truth[:9], votes[:9], np.array([0.5, 0.5]), np.random.default_rng(3)) == {"n": 4}


def test_the_likelihood_is_the_loss_that_is_trained() -> None:
    import torch

    truth, votes = drawn([2.0, 1.0, 0.5], (1, 30))
    alpha = 5 * truth + 0.2
    ours = -log_likelihood(alpha, votes) + log_likelihood(alpha + 1, votes)
    theirs = [dirichlet_multinomial_nll(torch.tensor(a), torch.tensor(votes)).numpy() for a in (alpha, alpha + 1)]
    np.testing.assert_allclose(ours, theirs[0] - theirs[1], atol=1e-6)


@pytest.mark.parametrize(("temperature", "concentration"), [(1.8, 0.3), (0.6, 2.5)])
def test_a_wrong_temperature_and_concentration_are_found_and_undone(temperature: float, concentration: float) -> None:
    rng = np.random.default_rng(4)
    honest = 12 * rng.dirichlet([1.0, 1.5, 0.7], GALAXIES) + 0.05
    votes = np.array([rng.multinomial(30, rng.dirichlet(alpha)) for alpha in honest], dtype=float)
    stated = corrected(honest, Correction(1 / temperature, 1 / concentration))
    found = learn_correction(stated, votes)
    assert found["applied"]
    assert found["temperature"] == pytest.approx(temperature, rel=0.08)
    assert found["concentration"] == pytest.approx(concentration, rel=0.12)
    assert not learn_correction(honest, votes)["applied"]
    assert learn_correction(stated[:20], votes[:20]) | {"n": 0} == {
        "n": 0, "temperature": 1, "concentration": 1, "gain": None, "gain_error": None, "applied": False,
    }  # fmt: skip


def test_only_questions_whose_correction_helps_are_changed() -> None:
    rng = np.random.default_rng(5)
    alpha = rng.uniform(0.5, 9, (6, len(answers())))
    alpha[2] = np.nan
    fraction, error, concentration = alpha.copy(), alpha.copy(), alpha.copy()
    entry = {"temperature": 2.0, "concentration": 0.5}
    learnt = {"calibration": {"bar": entry | {"applied": True}, "merging": entry | {"applied": False}}}
    calibrate(fraction, error, concentration, corrections_of(learnt))
    bar = question("bar").slice
    others = np.delete(np.arange(len(answers())), np.r_[bar])
    np.testing.assert_array_equal(concentration[:, others], alpha[:, others])
    np.testing.assert_allclose(fraction[:, bar].sum(axis=1)[[0, 1, 3]], 1)
    np.testing.assert_allclose(concentration[:, bar].sum(axis=1), 0.5 * alpha[:, bar].sum(axis=1))
    np.testing.assert_array_equal(fraction[:, bar].argmax(axis=1)[[0, 1]], alpha[:, bar].argmax(axis=1)[[0, 1]])
    assert np.isnan(fraction[2, bar]).all()
