"""The recommended bar: the combination of several estimators, with weights learned from held-out simulated galaxies.

Errors of ln(length) are divided by the error that the regressing network states for each galaxy, since all estimators
are less precise for faint and small galaxies. With C the covariance of the resulting errors, the best linear unbiased
estimate has the weights C^-1 1 / (1' C^-1 1) (Aitken 1936). An estimator whose weight would be below `MIN_WEIGHT` is
left out.

Weights and errors learned on simulated galaxies hold for galaxies that resemble them. Real bars differ from simulated
ones, and by how much is not learned from simulations. Therefore every estimate has a further error, `transfer`, which
the estimators share that read the same network, or the same light. Without it the networks, which are most precise on
simulations, would get nearly all of the weight, and errors of real galaxies would be too small.

On a strange galaxy the estimators disagree by more than their errors. An estimator that is more than `OUTLIER_SIGMA` of its errors from the combination then
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
from tuningfork.measure.bars.angle import RANDOM_ANGLE_ERROR, AngleError, combine_angles

UNIT_ESTIMATOR = "direct"
"""The estimator whose stated error is the unit of all errors; it is used alone where no weights could be learned."""
OF_LIGHT = ("fourier",)
"""Estimators that read the light alone; the others read a network."""
SHARED_TRANSFER = 0.8
"""Correlation of the transfer errors of estimators that read the same network, or the same light."""
MIN_WEIGHT = 0.03
"""Smallest weight of an estimator that is used."""
MIN_RESPONSE = 0.6
"""Smallest factor by which a length that regresses to the mean is divided."""
OUTLIER_SIGMA = 2.0
"""Distance from the combination, in errors of an estimator, beyond which it counts less."""
ROBUST_STEPS = 5
"""Number of times that the combination and the distances from it are computed in turn."""


@dataclass(frozen=True)
class CombinedLengths:
    """Recommended lengths.

    Attributes
    ----------
    length : ndarray
        (N,), NaN without a measurement.
    error : ndarray
        (N,) standard deviation of ln(length).
    learned_error : ndarray
        (N,) the part of it that holds on galaxies like those that it was learned from.
    method : ndarray
        (N,) names of the estimators with a weight, joined by '+'; None without a length.
    """

    length: np.ndarray
    error: np.ndarray
    learned_error: np.ndarray
    method: np.ndarray


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
    transfer : float
        Standard deviation of ln(length), in addition to what held-out simulated galaxies show, with which an estimator
        measures galaxies that are not simulated.
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
    transfer: float = field(default=0.0, metadata=ADDED)

    def __post_init__(self) -> None:
        number = len(self.names)
        require(number > 0 and len(set(self.names)) == number, "names must be estimators, each of them once")
        lengths = [len(row) for row in self.covariance]
        require(lengths == [number] * number, f"covariance must have {number} rows of {number} numbers, as names has")
        require(_is_covariance(np.array(self.covariance)), "covariance must be symmetric and positive definite")
        require_not_negative(self, "scale", "n", "transfer")
        require_range(self, 0, 180, "angle_scatter")
        require(len(self.angles) > 0, "angles has no estimator")
        for name, scatter in self.angles.items():
            require(0 < scatter < np.inf, f"angles.{name} is {scatter:g}, but must be above zero")

    def lengths(self, calibrated: Mapping[str, np.ndarray], unit: np.ndarray) -> "CombinedLengths":
        """Return the combined lengths.

        Parameters
        ----------
        calibrated : mapping
            Estimator -> (N,) calibrated lengths, NaN without a measurement.
        unit : ndarray
            (N,) standard deviation of ln(length) by `UNIT_ESTIMATOR`.

        Returns
        -------
        CombinedLengths
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.stack([np.log(calibrated[name]) for name in self.names], axis=1)
        logs[~np.isfinite(logs)] = np.nan
        unit = np.where(np.isfinite(unit) & (unit > 0), unit, 1.0)
        covariances = unit[:, None, None] ** 2 * np.array(self.covariance) + self._transferred()
        deviation = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
        mean, weights, inflation = _combined(logs, covariances, deviation)
        present = np.isfinite(logs).any(axis=1)
        inflated = weights * inflation
        learned = self.scale * unit * np.sqrt(_quadratic(inflated, np.array(self.covariance)))
        disagreement = np.where(present, _disagreement(logs, mean, deviation, inflation), np.nan)
        error = np.hypot(learned, np.sqrt(_quadratic(inflated, self._transferred())))
        # Lengths regress according to the error that was learned.
        response = np.maximum(1 - self.regression * learned**2, MIN_RESPONSE)
        length = np.exp(self.middle + (mean - self.offset - self.middle) / response)
        method = np.array(
            [self._method(row) if has else None for row, has in zip(weights, present, strict=True)], object
        )
        factor = disagreement / response
        return CombinedLengths(np.where(present, length, np.nan), factor * error, factor * learned, method)

    def _method(self, weights: np.ndarray) -> str:
        return "+".join(name for name, weight in zip(self.names, weights, strict=True) if weight > 0)

    def _transferred(self) -> np.ndarray:
        """Return the covariance (K, K) of the errors of ln(length) that simulated galaxies do not show."""
        light = np.isin(self.names, OF_LIGHT)
        same = light[:, None] == light
        return self.transfer**2 * (SHARED_TRANSFER * same + (1 - SHARED_TRANSFER) * np.eye(len(light)))

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
            return combined.angle, np.minimum(np.maximum(combined.stated, self.angle_scatter), RANDOM_ANGLE_ERROR)
        known = np.isfinite(combined.angle)
        return combined.angle, np.where(known, self.angle_error.of(combined), np.nan)


