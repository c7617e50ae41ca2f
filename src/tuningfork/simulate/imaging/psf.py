"""Point-spread functions and their Fourier amplitudes: Moffat (1969) profiles, round or elliptic, and images."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import galsim
import numpy as np

from tuningfork.simulate.light.fourier import reach_of
from tuningfork.simulate.light.interpolation import interpolate_evenly
from tuningfork.simulate.light.profiles import to_axes

STEP, NUMBER = 0.02, 1500
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
        scale = np.float32(self.fwhm / STEP)
        return interpolate_evenly(_moffat_table(self.beta), np.sqrt(kx * kx + ky * ky) * scale)

    def reach(self, pixel_scale: float) -> float:
        """Return how far its amplitude must be followed, in Nyquist frequencies of pixels of this scale (arcsec)."""
        return reach_of(self.fwhm * np.sqrt(self.axis_ratio) / pixel_scale)


@lru_cache(maxsize=16)
def _moffat_table(beta: float) -> np.ndarray:
    """Return the Fourier amplitude of a Moffat profile in steps of k x FWHM; it ends with zero."""
    image = galsim.ImageCD(galsim.BoundsI(0, NUMBER, 0, 0), scale=STEP)
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
        place = (np.arange(len(self.pixels)) - len(self.pixels) // 2) * self.pixel_scale
        columns, rows = kx[0].astype(float), ky[:, 0].astype(float)
        # The response of the star's own pixels is taken out: whoever draws applies that of the drawn ones.
        along, across = (
            np.exp(-1j * np.outer(place, k)) / np.sinc(np.clip(k * self.pixel_scale / (2 * np.pi), -0.5, 0.5))
            for k in (columns, rows)
        )
        return np.asarray((across.T @ self.pixels @ along).astype(np.complex64))

    def reach(self, pixel_scale: float) -> float:
        """Return one: an image has no information beyond its own Nyquist frequency."""
        return 1.0


def fit_moffat(image: np.ndarray, pixel_scale: float) -> tuple[float, float]:
    """Return the full width at half maximum (arcsec) and the exponent of the round Moffat profile nearest to a PSF.

    The profile is integrated over the pixels (by Gauss-Legendre quadrature) and fitted, with its place and flux, by
    least squares with equal weights.

    Parameters
    ----------
    image : ndarray
        Shape (P, P), sum 1, the response of the pixels included.
    pixel_scale : float
        arcsec.
    """
    # Imported here because it takes long and few runs have images of stars.
    from scipy.optimize import least_squares

    centre = np.array(np.unravel_index(image.argmax(), image.shape), dtype=float)
    start_width = 2 * np.sqrt(max((image > image.max() / 2).sum(), 1) / np.pi)

    def residual(values: np.ndarray) -> np.ndarray:
        return np.asarray((_integrated(values, image.shape) - image).ravel() / image.max())

    solution = least_squares(
        residual,
        [np.log(start_width), np.log(2.0), *centre, 0.0],
        bounds=(
            [np.log(0.3), np.log(0.1), *(centre - 2), -1],
            [np.log(len(image)), np.log(49.0), *(centre + 2), 1],
        ),
        x_scale=[0.1, 0.3, 0.1, 0.1, 0.05],
        max_nfev=50,
    )
    return float(np.exp(solution.x[0]) * pixel_scale), float(1 + np.exp(solution.x[1]))


def _integrated(values: Sequence[float] | np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return a Moffat profile integrated over pixels, of ln FWHM, ln(beta - 1), row, column and ln flux."""
    beta = 1 + np.exp(values[1])
    radius = np.exp(values[0]) / (2 * np.sqrt(2 ** (1 / beta) - 1))
    nodes, weights = np.polynomial.legendre.leggauss(3)
    rows, columns = (
        ((np.arange(number)[:, None] + nodes / 2 - place) / radius) ** 2
        for number, place in zip(shape, values[2:4], strict=True)
    )
    profile = (1 + rows[:, :, None, None] + columns[None, None]) ** -beta
    scale = np.exp(values[4]) * (beta - 1) / (np.pi * radius**2) / 4
    return np.asarray(np.einsum("iajb,a,b->ij", profile, weights, weights) * scale)
