"""How much sky there is, and how many tiles touch it."""

from collections.abc import Sequence
from pathlib import Path

import cdshealpix.nested as healpix
import numpy as np

from tuningfork.core.config import Configuration
from tuningfork.core.config.sky import Box, Cone, Moc, Polygon
from tuningfork.core.description import Description
from tuningfork.sky.footprint import MOC_ORDER, read_moc
from tuningfork.sky.shards import Shard
from tuningfork.survey_plan.figure import Figure
from tuningfork.surveys.base import STAMP_MARGIN
from tuningfork.surveys.folder.survey import FolderSurvey
from tuningfork.surveys.transfer.network import Network

WHOLE_SKY_DEG2 = 4 * np.pi * np.rad2deg(1) ** 2
EDGE_NEIGHBOURS = (1, 3, 5, 7)
"""Indices of the neighbours that share an edge with a pixel, in the answer of cdshealpix."""
MAX_COUNTED_TILES = 20_000
"""Up to this estimated number, tiles of the simulated sky are counted."""
SAMPLE_ORDER = 10
"""HEALPix order of the points by which bricks are counted; 3.4 arcmin apart, a brick is 15 arcmin wide."""


def shard_area(order: int) -> float:
    """Return the area of a shard (deg2)."""
    return float(WHOLE_SKY_DEG2 / (12 * 4**order))


def footprint_area(footprint: object) -> float | None:
    """Return the area of a box, cone, polygon or coverage map (deg2), None of others.

    Raises
    ------
    ConfigurationError
        The map cannot be read.
    """
    match footprint:
        case Box():
            width = (footprint.ra_max - footprint.ra_min) % 360 or 360.0
            south, north = np.deg2rad([footprint.dec_min, footprint.dec_max])
            return float(width * np.rad2deg(np.sin(north) - np.sin(south)))
        case Cone():
            return float(WHOLE_SKY_DEG2 / 2 * (1 - np.cos(np.deg2rad(footprint.radius))))
        case Polygon():
            return _polygon_area(*np.deg2rad(np.array(footprint.vertices, dtype=float).T))
        case Moc():
            ranges = read_moc(Path(footprint.path))
            return float((ranges[:, 1] - ranges[:, 0]).sum() * shard_area(MOC_ORDER))
    return None


def _polygon_area(lon: np.ndarray, lat: np.ndarray) -> float:
    """Return the area (deg2) within great circles between corners (rad), by the excess of each side over the equator.

    Of the two sides of the outline it is the smaller one.
    """
    step = (np.roll(lon, -1) - lon + np.pi) % (2 * np.pi) - np.pi
    half, other = np.tan(lat / 2), np.tan(np.roll(lat, -1) / 2)
    excess = abs(float(np.sum(2 * np.arctan2(np.tan(step / 2) * (half + other), 1 + half * other))))
    if abs(np.sum(step)) > np.pi:
        # The outline goes round a pole.
        excess = 2 * np.pi - excess
    return min(excess, 4 * np.pi - excess) * float(np.rad2deg(1) ** 2)


def border(shards: Sequence[Shard]) -> float:
    """Return the length (deg) of the border of the area that the shards make up."""
    pixels = np.array([shard.pixel for shard in shards], dtype=np.uint64)
    order = shards[0].order
    beside = np.asarray(healpix.neighbours(pixels, np.uint8(order)))[:, EDGE_NEIGHBOURS]
    free = ~np.isin(beside, pixels.astype(beside.dtype))
    return float(free.sum() * np.sqrt(shard_area(order)))


def count_tiles(configuration: Configuration, description: Description, shards: Sequence[Shard]) -> Figure:
    """Return how many tiles touch the shards or come near them; a shard without sources needs none of them.

    Parameters
    ----------
    configuration : Configuration
    description : Description
    shards : sequence of Shard

    Returns
    -------
    Figure
    """
    match configuration.survey.name:
        case "simulated":
            return _simulated(configuration, description, shards)
        case "legacy":
            return Figure(_bricks(shards), "every brick of the sky there; the release has not all of them")
        case "folder":
            return Figure(len(FolderSurvey(configuration.survey.folder, description).layouts))
    if description.tile_area is None:
        return Figure(None)
    return Figure(_touched(shards, description.tile_area), f"{description.tile_area:g} deg2 a tile, and the border")


def with_sources(tiles: Figure, galaxies: Figure) -> Figure:
    """Return how many of an estimated number of tiles hold a source, if the sources lie at random."""
    if not tiles.how or not tiles.value or galaxies.value is None:
        return tiles
    return Figure(tiles.value * -float(np.expm1(-galaxies.value / tiles.value)), tiles.how)


def _touched(shards: Sequence[Shard], tile_area: float) -> float:
    """Return how many squares of a grid touch the shards, in the mean over the places and angles of the grid.

    For a convex area A with the perimeter P and squares of the width s it is A/s^2 + 2P/(pi s) + 1 (Santalo 1976,
    Integral Geometry and Geometric Probability, chapter 8).
    """
    side, length = np.sqrt(tile_area), border(shards)
    area = len(shards) * shard_area(shards[0].order) + length * STAMP_MARGIN
    return float(area / tile_area + 2 * length / (np.pi * side) + 1)


def _simulated(configuration: Configuration, description: Description, shards: Sequence[Shard]) -> Figure:
    from tuningfork.surveys.simulated import SimulatedSurvey

    sky = configuration.survey.simulated
    survey = SimulatedSurvey(configuration.seed, sky, description, Network(configuration.transfer))
    step = (sky.tile_size - sky.tile_overlap) * description.pixel_scale / 3600
    estimate = _touched(shards, step**2)
    if estimate > MAX_COUNTED_TILES:
        return Figure(estimate, f"{step**2:.3g} deg2 a tile, and the border")
    return Figure(len({tile.name for shard in shards for tile in survey.tiles(shard)}))


def _bricks(shards: Sequence[Shard]) -> int:
    from tuningfork.surveys.legacy.bricks import numbers_at

    order = max(SAMPLE_ORDER, shards[0].order + 2)
    shift = 2 * (order - shards[0].order)
    numbers = []
    for shard in shards:
        points = np.arange(shard.pixel << shift, (shard.pixel + 1) << shift, dtype=np.uint64)
        lon, lat = healpix.healpix_to_lonlat(points, np.uint8(order))
        numbers.append(np.unique(numbers_at(lon.deg, lat.deg)))
    return len(np.unique(np.concatenate(numbers)))
