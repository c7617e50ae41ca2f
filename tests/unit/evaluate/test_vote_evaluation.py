"""Agreement with volunteers, on draws whose truth is known."""

import numpy as np
import pytest
from scipy.stats import binom

from tuningfork.evaluate.votes import agreement, as_good_as, calibration_error, mean_deviation, noise_floor

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
