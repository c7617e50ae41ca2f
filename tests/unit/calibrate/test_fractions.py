"""How the calibration of the fractions of bulge and spiral arms is learned."""

import numpy as np
import pytest

from tuningfork.calibrate.features import fit_fraction
from tuningfork.measure.features.calibration import ARMS, BULGE, FEATURES, predictors


@pytest.mark.parametrize("name", FEATURES)
def test_the_calibration_recovers_a_relation_and_its_errors(name: str) -> None:
    rng = np.random.default_rng(1)
    share, answer = rng.uniform(0.05, 0.6, 600), rng.uniform(0.1, 0.9, 600)
    columns = predictors(name, share, answer, rng.uniform(2, 5, 600), rng.uniform(10, 40, 600))
    value = 0.1 + 0.3 * share * answer if name == ARMS else 0.2 + 0.6 * answer
    truth = np.clip(value + rng.normal(0, 0.03, 600), 0, 1)
    learned = fit_fraction(columns[:300], truth[:300], name == BULGE)
    found, error = learned.apply(columns[300:])
    assert np.std(found - truth[300:]) < 0.04
    assert np.mean(np.abs(found - truth[300:]) < error) == pytest.approx(0.68, abs=0.08)


def test_too_few_galaxies_give_no_fraction_and_say_so() -> None:
    learned = fit_fraction(np.ones((5, 2)), np.ones(5), False)
    assert "only 5" in learned.note
    assert np.isnan(learned.apply(np.ones((3, 2)))).all()
