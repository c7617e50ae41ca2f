"""Point-spread functions and their Fourier amplitudes: Moffat (1969) profiles, round or elliptic, and images."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import galsim
import numpy as np

from tuningfork.simulate.light.axes import to_axes
from tuningfork.simulate.light.fourier import reach_of
from tuningfork.simulate.light.interpolation import interpolate_evenly

MOFFAT_STEP, MOFFAT_STEPS = 0.02, 1500
"""Of the table of amplitudes in k x FWHM."""


class Psf(Protocol):
    """A point-spread function of unit flux, without the response of a pixel."""

    def amplitude(self, kx: np.ndarray, ky: np.ndarray) -> np.ndarray:
        """Return the Fourier amplitude.

        Parameters
        ----------
        kx, ky : ndarray
            Wave vectors in the sky's frame (rad/arcsec), float32, (H, W).

        Returns
        -------
        ndarray
            float32 or complex64 (H, W).
        """
        ...

    def reach(self, pixel_scale: float) -> float:
        """Return how far its amplitude must be followed, in Nyquist frequencies of pixels of this scale (arcsec)."""
        ...


@dataclass(frozen=True)
class Moffat:
    """A Moffat profile.

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
        """Return the Fourier amplitude.

        Parameters
        ----------
        kx, ky : ndarray
            Wave vectors in the sky's frame (rad/arcsec), float32, (H, W).

        Returns
        -------
        ndarray
            float32 (H, W).
        """
        if self.axis_ratio < 1:
            along, across = to_axes(kx, ky, self.position_angle)
            stretch = float(np.sqrt(self.axis_ratio))
            kx, ky = along / stretch, across * stretch
        scale = np.float32(self.fwhm / MOFFAT_STEP)
        return interpolate_evenly(_moffat_table(self.beta), np.sqrt(kx * kx + ky * ky) * scale)

    def reach(self, pixel_scale: float) -> float:
        """Return how far its amplitude must be followed, in Nyquist frequencies of pixels of this scale (arcsec)."""
        return reach_of(self.fwhm * np.sqrt(self.axis_ratio) / pixel_scale)


@lru_cache(maxsize=16)
def _moffat_table(beta: float) -> np.ndarray:
    """Return the Fourier amplitude of a Moffat profile in steps of k x FWHM; it ends with zero."""
    image = galsim.ImageCD(galsim.BoundsI(0, MOFFAT_STEPS, 0, 0), scale=MOFFAT_STEP)
    galsim.Moffat(beta=beta, fwhm=1.0).drawKImage(image=image, recenter=False)
    values = np.asarray(image.array[0].real.astype(np.float32))
    values[-1] = 0
    return values


@dataclass(frozen=True, eq=False)
class PsfImage:
    """An image of a star, which contains the response of its pixels; north is up and east to the left.

    Attributes
    ----------
    pixels : ndarray
        Shape (P, P), sum 1, with the star at the centre of the pixel [P // 2, P // 2].
    pixel_scale : float
        arcsec.
    """

    pixels: np.ndarray
    pixel_scale: float

    def amplitude(self, kx: np.ndarray, ky: np.ndarray) -> np.ndarray:
        """Return the Fourier amplitude on a grid whose axes are north and west, as that of a training stamp.

        Parameters
        ----------
        kx, ky : ndarray
            Wave vectors in the sky's frame (rad/arcsec), float32, (H, W).

        Returns
        -------
        ndarray
            complex64 (H, W).
        """
        offset = (np.arange(len(self.pixels)) - len(self.pixels) // 2) * self.pixel_scale
        columns, rows = kx[0].astype(float), ky[:, 0].astype(float)
        # The response of the star's own pixels is taken out: whoever draws applies that of the drawn ones.
        along, across = (
            np.exp(-1j * np.outer(offset, k)) / np.sinc(np.clip(k * self.pixel_scale / (2 * np.pi), -0.5, 0.5))
            for k in (columns, rows)
        )
        return np.asarray((across.T @ self.pixels @ along).astype(np.complex64))

    def reach(self, pixel_scale: float) -> float:
        """Return one: an image has no information beyond its own Nyquist frequency."""
        return 1.0
