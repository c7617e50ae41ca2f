"""Coordinates along and across the major axis of a profile."""

import numpy as np


def from_axes(along: np.ndarray, across: np.ndarray, position_angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Return x, y of coordinates along and across a major axis; inverse of :func:`to_axes`.

    Parameters
    ----------
    along, across : ndarray
        Along the axis, and a quarter turn on from it.
    position_angle : float
        deg.

    Returns
    -------
    x, y : ndarray
        West and north.
    """
    angle = np.deg2rad(90 + position_angle)
    cosine, sine = np.cos(angle), np.sin(angle)
    return cosine * along - sine * across, sine * along + cosine * across


def to_axes(x: np.ndarray, y: np.ndarray, position_angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates along and across a major axis; inverse of :func:`from_axes`.

    Parameters
    ----------
    x, y : ndarray
        West and north.
    position_angle : float
        deg.

    Returns
    -------
    along, across : ndarray
    """
    angle = np.deg2rad(90 + position_angle)
    cosine, sine = float(np.cos(angle)), float(np.sin(angle))
    return cosine * x + sine * y, cosine * y - sine * x
