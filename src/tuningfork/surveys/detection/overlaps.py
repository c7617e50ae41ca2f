"""Which tile counts where several show the same sky."""

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

from tuningfork.sky.coordinates import unit_vectors
from tuningfork.sky.shards import MAX_RADIUS_OF_ORDER_0, Shard, centres
from tuningfork.surveys.base import Tile
from tuningfork.surveys.near import depth, in_box

SAMPLE_ORDERS = 6
"""Orders by which the points at which a shard is sampled are finer than the shard."""
OUTSIDE_DEPTH = -180.0


def tile_priority(tile: Tile, ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """Return how strongly a tile counts at positions (deg), shape (N,): the largest of all tiles wins.

    That is how deep (deg) a position lies in the tile, and more than any depth where the survey's rule says that the
    tile is the one; negative outside.
    """
    deep = np.nan_to_num(depth(tile, ra, dec), nan=OUTSIDE_DEPTH)
    if tile.unique is None:
        return deep
    return np.where((deep > 0) & in_box(tile.unique, ra, dec), deep + 360.0, deep)


def tiles_that_count(tiles: Sequence[Tile], shard: Shard) -> list[Tile]:
    """Return the tiles that count somewhere in the shard, and some that only nearly do."""
    ra, dec, spacing = _sample(shard)
    deep = [np.nan_to_num(depth(tile, ra, dec), nan=OUTSIDE_DEPTH) for tile in tiles]
    deepest = np.max(deep, axis=0, initial=OUTSIDE_DEPTH)
    chosen = []
    for tile, here in zip(tiles, deep, strict=True):
        # Between two points the depths change by less than their distance.
        near = here > -spacing
        if tile.unique is None:
            near &= here >= deepest - 2 * spacing
        if near.any():
            chosen.append(tile)
    return chosen


def _sample(shard: Shard) -> tuple[np.ndarray, np.ndarray, float]:
    """Return points (deg) spread over a shard and its edge, and how far (deg) any of its points is from one at most."""
    order = min(shard.order + SAMPLE_ORDERS, 29)
    parts = 4 ** (order - shard.order)
    ra, dec = centres(shard.pixel * parts + np.arange(parts), order)
    edge_ra, edge_dec = shard.boundary(steps=2**SAMPLE_ORDERS)
    return np.append(ra, edge_ra), np.append(dec, edge_dec), MAX_RADIUS_OF_ORDER_0 / 2**order


def each_once(
    tile: np.ndarray, rank: np.ndarray, here: np.ndarray, ra: np.ndarray, dec: np.ndarray, reach: float
) -> np.ndarray:
    """Return which detections to keep, so that every source is kept once.

    A source belongs to the tile that counts at its position. Where two tiles count nearly the same, each may place
    the source on the other's side, or both on their own: there, detections of two tiles within `reach` are one.

    Parameters
    ----------
    tile : ndarray of int
        Number of the tile of each detection, shape (N,).
    rank : ndarray
        How strongly any other tile counts there, see :func:`standing` (deg), shape (N,).
    here : ndarray
        How strongly its own tile counts there, shape (N,).
    ra, dec : ndarray
        Positions (deg), shape (N,).
    reach : float
        Distance (deg) within which detections of two tiles are the same source.

    Returns
    -------
    ndarray of bool
    """
    lead = here - rank
    keep = lead > 0
    close = np.flatnonzero(np.abs(lead) <= 2 * reach)
    if len(close) == 0:
        return keep
    points = unit_vectors(ra, dec)
    tree = cKDTree(points)
    keep[close] = False
    for place in close[np.lexsort((tile[close], -lead[close]))]:
        same = np.array(tree.query_ball_point(points[place], 2 * np.sin(np.deg2rad(reach) / 2)), dtype=int)
        keep[place] = not (keep[same] & (tile[same] != tile[place])).any()
    return keep
