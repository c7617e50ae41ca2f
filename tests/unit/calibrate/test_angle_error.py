"""Errors of position angles: on bars of which some are lost, and all state how well they are seen."""

from dataclasses import replace

import numpy as np
import pytest

from tuningfork.calibrate.angle_learning import learn_angle_error
from tuningfork.core.statistics import angle_difference
from tuningfork.measure.bars.angle import RANDOM_ANGLE_ERROR, combine_angles
from tuningfork.measure.bars.combination import direct_alone

SCATTERS = {"direct": 4.0, "mask": 6.0, "fourier": 5.0}
Drawn = tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray]


def drawn(number: int, seed: int) -> Drawn:
    """Return angles, stated deviations and true angles of bars from clear (1 deg) to hardly seen (25 deg).

    The estimators share most of their errors, and state their deviation three times too large and within a factor of 1.6.
    """
    rng = np.random.default_rng(seed)
    truth, deviation = rng.uniform(0, 180, number), np.exp(rng.uniform(0, np.log(25), number))
    shared = rng.standard_t(3, number)
    angles = {name: (truth + deviation * (0.7 * shared + rng.normal(0, 0.7, number))) % 180 for name in SCATTERS}
    spreads = {name: 3 * deviation * rng.lognormal(0, 0.5, number) for name in SCATTERS}
    return angles, spreads, truth


def judged(learned_from: Drawn, tested_on: Drawn) -> tuple[np.ndarray, np.ndarray]:
    """Return distances from the truth and their errors, both in the order of the errors."""
    learned = learn_angle_error(SCATTERS, *learned_from)
    assert learned is not None
    angles, spreads, truth = tested_on
    combination = replace(direct_alone(), angles=SCATTERS, angle_error=learned)
    angle, error = combination.angle(angles, spreads)
    order = np.argsort(error)
    return np.abs(angle_difference(angle, truth))[order], error[order]


def test_every_third_of_the_errors_holds_as_many_angles_as_it_should() -> None:
    miss, error = judged(drawn(600, 1), drawn(3000, 2))
    parts = np.array_split(miss <= error, 3)
    # One error for all would hold nearly all angles of the first third and few of the last.
    assert [np.mean(part) for part in parts] == pytest.approx([0.683] * 3, abs=0.08)
    assert np.median(error[-1000:]) > 4 * np.median(error[:1000])


def test_errors_from_few_bars_hold_too() -> None:
    held = [np.mean(np.less_equal(*judged(drawn(20, seed), drawn(500, seed + 50)))) for seed in range(12)]
    assert np.mean(held) == pytest.approx(0.683, abs=0.05)
    assert min(held) > 0.45
    assert learn_angle_error(SCATTERS, *(take_first(part, 9) for part in drawn(20, 1))) is None


def take_first(part: dict[str, np.ndarray] | np.ndarray, number: int) -> dict[str, np.ndarray] | np.ndarray:
    return {name: values[:number] for name, values in part.items()} if isinstance(part, dict) else part[:number]


def test_disagreement_and_a_lacking_estimator_make_the_error_larger() -> None:
    learned = learn_angle_error(SCATTERS, *drawn(600, 1))
    assert learned is not None
    angles = {"direct": [30.0, 30, 30, np.nan], "mask": [31.0, 75, np.nan, np.nan], "fourier": [29.0, 31, 31, np.nan]}
    stated = np.full(4, 2.0)
    combined = combine_angles({k: np.array(v) for k, v in angles.items()}, dict.fromkeys(SCATTERS, stated), SCATTERS)
    error = learned.of(combined)
    assert error[1] > 3 * error[0]
    assert error[2] > 1.2 * error[0]
    assert np.isnan(combined.angle).tolist() == [False, False, False, True]


def test_angles_are_combined_as_axes_and_no_error_is_above_that_of_a_random_angle() -> None:
    angles = {"direct": np.array([179.0, 0.0]), "mask": np.array([1.0, 90.0]), "fourier": np.array([3.0, 90.0])}
    combined = combine_angles(angles, dict.fromkeys(SCATTERS, np.array([0.0, 500.0])), SCATTERS)
    assert combined.angle[0] == pytest.approx(0.7, abs=0.3)
    assert combined.disagreement[0] < 2
    learned = learn_angle_error(SCATTERS, *drawn(600, 1))
    assert learned is not None
    assert learned.of(combined)[1] == RANDOM_ANGLE_ERROR
