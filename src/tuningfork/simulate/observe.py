"""What telescope and sky do to a galaxy: seeing, noise, neighbours, the edge of the image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tuningfork.core.config.population import Population
from tuningfork.core.description import Description
from tuningfork.simulate.canvas import Light, canvas_size, north_up
from tuningfork.simulate.colours import relative_fluxes
from tuningfork.simulate.galaxies import Galaxy
from tuningfork.simulate.priors import draw_magnitude, log_uniform
from tuningfork.simulate.profiles import Point, Sersic
from tuningfork.simulate.psf import Moffat

SKY_BRIGHTNESS = 21.0
"""Brightness of the night sky (AB mag/arcsec^2) that makes the sky noise, and so sets the noise of the sources."""
RAYLEIGH_MEDIAN = np.sqrt(2 * np.log(2))
SMALLEST_BETA = 1.2
"""Exponent below which most of the light of a Moffat profile lies far from its core."""
STAR_SLOPE, STAR_MAG_MIN = 0.15, 14.0
FAINTER = 3.0
"""Neighbours reach this much fainter than the population (mag)."""
NEIGHBOUR_SLOPE = 0.25
NEIGHBOURS = {"star": 0.44, "bright": 0.28, "faint": 0.28}
"""What the neighbours are, as on the simulated sky: stars, galaxies like the population's, fainter ones."""
RADIUS_ERROR = 0.05
"""Standard deviation of ln(half-light radius) in a survey's catalogue."""
NATIVE_SIZES = (0.375, 2.0)
"""Limits of the width of the image that a galaxy is cut from, in widths of the stamp."""


@dataclass(frozen=True)
class Conditions:
    """Seeing and noise of one exposure.

    Attributes
    ----------
    psf_fwhm : ndarray
        Full width at half maximum in each band (arcsec), shape (B,).
    sky_noise : ndarray
        Standard deviation of the sky in a pixel in each band (flux units), shape (B,).
    psf_beta : float
        Exponent of the Moffat profile.
    psf_axis_ratio, psf_position_angle : float
        Of the PSF in all bands; deg. Whoever measures the images is told of a round one.
    """

    psf_fwhm: np.ndarray
    sky_noise: np.ndarray
    psf_beta: float
    psf_axis_ratio: float = 1.0
    psf_position_angle: float = 0.0

    def psfs(self) -> list[Moffat]:
        """Return the PSF of each band."""
        shape = self.psf_beta, self.psf_axis_ratio, self.psf_position_angle
        return [Moffat(float(fwhm), *shape) for fwhm in self.psf_fwhm]


def draw_conditions(
    rng: np.random.Generator,
    description: Description,
    seeing: Sequence[float] | None = None,
    noise: Sequence[float] | None = None,
) -> Conditions:
    """Return conditions about the survey's medians; the seeing of the bands varies together.

    Parameters
    ----------
    rng : numpy.random.Generator
    description : Description
    seeing : sequence of float, optional
        Limits of the PSF's width in the reference band (arcsec), evenly covered in its logarithm, instead of the
        survey's distribution; the other bands keep their ratios to it.
    noise : sequence of float, optional
        Limits of the sky noise in units of the survey's median, evenly covered in the logarithm, alike in all bands.
    """
    bands = len(description.bands)
    deviates = 0.9 * rng.standard_normal() + np.sqrt(1 - 0.9**2) * rng.standard_normal(bands)
    fwhm = np.array(description.psf_fwhm)
    if seeing is None:
        fwhm = fwhm * np.exp(description.psf_fwhm_scatter * deviates)
    else:
        fwhm = fwhm * (log_uniform(rng, *seeing) / fwhm[description.reference])
    level = np.array(description.sky_noise)
    if noise is None:
        level = level * np.exp(description.sky_noise_scatter * rng.standard_normal(bands))
    else:
        level = level * log_uniform(rng, *noise)
    beta = description.psf_beta * np.exp(description.psf_beta_scatter * np.clip(rng.standard_normal(), -3, 3))
    # Both components of the ellipticity are normal, so that the median of its modulus is the survey's.
    ellipticity = min(description.psf_ellipticity * np.hypot(*rng.standard_normal(2)) / RAYLEIGH_MEDIAN, 0.5)
    return Conditions(fwhm, level, max(float(beta), SMALLEST_BETA), 1 - ellipticity, rng.uniform(0, 180))


def add_noise(
    rng: np.random.Generator, image: np.ndarray, sky_noise: np.ndarray, description: Description
) -> np.ndarray:
    """Add the noise of sky and sources in place, and return its variance.

    The sky noise is taken as the Poisson noise of a sky of `SKY_BRIGHTNESS`, which gives the electrons in a
    unit of flux, and so the Poisson noise of the sources: variance = sky_noise^2 (1 + flux / sky flux).

    Parameters
    ----------
    rng : numpy.random.Generator
    image : ndarray
        Noiseless float32 (B, H, W), flux units.
    sky_noise : ndarray
        Flux units, shape (B,).
    description : Description

    Returns
    -------
    ndarray
        Variance of the noise, float32 (B, H, W), flux units squared.
    """
    sky = 10 ** (-0.4 * (SKY_BRIGHTNESS - description.zero_point)) * description.pixel_scale**2
    variance = np.maximum(image, 0) / np.float32(sky)
    variance += 1
    variance *= (sky_noise**2).astype(np.float32)[:, None, None]
    for plane, deviation in zip(image, np.sqrt(variance), strict=True):
        plane += deviation * rng.standard_normal(plane.shape, dtype=np.float32)
    return variance


