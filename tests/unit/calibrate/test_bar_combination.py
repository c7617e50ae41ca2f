"""Estimators joined: on errors whose covariance is known."""

from dataclasses import replace

import numpy as np
import pytest

from tuningfork.calibrate.bar_learning import learn_combination
from tuningfork.core.statistics import angle_difference, robust_scatter
from tuningfork.measure.bars.combination import BarCombination, CombinedLengths, direct_alone

COVARIANCE = np.array([[1.0, 0.3, 0.2], [0.3, 0.8, 0.2], [0.2, 0.2, 2.5]])
NAMES = ("direct", "mask", "fourier")


def drawn(
    number: int, seed: int
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Return lengths, the error of the first, true lengths, angles and true angles."""
    rng = np.random.default_rng(seed)
    truth, unit = rng.uniform(5, 50, number), rng.uniform(0.05, 0.3, number)
    misses = rng.multivariate_normal(np.zeros(3), COVARIANCE, number) * unit[:, None]
    angle = rng.uniform(0, 180, number)
    found = {name: truth * np.exp(misses[:, k]) for k, name in enumerate(NAMES)}
    angles = {name: (angle + rng.normal(0, 4 + 4 * k, number)) % 180 for k, name in enumerate(NAMES)}
    return found, unit, truth, angles, angle


def columns(combined: CombinedLengths) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return length, error and method."""
    return combined.length, combined.error, combined.method


def test_weights_are_those_of_the_best_linear_unbiased_estimate() -> None:
    combination = learn_combination(*drawn(4000, 1), transfer=0)
    found, unit, truth, angles, angle = drawn(4000, 2)
    length, error, method = columns(combination.lengths(found, unit))
    miss = np.log(length / truth)
    best = 1 / np.sqrt(np.linalg.inv(COVARIANCE).sum())
    assert robust_scatter(miss / unit) == pytest.approx(best, rel=0.05)
    assert np.mean(np.abs(miss) < error) == pytest.approx(0.683, abs=0.03)
    assert set(method) == {"direct+mask+fourier"}
    joined, scatter = combination.angle(angles, {name: np.zeros(4000) for name in angles})
    assert robust_scatter(angle_difference(joined, angle)) == pytest.approx(
        np.sqrt(1 / (1 / 16 + 1 / 64 + 1 / 144)), rel=0.1
    )
    assert scatter[0] == pytest.approx(robust_scatter(angle_difference(joined, angle)), rel=0.1)


def test_what_is_missing_is_left_out_and_nothing_is_lost() -> None:
    found, unit, truth, angles, angle = drawn(500, 3)
    combination = replace(learn_combination(found, unit, truth, angles, angle, transfer=0), offset=0.0, regression=0.0)
    full = columns(combination.lengths(found, unit))
    holes = {name: values.copy() for name, values in found.items()}
    holes["mask"][:3], holes["direct"][1], holes["fourier"][2:4] = np.nan, np.nan, np.nan
    for values in holes.values():
        values[4] = np.nan
    length, error, method = columns(combination.lengths(holes, unit))
    assert np.isfinite(length).tolist() == [True, True, True, True, False] + [True] * 495
    assert list(method[:5]) == ["direct+fourier", "fourier", "direct", "direct+mask", None]
    assert length[2] == pytest.approx(found["direct"][2])
    assert np.all(error[:4] > full[1][:4])
    np.testing.assert_allclose(length[5:], full[0][5:])


def test_lost_bars_do_not_decide_and_a_useless_estimator_gets_no_weight() -> None:
    found, unit, truth, angles, angle = drawn(1000, 4)
    rng = np.random.default_rng(5)
    found["mask"][:50] *= 20
    # It knows what the first knows, with noise besides.
    found["copy"] = found["direct"] * np.exp(rng.normal(0, 2, 1000) * unit)
    combination = learn_combination(found, unit, truth, angles, angle, transfer=0)
    miss = np.log(combination.lengths(found, unit).length / truth) / unit
    assert robust_scatter(miss[50:]) < 0.85
    assert "copy" not in combination.lengths(found, unit).method[100]


def test_without_galaxies_the_first_stands_alone() -> None:
    found, unit, truth, angles, angle = (
        {name: values[:5] for name, values in part.items()} if isinstance(part, dict) else part[:5]
        for part in drawn(20, 6)
    )
    combination = learn_combination(found, unit, truth, angles, angle, transfer=0)
    assert combination == direct_alone()
    length, error, method = columns(combination.lengths(found, unit))
    np.testing.assert_allclose(length, found["direct"])
    np.testing.assert_allclose(error, unit)
    assert set(method) == {"direct"}


def test_an_estimator_that_is_far_off_hardly_moves_the_length_and_the_error_grows() -> None:
    combination = learn_combination(*drawn(4000, 1), transfer=0)
    unit = np.full(2, 0.1)
    agreeing = {"direct": np.array([20.0, 20.0]), "mask": np.array([20.0, 20.5]), "fourier": np.array([20.0, 19.5])}
    strange = agreeing | {"direct": np.array([8.0, 8.0])}
    (usual, error, _), (length, larger, _) = (
        columns(combination.lengths(found, unit)) for found in (agreeing, strange)
    )
    assert usual == pytest.approx([20, 20], rel=0.02)
    assert np.all(np.abs(np.log(length / 20)) < 0.3 * np.abs(np.log(8 / 20)))
    assert np.all(larger > 1.2 * error)


def test_errors_hold_on_galaxies_whose_regressed_length_is_wrong_more_often() -> None:
    combination = learn_combination(*drawn(4000, 1), transfer=0)
    found, unit, truth, _, _ = drawn(4000, 5)
    wrong = np.random.default_rng(6).uniform(size=4000) < 0.2
    found["direct"] = np.where(wrong, truth * 0.4, found["direct"])
    length, error, _ = columns(combination.lengths(found, unit))
    usual = np.abs(np.log(length / truth)) < error
    assert np.mean(usual) > 0.6
    assert np.median(np.abs(np.log(length / truth))[wrong]) < 0.3


def test_lengths_do_not_regress_to_the_mean() -> None:
    """Estimates that are posterior means, as networks give them, come out unbiased at every true length."""
    rng = np.random.default_rng(8)
    spread = 0.6

    def posterior(number: int) -> tuple[np.ndarray, ...]:
        logs, noise = rng.normal(3.0, spread, number), rng.uniform(0.05, 0.4, number)
        reliability = spread**2 / (spread**2 + noise**2)
        mean = 3.0 + reliability * (logs + rng.normal(0, noise) - 3.0)
        return np.exp(mean), noise * np.sqrt(reliability), np.exp(logs)

    length, unit, truth = posterior(20_000)
    angle = np.zeros(20_000)
    combination = learn_combination({"direct": length}, unit, truth, {"direct": angle}, angle, transfer=0)
    length, unit, truth = posterior(20_000)
    published, error, _ = columns(combination.lengths({"direct": length}, unit))
    for low, high in ((1.8, 2.2), (2.8, 3.2), (3.8, 4.2)):
        here = (np.log(truth) > low) & (np.log(truth) < high)
        before, after = (np.mean(np.log(values / truth)[here]) for values in (length, published))
        assert abs(after) < 0.03
        assert abs(after) < abs(before) + 0.01
    assert np.mean(np.abs(np.log(published / truth)) < error) == pytest.approx(0.683, abs=0.02)


def test_light_and_networks_share_the_weight_where_the_transfer_error_is_the_largest() -> None:
    """Three estimators by one network, each far more precise on simulations than the light, are one opinion elsewhere."""
    names = ["direct", "mask", "saliency", "fourier"]
    covariance = np.diag([1.0, 1.1, 1.2, 16.0]).tolist()
    learned = BarCombination(names, covariance, 1.0, {"mask": 4.0}, 4.0, 100)
    found = {name: np.array([20.0]) for name in names[:3]} | {"fourier": np.array([22.0])}
    unit = np.array([0.02])
    alone, careful = (replace(learned, transfer=transfer).lengths(found, unit) for transfer in (0.0, 0.5))
    share = [np.log(combined.length[0] / 20) / np.log(22 / 20) for combined in (alone, careful)]
    assert share[0] < 0.05
    assert 0.4 < share[1] < 0.55
    assert careful.error[0] == pytest.approx(0.5 / np.sqrt(2), rel=0.1)
    assert careful.learned_error[0] < 0.1


@pytest.mark.parametrize("transfer", [0.0, 0.15])
def test_each_galaxy_gets_the_weights_that_a_solution_for_it_alone_gives(transfer: float) -> None:
    combination = replace(learn_combination(*drawn(500, 1)), transfer=transfer, offset=0.0, regression=0.0)
    found, unit, *_ = drawn(40, 9)
    # No galaxy with an outlier, which would count less.
    near = {name: found["direct"] * np.exp(0.2 * unit * k) for k, name in enumerate(NAMES)}
    length = combination.lengths(near, unit).length
    light = np.array([name == "fourier" for name in NAMES])
    same = np.equal.outer(light, light)
    for row in range(40):
        covariance = unit[row] ** 2 * np.array(combination.covariance) + transfer**2 * (0.8 * same + 0.2 * np.eye(3))
        weights = np.linalg.solve(covariance, np.ones(3))
        weights /= weights.sum()
        assert (weights > 0.03).all()
        expected = sum(weight * np.log(near[name][row]) for weight, name in zip(weights, NAMES, strict=True))
        assert np.log(length[row]) == pytest.approx(expected)
