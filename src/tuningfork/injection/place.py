"""The random positions and properties of the injected galaxies."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import astropy.units as u
import cdshealpix.nested as healpix
import numpy as np
from astropy.coordinates import Latitude, Longitude

from tuningfork.core.config.population import ClassFractions, Population
from tuningfork.core.seeds import generator_for
from tuningfork.simulate.galaxies.draw import Galaxy, draw_galaxy
from tuningfork.simulate.imaging.observe import listed_radius
from tuningfork.sky.coordinates import distance
from tuningfork.sky.shards import Shard
from tuningfork.surveys.base import Tile
from tuningfork.surveys.near import depth

BARRED_CLASS = "barred_spiral"
"""Class of the injected galaxies."""
MAX_SHARD_GALAXIES = 1_000_000
"""Largest number of galaxies per shard, which is the step of the identifiers between shards."""
HEALPIX_ORDER = 29
"""Deepest HEALPix order, whose pixels serve as random positions."""
POSITIONS_AT_ONCE, MAX_TRIES_PER_GALAXY = 4096, 200
"""Number of random positions drawn at once, and number of positions tried per galaxy; much of a shard lacks images."""


@dataclass(frozen=True)
class Injection:
    """A simulated galaxy and its position.

    Attributes
    ----------
    source_id : int
        Unique within the run.
    galaxy : Galaxy
    ra, dec : float
        deg.
    listed_radius : float
        Circularised half-light radius (arcsec) that a survey's catalogue would list; it may set the stamp's scale.
    """

    source_id: int
    galaxy: Galaxy
    ra: float
    dec: float
    listed_radius: float


def place_galaxies(
    seed: int, shard: Shard, number: int, population: Population, tiles: Sequence[Tile]
) -> list[Injection]:
    """Draw barred galaxies of the population and random positions in a shard.

    Parameters
    ----------
    seed : int
        Seed of the configuration.
    shard : Shard
    number : int
        Number of galaxies. Fewer are placed if the tiles cover little of the shard, and none if no tile has corners.
    population : Population
        The population of which the barred spirals are drawn.
    tiles : sequence of Tile
        The centre of every galaxy lies in one of them.

    Returns
    -------
    list of Injection
    """
    barred = population.model_copy(update={"classes": only(BARRED_CLASS)})
    ra, dec = positions(generator_for(seed, "inject", shard.name), shard, number, tiles)
    placed = []
    for row in range(len(ra)):
        rng = generator_for(seed, "inject", shard.name, row)
        galaxy = draw_galaxy(rng, barred)
        radius = float(listed_radius(rng, np.array(galaxy.r_eff), np.array(galaxy.axis_ratio)))
        source_id = shard.pixel * MAX_SHARD_GALAXIES + row
        placed.append(Injection(source_id, galaxy, float(ra[row]), float(dec[row]), radius))
    return placed


def only(kind: str) -> ClassFractions:
    """Return the class fractions of a population of one class."""
    return ClassFractions(**{name: float(name == kind) for name in ClassFractions.model_fields})


def positions(
    rng: np.random.Generator, shard: Shard, number: int, tiles: Sequence[Tile]
) -> tuple[np.ndarray, np.ndarray]:
    """Return random points of the shard that lie in a tile.

    Parameters
    ----------
    rng : numpy.random.Generator
    shard : Shard
    number : int
        Largest number of points.
    tiles : sequence of Tile

    Returns
    -------
    ra, dec : ndarray
        (n,) deg.
    """
    parts = 4 ** (HEALPIX_ORDER - shard.order)
    accepted: list[np.ndarray] = []
    rounds = 10 + MAX_TRIES_PER_GALAXY * number // POSITIONS_AT_ONCE if any(tile.corners for tile in tiles) else 0
    for _ in range(rounds):
        deep = np.uint64(shard.pixel) * np.uint64(parts) + rng.integers(parts, size=POSITIONS_AT_ONCE, dtype=np.uint64)
        lon, lat = healpix.healpix_to_lonlat(deep, np.uint8(HEALPIX_ORDER))
        points = np.stack([Longitude(lon).to_value(u.deg), Latitude(lat).to_value(u.deg)])
        inside = np.zeros(POSITIONS_AT_ONCE, dtype=bool)
        for tile in tiles:
            with np.errstate(invalid="ignore"):
                inside |= depth(tile, *points) > 0
        accepted.append(points[:, inside])
        if sum(part.shape[1] for part in accepted) >= number:
            break
    ra, dec = np.concatenate([np.empty((2, 0)), *accepted], axis=1)[:, :number]
    return ra, dec


def groups(injections: Sequence[Injection], separation: float, largest: int) -> Iterator[list[Injection]]:
    """Yield groups of at most `largest` galaxies that lie at least `separation` (deg) from each other.

    Each group is injected separately, so that no injected galaxy is a neighbour of another one.

    Parameters
    ----------
    injections : sequence of Injection
    separation : float
        Smallest distance (deg) of two galaxies in a group.
    largest : int
        Largest number of galaxies per group.

    Yields
    ------
    list of Injection
    """
    left = list(injections)
    while left:
        group: list[Injection] = []
        rest: list[Injection] = []
        for injection in left:
            ra, dec = np.array([(other.ra, other.dec) for other in group]).reshape(-1, 2).T
            far = len(group) < largest and bool((distance(ra, dec, injection.ra, injection.dec) >= separation).all())
            (group if far else rest).append(injection)
        yield group
        left = rest
