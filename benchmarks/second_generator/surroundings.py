"""What else is on an image: stars with spikes, other galaxies, satellite trails."""

from dataclasses import dataclass

import numpy as np

from second_generator.frame import Grid, log_uniform
from second_generator.imaging import ZERO_POINT
from second_generator.model import COLOURS, REFERENCE

STARS_PER_AREA, GALAXIES_PER_AREA = 1.2, 3.0
"""Per square arcminute, to 20.5 mag and to 21 mag."""
STAR_MAGS, GALAXY_MAGS = (14.5, 20.5), (17.0, 21.0)
STAR_SLOPE, GALAXY_SLOPE = 0.2, 0.45
"""Slopes of log10(number) with magnitude."""
NEAR_STAR, NEAR_GALAXY = 0.15, 0.12
"""Shares of the images with an additional star on the galaxy, and with a neighbour almost as bright."""
SPIKES_FROM = 15.5
"""Stars brighter than this show spikes (mag)."""
TRAIL_SHARE = 0.03
"""Share of the images with a satellite trail."""


@dataclass(frozen=True)
class Star:
    """A star at a place (arcsec from the middle of the image), with its fluxes in the bands."""

    west: float
    north: float
    flux: np.ndarray

    @property
    def mag(self) -> float:
        """Magnitude in r."""
        return float(ZERO_POINT - 2.5 * np.log10(self.flux[REFERENCE]))


@dataclass(frozen=True)
class Neighbour:
    """A galaxy at a place, with its fluxes, scale radius (arcsec), axis ratio, direction (rad) and Sersic index."""

    west: float
    north: float
    flux: np.ndarray
    radius: float
    axis_ratio: float
    angle: float
    index: float


def fluxes(mag: float, blue: float, red: float) -> np.ndarray:
    """Return the fluxes in the bands (nanomaggies).

    Parameters
    ----------
    mag : float
        In r.
    blue, red : float
        Colours g - r and r - i.

    Returns
    -------
    ndarray
        (bands,).
    """
    return 10 ** (-0.4 * (np.array([mag + blue, mag, mag - red]) - ZERO_POINT))


def _magnitude(rng: np.random.Generator, limits: tuple[float, float], slope: float) -> float:
    low, high = limits
    return float(low + np.log10(1 + rng.uniform() * (10 ** (slope * (high - low)) - 1)) / slope)


def star(rng: np.random.Generator, west: float, north: float, mag: float) -> Star:
    """Return a star of a random colour.

    Parameters
    ----------
    rng : numpy.random.Generator
    west, north : float
        arcsec.
    mag : float

    Returns
    -------
    Star
    """
    blue = rng.uniform(0.2, 1.4)
    return Star(west, north, fluxes(mag, blue, 0.4 * blue))


def _neighbour(rng: np.random.Generator, west: float, north: float, mag: float, radius: float) -> Neighbour:
    blue, red = COLOURS[str(rng.choice(list(COLOURS)))]
    form = rng.uniform(0.3, 1.0), rng.uniform(0, np.pi), float(rng.choice([1.0, 1.0, 2.5, 4.0]))
    return Neighbour(west, north, fluxes(mag, blue + rng.uniform(0, 0.4), red), radius, *form)


def draw_surroundings(
    rng: np.random.Generator, reach: float, target_mag: float, target_radius: float
) -> tuple[list[Star], list[Neighbour]]:
    """Return stars and galaxies about a target.

    Parameters
    ----------
    rng : numpy.random.Generator
    reach : float
        Half the width of the image (arcsec).
    target_mag, target_radius : float
        Magnitude and half-light radius (arcsec) of the target.

    Returns
    -------
    stars : list of Star
    neighbours : list of Neighbour
    """
    area = (2 * reach / 60) ** 2

    def place() -> tuple[float, float]:
        return float(rng.uniform(-reach, reach)), float(rng.uniform(-reach, reach))

    stars = [
        star(rng, *place(), _magnitude(rng, STAR_MAGS, STAR_SLOPE)) for _ in range(rng.poisson(STARS_PER_AREA * area))
    ]
    neighbours = [
        _neighbour(rng, *place(), _magnitude(rng, GALAXY_MAGS, GALAXY_SLOPE), log_uniform(rng, 0.4, 2.0))
        for _ in range(rng.poisson(GALAXIES_PER_AREA * area))
    ]
    if rng.uniform() < NEAR_STAR:
        distance, direction = target_radius * rng.uniform(0.4, 2.5), rng.uniform(0, 2 * np.pi)
        mag = max(target_mag + rng.uniform(-0.3, 3.5), 13.5)
        stars.append(star(rng, distance * np.cos(direction), distance * np.sin(direction), mag))
    if rng.uniform() < NEAR_GALAXY:
        distance, direction = target_radius * rng.uniform(2.5, 4.5), rng.uniform(0, 2 * np.pi)
        form = target_mag + rng.uniform(-0.3, 2.0), target_radius * rng.uniform(0.3, 0.9)
        neighbours.append(_neighbour(rng, distance * np.cos(direction), distance * np.sin(direction), *form))
    return stars, neighbours


