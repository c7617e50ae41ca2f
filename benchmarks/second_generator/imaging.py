"""How an image is taken: its PSF, pixels, depth and flaws, as in SDSS and DECaLS.

Point-spread functions have wings: Kolmogorov's or two Gaussians for the core, and an aureole that falls as r^-3. They are
written down as transfer functions. Kolmogorov's is exp(-(k / k0)^(5/3)), that of the aureole (1 + r^2 / a^2)^(-3/2) is
exp(-a k).
"""

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage
from scipy.special import j0

from second_generator.frame import Grid, log_uniform

ZERO_POINT = 22.5
"""AB magnitude of one flux unit (nanomaggy)."""
SEEING = (0.9, 1.7)
"""Range of the width of the PSF in r (arcsec)."""
PIXEL_SCALES = {0.262: 0.4, 0.396: 0.4, 0.33: 0.1, 0.5: 0.1}
"""Widths of pixels (arcsec) and how often they occur; the coarsest only where the seeing is poor."""
DEPTH = (0.035, 0.11)
"""Range of the noise of the sky in an area of one square arcsec (nanomaggies), from DECaLS to a shallow SDSS field, in r."""
SKY = 4.4
"""Light of the sky that makes the noise (nanomaggies per square arcsec, 20.9 mag), which gives the noise of the sources."""
NOISE_OF_BANDS, WIDTH_OF_BANDS = (0.8, 1.0, 1.6), (1.08, 1.0, 0.95)
"""Noise and seeing in g, r and i, in those of r."""
SATURATION = 1200.0
"""Surface brightness that fills a pixel (nanomaggies per square arcsec)."""


@dataclass(frozen=True)
class Psf:
    """A point-spread function.

    Attributes
    ----------
    core : str
        `kolmogorov` or `gaussians`.
    fwhm : float
        Full width at half maximum, of the geometric mean of both axes (arcsec).
    second : float
        Part of the light in the wider Gaussian, three times as wide.
    aureole, aureole_radius : float
        Part of the light in the aureole, and its radius a (in units of the FWHM).
    ellipticity, position_angle : float
        1 - minor / major axis; deg.
    """

    core: str
    fwhm: float
    second: float
    aureole: float
    aureole_radius: float
    ellipticity: float = 0.0
    position_angle: float = 0.0

    def transfer(self, k: np.ndarray) -> np.ndarray:
        """Return the transfer function of the round PSF of unit scale.

        Parameters
        ----------
        k : ndarray
            Wave number (rad per unit of length).

        Returns
        -------
        ndarray
        """
        if self.core == "kolmogorov":
            core = np.exp(-(k ** (5 / 3)))
        else:
            core = (1 - self.second) * np.exp(-0.5 * k**2) + self.second * np.exp(-4.5 * k**2)
        # Both cores have a width of about 2.6 units.
        return (1 - self.aureole) * core + self.aureole * np.exp(-2.6 * self.aureole_radius * k)

    def scale(self) -> float:
        """Return the unit of length (arcsec) that gives the width."""
        k = np.linspace(0, 14, 4000)
        weight = self.transfer(k) * k
        radius = np.linspace(0, 4, 401)
        profile = j0(radius[:, None] * k) @ weight
        half = float(np.interp(-0.5, -profile / profile[0], radius))
        return self.fwhm / (2 * half)

    def on_grid(self, grid: Grid, size: int) -> np.ndarray:
        """Return the transfer function of the PSF for `scipy.fft.rfft2`.

        Parameters
        ----------
        grid : Grid
        size : int
            Width of the padded image (fine pixels).

        Returns
        -------
        ndarray
            float32 (size, size // 2 + 1).
        """
        north = 2 * np.pi * fft.fftfreq(size, grid.step)[:, None]
        west = 2 * np.pi * fft.rfftfreq(size, grid.step)[None, :]
        angle, stretch = np.deg2rad(self.position_angle), np.sqrt(1 - self.ellipticity)
        along, across = north * np.cos(angle) - west * np.sin(angle), -north * np.sin(angle) - west * np.cos(angle)
        return self.transfer(np.hypot(along / stretch, across * stretch) * self.scale()).astype(np.float32)


