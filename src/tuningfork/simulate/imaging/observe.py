"""Observe a galaxy: seeing, noise, neighbours and the edge of the image."""

import numpy as np

from tuningfork.core.config.population import Population
from tuningfork.core.description import Description
from tuningfork.simulate.galaxies.colours import relative_fluxes
from tuningfork.simulate.galaxies.draw import Galaxy
from tuningfork.simulate.galaxies.priors import draw_magnitude, log_uniform
from tuningfork.simulate.imaging.conditions import Conditions
from tuningfork.simulate.imaging.noise import add_noise
from tuningfork.simulate.light.canvas import Light, canvas_size, north_up
from tuningfork.simulate.light.profiles import Point, Sersic

STAR_SLOPE, STAR_MAG_MIN = 0.15, 14.0
NEIGHBOUR_MAG_MARGIN = 3.0
"""Neighbours reach this much fainter than the population (mag)."""
NEIGHBOUR_SLOPE = 0.25
NEIGHBOUR_SHARES = {"star": 0.44, "bright": 0.28, "faint": 0.28}
"""What the neighbours are, as on the simulated sky: stars, galaxies like the population's, fainter ones."""
FOREGROUND_REACH = 1.6
"""Largest distance of what lies in front of a galaxy, in its half-light radii."""
FOREGROUND_FAINTER = (0.3, 5.0)
"""How much fainter than the galaxy it is (mag)."""
RADIUS_ERROR = 0.05
"""Standard deviation of ln(half-light radius) in a survey's catalogue."""
NATIVE_SIZES = (0.375, 2.0)
"""Limits of the width of the image that a galaxy is cut from, in widths of the stamp."""


def listed_radius(rng: np.random.Generator, r_eff: np.ndarray, axis_ratio: np.ndarray) -> np.ndarray:
    """Return the half-light radii that a survey's catalogue would have: circularised, with some error.

    Parameters
    ----------
    rng : numpy.random.Generator
    r_eff : ndarray
        True half-light radii along the major axis (arcsec), (N,).
    axis_ratio : ndarray
        (N,).

    Returns
    -------
    ndarray
        arcsec, (N,).
    """
    radius = np.asarray(r_eff, dtype=float) * np.sqrt(axis_ratio)
    return np.asarray(radius * np.exp(RADIUS_ERROR * rng.standard_normal(radius.shape)))


def draw_star(
    rng: np.random.Generator, faintest: float, description: Description, x: float = 0.0, y: float = 0.0
) -> Light:
    """Return a star.

    Parameters
    ----------
    rng : numpy.random.Generator
    faintest : float
        Largest magnitude.
    description : Description
    x, y : float
        Position (arcsec, west and north).

    Returns
    -------
    Light
    """
    flux = 10 ** (
        -0.4 * (draw_magnitude(rng, STAR_MAG_MIN, max(faintest, STAR_MAG_MIN + 1), STAR_SLOPE) - description.zero_point)
    )
    colours = relative_fluxes("disc", description.bands, description.reference, rng.uniform(-0.35, 0.8))
    return Light(Point(), flux * colours, x, y)


def draw_neighbour(
    rng: np.random.Generator, population: Population, description: Description, x: float, y: float, faint: bool
) -> Light:
    """Return a galaxy of a single Sersic profile.

    Parameters
    ----------
    rng : numpy.random.Generator
    population : Population
    description : Description
    x, y : float
        Position (arcsec, west and north).
    faint : bool
        Whether it is fainter than the galaxies of the population, instead of as bright as they are.

    Returns
    -------
    Light
    """
    if faint:
        mag = draw_magnitude(rng, population.mag_max, population.mag_max + NEIGHBOUR_MAG_MARGIN, NEIGHBOUR_SLOPE)
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

    Returns
    -------
    list of Light
    """
    lights = []
    for _ in range(rng.poisson(density * (width / 3600) ** 2)):
        x, y = rng.uniform(-width / 2, width / 2, 2)
        kind = rng.choice(list(NEIGHBOUR_SHARES), p=list(NEIGHBOUR_SHARES.values()))
        if kind == "star":
            lights.append(draw_star(rng, population.mag_max + NEIGHBOUR_MAG_MARGIN, description, x, y))
        else:
            lights.append(draw_neighbour(rng, population, description, x, y, kind == "faint"))
    return lights


def draw_foreground(rng: np.random.Generator, galaxy: Galaxy, share: float, description: Description) -> list[Light]:
    """Return what lies in front of a galaxy: mostly nothing, else a star or a small galaxy on its disc.

    Parameters
    ----------
    rng : numpy.random.Generator
    galaxy : Galaxy
        In the middle of the image.
    share : float
        Share of the galaxies with something in front.
    description : Description

    Returns
    -------
    list of Light
    """
    if rng.uniform() >= share:
        return []
    distance, direction = galaxy.r_eff * FOREGROUND_REACH * np.sqrt(rng.uniform()), rng.uniform(0, 2 * np.pi)
    # Two of three are stars.
    profile: Point | Sersic = Point()
    if rng.uniform() < 1 / 3:
        radius = galaxy.r_eff * rng.uniform(0.1, 0.5)
        profile = Sersic(float(rng.choice([1.0, 4.0])), radius, rng.uniform(0.3, 1), rng.uniform(0, 180))
    flux = 10 ** (-0.4 * (galaxy.mag + rng.uniform(*FOREGROUND_FAINTER) - description.zero_point))
    colours = relative_fluxes("disc", description.bands, description.reference, rng.uniform(-0.35, 0.8))
    return [Light(profile, flux * colours, distance * np.cos(direction), distance * np.sin(direction))]


def draw_native_size(rng: np.random.Generator, r_eff_pixels: float, size: int) -> int:
    """Return the width (pixel) of the image from which a galaxy is cut.

    Any width holds at least twice the half-light radius on every side. Beyond that it does not depend on the galaxy, so that
    a network cannot read the size off the padding. Wide images are more frequent.

    Parameters
    ----------
    rng : numpy.random.Generator
    r_eff_pixels : float
        Half-light radius (pixel).
    size : int
        Width of the stamp (pixel).

    Returns
    -------
    int
    """
    low, high = (int(fraction * size) for fraction in NATIVE_SIZES)
    smallest = min(max(low, int(np.ceil(4 * r_eff_pixels))), high)
    return int(rng.integers(smallest, high + 1, 2).max())


def fit(image: np.ndarray, size: int) -> np.ndarray:
    """Return the central part of an image, padded with zeros where it is too small.

    Parameters
    ----------
    image : ndarray
        (..., H, W).
    size : int
        S, width of the result (pixel).

    Returns
    -------
    ndarray
        (..., S, S).
    """
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
    foreground: float = 0.0,
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
        Empty sky, if they have any, as wide as what is seen of the image: the lesser of the two widths.
    description : Description
    offset : ndarray
        Column and row of the galaxy's centre less those of the pixel [size // 2, size // 2].
    foreground : float
        Share of the galaxies with something in front.

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
    lights += draw_foreground(rng, galaxy, foreground, description)
    image = fit(canvas.draw_through(lights, conditions.psfs(), *offset), visible)
    noise = conditions.sky_noise, description, conditions.correlation, conditions.background
    variance = add_noise(rng, image, *noise)
    return np.stack([fit(image, size), fit(1 / variance, size)])
