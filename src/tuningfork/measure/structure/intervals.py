"""Errors that hold the truth as often as they say: the last calibration, of each published error.

Errors of real measurements have heavier tails than a normal distribution. So they are taken to follow Student's: the
published error is the half width of its central 68 % interval, and its degrees of freedom say how much wider that of
95 % is.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln
from scipy.stats import t as student

from tuningfork.core.statistics import CENTRAL_68

REFERENCE_SIGNAL_TO_NOISE = 50.0
"""Signal-to-noise ratio to which slopes refer."""
INTERVAL_PROBABILITIES = {50: 0.5, 68: CENTRAL_68, 95: 0.95}
"""Per cent -> probability of the central intervals whose coverage is made right."""
NORMAL_DEGREES = 1e3
"""Degrees of freedom at which the distribution counts as normal."""
DEGREES_GRID = np.concatenate([np.geomspace(1.5, 30, 60), [NORMAL_DEGREES]])


@dataclass(frozen=True)
class ErrorModel:
    """How one published error follows from the standard deviation of the combination.

    Attributes
    ----------
    constant, signal, weight : float
        ln of the factor: constant, slope with ln(signal-to-noise / `REFERENCE_SIGNAL_TO_NOISE`), slope with the weight of the fit.
    degrees : float
        Degrees of freedom of the distribution.
    """

    constant: float = 0.0
    signal: float = 0.0
    weight: float = 0.0
    degrees: float = NORMAL_DEGREES

    def factor(self, signal: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Return the factor by which the standard deviation is multiplied.

        Parameters
        ----------
        signal, weight : ndarray
            (N,) signal-to-noise ratio and weight of the fit.

        Returns
        -------
        ndarray
            (N,)
        """
        return np.exp(error_predictors(signal, weight) @ [self.constant, self.signal, self.weight])


def widths(degrees: float) -> dict[int, float]:
    """Return the half widths of the intervals `INTERVAL_PROBABILITIES` in units of that of 68 %."""
    ends = {level: student.ppf(0.5 + share / 2, degrees) for level, share in INTERVAL_PROBABILITIES.items()}
    return {level: float(end / ends[68]) for level, end in ends.items()}


def place_in(miss: np.ndarray, error: np.ndarray, degrees: float) -> np.ndarray:
    """Return the place of the truths in the cumulative predicted distributions, whose centres lie `miss` above them.

    Parameters
    ----------
    miss, error : ndarray
        (N,) errors, and half widths of the central 68 % intervals.
    degrees : float
        Degrees of freedom.

    Returns
    -------
    ndarray
        (N,) in [0, 1].
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(
            student.cdf(-miss / error * student.ppf(0.5 + INTERVAL_PROBABILITIES[68] / 2, degrees), degrees)
        )


def student_loss(square: np.ndarray, log_volume: np.ndarray, size: int, degrees: float) -> float:
    """Return -ln of the density of Student distributions.

    Parameters
    ----------
    square : ndarray
        Squared distances from the centre.
    log_volume : ndarray
        Half the ln of the determinant of the scale matrices.
    size : int
        Dimensions.
    degrees : float
        Degrees of freedom.

    Returns
    -------
    float
    """
    norm = gammaln((degrees + size) / 2) - gammaln(degrees / 2) - size / 2 * np.log(degrees * np.pi)
    return float(((degrees + size) / 2 * np.log1p(square / degrees) + log_volume).sum() - norm * square.size)


def error_predictors(signal: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return what the factor of an error depends on.

    Parameters
    ----------
    signal, weight : ndarray
        (N,) signal-to-noise ratio and weight of the fit.

    Returns
    -------
    ndarray
        (N, 3): one, ln(signal / `REFERENCE_SIGNAL_TO_NOISE`), weight.
    """
    ratio = np.log(np.where(np.isfinite(signal), signal, REFERENCE_SIGNAL_TO_NOISE) / REFERENCE_SIGNAL_TO_NOISE)
    return np.stack([np.ones(len(ratio)), ratio, weight], axis=1)
