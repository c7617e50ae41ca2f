"""The recommended bar: the combination of several estimators, with weights learned from held-out simulated galaxies.

Errors of ln(length) are divided by the error that the regressing network states for each galaxy, since all estimators
are less precise for faint and small galaxies. With C the covariance of the resulting errors, the best linear unbiased
estimate has the weights C^-1 1 / (1' C^-1 1) (Aitken 1936). An estimator whose weight would be below `MIN_WEIGHT` is
left out.

Weights and errors learned on simulated galaxies hold for galaxies that resemble them. On a strange galaxy the estimators
disagree by more than their errors. An estimator that is more than `OUTLIER_SIGMA` of its errors from the combination then
counts with an error as large as its distance requires (Huber 1964), and the error of the combination grows with the
disagreement (Birge 1932).

An estimator that was fitted to true lengths gives the mean of the lengths that are possible, so that lengths with large
errors regress to the mean of the galaxies that it learned from: short bars come out too long and long ones too short.
The last step takes this away, galaxy by galaxy, according to its error.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tuningfork.core.calibration_file import ADDED, require, require_not_negative, require_range
from tuningfork.measure.bars.angle import AngleError, combine_angles

UNIT_ESTIMATOR = "direct"
"""The estimator whose stated error is the unit of all errors; it is used alone where no weights could be learned."""
MIN_WEIGHT = 0.03
"""Smallest weight of an estimator that is used."""
MIN_RESPONSE = 0.6
"""Smallest factor by which a length that regresses to the mean is divided."""
OUTLIER_SIGMA = 2.0
"""Distance from the combination, in errors of an estimator, beyond which it counts less."""
ROBUST_STEPS = 5
"""Number of times that the combination and the distances from it are computed in turn."""


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
    angle_error : AngleError or None
        The error of each galaxy's combined angle; None: it was not learned, and `angle_scatter` is the least error of all.
    n : int
        Number of galaxies that it was learned from; with 0, only `UNIT_ESTIMATOR` is used.
    offset : float
        Mean error of the combined ln(length), which is subtracted: estimators are calibrated on all bars, and resolved
        ones have an offset of their own.
    middle, regression : float
        Combined lengths regress to the mean: the expected ln(length) less `middle` is that of the true length times
        1 - regression x error^2. Published lengths are divided by this factor; with `regression` 0 they stay as they are.
    """

    names: list[str]
    covariance: list[list[float]]
    scale: float
    angles: dict[str, float]
    angle_scatter: float
    n: int
    offset: float = 0.0
    middle: float = 0.0
    regression: float = 0.0
    angle_error: AngleError | None = field(default=None, metadata=ADDED)

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
        mean, error, disagreement = np.full(number, np.nan), np.full(number, np.nan), np.ones(number)
        method = np.full(number, None, dtype=object)
        present = np.isfinite(logs)
        for pattern in np.unique(present, axis=0):
            if not pattern.any():
                continue
            rows = np.flatnonzero((present == pattern).all(axis=1))
            weights, variance = _weights(np.array(self.covariance), pattern)
            mean[rows] = np.nan_to_num(logs[rows]) @ weights
            error[rows] = self.scale * np.sqrt(variance) * unit[rows]
            method[rows] = self._method(weights)
            for row in rows[self._strange(logs[rows], mean[rows], unit[rows])]:
                mean[row], error[row], disagreement[row], method[row] = self._robust(logs[row], pattern, unit[row])
        response = np.maximum(1 - self.regression * error**2, MIN_RESPONSE)
        return (
            np.exp(self.middle + (mean - self.offset - self.middle) / response),
            disagreement * error / response,
            method,
        )

    def _method(self, weights: np.ndarray) -> str:
        return "+".join(name for name, weight in zip(self.names, weights, strict=True) if weight > 0)

    def _strange(self, logs: np.ndarray, mean: np.ndarray, unit: np.ndarray) -> np.ndarray:
        """Return which of N galaxies have an estimator (N, K) far from the combination."""
        with np.errstate(invalid="ignore", divide="ignore"):
            distance = np.abs(logs - mean[:, None]) / (unit[:, None] * np.sqrt(np.diag(self.covariance)))
        return np.asarray((np.nan_to_num(distance) > OUTLIER_SIGMA).any(axis=1))

    def _robust(self, logs: np.ndarray, present: np.ndarray, unit: float) -> tuple[float, float, float, str]:
        """Return the combination of one galaxy's estimates (K,), with outliers counting less.

        The error does not contain the disagreement, by which it must be multiplied; the method comes last.
        """
        deviation = unit * np.sqrt(np.diag(self.covariance))
        mean = _weighted_median(logs[present], 1 / deviation[present])
        for _ in range(ROBUST_STEPS):
            distance = np.nan_to_num(np.abs(logs - mean) / deviation)
            inflation = np.maximum(distance / OUTLIER_SIGMA, 1.0)
            weights, variance = _weights(np.array(self.covariance) * np.outer(inflation, inflation), present)
            mean = float(np.nan_to_num(logs) @ weights)
        distance = np.nan_to_num(np.abs(logs - mean) / (deviation * inflation))
        disagreement = np.sqrt(max(float((distance**2).sum()) / max(int(np.count_nonzero(present)) - 1, 1), 1.0))
        return mean, self.scale * np.sqrt(variance) * unit, disagreement, self._method(weights)

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
        combined = combine_angles(angles, spreads, self.angles)
        if self.angle_error is None:
            return combined.angle, np.maximum(combined.stated, self.angle_scatter)
        known = np.isfinite(combined.angle)
        return combined.angle, np.where(known, self.angle_error.of(combined), np.nan)


def _is_covariance(matrix: np.ndarray) -> bool:
    """Return whether a square matrix is symmetric and positive definite."""
    return bool(np.isfinite(matrix).all() and np.allclose(matrix, matrix.T) and np.linalg.eigvalsh(matrix).min() > 0)


def direct_alone() -> BarCombination:
    """Return the combination that uses `UNIT_ESTIMATOR` alone, for too few galaxies to learn from."""
    return BarCombination([UNIT_ESTIMATOR], [[1.0]], 1.0, {UNIT_ESTIMATOR: 1.0}, 0.0, 0)


def _weights(covariance: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the weights (K,) of the estimators, zero for those not used, and the variance of the combination."""
    used = np.flatnonzero(present)
    while True:
        solution = np.linalg.solve(covariance[np.ix_(used, used)], np.ones(len(used)))
        weights = solution / solution.sum()
        if len(used) == 1 or (weights >= MIN_WEIGHT).all():
            break
        used = np.delete(used, np.argmin(weights))
    result = np.zeros(len(present))
    result[used] = weights
    return result, float(result @ covariance @ result)


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values)
    below = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(below, below[-1] / 2)])
