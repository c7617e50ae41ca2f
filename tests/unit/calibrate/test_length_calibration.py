"""How the calibration of one estimator of bar lengths is learned."""

import numpy as np
import pytest

from tuningfork.calibrate.bar_learning import fit_lengths
from tuningfork.measure.bars.length_calibration import identity


def test_the_calibration_recovers_a_power_law_and_its_scatter() -> None:
    rng = np.random.default_rng(0)
    raw, psf = rng.uniform(8, 60, 400), rng.uniform(2, 5, 400)
    truth = 1.5 * raw**0.8 * psf**0.2 * rng.lognormal(0, 0.1, 400)
    found = fit_lengths(raw, np.full(400, 0.05), truth, psf)
    assert [found.slope, found.psf_slope] == pytest.approx([0.8, 0.2], abs=0.05)
    assert found.scatter == pytest.approx(0.1, rel=0.15)
    assert found.error(np.array([0.05]))[0] == pytest.approx(found.scatter, rel=0.01)


def test_too_few_galaxies_leave_the_lengths_as_they_are_and_say_so() -> None:
    few = np.array([10.0, 20.0])
    found = fit_lengths(few, few * 0, few, few)
    assert found == identity(2)
    assert "2" in found.note
    assert found.apply(few, few) == pytest.approx(few)
