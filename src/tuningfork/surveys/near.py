"""Where tiles lie, by their corners, and which of them the stamps of given sources need."""

from collections.abc import Sequence

import numpy as np

from tuningfork.sky.coordinates import distance
from tuningfork.surveys.base import Tile


def depth(tile: Tile, ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """Return how deep positions lie in a tile.

    Parameters
    ----------
    tile : Tile
    ra, dec : ndarray
        Positions (deg), shape (N,); NaN is allowed.

    Returns
    -------
    ndarray
        Distance (deg) to the nearest edge, shape (N,): positive inside, negative outside, NaN if unknown.
        Measured in the plane that touches the sky at the tile's centre (gnomonic projection).
    """
    if not tile.corners:
        return np.full(np.shape(ra), np.nan)
    x, y, front = _project(tile, np.asarray(ra, dtype=float), np.asarray(dec, dtype=float))
    corner_x, corner_y, _ = _project(tile, *np.array(tile.corners, dtype=float).T)
    edges = []
    turn = np.sign(_area(corner_x, corner_y)) or 1.0
    for k in range(len(corner_x)):
        ax, ay = corner_x[k - 1], corner_y[k - 1]
        bx, by = corner_x[k], corner_y[k]
        length = np.hypot(bx - ax, by - ay)
        if length > 0:
            edges.append(turn * ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / length)
    inside = np.min(edges, axis=0)
    return np.where(np.isfinite(x), np.where(front, inside, -180.0), np.nan)


def _project(tile: Tile, ra: np.ndarray, dec: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    lon, lat, lat_0 = np.deg2rad(ra - tile.ra), np.deg2rad(dec), np.deg2rad(tile.dec)
    cosine = np.sin(lat_0) * np.sin(lat) + np.cos(lat_0) * np.cos(lat) * np.cos(lon)
    front = cosine > 0.1
    safe = np.where(front, cosine, 1.0)
    x = np.cos(lat) * np.sin(lon) / safe
    y = (np.cos(lat_0) * np.sin(lat) - np.sin(lat_0) * np.cos(lat) * np.cos(lon)) / safe
    return np.rad2deg(x), np.rad2deg(y), front


def _area(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.sum(np.roll(x, 1) * y - x * np.roll(y, 1)))


def in_box(box: tuple[float, float, float, float], ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """Return which positions (deg) lie in the box ra_min, ra_max, dec_min, dec_max, which may cross zero."""
    west, east, south, north = box
    inside = (dec >= south) & (dec < north)
    along = (ra >= west) & (ra < east) if west <= east else (ra >= west) | (ra < east)
    return np.asarray(inside & along)


def reaches(tile: Tile, ra: float, dec: float, radius: float) -> bool:
    """Return whether the circle around a tile, whose corners must be known, meets one of `radius` (deg) elsewhere."""
    corner_ra, corner_dec = np.array(tile.corners).T
    size = np.max(distance(corner_ra, corner_dec, tile.ra, tile.dec))
    return bool(distance(np.array(tile.ra), np.array(tile.dec), ra, dec) <= radius + size)


def needed(tiles: Sequence[Tile], ra: np.ndarray, dec: np.ndarray, reach: float) -> list[Tile]:
    """Return the tiles that hold the stamps of the sources: for each source the one in which it lies deepest,
    and the others that its stamp touches where that one does not hold it whole.

    Parameters
    ----------
    tiles : sequence of Tile
    ra, dec : ndarray
        Positions (deg), shape (N,); NaN is allowed.
    reach : float or ndarray
        Half of the width of the stamps (deg).

    Returns
    -------
    list of Tile
        In the order of `tiles`; tiles without corners are all needed if there is any source.
    """
    ra, dec = np.asarray(ra, dtype=float), np.asarray(dec, dtype=float)
    if not len(ra) or not len(tiles):
        return []
    deepest = np.full(len(ra), -np.inf)
    depths = []
    for tile in tiles:
        here = depth(tile, ra, dec)
        depths.append(here)
        deepest = np.fmax(deepest, here)
    wanted = []
    for tile, here in zip(tiles, depths, strict=True):
        with np.errstate(invalid="ignore"):
            holds = (here == deepest) & (here > -reach)
            touches = (deepest < reach) & (here > -reach)
        if not tile.corners or (holds | touches).any():
            wanted.append(tile)
    return wanted
