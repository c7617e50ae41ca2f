"""Deprojection of bar lengths to the plane of the disc, and conversion to kiloparsecs."""

import numpy as np

from tuningfork.core.config.stages import Bars
from tuningfork.core.statistics import angle_difference
from tuningfork.simulate.galaxies.redshift import cosmology

DISC_THICKNESS = 0.2
"""Axis ratio of a disc seen edge-on (Holmberg 1958)."""
MIN_COS_INCLINATION = 0.25
"""Smallest cosine of the inclination for which lengths are deprojected; a steeper disc hides the bar's true length."""
KPC_PER_MPC = 1000.0


def cos_inclination(axis_ratio: np.ndarray) -> np.ndarray:
    """Return the cosine of the inclination of discs with given axis ratios (Hubble 1926).

    Parameters
    ----------
    axis_ratio : ndarray
        (N,)

    Returns
    -------
    ndarray
        (N,)
    """
    squared = (np.square(axis_ratio) - DISC_THICKNESS**2) / (1 - DISC_THICKNESS**2)
    return np.sqrt(np.clip(squared, 0, 1))


def deprojected(bar_angle: np.ndarray, axis_ratio: np.ndarray, position_angle: np.ndarray) -> np.ndarray:
    """Return the ratio of the length of a thin bar in the plane of its disc to that projected on the sky.

    The disc is stretched by 1 / cos(inclination) along its minor axis (Martin 1995, AJ 109, 2428).

    Parameters
    ----------
    bar_angle, position_angle : ndarray
        (N,) position angles of the bar and of the disc's major axis (deg), measured from the same direction.
    axis_ratio : ndarray
        (N,) axis ratios of the discs.

    Returns
    -------
    ndarray
        (N,) at least 1; NaN where an angle is missing or the cosine is below `MIN_COS_INCLINATION`.
    """
    off = np.deg2rad(angle_difference(bar_angle, position_angle))
    cosine = cos_inclination(axis_ratio)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.hypot(np.cos(off), np.sin(off) / cosine)
    return np.where(cosine >= MIN_COS_INCLINATION, factor, np.nan)


def kiloparsecs(redshift: np.ndarray, settings: Bars) -> np.ndarray:
    """Return the number of kiloparsecs per arcsecond at each redshift.

    Parameters
    ----------
    redshift : ndarray
        (N,)
    settings : Bars
        Contains the parameters of the cosmology.

    Returns
    -------
    ndarray
        (N,) NaN without a redshift above zero.
    """
    known = np.isfinite(redshift) & (redshift > 0)
    result = np.full(len(redshift), np.nan)
    if known.any():
        universe = cosmology(settings.hubble_constant, settings.omega_matter)
        distance = universe.angular_diameter_distance(redshift[known]).to_value("Mpc")
        result[known] = np.deg2rad(1 / 3600) * distance * KPC_PER_MPC
    return result
