"""Where tiles lie, according to their corners, and which tiles the stamps of given sources need."""

from collections.abc import Sequence

import numpy as np

from tuningfork.sky.coordinates import distance
from tuningfork.surveys.base import Tile


def depth(tile: Tile, ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """Return how far inside a tile positions lie.

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
    side_distances = []
    turn = np.sign(_area(corner_x, corner_y)) or 1.0
    for k in range(len(corner_x)):
        ax, ay = corner_x[k - 1], corner_y[k - 1]
        bx, by = corner_x[k], corner_y[k]
        side_length = np.hypot(bx - ax, by - ay)
        if side_length > 0:
            side_distances.append(turn * ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / side_length)
    inside = np.min(side_distances, axis=0)
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
    """Return which positions lie in a box, which may cross right ascension zero.

    Parameters
    ----------
    box : tuple of float
        ra_min, ra_max, dec_min, dec_max (deg); ra_min > ra_max if the box crosses zero.
    ra, dec : ndarray
        Positions (deg), shape (N,).

    Returns
    -------
    ndarray of bool
        Shape (N,). The western and southern edges belong to the box.
    """
    west, east, south, north = box
    inside = (dec >= south) & (dec < north)
    along = (ra >= west) & (ra < east) if west <= east else (ra >= west) | (ra < east)
    return np.asarray(inside & along)


def reaches(tile: Tile, ra: float, dec: float, radius: float) -> bool:
    """Return whether the circumscribed circle of a tile touches another circle.

    Parameters
    ----------
    tile : Tile
        Its corners must be known.
    ra, dec : float
        Centre of the other circle (deg).
    radius : float
        Radius of the other circle (deg).

    Returns
    -------
    bool
    """
    corner_ra, corner_dec = np.array(tile.corners).T
    size = np.max(distance(corner_ra, corner_dec, tile.ra, tile.dec))
    return bool(distance(np.array(tile.ra), np.array(tile.dec), ra, dec) <= radius + size)


def needed(tiles: Sequence[Tile], ra: np.ndarray, dec: np.ndarray, reach: float) -> list[Tile]:
    """Return the tiles that contain the stamps of the sources.

    For each source this is the tile in which it lies deepest. If that tile does not contain the whole stamp, the other
    tiles that the stamp touches are needed, too.

    Parameters
    ----------
    tiles : sequence of Tile
    ra, dec : ndarray
        Positions (deg), shape (N,); NaN is allowed.
    reach : float or ndarray
        Half of the width of the stamps (deg), for all or of shape (N,).

    Returns
    -------
    list of Tile
        In the order of `tiles`; tiles without corners are all needed if there is any source.
    """
    ra, dec = np.asarray(ra, dtype=float), np.asarray(dec, dtype=float)
    if not len(ra) or not len(tiles):
        return []
    greatest_depth = np.full(len(ra), -np.inf)
    depths = []
    for tile in tiles:
        depth_in_tile = depth(tile, ra, dec)
        depths.append(depth_in_tile)
        greatest_depth = np.fmax(greatest_depth, depth_in_tile)
    wanted = []
    for tile, depth_in_tile in zip(tiles, depths, strict=True):
        with np.errstate(invalid="ignore"):
            holds = (depth_in_tile == greatest_depth) & (depth_in_tile > -reach)
            touches = (greatest_depth < reach) & (depth_in_tile > -reach)
        if not tile.corners or (holds | touches).any():
            wanted.append(tile)
    return wanted
