"""Learning of the errors of combined position angles of bars: arrays in, an error model out."""

import itertools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tuningfork.core.records import take
from tuningfork.core.statistics import CENTRAL_68, FEWEST, angle_difference
from tuningfork.measure.bars.angle import AngleError, combine_angles

FLOORS, STATED_WEIGHTS = np.geomspace(0.5, 10, 25), np.geomspace(0.01, 10, 25)
"""Values of `floor` (deg) and `stated_weight` of an :class:`AngleError` that are tried."""
USUAL_FLOOR, USUAL_WEIGHT, PRIOR_WIDTHS = 2.0, 0.5, (0.5, 1.0)
"""Values that few galaxies cannot change much, and the standard deviations of their logarithms before any galaxy is seen."""
MIN_ANGLE_SCALE = 0.01
"""Least `scale`, where the angles of most galaxies are exact."""
ANGLE_TAIL = 3
"""Degrees of freedom of the Student distribution of angle errors in units of their own: some bars are lost altogether."""


def learn_angle_error(
    scatters: Mapping[str, float],
    angles: Mapping[str, np.ndarray],
    spreads: Mapping[str, np.ndarray],
    true_angle: np.ndarray,
) -> AngleError | None:
    """Learn the error of each galaxy's combined position angle.

    Floor and weight are those with the largest likelihood on a grid. The scale follows from each pair: 68 % of the galaxies
    lie within their error.

    Parameters
    ----------
    scatters : mapping
        Estimator -> scatter of its angle (deg), as in :class:`tuningfork.measure.bars.combination.BarCombination`.
    angles, spreads : mapping
        Estimator -> (N,) position angles and the standard deviations that it states (deg).
    true_angle : ndarray
        (N,) deg.

    Returns
    -------
    AngleError or None
        None for fewer than ten galaxies with an angle.
    """
    combined = combine_angles(angles, spreads, scatters)
    miss = np.abs(angle_difference(combined.angle, true_angle))
    good = np.isfinite(miss)
    n = int(np.count_nonzero(good))
    if n < FEWEST:
        return None
    seen = take(combined, good)
    best, least = None, np.inf
    for floor, weight in itertools.product(FLOORS, STATED_WEIGHTS):
        unscaled = AngleError(float(floor), float(weight), 1.0, n)
        scale = float(np.quantile(miss[good] / unscaled.of(seen), CENTRAL_68))
        tried = replace(unscaled, scale=max(scale, MIN_ANGLE_SCALE))
        cost = _angle_cost(tried, miss[good], tried.of(seen))
        if cost < least:
            best, least = tried, cost
    return best


def _angle_cost(model: AngleError, miss: np.ndarray, error: np.ndarray) -> float:
    """Return minus the logarithm of the posterior probability of a model, without constants."""
    likelihood = np.log(error) + (ANGLE_TAIL + 1) / 2 * np.log1p((miss / error) ** 2 / ANGLE_TAIL)
    away = np.log([model.floor / USUAL_FLOOR, model.stated_weight / USUAL_WEIGHT]) / PRIOR_WIDTHS
    return float(likelihood.sum() + np.sum(away**2) / 2)
