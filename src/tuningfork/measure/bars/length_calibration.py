"""The calibration of one estimator of bar lengths: a power law, and the error that the estimator does not state."""

from dataclasses import dataclass

import numpy as np

from tuningfork.core.calibration_file import require_not_negative


@dataclass(frozen=True)
class LengthCalibration:
    """ln(true length) = intercept + slope ln(raw length) + psf_slope ln(PSF width), all lengths in pixels.

    Attributes
    ----------
    intercept, slope, psf_slope : float
        Coefficients of the relation.
    floor : float
        Standard deviation of ln(length) that is added in quadrature to the one that the estimator states.
    scatter : float or None
        Robust scatter of the calibrated ln(length) about the truth; None if it was not measured.
    n : int
        Number of galaxies that the relation was learned from.
    note : str
        Empty, or the reason why the relation is the identity.
    """

    intercept: float
    slope: float
    psf_slope: float
    floor: float
    scatter: float | None
    n: int
    note: str

    def __post_init__(self) -> None:
        require_not_negative(self, "floor", "scatter", "n")

    def apply(self, raw: np.ndarray, psf_fwhm: np.ndarray) -> np.ndarray:
        """Return the calibrated lengths.

        Parameters
        ----------
        raw, psf_fwhm : ndarray
            (N,) raw lengths and PSF widths (px).

        Returns
        -------
        ndarray
            (N,) px.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.exp(self.intercept + self.slope * np.log(raw) + self.psf_slope * np.log(psf_fwhm))

    def error(self, spread: np.ndarray) -> np.ndarray:
        """Return the standard deviation of ln(length).

        Parameters
        ----------
        spread : ndarray
            (N,) standard deviation of ln(raw length) that the estimator states.

        Returns
        -------
        ndarray
            (N,)
        """
        return np.hypot(self.floor, self.slope * spread)


def identity(n: int) -> LengthCalibration:
    """Return the identity, for too few galaxies to learn from."""
    note = f"only {n} measurable held-out bars: lengths are not calibrated and errors are the estimator's own"
    return LengthCalibration(0.0, 1.0, 0.0, 0.0, None, n, note)