def listed_radius(rng: np.random.Generator, r_eff: np.ndarray, axis_ratio: np.ndarray) -> np.ndarray:
    """Return the half-light radii (arcsec) that a survey's catalogue would have: circularised, with some error.

    Parameters
    ----------
    rng : numpy.random.Generator
    r_eff : ndarray
        True half-light radii along the major axis (arcsec), shape (N,).
    axis_ratio : ndarray
        Shape (N,).
    """
    radius = np.asarray(r_eff, dtype=float) * np.sqrt(axis_ratio)
    return np.asarray(radius * np.exp(RADIUS_ERROR * rng.standard_normal(radius.shape)))


def draw_star(
    rng: np.random.Generator, faintest: float, description: Description, x: float = 0.0, y: float = 0.0
) -> Light:
    """Return a star at (x, y) arcsec, down to the magnitude `faintest`."""
    flux = 10 ** (
        -0.4 * (draw_magnitude(rng, STAR_MAG_MIN, max(faintest, STAR_MAG_MIN + 1), STAR_SLOPE) - description.zero_point)
    )
    colours = relative_fluxes("disc", description.bands, description.reference, rng.uniform(-0.35, 0.8))
    return Light(Point(), flux * colours, x, y)


def draw_neighbour(
    rng: np.random.Generator, population: Population, description: Description, x: float, y: float, faint: bool
) -> Light:
    """Return a plain galaxy at (x, y) arcsec, as bright as the population's or, if `faint`, fainter than these."""
    if faint:
        mag = draw_magnitude(rng, population.mag_max, population.mag_max + FAINTER, NEIGHBOUR_SLOPE)
    else:
        mag = draw_magnitude(rng, population.mag_min, population.mag_max, NEIGHBOUR_SLOPE)
    red = rng.uniform() < 0.4
    # Fainter galaxies are smaller: 1.2 arcsec at 21, 4 arcsec at 16.
    radius = log_uniform(rng, 0.7, 1.4) * 10 ** (0.105 * (21.0 - mag)) * 1.2
    profile = Sersic(
        4.0 if red else 1.0,
        float(np.clip(radius, 0.4, population.r_eff_max)),
        rng.uniform(0.25, 1),
        rng.uniform(0, 180),
    )
    flux = 10 ** (-0.4 * (mag - description.zero_point))
    return Light(
        profile, flux * relative_fluxes("old" if red else "disc", description.bands, description.reference), x, y
    )


def draw_neighbours(
    rng: np.random.Generator, width: float, density: float, population: Population, description: Description
) -> list[Light]:
    """Return the neighbours in a square field.

    Parameters
    ----------
    rng : numpy.random.Generator
    width : float
        Of the field (arcsec).
    density : float
        Galaxies and stars per square degree.
    population : Population
    description : Description
    """
    lights = []
    for _ in range(rng.poisson(density * (width / 3600) ** 2)):
        x, y = rng.uniform(-width / 2, width / 2, 2)
        kind = rng.choice(list(NEIGHBOURS), p=list(NEIGHBOURS.values()))
        if kind == "star":
            lights.append(draw_star(rng, population.mag_max + FAINTER, description, x, y))
        else:
            lights.append(draw_neighbour(rng, population, description, x, y, kind == "faint"))
    return lights


def draw_native_size(rng: np.random.Generator, r_eff_pixels: float, size: int) -> int:
    """Return the width (pixel) of the image that a galaxy is cut from, for a stamp of `size` pixels.

    Any width holds at least twice the half-light radius on every side; beyond that it says nothing about the
    galaxy, so that a network cannot read the size off the padding. Wide images are the more frequent ones.
    """
    low, high = (int(fraction * size) for fraction in NATIVE_SIZES)
    smallest = min(max(low, int(np.ceil(4 * r_eff_pixels))), high)
    return int(rng.integers(smallest, high + 1, 2).max())


def fit(image: np.ndarray, size: int) -> np.ndarray:
    """Cut or pad (with zeros) the planes of `image` (..., N, N) to (..., size, size) about the pixel [N // 2, N // 2]."""
    native = image.shape[-1]
    result = np.zeros((*image.shape[:-2], size, size), dtype=image.dtype)
    kept = min(native, size)
    source = slice(native // 2 - kept // 2, native // 2 - kept // 2 + kept)
    target = slice(size // 2 - kept // 2, size // 2 - kept // 2 + kept)
    result[..., target, target] = image[..., source, source]
    return result


def observe(
    rng: np.random.Generator,
    galaxy: Galaxy,
    native_size: int,
    size: int,
    density: float,
    population: Population,
    conditions: Conditions,
    description: Description,
    offset: np.ndarray,
) -> np.ndarray:
    """Return a galaxy on the survey's pixels, as the stamps stage cuts it.

    Parameters
    ----------
    rng : numpy.random.Generator
    galaxy : Galaxy
    native_size : int
        Width of the image before it is cut or padded (pixel).
    size : int
        Width of the stamp (pixel).
    density : float
        Neighbours per square degree.
    population : Population
        Of the neighbours.
    conditions : Conditions
    description : Description
    offset : ndarray
        Column and row of the galaxy's centre less those of the pixel [size // 2, size // 2].

    Returns
    -------
    ndarray
        float32 (2, B, size, size): image (flux units) and inverse variance, both zero in the padding.
    """
    visible = min(native_size, size)
    canvas = north_up(
        canvas_size(max(visible, int(5 * galaxy.r_eff / description.pixel_scale))), description.pixel_scale
    )
    lights = galaxy.lights(description.bands, description.reference, description.zero_point)
    lights += draw_neighbours(rng, (visible + 12) * description.pixel_scale, density, population, description)
    image = fit(canvas.draw_through(lights, conditions.psfs(), *offset), visible)
    variance = add_noise(rng, image, conditions.sky_noise, description)
    return np.stack([fit(image, size), fit(1 / variance, size)])
