"""Which galaxies are put where."""

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
MAX_SHARD_GALAXIES = 1_000_000
"""Galaxies of a shard at most, the step of their identifiers from shard to shard."""
HEALPIX_ORDER = 29
POSITIONS_AT_ONCE, MAX_TRIES_PER_GALAXY = 4096, 200
"""Random positions drawn at once, and how many of them are tried for a galaxy: most of a shard may have no image."""


@dataclass(frozen=True)
class Injection:
    """A simulated galaxy and its place.

    Attributes
    ----------
    source_id : int
        Unique within the run.
    galaxy : Galaxy
    ra, dec : float
        deg.
    listed_radius : float
        Circularised half-light radius (arcsec) that a survey's catalogue would have, which may set the stamp's scale.
    """

    source_id: int
    galaxy: Galaxy
    ra: float
    dec: float
    listed_radius: float


def place_galaxies(
    seed: int, shard: Shard, number: int, population: Population, tiles: Sequence[Tile]
) -> list[Injection]:
    """Draw barred galaxies of the population and put them at random into a shard.

    Parameters
    ----------
    seed : int
        The configuration's.
    shard : Shard
    number : int
        Galaxies; fewer are placed if the tiles cover little of the shard, none if no tile tells its corners.
    population : Population
        Of which the barred spirals are drawn.
    tiles : sequence of Tile
        A galaxy's centre lies in one of them.

    Returns
    -------
    list of Injection
    """
    barred = population.model_copy(update={"classes": only(BARRED_CLASS)})
    ra, dec = positions(generator_for(seed, "inject", shard.name), shard, number, tiles)
    found = []
    for place in range(len(ra)):
        rng = generator_for(seed, "inject", shard.name, place)
        galaxy = draw_galaxy(rng, barred)
        radius = float(listed_radius(rng, np.array(galaxy.r_eff), np.array(galaxy.axis_ratio)))
        found.append(
            Injection(shard.pixel * MAX_SHARD_GALAXIES + place, galaxy, float(ra[place]), float(dec[place]), radius)
        )
    return found


def only(kind: str) -> ClassFractions:
    """Return the fractions of a population of one kind."""
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
        Of points, at most.
    tiles : sequence of Tile

    Returns
    -------
    ra, dec : ndarray
        (n,) deg.
    """
    parts = 4 ** (HEALPIX_ORDER - shard.order)
    found: list[np.ndarray] = []
    rounds = 10 + MAX_TRIES_PER_GALAXY * number // POSITIONS_AT_ONCE if any(tile.corners for tile in tiles) else 0
    for _ in range(rounds):
        deep = np.uint64(shard.pixel) * np.uint64(parts) + rng.integers(parts, size=POSITIONS_AT_ONCE, dtype=np.uint64)
        lon, lat = healpix.healpix_to_lonlat(deep, np.uint8(HEALPIX_ORDER))
        points = np.stack([Longitude(lon).to_value(u.deg), Latitude(lat).to_value(u.deg)])
        inside = np.zeros(POSITIONS_AT_ONCE, dtype=bool)
        for tile in tiles:
            with np.errstate(invalid="ignore"):
                inside |= depth(tile, *points) > 0
        found.append(points[:, inside])
        if sum(part.shape[1] for part in found) >= number:
            break
    ra, dec = np.concatenate([np.empty((2, 0)), *found], axis=1)[:, :number]
    return ra, dec


def groups(injections: Sequence[Injection], separation: float, largest: int) -> Iterator[list[Injection]]:
    """Yield groups of at most `largest` galaxies that lie at least `separation` (deg) from each other.

    Each group is put into the images by itself, so that no galaxy has another one for a neighbour.

    Parameters
    ----------
    injections : sequence of Injection
    separation : float
        deg.
    largest : int
        Galaxies per group, at most.

    Yields
    ------
    list of Injection
    """
    left = list(injections)
    while left:
        group: list[Injection] = []
        rest: list[Injection] = []
        for one in left:
            ra, dec = np.array([(other.ra, other.dec) for other in group]).reshape(-1, 2).T
            far = len(group) < largest and bool((distance(ra, dec, one.ra, one.dec) >= separation).all())
            (group if far else rest).append(one)
        yield group
        left = rest
