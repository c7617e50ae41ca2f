"""The range of the bars that were learned from: beyond it nobody has tested a length."""

from dataclasses import dataclass

import numpy as np

from tuningfork.core.calibration_file import require


@dataclass(frozen=True)
class TrainedRange:
    """Lengths of the simulated bars of the training set, with a margin.

    Attributes
    ----------
    shortest, longest : float
        Full length in pixels of the stamp.
    shortest_psf, longest_psf : float
        Full length in PSF widths (FWHM).
    """

    shortest: float
    longest: float
    shortest_psf: float
    longest_psf: float

    def __post_init__(self) -> None:
        for low, high in (("shortest", "longest"), ("shortest_psf", "longest_psf")):
            least, most = getattr(self, low), getattr(self, high)
            require(
                0 < least < most, f"{low} is {least:g} and {high} {most:g}, but they must be above zero and increase"
            )

    def beyond(self, length: np.ndarray, psf_fwhm: np.ndarray) -> np.ndarray:
        """Return how far lengths are outside the range.

        Parameters
        ----------
        length, psf_fwhm : ndarray
            (N,) full lengths and PSF widths (px of the stamp); what is NaN is not compared.

        Returns
        -------
        ndarray
            (N,) distance in ln(length) from the nearest length inside the range; zero inside.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            logs, relative = np.log(length), np.log(length / psf_fwhm)
        distances = (
            np.log(self.shortest) - logs,
            logs - np.log(self.longest),
            np.log(self.shortest_psf) - relative,
            relative - np.log(self.longest_psf),
        )
        return np.maximum(np.nan_to_num(distances, nan=0.0, posinf=0.0, neginf=0.0).max(axis=0), 0.0)
