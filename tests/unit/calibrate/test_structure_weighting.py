"""Network and fit joined: on errors whose covariance is known, whose tails are heavy, and with fits that went wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from tuningfork.calibrate.intervals import learn_errors
from tuningfork.calibrate.structure_weighting import learn_weights
from tuningfork.core.records import take
from tuningfork.core.statistics import robust_scatter
from tuningfork.measure.structure.combine import StructureCalibration, Weighting, combine, weight_of_second
from tuningfork.measure.structure.estimates import FITTED_TARGETS, ProfileEstimates
from tuningfork.measure.structure.intervals import INTERVAL_PROBABILITIES, error_predictors, place_in, widths
from tuningfork.networks.posterior import GROUP_OF, GROUPS, Gaussians

NETWORK_FLOOR = 0.05
MISSTATED = 1.8
"""Factor by which the fit's stated errors are too small."""


def errors(number: int, seed: int, degrees: float = np.inf, wrong: float = 0.0) -> tuple[ProfileEstimates, np.ndarray]:
    """Return estimates and truth of galaxies whose noise network and fit share.

    The fit is efficient but for a floor and misstated errors; the network has, besides the shared noise, an error of
    its own that does not fall with the signal. A share `wrong` of the fits is of something else.
    """
    rng = np.random.default_rng(seed)

    def deviates(*shape: int) -> np.ndarray:
        return rng.normal(size=shape) if np.isinf(degrees) else rng.standard_t(degrees, shape)

    truth = np.column_stack(
        [rng.uniform(-12, -6, number), rng.normal(2, 0.4, number), rng.normal(0.7, 0.5, number)]
        + [rng.normal(0, 0.3, number) for _ in range(2)]
        + [rng.normal(0, 1, number)]
    )
    noise = np.exp(rng.uniform(np.log(0.003), np.log(0.3), number))[:, None]
    shared = noise * deviates(number, 6)
    network = truth + shared + NETWORK_FLOOR * deviates(number, 6)
    fit = truth[:, :5] + (shared + 0.5 * noise * deviates(number, 6))[:, :5]
    bad = rng.uniform(size=number) < wrong
    fit[bad] += rng.choice([-1, 1], (bad.sum(), 5)) * rng.uniform(3, 8, (bad.sum(), 5))
    stated = (noise**2 + NETWORK_FLOOR**2)[:, :, None] * np.eye(6)
    of_fit = (noise**2 * (1 + 0.5**2) / MISSTATED**2)[:, :, None] * np.eye(5)
    fitted = rng.uniform(size=number) > 0.02
    return ProfileEstimates(Gaussians(network, stated), Gaussians(fit, of_fit), np.zeros(number), fitted), truth


def misses(gaussians: Gaussians, truth: np.ndarray, place: int) -> np.ndarray:
    return gaussians.mean[:, place] - truth[:, place]


@pytest.fixture(scope="module")
def learned() -> StructureCalibration:
    return learn_weights(*errors(1500, 1))


@given(st.floats(1e-3, 10), st.floats(1e-3, 10), st.floats(0, 0.98))
@settings(max_examples=60, deadline=None)
def test_weights_lie_between_none_and_all_and_never_do_harm(one: float, two: float, shared: float) -> None:
    weight, variance = weight_of_second(np.array([one]), np.array([two]), shared)
    assert 0 <= weight[0] <= 1
    assert variance[0] <= min(one, two) ** 2 * (1 + 1e-9)
    assert (weight[0] > 0.5) == (two < one) or one == pytest.approx(two)


def test_independent_errors_are_weighted_by_their_inverse_variance() -> None:
    weight, variance = weight_of_second(np.array([2.0]), np.array([1.0]), 0.0)
    assert weight[0] == pytest.approx(0.8)
    assert variance[0] == pytest.approx(0.8)


