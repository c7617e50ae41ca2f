"""Statistics that several rooms need, each once: arrays in, numbers out; None where there are too few values to say."""

from typing import Any

import numpy as np

FEWEST = 10
"""A figure from fewer values than this is not given."""
BOOTSTRAP_RESAMPLINGS = 500
CENTRAL_68 = 0.6827
"""Probability within one standard deviation of a normal distribution."""
MAD_TO_SIGMA = 1.4826
"""Standard deviation of a normal distribution over the median of its absolute deviations."""


def robust_scatter(values: np.ndarray) -> float:
    """Return half the width of the central 68.3 %, the standard deviation of a normal distribution.

    Parameters
    ----------
    values : ndarray
    """
    low, high = np.quantile(values, [0.5 - CENTRAL_68 / 2, 0.5 + CENTRAL_68 / 2])
    return float(high - low) / 2


def figure(value: float) -> float | None:
    """Return `value` as JSON has it: None for a number that is not finite."""
    return float(value) if np.isfinite(value) else None


def correlation(one: np.ndarray, other: np.ndarray) -> float | None:
    """Return Pearson's r, None for too few values or a constant.

    Parameters
    ----------
    one, other : ndarray
        (N,)
    """
    if len(one) < FEWEST or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return figure(np.corrcoef(one, other)[0, 1])


def correlation_error(one: np.ndarray, other: np.ndarray, generator: np.random.Generator) -> float | None:
    """Return the standard deviation of Pearson's r over bootstrap resamplings.

    Parameters
    ----------
    one, other : ndarray
        (N,)
    generator : numpy.random.Generator

    Returns
    -------
    float or None
        None for too few values or a constant.
    """
    if correlation(one, other) is None:
        return None
    rows = generator.integers(0, len(one), (BOOTSTRAP_RESAMPLINGS, len(one)))
    x, y = one[rows], other[rows]
    x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        r = (x * y).sum(axis=1) / np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
    return figure(np.nanstd(r))


def partial_correlation(one: np.ndarray, other: np.ndarray, given: np.ndarray) -> float | None:
    """Return the correlation of two quantities after a linear dependence of both on a third is removed.

    Parameters
    ----------
    one, other : ndarray
        (N,) the two quantities.
    given : ndarray
        (N,) the third.

    Returns
    -------
    float or None
        None for too few values or a constant.
    """
    r_12, r_13, r_23 = correlation(one, other), correlation(one, given), correlation(other, given)
    if r_12 is None or r_13 is None or r_23 is None:
        return None
    rest = (1 - r_13**2) * (1 - r_23**2)
    return figure((r_12 - r_13 * r_23) / np.sqrt(rest)) if rest > 1e-12 else None


def angle_difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the difference of two position angles, which are axes without a direction.

    Parameters
    ----------
    one, other : ndarray
        Position angles (deg).

    Returns
    -------
    ndarray
        deg, in [-90, 90).
    """
    return (np.asarray(one) - np.asarray(other) + 90) % 180 - 90


def area_under_curve(score: np.ndarray, positive: np.ndarray) -> dict[str, Any]:
    """Return the area under the receiver operating characteristic, with its standard error.

    The error is that of Hanley & McNeil 1982 (Radiology 143, 29).

    Parameters
    ----------
    score : ndarray
        (N,) the higher, the more likely positive.
    positive : ndarray
        (N,) bool.
    """
    ours, theirs = int(np.count_nonzero(positive)), int(np.count_nonzero(~positive))
    result: dict[str, Any] = {"n": ours + theirs, "n_positive": ours, "auc": None, "auc_error": None}
    if min(ours, theirs) < FEWEST:
        return result
    _, place, number = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(number) - (number - 1) / 2)[place]
    auc = (ranks[positive].sum() - ours * (ours + 1) / 2) / (ours * theirs)
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = (auc * (1 - auc) + (ours - 1) * (q1 - auc**2) + (theirs - 1) * (q2 - auc**2)) / (ours * theirs)
    return result | {"auc": float(auc), "auc_error": float(np.sqrt(max(variance, 0)))}


def circular_deviation(coherence: np.ndarray) -> np.ndarray:
    """Return the circular standard deviation of position angles.

    Parameters
    ----------
    coherence : ndarray
        Length of the mean of the unit vectors at twice the angles.

    Returns
    -------
    ndarray
        deg, halved because the angles were doubled.
    """
    return np.asarray(np.rad2deg(np.sqrt(-2 * np.log(np.clip(coherence, 1e-6, 1)))) / 2)
