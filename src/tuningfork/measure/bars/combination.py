"""The recommended bar: several estimators combined, with weights learned from held-out simulated galaxies.

Errors of ln(length) are taken in units of the error that the regressing network gives each galaxy itself, since all
estimators fail together on faint and small galaxies. With C the covariance of these errors, the best linear unbiased
estimate has the weights C^-1 1 / (1' C^-1 1) (Aitken 1936). An estimator whose weight would be negative or below
`MIN_WEIGHT` is left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

UNIT_ESTIMATOR = "direct"
"""The estimator whose own error is the unit of all others, and which stands alone where nothing could be learned."""
MIN_WEIGHT = 0.03
"""Smallest weight that an estimator may have."""


@dataclass(frozen=True)
class BarCombination:
    """Weights learned from held-out galaxies.

    Attributes
    ----------
    names : list of str
        Estimators with a covariance.
    covariance : list of list of float
        Of their errors of ln(length) in units of the error of `UNIT_ESTIMATOR`.
    scale : float
        By which the error of the combination is multiplied, so that 68 % lie within it.
    angles : dict
        Estimator -> scatter (deg) of its position angle; only those that know an angle.
    angle_scatter : float
        Scatter of the combined angle (deg).
    n : int
        Galaxies behind it; with none, only `UNIT_ESTIMATOR` counts.
    """

    names: list[str]
    covariance: list[list[float]]
    scale: float
    angles: dict[str, float]
    angle_scatter: float
    n: int

    def lengths(self, found: Mapping[str, np.ndarray], unit: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the combined lengths.

        Parameters
        ----------
        found : mapping
            Estimator -> (N,) calibrated lengths, NaN where there is none.
        unit : ndarray
            (N,) standard deviation of ln(length) by `UNIT_ESTIMATOR`.

        Returns
        -------
        length, error : ndarray
            (N,) and the standard deviation of ln(length).
        method : ndarray
            (N,) names of the estimators with a weight, joined by '+'; None where there is no length.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.stack([np.log(found[name]) for name in self.names], axis=1)
        logs[~np.isfinite(logs)] = np.nan
        number = len(logs)
        mean, error = np.full(number, np.nan), np.full(number, np.nan)
        method = np.full(number, None, dtype=object)
        present = np.isfinite(logs)
        for pattern in np.unique(present, axis=0):
            if not pattern.any():
                continue
            rows = (present == pattern).all(axis=1)
            weights, variance = self._weights(pattern)
            mean[rows] = np.nan_to_num(logs[rows]) @ weights
            error[rows] = self.scale * np.sqrt(variance) * unit[rows]
            method[rows] = "+".join(name for name, weight in zip(self.names, weights, strict=True) if weight > 0)
        return np.exp(mean), error, method

    def _weights(self, present: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the weights (K,) of the estimators that are present and worth it, and the variance."""
        covariance, used = np.array(self.covariance), np.flatnonzero(present)
        while True:
            solution = np.linalg.solve(covariance[np.ix_(used, used)], np.ones(len(used)))
            weights = solution / solution.sum()
            if len(used) == 1 or (weights >= MIN_WEIGHT).all():
                break
            used = np.delete(used, np.argmin(weights))
        result = np.zeros(len(present))
        result[used] = weights
        return result, float(result @ covariance @ result)

    def angle(
        self, angles: Mapping[str, np.ndarray], spreads: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the combined position angle and its error.

        Parameters
        ----------
        angles, spreads : mapping
            Estimator -> (N,) position angles and their own standard deviations (deg).

        Returns
        -------
        angle, error : ndarray
            (N,) deg, NaN where no estimator knows an angle.
        """
        total = np.zeros(len(next(iter(angles.values()))), dtype=complex)
        weight, spread = np.zeros(len(total)), np.zeros(len(total))
        for name, scatter in self.angles.items():
            known = np.isfinite(angles[name])
            one = np.where(known, 1 / scatter**2, 0)
            total += one * np.where(known, np.exp(2j * np.deg2rad(angles[name])), 0)
            weight += one
            spread += one * np.where(known, np.nan_to_num(spreads[name]), 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(weight > 0, np.rad2deg(np.angle(total)) / 2 % 180, np.nan)
            error = np.maximum(spread / weight, self.angle_scatter)
        return mean, np.where(weight > 0, error, np.nan)


def direct_alone() -> BarCombination:
    """Return the combination that takes `UNIT_ESTIMATOR` as it is, for want of galaxies to learn from."""
    return BarCombination([UNIT_ESTIMATOR], [[1.0]], 1.0, {UNIT_ESTIMATOR: 1.0}, 0.0, 0)