def _is_covariance(matrix: np.ndarray) -> bool:
    """Return whether a square matrix is symmetric and positive definite."""
    return bool(np.isfinite(matrix).all() and np.allclose(matrix, matrix.T) and np.linalg.eigvalsh(matrix).min() > 0)


def direct_alone() -> BarCombination:
    """Return the combination that uses `UNIT_ESTIMATOR` alone, for too few galaxies to learn from."""
    return BarCombination([UNIT_ESTIMATOR], [[1.0]], 1.0, {UNIT_ESTIMATOR: 1.0}, 0.0, 0)


def _combined(
    logs: np.ndarray, covariances: np.ndarray, deviation: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the combined ln(length) (N,), the weights of the estimators and the factors of their errors, both (N, K)."""
    weights, inflation = _weights(covariances, np.isfinite(logs)), np.ones(logs.shape)
    mean = _weighted(logs, weights)
    strange = np.flatnonzero((np.nan_to_num(np.abs(logs - mean[:, None]) / deviation) > OUTLIER_SIGMA).any(axis=1))
    if len(strange):
        mean[strange], weights[strange], inflation[strange] = _robust(
            logs[strange], covariances[strange], deviation[strange]
        )
    return mean, weights, inflation


def _disagreement(logs: np.ndarray, mean: np.ndarray, deviation: np.ndarray, inflation: np.ndarray) -> np.ndarray:
    """Return the factor (N,) by which errors grow where the estimators disagree; 1 where none is far off."""
    distance = np.nan_to_num(np.abs(logs - mean[:, None]) / (deviation * inflation))
    freedom = np.maximum(np.isfinite(logs).sum(axis=1) - 1, 1)
    birge = np.sqrt(np.maximum((distance**2).sum(axis=1) / freedom, 1.0))
    return np.where((inflation > 1).any(axis=1), birge, 1.0)


def _weights(covariances: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Return the best weights (N, K) of the estimators of each galaxy, zero for those not present or not used."""
    used = present.copy()
    number = used.shape[1]
    while True:
        # What is not used gets an error of its own beside which the others' are nothing.
        both = used[:, :, None] & used[:, None, :]
        masked = np.where(both, covariances, 0) + np.where(used, 0, 1)[:, :, None] * np.eye(number)
        solution = np.linalg.solve(masked, used[:, :, None].astype(float))[:, :, 0]
        weights = np.where(used, solution, 0) / np.where(used.any(axis=1), (solution * used).sum(axis=1), 1)[:, None]
        smallest = np.where(used, weights, np.inf).argmin(axis=1)
        rows = np.arange(len(used))
        drop = (weights[rows, smallest] < MIN_WEIGHT) & (used.sum(axis=1) > 1)
        if not drop.any():
            return weights
        used[rows[drop], smallest[drop]] = False


def _robust(
    logs: np.ndarray, covariances: np.ndarray, deviation: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the combined ln(length) (N,) with outliers counting less, the weights and the factors of the errors (N, K)."""
    present = np.isfinite(logs)
    mean = np.array(
        [_weighted_median(row[has], 1 / width[has]) for row, has, width in zip(logs, present, deviation, strict=True)]
    )
    for _ in range(ROBUST_STEPS):
        distance = np.nan_to_num(np.abs(logs - mean[:, None]) / deviation)
        inflation = np.maximum(distance / OUTLIER_SIGMA, 1.0)
        weights = _weights(covariances * inflation[:, :, None] * inflation[:, None, :], present)
        mean = _weighted(logs, weights)
    return mean, weights, inflation


def _weighted(logs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.asarray((np.nan_to_num(logs) * weights).sum(axis=1))


def _quadratic(weights: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return w' C w of each row of weights (N, K)."""
    return np.asarray(np.einsum("ni,ij,nj->n", weights, covariance, weights))


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values)
    below = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(below, below[-1] / 2)])