def add_neighbour(light: np.ndarray, grid: Grid, galaxy: Neighbour) -> None:
    """Add a galaxy to the light in the bands, in place.

    Parameters
    ----------
    light : ndarray
        (bands, n, n).
    grid : Grid
        Places count from the middle of its canvas.
    galaxy : Neighbour
    """
    middle = (light.shape[1] - 1) / 2
    column, row = middle + galaxy.west / grid.step, middle + galaxy.north / grid.step
    reach = int(7 * galaxy.radius / grid.step) + 3
    rows = np.arange(max(int(row) - reach, 0), min(int(row) + reach, light.shape[1]))
    columns = np.arange(max(int(column) - reach, 0), min(int(column) + reach, light.shape[1]))
    if not rows.size or not columns.size:
        return
    x, y = (columns[None, :] - column) * grid.step, (rows[:, None] - row) * grid.step
    along, across = (
        x * np.cos(galaxy.angle) + y * np.sin(galaxy.angle),
        (y * np.cos(galaxy.angle) - x * np.sin(galaxy.angle)) / galaxy.axis_ratio,
    )
    m = np.sqrt(along**2 + across**2 + grid.step**2) / galaxy.radius
    b = 2 * galaxy.index - 1 / 3
    patch = np.exp(-b * (m ** (1 / galaxy.index) - 1)) * (m < 7)
    whole = _sersic_sum(galaxy.index, b) * galaxy.radius**2 * galaxy.axis_ratio / grid.step**2
    light[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] += (
        galaxy.flux[:, None, None] * patch / whole
    ).astype(np.float32)


def _sersic_sum(index: float, b: float) -> float:
    """Return the whole light of a Sersic profile of radius 1 that ends at 7, round."""
    m = np.linspace(1e-4, 7, 4000)
    return float(np.trapezoid(2 * np.pi * m * np.exp(-b * (m ** (1 / index) - 1)), m))


def add_point(light: np.ndarray, grid: Grid, point: Star) -> None:
    """Add a star to the light in the bands, in place, spread over the four nearest fine pixels.

    Parameters
    ----------
    light : ndarray
        (bands, n, n).
    grid : Grid
        Places count from the middle of its canvas.
    point : Star
    """
    middle = (light.shape[1] - 1) / 2
    column, row = middle + point.west / grid.step, middle + point.north / grid.step
    for r, part_r in ((int(np.floor(row)), 1 - row % 1), (int(np.floor(row)) + 1, row % 1)):
        for c, part_c in ((int(np.floor(column)), 1 - column % 1), (int(np.floor(column)) + 1, column % 1)):
            if 0 <= r < light.shape[1] and 0 <= c < light.shape[2]:
                light[:, r, c] += (point.flux * part_r * part_c).astype(np.float32)


def spikes(point: Star, x: np.ndarray, y: np.ndarray, angle: float, number: int, band: int) -> np.ndarray:
    """Return the light of a star's spikes in pixels of an image.

    Parameters
    ----------
    point : Star
    x, y : ndarray
        Places of the pixels (arcsec west and north of the middle).
    angle : float
        Of the first (rad).
    number : int
        Of lines through the star.
    band : int

    Returns
    -------
    ndarray
        (H, W) surface brightness (flux per square arcsec).
    """
    light = np.zeros(np.broadcast_shapes(x.shape, y.shape))
    for turn in angle + np.pi * np.arange(number) / number:
        along = (x - point.west) * np.cos(turn) + (y - point.north) * np.sin(turn)
        across = (y - point.north) * np.cos(turn) - (x - point.west) * np.sin(turn)
        light += np.exp(-np.abs(across) / 0.5) / (1 + (along / 1.5) ** 2)
    return 4e-3 * point.flux[band] * light


def trail(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, brightness: float, miss: float) -> np.ndarray:
    """Return the light of a satellite's trail in pixels of an image.

    Parameters
    ----------
    rng : numpy.random.Generator
    x, y : ndarray
        Places of the pixels (arcsec west and north of the middle).
    brightness : float
        Surface brightness (flux per square arcsec).
    miss : float
        Its distance from the middle (arcsec).

    Returns
    -------
    ndarray
        (H, W).
    """
    turn, width = rng.uniform(0, np.pi), rng.uniform(0.6, 1.6)
    across = y * np.cos(turn) - x * np.sin(turn) - miss
    return brightness * np.exp(-0.5 * (across / width) ** 2)
