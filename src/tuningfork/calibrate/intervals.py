"""Learning of the model of each published error, whose intervals contain the truth at their nominal rate."""

import numpy as np
from scipy.optimize import minimize

from tuningfork.measure.structure.intervals import (
    INTERVAL_PROBABILITIES,
    PREDICTORS,
    ErrorModel,
    student_loss,
    widths,
)

TERMS = {"mag": ("signal", "weight", "neighbours"), "position_angle": ("signal", "weight", "flatness")}
OTHER_TERMS = ("signal", "weight")
"""The predictors of each error, and those of all others. Tested on galaxies that the models were not learned from, any
other predictor makes an error no better, or worse where the validation galaxies are few."""
SLOPE_SPREAD = 0.5
"""Standard deviation of the normal prior of each slope."""
LOG_DEGREES, LOG_DEGREES_SPREAD = np.log(3), 0.5
"""Mean and standard deviation of the normal prior of ln(degrees of freedom). A few hundred galaxies alone leave them
uncertain by a factor of several; learned from thousands, those of the profile parameters are 2 to 6."""


def learn_errors(miss: np.ndarray, predictors: np.ndarray, name: str = "") -> ErrorModel:
    """Return the model whose intervals `INTERVAL_PROBABILITIES` contain the truth at their nominal rate.

    Slopes and degrees of freedom are learned from the likelihood, the constant from the coverage.

    Parameters
    ----------
    miss : ndarray
        (N,) errors divided by the standard deviations before this calibration, NaN where unknown.
    predictors : ndarray
        (N, 4), see :func:`tuningfork.measure.structure.intervals.error_predictors`.
    name : str
        Column of the catalogue; it decides which of the predictors are used.

    Returns
    -------
    ErrorModel
    """
    terms = TERMS.get(name, OTHER_TERMS)
    good = np.isfinite(miss)
    miss = miss[good]
    features = np.column_stack([np.ones(len(miss)), *(predictors[good, PREDICTORS.index(term)] for term in terms)])

    def loss(vector: np.ndarray) -> float:
        factor, slopes, log_degrees = features @ vector[:-1], vector[1:-1], vector[-1]
        total = student_loss((miss * np.exp(-factor)) ** 2, factor, 1, np.exp(log_degrees))
        pull = (log_degrees - LOG_DEGREES) / LOG_DEGREES_SPREAD
        return total + 0.5 * float(np.sum((slopes / SLOPE_SPREAD) ** 2) + pull**2)

    bounds = [(-3, 3), *((-2, 2) for _ in terms), (np.log(1.5), np.log(60))]
    solution = minimize(loss, [0.0] * (1 + len(terms)) + [LOG_DEGREES], method="L-BFGS-B", bounds=bounds).x
    degrees = float(np.exp(solution[-1]))
    constant = solution[0] + _matched(np.abs(miss * np.exp(-features @ solution[:-1])), degrees)
    return ErrorModel(float(constant), **dict(zip(terms, map(float, solution[1:-1]), strict=True)), degrees=degrees)


def _matched(distances: np.ndarray, degrees: float) -> float:
    """Return ln(factor) for which the coverage of `distances` is closest to nominal."""
    factors = np.linspace(-1.5, 1.5, 301)
    limits = np.exp(factors)[:, None] * np.array(list(widths(degrees).values()))
    held = np.searchsorted(np.sort(distances), limits) / len(distances)
    return float(factors[np.argmin(((held - np.array(list(INTERVAL_PROBABILITIES.values()))) ** 2).sum(axis=1))])