def test_misstated_errors_cost_next_to_nothing(learned: StructureCalibration) -> None:
    """The combination is nearly as good as with the weights that follow from the true covariance of the errors."""
    estimates, truth = errors(4000, 5)
    found = combine(estimates, learned)
    rows = np.flatnonzero(found.refined)
    noise = estimates.fit.covariance[rows, 0, 0] * MISSTATED**2 / (1 + 0.5**2)
    own = NETWORK_FLOOR**2
    weight = own / (own + 0.5**2 * noise)
    for place in range(FITTED_TARGETS):
        ours, theirs = (misses(take(part, rows), truth[rows], place) for part in (estimates.network, estimates.fit))
        best = robust_scatter((1 - weight) * ours + weight * theirs)
        assert robust_scatter(misses(take(found.joint, rows), truth[rows], place)) < 1.05 * best
    assert learned.note == ""


def test_the_combination_is_as_good_as_the_better_one_at_every_signal(learned: StructureCalibration) -> None:
    estimates, truth = errors(4000, 2)
    found = combine(estimates, learned)
    noise = np.sqrt(estimates.fit.covariance[:, 0, 0])
    for place in range(FITTED_TARGETS):
        for low, high in ((0, 0.01), (0.01, 0.05), (0.05, 1)):
            rows = np.flatnonzero((noise >= low) & (noise < high) & estimates.fitted)
            alone = [misses(take(part, rows), truth[rows], place) for part in (estimates.network, estimates.fit)]
            best = min(robust_scatter(values) for values in alone)
            assert robust_scatter(misses(take(found.joint, rows), truth[rows], place)) < 1.04 * best


