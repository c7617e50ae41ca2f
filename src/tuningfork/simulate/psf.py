"""The point-spread function: a Moffat (1969) profile, round or a little elliptic."""

from dataclasses import dataclass
from functools import lru_cache

import galsim
import numpy as np

from tuningfork.simulate.interpolation import interpolate_evenly
from tuningfork.simulate.profiles import to_axes

STEP, NUMBER = 0.02, 4000
"""Of the table of amplitudes in k x FWHM."""


@dataclass(frozen=True)
class Moffat:
    """A Moffat profile of unit flux, without the response of a pixel.

    Attributes
    ----------
    fwhm : float
        Full width at half maximum, the geometric mean of that along and across (arcsec).
    beta : float
        Exponent.
    axis_ratio : float
    position_angle : float
        deg, north through east.
    """

    fwhm: float
    beta: float
    axis_ratio: float = 1.0
    position_angle: float = 0.0

    def amplitude(self, kx: np.ndarray, ky: np.ndarray) -> np.ndarray:
        """Return the Fourier amplitude, float32, at wave vectors in the sky's frame (rad/arcsec)."""
        if self.axis_ratio < 1:
            along, across = to_axes(kx, ky, self.position_angle)
            stretch = np.sqrt(self.axis_ratio)
            kx, ky = along / stretch, across * stretch
        scale = np.float32(self.fwhm / STEP)
        return interpolate_evenly(_moffat_table(self.beta), np.sqrt(kx * kx + ky * ky) * scale)


@lru_cache(maxsize=16)
def _moffat_table(beta: float) -> np.ndarray:
    """Return the Fourier amplitude of a Moffat profile in steps of k x FWHM; it ends with zero."""
    image = galsim.ImageCD(galsim.BoundsI(0, NUMBER, 0, 0), scale=STEP)
    galsim.Moffat(beta=beta, fwhm=1.0).drawKImage(image=image, recenter=False)
    values = np.asarray(image.array[0].real.astype(np.float32))
    values[-1] = 0
    return values
