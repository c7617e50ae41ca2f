"""Figures of merit with known values."""

import numpy as np
import pytest

from tuningfork.evaluate.scores import (
    challenge_scores,
    integral_transform,
    length_scores,
    orientation_scores,
    parameter_scores,
    question_scores,
)


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def test_parameters_are_scored_against_the_constant_predictor() -> None:
    truth = rng().normal(0, 1, 2000)
    predicted = truth + 0.1 + rng().normal(0, 0.2, 2000)
    found = parameter_scores(predicted, np.full(2000, 0.2), truth)
    assert found["bias"] == pytest.approx(0.1, abs=0.02)
    assert found["scatter"] == pytest.approx(0.2, abs=0.02)
    assert found["scatter_constant"] == pytest.approx(1, abs=0.05)
    assert found["r2"] == pytest.approx(1 - 0.05, abs=0.01)
    assert [found[f"coverage{level}"] for level in (50, 68, 95)] == pytest.approx([0.46, 0.64, 0.93], abs=0.02)
    assert parameter_scores(predicted[:3], predicted[:3], truth[:3])["r2"] is None


def test_position_angles_wrap() -> None:
    truth = np.full(50, 179.0)
    found = parameter_scores(np.full(50, 2.0), np.full(50, 5.0), truth, angle=True)
    assert found["bias"] == pytest.approx(3)
    assert found["r2"] is None
    assert found["coverage68"] == 1


@pytest.mark.parametrize(("stated", "shape"), [(1, "flat"), (2, "hill"), (0.5, "bowl")])
def test_the_integral_transform_shows_whether_errors_are_honest(stated: float, shape: str) -> None:
    share = np.array(integral_transform(rng().normal(size=20_000), np.full(20_000, stated)))
    assert share.sum() == pytest.approx(1)
    middle, ends = share[4:6].mean(), share[[0, -1]].mean()
    assert {"flat": abs(middle - ends) < 0.01, "hill": middle > 1.5 * ends, "bowl": middle < ends / 1.5}[shape]
    # A prediction that is too high puts the truth low in it.
    assert integral_transform(np.full(20, 3.0), np.ones(20))[0] == 1


def test_the_challenge_counts_as_published() -> None:
    """Relative errors of sizes, decimal logarithms of indices, differences of axis ratios; 68 % about the median."""
    truth = np.full(1000, 2.0)
    estimate = truth * (1.1 + rng().normal(0, 0.05, 1000))
    estimate[:50] = 8.0
    found = challenge_scores("r_eff", estimate, truth)
    assert found["bias"] == pytest.approx(0.1, abs=0.02)
    assert found["dispersion"] == pytest.approx(0.05, rel=0.2)
    assert found["outliers"] == pytest.approx(0.05)
    assert challenge_scores("sersic_n", truth * 10, truth)["bias"] == pytest.approx(1)
    assert challenge_scores("axis_ratio", truth + 0.1, truth)["bias"] == pytest.approx(0.1)
    assert challenge_scores("r_eff", np.full(1000, np.nan), truth) == {
        "n": 0,
        "bias": None,
        "dispersion": None,
        "outliers": None,
    }


def test_votes_are_scored_where_the_question_was_asked() -> None:
    votes = np.array([[9, 1], [2, 8], [0, 0]] * 10)
    perfect = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]] * 10)
    found = question_scores(perfect, votes, np.array([0.55, 0.45]))
    assert found["n"] == 20
    assert found["accuracy"] == 1
    assert found["mae"] == pytest.approx(0)
    assert found["mae_constant"] == pytest.approx(0.35)
    assert found["cross_entropy"] < found["cross_entropy_constant"]
    assert [entry["n"] for entry in found["reliability"][0]] == [10, 10]
    assert question_scores(perfect[:3], votes[:3], np.array([0.5, 0.5]))["accuracy"] is None


def test_a_length_that_only_follows_size_has_no_partial_correlation() -> None:
    generator = rng()
    size = generator.lognormal(1.5, 0.4, 3000)
    truth = 0.8 * size * generator.lognormal(0, 0.3, 3000)
    null = length_scores(0.8 * size * generator.lognormal(0, 0.1, 3000), truth, size, rng())
    good = length_scores(truth * generator.lognormal(0, 0.1, 3000), truth, size, rng())
    assert null["r"] > 0.5
    assert abs(null["partial_r"]) < 0.05
    assert abs(null["r_scaled"]) < 0.1
    assert good["partial_r"] > 0.9
    assert good["r"] > good["r_size_only"]
    assert good["scatter"] == pytest.approx(0.1, rel=0.1)


def test_a_length_that_depends_on_the_angle_shows() -> None:
    angle = np.linspace(0, 179, 360)
    along = np.abs((angle + 45) % 90 - 45) < 22.5
    found = orientation_scores(np.where(along, 0.5, 1.0), np.ones(360), angle + 4, angle)
    assert found["ratio_along_axes"] == 0.5
    assert found["ratio_diagonal"] == 1
    assert found["angle_median"] == pytest.approx(4)