def draw_psf(rng: np.random.Generator, fwhm: float) -> Psf:
    """Return a random PSF of a width (arcsec)."""
    core = str(rng.choice(["kolmogorov", "gaussians"]))
    wings = rng.uniform(0.06, 0.2), rng.uniform(0.01, 0.06), rng.uniform(1.2, 2.5)
    return Psf(core, fwhm, *wings, rng.uniform(0, 0.08), rng.uniform(0, 180))


def convolved(light: np.ndarray, psf: Psf, grid: Grid) -> np.ndarray:
    """Return light as it is seen in the pixels of the image.

    Parameters
    ----------
    light : ndarray
        (n, n) on the grid.
    psf : Psf
    grid : Grid

    Returns
    -------
    ndarray
        float32 (pixels, pixels): sums over the fine pixels of each pixel.
    """
    number = len(light)
    size = fft.next_fast_len(number + int(8 / grid.step), real=True)
    transfer = psf.on_grid(grid, size)
    seen = fft.irfft2(fft.rfft2(light.astype(np.float32), (size, size)) * transfer, (size, size))
    blocks = seen[:number, :number].reshape(grid.pixels, grid.oversampling, grid.pixels, grid.oversampling)
    return blocks.sum(axis=(1, 3)).astype(np.float32)


@dataclass(frozen=True)
class Conditions:
    """How an image is taken.

    Attributes
    ----------
    psfs : tuple of Psf
        One for each band.
    pixel_scale : float
        arcsec.
    noise : tuple of float
        Standard deviation of the sky in a pixel in each band (nanomaggies).
    correlation : float
        Width of the smoothing that the noise has suffered (px); 0 for white noise.
    gradient : tuple of float
        Change of the sky from the middle to the eastern and the northern edge, in units of the noise.
    rotation : float
        Position angle of the image's upward direction (deg).
    """

    psfs: tuple[Psf, ...]
    pixel_scale: float
    noise: tuple[float, ...]
    correlation: float
    gradient: tuple[float, float]
    rotation: float


def draw_conditions(rng: np.random.Generator) -> Conditions:
    """Return random conditions."""
    fwhm = rng.uniform(*SEEING)
    scales, weights = np.array(list(PIXEL_SCALES)), np.array(list(PIXEL_SCALES.values()))
    weights = weights * (scales < 0.4 * fwhm)
    scale = float(rng.choice(scales, p=weights / weights.sum()))
    depth = log_uniform(rng, *DEPTH)
    state = rng.bit_generator.state
    psfs = []
    for factor in WIDTH_OF_BANDS:
        # The same telescope in all bands.
        rng.bit_generator.state = state
        psfs.append(draw_psf(rng, fwhm * factor))
    correlation = rng.uniform(0.4, 0.8) if rng.uniform() < 0.3 else 0.0
    gradient = tuple(rng.uniform(-0.8, 0.8, 2)) if rng.uniform() < 0.25 else (0.0, 0.0)
    rotation = float(rng.choice([0.0, rng.uniform(0, 360)]))
    return Conditions(
        tuple(psfs), scale, tuple(depth * scale * b for b in NOISE_OF_BANDS), correlation, gradient, rotation
    )


def exposed(rng: np.random.Generator, light: np.ndarray, conditions: Conditions, band: int) -> np.ndarray:
    """Return an image with noise, a sky that is not quite flat, and saturation.

    Parameters
    ----------
    rng : numpy.random.Generator
    light : ndarray
        (H, W) without noise (nanomaggies).
    conditions : Conditions
    band : int

    Returns
    -------
    ndarray
        float32 (H, W).
    """
    area, sky_noise = conditions.pixel_scale**2, conditions.noise[band]
    full = SATURATION * area
    cut = np.minimum(light, full)
    gain = SKY * area / sky_noise**2
    white = rng.standard_normal(light.shape)
    if conditions.correlation:
        white = ndimage.gaussian_filter(white, conditions.correlation)
        white /= white.std()
    noise = white * np.sqrt(sky_noise**2 + np.maximum(cut, 0) / gain)
    height, width = light.shape
    east, north = conditions.gradient
    slope = -east * np.linspace(-1, 1, width)[None, :] + north * np.linspace(-1, 1, height)[:, None]
    return (cut + noise + slope * sky_noise).astype(np.float32)
