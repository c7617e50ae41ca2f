"""Fast drawing: Fourier amplitudes of all components on one fixed grid, one inverse transform per band.

GalSim's `drawImage` chooses a grid for each profile, and the wings of a Sersic profile make it huge. Here the profiles
are evaluated on the Fourier grid of the image itself, or on one that extends to where the PSF has suppressed the light.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import fft

from tuningfork.simulate.imaging.psf import Moffat, Psf
from tuningfork.simulate.light.fourier import FourierGrid
from tuningfork.simulate.light.profiles import Knots, Point, Profile, Sersic, Transformed
from tuningfork.simulate.light.wings import WING_NODES, folded_light, reaches_beyond, spread_nodes

FAST_SIZES = (64, 96, 128, 160, 192, 256, 320, 384, 512, 640, 768, 1024)
MIN_KNOT_SIGMA = 0.7
"""Standard deviation (pixel) below which a knot would be undersampled; narrower ones are widened to it."""


@dataclass(frozen=True, eq=False)
class Light:
    """A profile with its position and colours.

    Attributes
    ----------
    profile : Profile
    fluxes : ndarray
        Flux in each band, (B,), flux units.
    x, y : float
        Position relative to the galaxy's centre (arcsec, west and north).
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
        self._grid = lru_cache(maxsize=2)(lambda reach: FourierGrid(size, reach, self.matrix))

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
            Full width at half maximum of the Moffat PSF in each band (arcsec), without the response of the pixel, which is
            applied in addition.
        psf_beta : float
        dx, dy : float
            Offset of the position (0, 0) arcsec from the centre of the pixel [size // 2, size // 2] (pixel).

        Returns
        -------
        ndarray
            float32 (B, size, size), flux in each pixel.
        """
        return self.draw_through(lights, [Moffat(float(fwhm), psf_beta) for fwhm in psf_fwhm], dx, dy)

    def draw_through(
        self, lights: Iterable[Light], psfs: Sequence[Psf], dx: float = 0.0, dy: float = 0.0
    ) -> np.ndarray:
        """Return the noiseless image seen through any PSF, one per band.

        Parameters
        ----------
        lights : iterable of Light
        psfs : sequence of Psf
            B of them.
        dx, dy : float
            As in :meth:`draw`.

        Returns
        -------
        ndarray
            float32 (B, size, size), flux in each pixel.
        """
        grid = self._grid(max(psf.reach(1 / self.pixels_per_arcsec) for psf in psfs))
        total = np.zeros((len(psfs), *grid.shape), dtype=np.complex64)
        wings = np.zeros((len(psfs), WING_NODES, WING_NODES))
        for light in lights:
            x, y = self.matrix @ (light.x, light.y) + (dx, dy)
            amplitude = self._amplitude(grid, light.profile, x, y)
            for band, flux in enumerate(light.fluxes):
                total[band] += np.float32(flux) * amplitude
            if isinstance(light.profile, Sersic) and reaches_beyond(light.profile, self.size, self.pixels_per_arcsec):
                wings += light.fluxes[:, None, None] * folded_light(light.profile, self.size, self.matrix, x, y)
        for band, psf in enumerate(psfs):
            total[band] *= psf.amplitude(*grid.wave_vectors) * grid.pixel
        image = np.asarray(fft.irfft2(grid.folded(total), s=(self.size, self.size), workers=1))
        return image - spread_nodes(wings, self.size) if wings.any() else image

    def _amplitude(self, grid: FourierGrid, profile: Profile, dx: float, dy: float) -> np.ndarray:
        if isinstance(profile, Knots):
            return grid.placed(self._knots(profile, dx, dy))
        phase = grid.phase(dx, dy)
        if isinstance(profile, Point):
            return phase
        if isinstance(profile, Transformed):
            phase *= profile.amplitude(*grid.wave_vectors)
            return phase
        raise TypeError(f"no way to draw a {type(profile).__name__}")

    def _knots(self, knots: Knots, dx: float, dy: float) -> np.ndarray:
        centres = self.matrix @ np.stack([knots.x, knots.y])
        sigma = np.maximum(knots.sigma * self.pixels_per_arcsec, MIN_KNOT_SIGMA).astype(np.float32)[:, None]
        pixel = np.arange(self.size, dtype=np.float32) - self.size // 2
        columns = np.exp(-0.5 * ((pixel - (centres[0] + dx).astype(np.float32)[:, None]) / sigma) ** 2)
        rows = np.exp(-0.5 * ((pixel - (centres[1] + dy).astype(np.float32)[:, None]) / sigma) ** 2)
        rows *= knots.weight.astype(np.float32)[:, None] / (2 * np.pi * sigma**2)
        return np.asarray(fft.rfft2(rows.T @ columns, workers=1))


def canvas_size(native: int) -> int:
    """Return the size of the canvas for an image of `native` pixels: half as large again, so that little light wraps."""
    needed = native * 1.5
    return next((size for size in FAST_SIZES if size >= needed), FAST_SIZES[-1])


@lru_cache(maxsize=32)
def north_up(size: int, pixel_scale: float) -> Canvas:
    """Return the canvas with north up and east left and the pixel scale (arcsec)."""
    return Canvas(size, np.eye(2) / pixel_scale)
