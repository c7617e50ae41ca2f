"""Fast drawing: Fourier amplitudes of all components on one fixed grid, one inverse transform a band.

GalSim's `drawImage` chooses a grid for each profile, and the wings of a Sersic profile make it huge. Here the
profiles are evaluated on the Fourier grid of the image itself, which the PSF band-limits anyway.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import galsim
import numpy as np
from scipy import fft

from tuningfork.simulate.profiles import EdgeOn, Knots, Point, Profile, Transformed
from tuningfork.simulate.psf import Moffat, Psf

FAST_SIZES = (64, 96, 128, 160, 192, 256, 320, 384, 512, 640, 768, 1024)
NARROWEST_KNOT = 0.7
"""Standard deviation (pixel) below which a knot would be undersampled; narrower ones are widened to it."""


@dataclass(frozen=True, eq=False)
class Light:
    """A profile in its place and colours.

    Attributes
    ----------
    profile : Profile
    fluxes : ndarray
        Flux in each band, shape (B,), flux units.
    x, y : float
        Place relative to the galaxy's centre (arcsec, west and north).
    """

    profile: Profile
    fluxes: np.ndarray
    x: float = 0.0
    y: float = 0.0


class Canvas:
    """A square pixel grid and its Fourier grid.

    Parameters
    ----------
    size : int
        Width and height (pixel, even).
    matrix : ndarray
        (2, 2): pixel offset (column, row) = matrix @ (x, y) with x west and y north (arcsec).
    """

    def __init__(self, size: int, matrix: np.ndarray) -> None:
        self.size = size
        self.matrix = np.asarray(matrix, dtype=float)
        self.pixels_per_arcsec = float(np.sqrt(abs(np.linalg.det(self.matrix))))
        self._image = galsim.ImageCD(galsim.BoundsI(0, size // 2, -size // 2, size // 2 - 1), scale=2 * np.pi / size)

    def draw(
        self,
        lights: Iterable[Light],
        psf_fwhm: Sequence[float] | np.ndarray,
        psf_beta: float,
        dx: float = 0.0,
        dy: float = 0.0,
    ) -> np.ndarray:
        """Return the noiseless image.

        Parameters
        ----------
        lights : iterable of Light
        psf_fwhm : sequence of float
            Full width at half maximum of the Moffat PSF in each band (arcsec), without the pixel's own response,
            which is applied besides.
        psf_beta : float
        dx, dy : float
            Offset of the place (0, 0) arcsec from the centre of the pixel [size // 2, size // 2] (pixel).

        Returns
        -------
        ndarray
            float32 (B, size, size), flux in each pixel.
        """
        return self.draw_through(lights, [Moffat(float(fwhm), psf_beta) for fwhm in psf_fwhm], dx, dy)

    def draw_through(
        self, lights: Iterable[Light], psfs: Sequence[Psf], dx: float = 0.0, dy: float = 0.0
    ) -> np.ndarray:
        """Return the noiseless image, as :meth:`draw` does, seen through any PSF, one a band."""
        total = np.zeros((len(psfs), self.size, self.size // 2 + 1), dtype=np.complex64)
        for light in lights:
            amplitude = self._amplitude(light, dx, dy)
            for band, flux in enumerate(light.fluxes):
                total[band] += np.float32(flux) * amplitude
        for band, psf in enumerate(psfs):
            total[band] *= psf.amplitude(*self._wave_vectors) * self._pixel
        return np.asarray(fft.irfft2(total, s=(self.size, self.size), workers=1))

    def _amplitude(self, light: Light, dx: float, dy: float) -> np.ndarray:
        offset = self.matrix @ (light.x, light.y) + (dx, dy)
        profile = light.profile
        if isinstance(profile, Knots):
            return self._knots(profile, *offset)
        phase = self._phase(*offset)
        if isinstance(profile, Point):
            return phase
        if isinstance(profile, Transformed):
            return phase * profile.amplitude(*self._wave_vectors)
        if isinstance(profile, EdgeOn):
            (a, b), (c, d) = self.matrix
            determinant = self.pixels_per_arcsec**2
            (profile.galsim().transform(a, b, c, d) / determinant).drawKImage(image=self._image, recenter=False)
            return phase * fft.ifftshift(self._image.array.real.astype(np.float32), axes=0)
        raise TypeError(f"no way to draw a {type(profile).__name__}")

    def _phase(self, dx: float, dy: float) -> np.ndarray:
        columns = np.exp(-1j * self._kx * (self.size // 2 + dx))
        rows = np.exp(-1j * self._ky * (self.size // 2 + dy))
        return (rows[:, None] * columns[None, :]).astype(np.complex64)

    def _knots(self, knots: Knots, dx: float, dy: float) -> np.ndarray:
        place = self.matrix @ np.stack([knots.x, knots.y])
        sigma = np.maximum(knots.sigma * self.pixels_per_arcsec, NARROWEST_KNOT).astype(np.float32)[:, None]
        pixel = np.arange(self.size, dtype=np.float32) - self.size // 2
        columns = np.exp(-0.5 * ((pixel - (place[0] + dx).astype(np.float32)[:, None]) / sigma) ** 2)
        rows = np.exp(-0.5 * ((pixel - (place[1] + dy).astype(np.float32)[:, None]) / sigma) ** 2)
        rows *= knots.weight.astype(np.float32)[:, None] / (2 * np.pi * sigma**2)
        return np.asarray(fft.rfft2(rows.T @ columns, workers=1))

    @cached_property
    def _kx(self) -> np.ndarray:
        return 2 * np.pi * np.arange(self.size // 2 + 1) / self.size

    @cached_property
    def _ky(self) -> np.ndarray:
        return 2 * np.pi * np.fft.fftfreq(self.size)

    @cached_property
    def _wave_vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """Wave vectors in the sky's frame (rad/arcsec)."""
        (a, b), (c, d) = self.matrix
        kx, ky = self._kx[None, :], self._ky[:, None]
        return (a * kx + c * ky).astype(np.float32), (b * kx + d * ky).astype(np.float32)

    @cached_property
    def _pixel(self) -> np.ndarray:
        """Fourier amplitude of the response of a pixel."""
        columns, rows = (np.sinc(k / (2 * np.pi)) for k in (self._kx, self._ky))
        return (rows[:, None] * columns[None, :]).astype(np.float32)


def canvas_size(native: int) -> int:
    """Return the size of the canvas for an image of `native` pixels: half as large again, so that little wraps."""
    needed = native * 1.5
    return next((size for size in FAST_SIZES if size >= needed), FAST_SIZES[-1])


@lru_cache(maxsize=32)
def north_up(size: int, pixel_scale: float) -> Canvas:
    """Return the canvas with north up and east left and the pixel scale (arcsec)."""
    return Canvas(size, np.eye(2) / pixel_scale)
