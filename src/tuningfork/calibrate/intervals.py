"""Learning of the model of each published error, whose intervals contain the truth at their nominal rate."""

import numpy as np
from scipy.optimize import minimize

from tuningfork.measure.structure.intervals import (
    DEGREES_GRID,
    INTERVAL_PROBABILITIES,
    NORMAL_DEGREES,
    ErrorModel,
    error_predictors,
    student_loss,
    widths,
)


def learn_errors(miss: np.ndarray, signal: np.ndarray, weight: np.ndarray) -> ErrorModel:
    """Return the model whose intervals `INTERVAL_PROBABILITIES` contain the truth at their nominal rate.

    The slopes are learned from the likelihood, the constant and the degrees of freedom from the coverage.

    Parameters
    ----------
    miss : ndarray
        (N,) errors divided by the standard deviations before this calibration, NaN where unknown.
    signal, weight : ndarray
        (N,) signal-to-noise ratio and weight of the fit.

    Returns
    -------
    ErrorModel
    """
    good = np.isfinite(miss)
    miss, features = miss[good], error_predictors(signal, weight)[good]

    def loss(vector: np.ndarray) -> float:
        factor = features @ vector[:3]
        total = student_loss((miss * np.exp(-factor)) ** 2, factor, 1, np.exp(vector[3]))
        return total + 0.5 * float(np.sum((vector[1:3] / 0.5) ** 2))

    bounds = [(-3, 3), (-1, 1), (-2, 2), (np.log(1.5), np.log(60))]
    solution = minimize(loss, [0, 0, 0, np.log(5)], method="L-BFGS-B", bounds=bounds).x
    distances = np.abs(miss * np.exp(-features @ solution[:3]))
    constant, degrees = _matched(distances)
    return ErrorModel(float(solution[0] + constant), float(solution[1]), float(solution[2]), degrees)


def _matched(distances: np.ndarray) -> tuple[float, float]:
    """Return ln(factor) and the degrees of freedom for which the coverage of `distances` is closest to nominal."""
    ordered = np.sort(distances)
    factors = np.linspace(-1.5, 1.5, 301)
    best, result = np.inf, (0.0, NORMAL_DEGREES)
    for degrees in DEGREES_GRID[::-1]:  # of equally good values, the largest wins
        limits = np.exp(factors)[:, None] * np.array(list(widths(degrees).values()))
        held = np.searchsorted(ordered, limits) / len(ordered)
        worst = ((held - np.array(list(INTERVAL_PROBABILITIES.values()))) ** 2).sum(axis=1)
        if worst.min() < best - 1e-6:
            best, result = worst.min(), (float(factors[np.argmin(worst)]), float(degrees))
    return result
