"""Outlines of polygons on the sky that have an inside."""

import numpy as np

from tuningfork.core.errors import ConfigurationError
from tuningfork.sky.coordinates import unit_vectors

KEY = "sky.footprint.vertices"
SAME = 1e-11
"""Distance (rad) below which corners are one; 2 microarcseconds."""


def simple_outline(ra: np.ndarray, dec: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners of a polygon without repeats, such as a last corner that closes it.

    Parameters
    ----------
    ra, dec : ndarray
        Corners (deg), shape (N,).

    Returns
    -------
    ra, dec : ndarray
        Corners (deg), shape (M,) with M <= N.

    Raises
    ------
    ConfigurationError
        Fewer than three corners are left, all lie on one great circle, neighbours are opposite each other, or two sides
        cross.
    """
    corners = unit_vectors(ra, dec)
    kept = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1) > SAME
    ra, dec, corners = ra[kept], dec[kept], corners[kept]
    if len(ra) < 3:
        raise ConfigurationError(f"{KEY}: {len(ra)} different corners; a polygon needs three or more")
    if np.linalg.svd(corners, compute_uv=False)[-1] < SAME:
        raise ConfigurationError(f"{KEY}: all corners lie on one great circle, so there is no area between them")
    following = np.roll(corners, -1, axis=0)
    opposite = np.linalg.norm(corners + following, axis=1) <= SAME
    if opposite.any():
        first = int(np.argmax(opposite))
        raise ConfigurationError(
            f"{KEY}: the corner {_corner(ra, dec, first)} and the next one are opposite each other, so any great circle "
            "joins them; add a corner between them"
        )
    crossing = _first_crossing(corners, following)
    if crossing:
        one, other = (f"from {_corner(ra, dec, k)} to {_corner(ra, dec, (k + 1) % len(ra))}" for k in crossing)
        raise ConfigurationError(
            f"{KEY}: the side {one} crosses the side {other}; give the corners in order along the outline"
        )
    return ra, dec


def _first_crossing(start: np.ndarray, stop: np.ndarray) -> tuple[int, int] | None:
    """Return the numbers of two sides that cross, by the orientation of three ends each, as in Google's S2."""
    normals = np.cross(start, stop)
    for side in range(len(start) - 2):
        # The next side shares a corner with this one, and so does the last side with the first.
        others = slice(side + 2, len(start) - 1 if side == 0 else len(start))
        first, second = normals[side], normals[others]
        acb, bda = -(start[others] @ first), stop[others] @ first
        cbd, dac = -(second @ stop[side]), second @ start[side]
        crosses = (acb * bda > 0) & (acb * cbd > 0) & (acb * dac > 0)
        if crosses.any():
            return side, side + 2 + int(np.argmax(crosses))
    return None


def _corner(ra: np.ndarray, dec: np.ndarray, number: int) -> str:
    return f"[{ra[number]:g}, {dec[number]:g}]"