@pytest.mark.parametrize("degrees", [np.inf, 4.0])
def test_intervals_hold_the_truth_as_often_as_they_say(degrees: float) -> None:
    def measured(seed: int, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        estimates, truth = errors(number, seed, degrees)
        found = combine(estimates, calibration)
        error = found.joint.deviation[:, 1]
        signal = 0.1 / np.sqrt(estimates.fit.covariance[:, 0, 0])
        # Stated too small, and the more so the higher the signal.
        predictors = error_predictors(signal, found.weight[:, 1], np.zeros(number), np.zeros(number))
        return misses(found.joint, truth, 1), 0.6 * error * signal**-0.2, signal, predictors

    calibration = learn_weights(*errors(1500, 3, degrees))
    miss, error, signal, predictors = measured(3, 1500)
    model = learn_errors(miss / error, predictors)
    miss, error, signal, predictors = measured(4, 6000)
    error = error * model.factor(predictors)
    for rows, tolerance in ((signal > 0, 0.03), (signal > 5, 0.06), (signal < 1, 0.06)):
        held = [np.mean(np.abs(miss[rows]) <= width * error[rows]) for width in widths(model.degrees).values()]
        np.testing.assert_allclose(held, list(INTERVAL_PROBABILITIES.values()), atol=tolerance)
    places = np.histogram(place_in(miss, error, model.degrees), 10, (0, 1))[0] / len(miss)
    np.testing.assert_allclose(places, 0.1, atol=0.02)


def test_tails_are_known_from_few_galaxies() -> None:
    """Their degrees of freedom hardly depend on which 100 galaxies were at hand."""
    rng = np.random.default_rng(11)
    found = [learn_errors(rng.standard_t(4, 100), np.zeros((100, 4))).degrees for _ in range(20)]
    assert 3 < np.median(found) < 5
    assert max(found) < 2 * min(found)


def test_magnitudes_on_which_neighbours_lie_get_larger_errors_and_angles_do_not() -> None:
    rng = np.random.default_rng(12)
    neighbours = rng.choice([0.0, 0.1], 2000)
    predictors = error_predictors(np.full(2000, 50.0), np.zeros(2000), np.zeros(2000), neighbours)
    miss = rng.standard_t(4, 2000) * np.where(neighbours > 0, 2, 1)
    for name, ratio in (("mag", 2.0), ("position_angle", 1.0)):
        factor = learn_errors(miss, predictors, name).factor(predictors)
        assert np.median(factor[neighbours > 0]) / np.median(factor[neighbours == 0]) == pytest.approx(ratio, rel=0.1)


def test_the_normal_distribution_is_one_of_the_intervals() -> None:
    np.testing.assert_allclose(list(widths(1e3).values()), norm.ppf([0.75, 0.841, 0.975]), rtol=5e-3)
    assert widths(2.0)[95] > 3


def test_fits_of_something_else_change_nothing(learned: StructureCalibration) -> None:
    spoilt, truth = errors(1500, 1, wrong=0.1)
    calibration = learn_weights(spoilt, truth)
    estimates, truth = errors(4000, 2, wrong=0.1)
    found, best = (combine(estimates, entry) for entry in (calibration, learned))
    assert 0.85 < found.refined.mean() < 0.92
    for place in range(FITTED_TARGETS):
        scatter = robust_scatter(misses(best.joint, truth, place))
        assert robust_scatter(misses(found.joint, truth, place)) < 1.1 * scatter
        assert np.abs(misses(found.joint, truth, place)).max() < 2


def test_without_a_fit_the_network_stands(learned: StructureCalibration) -> None:
    estimates, _ = errors(50, 5)
    none = ProfileEstimates(
        estimates.network,
        Gaussians(np.full((50, 5), np.nan), np.full((50, 5, 5), np.nan)),
        np.full(50, np.nan),
        np.zeros(50, dtype=bool),
    )
    found = combine(none, learned)
    assert not found.refined.any()
    shift = [
        terms.network_shift * terms.network_deviation(estimates.network.spread(name))
        for name, terms in zip(GROUP_OF, learned.of_targets, strict=True)
    ]
    np.testing.assert_allclose(found.joint.mean, estimates.network.mean - np.stack(shift, axis=1))
    assert np.isfinite(found.joint.covariance).all()


def test_poor_models_count_less(learned: StructureCalibration) -> None:
    """Where chi^2 tells of a poor model, the likelihood finds how the fit's errors grow with it."""
    estimates, truth = errors(1500, 6)
    misfit = np.exp(np.random.default_rng(7).normal(1.5, 1, 1500))
    factor = np.hypot(1, 0.4 * misfit)
    mean = truth[:, :5] + (estimates.fit.mean - truth[:, :5]) * factor[:, None]
    spoilt = ProfileEstimates(estimates.network, Gaussians(mean, estimates.fit.covariance), misfit, estimates.fitted)
    terms = learn_weights(spoilt, truth).groups["log_r_eff"]
    assert terms.misfit_factor == pytest.approx(0.4, rel=0.15)
    assert np.exp(terms.fit_scale) == pytest.approx(MISSTATED, rel=0.2)


def turned(gaussians: Gaussians, angle: float) -> Gaussians:
    """Return distributions with the ellipticity turned by `angle` (rad, in the plane of its components)."""
    matrix = np.eye(gaussians.mean.shape[1])
    matrix[3:5, 3:5] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return Gaussians(gaussians.mean @ matrix.T, matrix @ gaussians.covariance @ matrix.T)


def test_no_direction_in_the_image_is_preferred(learned: StructureCalibration) -> None:
    estimates, _ = errors(100, 8)
    rng = np.random.default_rng(9)
    root = rng.normal(size=(100, 6, 6)) * 0.02
    mixed = estimates.network.covariance + root @ root.transpose(0, 2, 1)
    plain = ProfileEstimates(
        Gaussians(estimates.network.mean, mixed), estimates.fit, estimates.misfit, estimates.fitted
    )
    other = ProfileEstimates(turned(plain.network, 0.7), turned(plain.fit, 0.7), plain.misfit, plain.fitted)
    expected, found = turned(combine(plain, learned).joint, 0.7), combine(other, learned).joint
    np.testing.assert_allclose(found.mean, expected.mean, atol=1e-9)
    np.testing.assert_allclose(found.covariance, expected.covariance, atol=1e-9)
    assert (np.linalg.eigvalsh(found.covariance) > 0).all()


def test_too_few_galaxies_leave_the_errors_as_stated() -> None:
    calibration = learn_weights(*errors(12, 10))
    assert calibration.groups == {name: Weighting() for name in GROUPS}
    assert "fewer than" in calibration.note


def test_unknown_truths_do_not_count() -> None:
    estimates, truth = errors(600, 11)
    truth[:, 5] = np.nan
    truth[::2, 2] = np.nan
    calibration = learn_weights(estimates, truth)
    assert "bulge_logit" in calibration.note
    assert np.exp(calibration.groups["log_sersic_n"].fit_scale) == pytest.approx(MISSTATED, rel=0.2)
