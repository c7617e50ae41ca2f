"""The light that a periodic grid folds in from beyond its edges, which is subtracted again.

A tenth of the light of a concentrated galaxy lies outside any grid that can be drawn quickly. The grid is periodic, so
the wings of its repetitions lie on the image: a smooth pedestal of some hundredths of the sky noise, which would add
some per cent to a bright galaxy's flux. Far from its centre a profile needs no PSF, and its wings need no fine grid.
"""

from functools import cache

import numpy as np
from scipy import interpolate, special

from tuningfork.simulate.light.axes import to_axes
from tuningfork.simulate.light.profiles import Sersic
from tuningfork.simulate.light.sersic import sersic_b, sersic_beyond

WING_NODES = 13
"""Points on a side at which the pedestal is computed; cubic splines join them."""
REPETITIONS = 3
"""Repetitions to each side that are summed one by one; those beyond are a constant."""
NEGLIGIBLE_LIGHT = 1e-4
"""Part of the flux outside of the grid below which nothing is done."""


def reaches_beyond(profile: Sersic, size: int, pixels_per_arcsec: float) -> bool:
    """Return whether the light of a profile at the centre of a grid extends beyond it.

    Parameters
    ----------
    profile : Sersic
    size : int
        Width of the grid (pixel).
    pixels_per_arcsec : float

    Returns
    -------
    bool
    """
    return _outside(profile, size / 2 / pixels_per_arcsec, profile.r_eff) > NEGLIGIBLE_LIGHT


def folded_light(profile: Sersic, size: int, matrix: np.ndarray, dx: float, dy: float) -> np.ndarray:
    """Return the flux per pixel that the repetitions of a profile of unit flux leave on the grid.

    Parameters
    ----------
    profile : Sersic
    size : int
        N, width of the grid (pixel).
    matrix : ndarray
        (2, 2), see :class:`tuningfork.simulate.light.canvas.Canvas`.
    dx, dy : float
        Position of the profile relative to the centre of the pixel [N // 2, N // 2] (pixel).

    Returns
    -------
    ndarray
        At the nodes (rows, columns) of :func:`spread_nodes`, (WING_NODES, WING_NODES).
    """
    node, shift = _nodes(size) - size // 2, size * np.arange(-REPETITIONS, REPETITIONS + 1)
    column, row = (node[:, None] - place + shift for place in (dx, dy))
    inverse = np.linalg.inv(matrix)
    (a, b), (c, d) = inverse.tolist()
    along, across = to_axes(
        a * column[None, :, None, :] + b * row[:, None, :, None],
        c * column[None, :, None, :] + d * row[:, None, :, None],
        profile.position_angle,
    )
    radius = np.hypot(along, across / profile.axis_ratio) / profile.r_eff
    steepness, n = float(sersic_b(profile.n)), profile.n
    light = np.exp(-steepness * radius ** (1 / n))
    light[:, :, REPETITIONS, REPETITIONS] = 0
    area = abs(np.linalg.det(inverse))
    centre = steepness ** (2 * n) / (2 * np.pi * n * special.gamma(2 * n) * profile.r_eff**2 * profile.axis_ratio)
    # The square of all repetitions has the area of this circle; the profile is rounded alike.
    reach = size * (2 * REPETITIONS + 1) / np.sqrt(np.pi) * np.sqrt(area)
    rest = _outside(profile, reach, profile.r_eff * np.sqrt(profile.axis_ratio)) / size**2
    return np.asarray(light.sum(axis=(2, 3)) * centre * area + rest)


def spread_nodes(values: np.ndarray, size: int) -> np.ndarray:
    """Return a smooth image from its values at the nodes.

    Parameters
    ----------
    values : ndarray
        (B, WING_NODES, WING_NODES).
    size : int
        N, width of the image (pixel).

    Returns
    -------
    ndarray
        float32 (B, N, N).
    """
    matrix = _spline(size)
    return (matrix @ values.astype(np.float32)) @ matrix.T


def _outside(profile: Sersic, radius: float, r_eff: float) -> float:
    """Return the part of the light beyond an (arcsec) radius."""
    return float(sersic_beyond(profile.n, radius / r_eff))


def _nodes(size: int) -> np.ndarray:
    return np.linspace(0, size - 1, WING_NODES)


@cache
def _spline(size: int) -> np.ndarray:
    """Return the matrix (N, WING_NODES) from values at the nodes to values at the pixels."""
    return np.asarray(
        interpolate.make_interp_spline(_nodes(size), np.eye(WING_NODES))(np.arange(size)), dtype=np.float32
    )
