"""The recommended bar: what several estimators say, each weighted as it deserves on held-out simulations.

Errors of ln(length) are taken in units of the error that the regressing network gives each galaxy itself, since all
estimators fail together on faint and small ones. With their covariance C, the best linear unbiased estimate of those
at hand has the weights C^-1 1 / (1' C^-1 1) (Aitken 1936); an estimator that would get hardly any weight, or a
negative one, is left out.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tuningfork.core.statistics import CENTRAL_68, FEWEST, MAD_TO_SIGMA, angle_difference, robust_scatter

FIRST = "direct"
"""The estimator whose own error is the unit of all others, and which stands alone where nothing could be learnt."""
CLIP = 4.0
"""Deviations beyond so many robust scatters count as that many: a few lost bars must not decide the weights."""
LEAST_WEIGHT = 0.03
"""Smallest weight that an estimator may have."""


@dataclass(frozen=True)
class BarCombination:
    """Weights learnt on held-out galaxies.

    Attributes
    ----------
    names : list of str
        Estimators with a covariance.
    covariance : list of list of float
        Of their errors of ln(length) in units of the error of `FIRST`.
    scale : float
        By which the error of the combination is multiplied, so that 68 % lie within it.
    angles : dict
        Estimator -> scatter (deg) of its position angle; only those that know an angle.
    angle_scatter : float
        Scatter of the combined angle (deg).
    n : int
        Galaxies behind it; with none only `FIRST` counts.
    """

    names: list[str]
    covariance: list[list[float]]
    scale: float
    angles: dict[str, float]
    angle_scatter: float
    n: int

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "BarCombination":
        """Return the combination that :meth:`as_dict` wrote."""
        return cls(**values)

    def lengths(self, found: Mapping[str, np.ndarray], unit: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the combined lengths.

        Parameters
        ----------
        found : mapping
            Estimator -> (N,) calibrated lengths, NaN where there is none.
        unit : ndarray
            (N,) standard deviation of ln(length) by `FIRST`.

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
            if len(used) == 1 or (weights >= LEAST_WEIGHT).all():
                break
            used = np.delete(used, np.argmin(weights))
        result = np.zeros(len(present))
        result[used] = weights
        return result, float(result @ covariance @ result)

    def angle(
        self, angles: Mapping[str, np.ndarray], spreads: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the combined position angle and its error (deg), from those of the estimators (N,)."""
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


def alone() -> BarCombination:
    """Return the combination that leaves `FIRST` as it is, for want of galaxies to learn from."""
    return BarCombination([FIRST], [[1.0]], 1.0, {FIRST: 1.0}, 0.0, 0)


def learn(
    found: Mapping[str, np.ndarray],
    unit: np.ndarray,
    truth: np.ndarray,
    angles: Mapping[str, np.ndarray],
    true_angle: np.ndarray,
) -> BarCombination:
    """Learn the weights.

    Parameters
    ----------
    found : mapping
        Estimator -> (N,) calibrated lengths.
    unit : ndarray
        (N,) standard deviation of ln(length) by `FIRST`.
    truth : ndarray
        (N,) true lengths, in the same unit as `found`.
    angles : mapping
        Estimator -> (N,) position angles (deg).
    true_angle : ndarray
        (N,) deg.

    Returns
    -------
    BarCombination
        Of the estimators that gave a length for at least half of the galaxies that `FIRST` has one for.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = {name: np.log(values / truth) / unit for name, values in found.items()}
    usable = np.isfinite(errors[FIRST])
    names = [name for name in found if np.isfinite(errors[name][usable]).sum() > usable.sum() / 2]
    together = np.all([np.isfinite(errors[name]) for name in names], axis=0) if names else usable
    n = int(together.sum())
    if FIRST not in names or n < FEWEST:
        return alone()
    clipped = np.stack([_clipped(errors[name][together]) for name in names])
    covariance = np.cov(clipped, bias=True).reshape(len(names), len(names))
    # Almost equal estimators: a hundredth of the variance keeps the inverse from living on their difference.
    covariance[np.diag_indices(len(names))] *= 1.01
    scatters = {name: _angle_scatter(values[together], true_angle[together]) for name, values in angles.items()}
    known = {name: scatter for name, scatter in scatters.items() if np.isfinite(scatter)}
    raw = BarCombination(names, covariance.tolist(), 1.0, known or {FIRST: 1.0}, 0.0, n)
    length, error, _ = raw.lengths({name: found[name][together] for name in names}, unit[together])
    scale = float(np.quantile(np.abs(np.log(length / truth[together])) / error, CENTRAL_68))
    angle, _ = raw.angle({k: v[together] for k, v in angles.items()}, {k: np.zeros(n) for k in angles})
    scatter = _angle_scatter(angle, true_angle[together])
    return BarCombination(names, raw.covariance, scale, raw.angles, scatter if np.isfinite(scatter) else 0.0, n)


def _clipped(values: np.ndarray) -> np.ndarray:
    middle, reach = np.median(values), CLIP * robust_scatter(values)
    return np.clip(values, middle - reach, middle + reach)


def _angle_scatter(found: np.ndarray, truth: np.ndarray) -> float:
    """Return the robust scatter (deg), at least a tenth of a degree; NaN for fewer than ten angles."""
    miss = np.abs(angle_difference(found, truth))
    miss = miss[np.isfinite(miss)]
    return max(MAD_TO_SIGMA * float(np.median(miss)), 0.1) if len(miss) >= FEWEST else np.nan
