"""Which tile is primary where several tiles show the same sky."""

from collections.abc import Sequence

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord, search_around_sky

from tuningfork.sky.shards import MAX_RADIUS_OF_ORDER_0, Shard, centres
from tuningfork.surveys.base import Tile
from tuningfork.surveys.near import depth, in_box

SAMPLE_ORDERS = 6
"""A shard is sampled at the centres of pixels that are this many orders finer."""
OUTSIDE_DEPTH = -180.0
"""Depth (deg) of positions that are far from a tile, or whose depth is unknown."""


def tile_priority(tile: Tile, ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """Return the priority of a tile at some positions: where tiles overlap, the one with the highest priority is primary.

    The priority is the distance (deg) to the tile's nearest edge, negative outside. It is larger than any distance
    where the survey declares the tile primary.

    Parameters
    ----------
    tile : Tile
    ra, dec : ndarray
        Positions (deg), shape (N,).

    Returns
    -------
    ndarray
        Shape (N,).
    """
    depths = np.nan_to_num(depth(tile, ra, dec), nan=OUTSIDE_DEPTH)
    if tile.unique is None:
        return depths
    return np.where((depths > 0) & in_box(tile.unique, ra, dec), depths + 360.0, depths)


def tiles_that_count(tiles: Sequence[Tile], shard: Shard) -> list[Tile]:
    """Return the tiles that are primary somewhere in the shard, and some that only nearly are."""
    ra, dec, spacing = _sample(shard)
    depths = [np.nan_to_num(depth(tile, ra, dec), nan=OUTSIDE_DEPTH) for tile in tiles]
    deepest = np.max(depths, axis=0, initial=OUTSIDE_DEPTH)
    chosen = []
    for tile, depths_in_tile in zip(tiles, depths, strict=True):
        # Between two points the depths change by less than their distance.
        near = depths_in_tile > -spacing
        if tile.unique is None:
            near &= depths_in_tile >= deepest - 2 * spacing
        if near.any():
            chosen.append(tile)
    return chosen


def _sample(shard: Shard) -> tuple[np.ndarray, np.ndarray, float]:
    """Return points (deg) spread over a shard and its edge, and the largest distance (deg) from the shard to a point."""
    order = min(shard.order + SAMPLE_ORDERS, 29)
    parts = 4 ** (order - shard.order)
    ra, dec = centres(shard.pixel * parts + np.arange(parts), order)
    edge_ra, edge_dec = shard.boundary(steps=2**SAMPLE_ORDERS)
    return np.append(ra, edge_ra), np.append(dec, edge_dec), MAX_RADIUS_OF_ORDER_0 / 2**order


def each_once(
    tile: np.ndarray, best_other: np.ndarray, priority: np.ndarray, ra: np.ndarray, dec: np.ndarray, reach: float
) -> np.ndarray:
    """Return which detections to keep, so that every source is kept once.

    A source belongs to the tile that is primary at its position. Where two tiles have nearly the same priority, each of
    them may place the source on the other's side, or both on their own: there, detections on two tiles within `reach`
    are one source.

    Parameters
    ----------
    tile : ndarray of int
        Number of the tile of each detection, shape (N,).
    best_other : ndarray
        Highest priority of all other tiles, see :func:`tile_priority` (deg), shape (N,).
    priority : ndarray
        Priority of the detection's own tile, shape (N,).
    ra, dec : ndarray
        Positions (deg), shape (N,).
    reach : float
        Separation (deg) within which detections on two tiles are the same source.

    Returns
    -------
    ndarray of bool
        Shape (N,).
    """
    margin = priority - best_other
    keep = margin > 0
    undecided = np.flatnonzero(np.abs(margin) <= 2 * reach)
    if len(undecided) == 0:
        return keep
    positions = SkyCoord(ra, dec, unit="deg")
    first, second, *_ = search_around_sky(positions[undecided], positions, reach * u.deg)
    neighbours = np.split(second, np.searchsorted(first, np.arange(1, len(undecided))))
    keep[undecided] = False
    for rank in np.lexsort((tile[undecided], -margin[undecided])):
        number, near = undecided[rank], neighbours[rank]
        keep[number] = not (keep[near] & (tile[near] != tile[number])).any()
    return keep
