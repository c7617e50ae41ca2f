"""The recommended bar: the combination of several estimators, with weights learned from held-out simulated galaxies.

Errors of ln(length) are divided by the error that the regressing network states for each galaxy, since all estimators
are less precise for faint and small galaxies. With C the covariance of the resulting errors, the best linear unbiased
estimate has the weights C^-1 1 / (1' C^-1 1) (Aitken 1936). An estimator whose weight would be below `MIN_WEIGHT` is
left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tuningfork.core.calibration_file import require, require_not_negative, require_range

UNIT_ESTIMATOR = "direct"
"""The estimator whose stated error is the unit of all errors; it is used alone where no weights could be learned."""
MIN_WEIGHT = 0.03
"""Smallest weight of an estimator that is used."""


@dataclass(frozen=True)
class BarCombination:
    """Weights learned from held-out galaxies.

    Attributes
    ----------
    names : list of str
        Names of the estimators in `covariance`.
    covariance : list of list of float
        Covariance of their errors of ln(length) in units of the error of `UNIT_ESTIMATOR`.
    scale : float
        Factor of the error of the combination, such that 68 % of the galaxies lie within the error.
    angles : dict
        Estimator -> scatter (deg) of its position angle, for the estimators that measure one.
    angle_scatter : float
        Scatter of the combined angle (deg).
    n : int
        Number of galaxies that it was learned from; with 0, only `UNIT_ESTIMATOR` is used.
    """

    names: list[str]
    covariance: list[list[float]]
    scale: float
    angles: dict[str, float]
    angle_scatter: float
    n: int

    def __post_init__(self) -> None:
        number = len(self.names)
        require(number > 0 and len(set(self.names)) == number, "names must be estimators, each of them once")
        lengths = [len(row) for row in self.covariance]
        require(lengths == [number] * number, f"covariance must have {number} rows of {number} numbers, as names has")
        require(_is_covariance(np.array(self.covariance)), "covariance must be symmetric and positive definite")
        require_not_negative(self, "scale", "n")
        require_range(self, 0, 180, "angle_scatter")
        require(len(self.angles) > 0, "angles has no estimator")
        for name, scatter in self.angles.items():
            require(0 < scatter < np.inf, f"angles.{name} is {scatter:g}, but must be above zero")

    def lengths(
        self, calibrated: Mapping[str, np.ndarray], unit: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the combined lengths.

        Parameters
        ----------
        calibrated : mapping
            Estimator -> (N,) calibrated lengths, NaN without a measurement.
        unit : ndarray
            (N,) standard deviation of ln(length) by `UNIT_ESTIMATOR`.

        Returns
        -------
        length, error : ndarray
            (N,) lengths, and the standard deviations of ln(length).
        method : ndarray
            (N,) names of the estimators with a weight, joined by '+'; None without a length.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.stack([np.log(calibrated[name]) for name in self.names], axis=1)
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
        """Return the weights (K,) of the estimators, zero for those not used, and the variance of the combination."""
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
            Estimator -> (N,) position angles and their stated standard deviations (deg).

        Returns
        -------
        angle, error : ndarray
            (N,) deg, NaN where no estimator measured an angle.
        """
        total = np.zeros(len(next(iter(angles.values()))), dtype=complex)
        weight, spread = np.zeros(len(total)), np.zeros(len(total))
        for name, scatter in self.angles.items():
            known = np.isfinite(angles[name])
            weights = np.where(known, 1 / scatter**2, 0)
            total += weights * np.where(known, np.exp(2j * np.deg2rad(angles[name])), 0)
            weight += weights
            spread += weights * np.where(known, np.nan_to_num(spreads[name]), 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(weight > 0, np.rad2deg(np.angle(total)) / 2 % 180, np.nan)
            error = np.maximum(spread / weight, self.angle_scatter)
        return mean, np.where(weight > 0, error, np.nan)


def _is_covariance(matrix: np.ndarray) -> bool:
    """Return whether a square matrix is symmetric and positive definite."""
    return bool(np.isfinite(matrix).all() and np.allclose(matrix, matrix.T) and np.linalg.eigvalsh(matrix).min() > 0)


def direct_alone() -> BarCombination:
    """Return the combination that uses `UNIT_ESTIMATOR` alone, for too few galaxies to learn from."""
    return BarCombination([UNIT_ESTIMATOR], [[1.0]], 1.0, {UNIT_ESTIMATOR: 1.0}, 0.0, 0)
