"""Statistics with known values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuningfork.core.statistics import (
    angle_difference,
    area_under_curve,
    circular_deviation,
    correlation,
    correlation_error,
    partial_correlation,
    robust_scatter,
)


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def test_area_under_curve_counts_pairs_and_ties_half() -> None:
    score = np.array([0.1, 0.4, 0.4, 0.8] * 5)
    positive = np.array([False, False, True, True] * 5)
    pairs = [(a > b) + 0.5 * (a == b) for a in score[positive] for b in score[~positive]]
    assert area_under_curve(score, positive)["auc"] == pytest.approx(np.mean(pairs))
    assert area_under_curve(score[:8], positive[:8])["auc"] is None


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000))
def test_the_area_of_the_opposite_score_is_the_rest(seed: int) -> None:
    generator = np.random.default_rng(seed)
    score, positive = generator.normal(size=60).round(1), np.arange(60) % 3 == 0
    one, other = area_under_curve(score, positive)["auc"], area_under_curve(-score, positive)["auc"]
    assert one + other == pytest.approx(1)


def test_partial_correlation_frees_of_what_is_shared() -> None:
    generator = rng()
    size = generator.normal(size=4000)
    one, other = size + generator.normal(0, 0.3, 4000), size + generator.normal(0, 0.3, 4000)
    assert correlation(one, other) == pytest.approx(0.917, abs=0.02)
    assert partial_correlation(one, other, size) == pytest.approx(0, abs=0.05)
    noise = generator.normal(size=4000)
    assert partial_correlation(size + noise, noise, size) == pytest.approx(1, abs=1e-6)


def test_the_bootstrap_error_is_that_of_theory_and_repeats() -> None:
    generator = rng()
    x = generator.normal(size=400)
    y = 0.6 * x + 0.8 * generator.normal(size=400)
    found = correlation_error(x, y, rng())
    assert found == pytest.approx((1 - 0.6**2) / np.sqrt(400), rel=0.25)
    assert found == correlation_error(x, y, rng())


def test_a_constant_or_a_handful_has_no_correlation() -> None:
    assert correlation(np.ones(20), np.arange(20.0)) is None
    assert correlation(np.arange(5.0), np.arange(5.0)) is None


def test_robust_scatter_is_the_standard_deviation_of_a_normal_distribution() -> None:
    values = rng().normal(3, 2, 20_000)
    values[:100] = 1e6
    assert robust_scatter(values) == pytest.approx(2, rel=0.03)


def test_angles_differ_as_axes() -> None:
    assert angle_difference(np.array([179.0, 1.0, 90.0]), np.array([1.0, 179.0, 0.0])).tolist() == [-2.0, 2.0, -90.0]


def test_the_circular_deviation_is_that_of_a_narrow_normal_distribution() -> None:
    angles = rng().normal(170, 4, 20_000) % 180
    coherence = np.abs(np.exp(2j * np.deg2rad(angles)).mean())
    assert circular_deviation(np.array(coherence)) == pytest.approx(4, rel=0.03)
    assert circular_deviation(np.array([1.0])) == 0
    assert np.isfinite(circular_deviation(np.zeros(1)))
