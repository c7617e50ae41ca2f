"""The model of each published error, calibrated so that intervals contain the truth at their nominal rate.

Errors of real measurements have heavier tails than a normal distribution and are modelled by Student's distribution.
The published error is the half width of its central 68 % interval; the degrees of freedom set the ratio of the 95 %
interval to the 68 % interval.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln
from scipy.stats import t as student

from tuningfork.core.calibration_file import require_range
from tuningfork.core.statistics import CENTRAL_68

PREDICTORS = ("signal", "weight", "flatness", "neighbours")
"""What an error may depend on, in the order of the columns of :func:`error_predictors`."""
REFERENCE_SIGNAL_TO_NOISE = 50.0
"""Signal-to-noise ratio at which the slope with the signal contributes nothing."""
FAINT_NEIGHBOURS, MOST_NEIGHBOUR_LIGHT = 0.01, 0.3
"""Light of neighbours, in units of the galaxy's, below which it hardly counts and above which more changes nothing."""
INTERVAL_PROBABILITIES = {50: 0.5, 68: CENTRAL_68, 95: 0.95}
"""Per cent -> probability of the central intervals whose coverage is calibrated."""
NORMAL_DEGREES = 1e3
"""Degrees of freedom at which Student's distribution counts as normal."""
MAX_TERM = 15.0
"""Largest term of ln(factor)."""


@dataclass(frozen=True)
class ErrorModel:
    """The factor from the standard deviation of the combination to one published error.

    Attributes
    ----------
    constant, signal, weight, flatness, neighbours : float
        Terms of ln(factor): a constant, and the slopes with the predictors of :func:`error_predictors`.
    degrees : float
        Degrees of freedom of the distribution.
    """

    constant: float = 0.0
    signal: float = 0.0
    weight: float = 0.0
    flatness: float = 0.0
    neighbours: float = 0.0
    degrees: float = NORMAL_DEGREES

    def __post_init__(self) -> None:
        require_range(self, -MAX_TERM, MAX_TERM, "constant", *PREDICTORS)
        require_range(self, 1, NORMAL_DEGREES, "degrees")

    def factor(self, predictors: np.ndarray) -> np.ndarray:
        """Return the factor by which the standard deviation is multiplied.

        Parameters
        ----------
        predictors : ndarray
            (N, 4), see :func:`error_predictors`.

        Returns
        -------
        ndarray
            (N,)
        """
        return np.exp(self.constant + predictors @ [getattr(self, name) for name in PREDICTORS])


def widths(degrees: float) -> dict[int, float]:
    """Return the half widths of the intervals `INTERVAL_PROBABILITIES`, divided by that of the 68 % interval."""
    ends = {level: student.ppf(0.5 + share / 2, degrees) for level, share in INTERVAL_PROBABILITIES.items()}
    return {level: float(end / ends[68]) for level, end in ends.items()}


def published_widths(errors: Mapping[str, ErrorModel]) -> dict[str, dict[str, float]]:
    """Return what the metadata of a catalogue say about intervals other than the central 68 %.

    Parameters
    ----------
    errors : mapping
        Column of the catalogue -> its error model.

    Returns
    -------
    dict
        Column -> `degrees` of freedom of Student's distribution, and `width95`, the half width of the central 95 %
        interval in units of the error.
    """
    return {
        name: {"degrees": round(model.degrees, 2), "width95": round(widths(model.degrees)[95], 3)}
        for name, model in sorted(errors.items())
    }


def place_in(miss: np.ndarray, error: np.ndarray, degrees: float) -> np.ndarray:
    """Return the cumulative probabilities of the predicted distributions at the truths.

    Parameters
    ----------
    miss, error : ndarray
        (N,) predicted minus true values, and half widths of the central 68 % intervals.
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


def error_predictors(
    signal: np.ndarray, weight: np.ndarray, flatness: np.ndarray, neighbours: np.ndarray
) -> np.ndarray:
    """Return the predictors of ln(factor) of an error.

    Parameters
    ----------
    signal, weight : ndarray
        (N,) signal-to-noise ratio and weight of the fit.
    flatness : ndarray
        (N,) -ln(axis ratio).
    neighbours : ndarray
        (N,) light of neighbours on the galaxy, in units of the galaxy's. NaN counts as none.

    Returns
    -------
    ndarray
        (N, 4): ln(signal / `REFERENCE_SIGNAL_TO_NOISE`), weight, flatness,
        ln(1 + neighbours / `FAINT_NEIGHBOURS`).
    """
    light = np.minimum(np.nan_to_num(neighbours), MOST_NEIGHBOUR_LIGHT)
    columns = [np.log(signal / REFERENCE_SIGNAL_TO_NOISE), weight, flatness, np.log1p(light / FAINT_NEIGHBOURS)]
    return np.nan_to_num(np.stack(columns, axis=1))
