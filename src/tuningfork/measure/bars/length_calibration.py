"""From what an estimator gives to a bar length with an honest uncertainty, learned on held-out simulations."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tuningfork.core.statistics import FEWEST, robust_scatter


@dataclass(frozen=True)
class LengthCalibration:
    """ln(true length) = intercept + slope ln(raw length) + psf_slope ln(PSF width), all lengths in pixels.

    Attributes
    ----------
    intercept, slope, psf_slope : float
        The relation.
    floor : float
        Standard deviation of ln(length) that adds in quadrature to the estimator's own.
    scatter : float or None
        Robust scatter of the calibrated ln(length) about the truth; None if it was not measured.
    n : int
        Galaxies behind the relation.
    note : str
        Empty, or why the relation is the identity.
    """

    intercept: float
    slope: float
    psf_slope: float
    floor: float
    scatter: float | None
    n: int
    note: str

    def apply(self, raw: np.ndarray, psf_fwhm: np.ndarray) -> np.ndarray:
        """Return the calibrated length (px) of raw lengths (px) at PSF widths (px)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.exp(self.intercept + self.slope * np.log(raw) + self.psf_slope * np.log(psf_fwhm))

    def error(self, spread: np.ndarray) -> np.ndarray:
        """Return the standard deviation of ln(length), from the estimator's own `spread` in ln(raw length)."""
        return np.hypot(self.floor, self.slope * spread)

    def as_dict(self) -> dict[str, Any]:
        """Return the calibration as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "LengthCalibration":
        """Return the calibration that :meth:`as_dict` wrote."""
        return cls(**values)


def identity(n: int) -> LengthCalibration:
    """Return the calibration that changes nothing, for want of galaxies."""
    note = f"only {n} measurable held-out bars: lengths are not calibrated and errors are the estimator's own"
    return LengthCalibration(0.0, 1.0, 0.0, 0.0, None, n, note)


def fit(raw: np.ndarray, spread: np.ndarray, truth: np.ndarray, psf_fwhm: np.ndarray) -> LengthCalibration:
    """Fit a calibration by least squares in the logarithms, galaxies beyond three scatters left out once.

    Parameters
    ----------
    raw, spread, truth, psf_fwhm : ndarray
        (N,) raw length (px), the estimator's own standard deviation of its logarithm, true length (px), PSF
        width (px). Rows without a finite, positive raw length and truth do not count.

    Returns
    -------
    LengthCalibration
        The identity, with a note, for fewer than ten galaxies.
    """
    good = np.isfinite(raw) & np.isfinite(truth) & (raw > 0) & (truth > 0) & np.isfinite(psf_fwhm)
    n = int(np.count_nonzero(good))
    if n < FEWEST:
        return identity(n)
    x, y = np.log(raw[good]), np.log(truth[good])
    design = np.stack([np.ones(n), x, np.log(psf_fwhm[good])], axis=1)
    keep = np.ones(n, dtype=bool)
    for _ in range(2):
        solution = np.linalg.lstsq(design[keep], y[keep], rcond=None)[0]
        miss = design @ solution - y
        scatter = robust_scatter(miss)
        keep = np.abs(miss) <= 3 * max(scatter, 1e-6)
    own = np.median((solution[1] * np.nan_to_num(spread[good])) ** 2)
    return LengthCalibration(
        intercept=float(solution[0]),
        slope=float(solution[1]),
        psf_slope=float(solution[2]),
        floor=float(np.sqrt(max(scatter**2 - own, 0))),
        scatter=scatter,
        n=n,
        note="",
    )
