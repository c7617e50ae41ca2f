"""Points that represent the light of profiles: quantiles of radius and angle that split the light evenly."""

from functools import cache, lru_cache

import numpy as np
from scipy import special

from tuningfork.simulate.light.sersic import sersic_b

SHELLS, SECTORS = 96, 24
"""Rings and sectors of equal light, into which a profile is split."""
LOG_INDEX_STEP = 0.05
"""Of ln n, between tabulated quantiles of Sersic profiles: radii are right to 0.06 %."""


def sersic_quantile(n: float | np.ndarray, fraction: float | np.ndarray) -> np.ndarray:
    """Return the radius that holds a fraction of the light of a Sersic profile.

    Parameters
    ----------
    n : float or ndarray
        Sersic index.
    fraction : float or ndarray
        Of a shape that fits that of `n`.

    Returns
    -------
    ndarray
        In units of r_eff.
    """
    n = np.asarray(n, dtype=float)
    return np.asarray((special.gammaincinv(2 * n, fraction) / sersic_b(n)) ** n)


def uniform(number: int) -> np.ndarray:
    """Return numbers that divide the range from 0 to 1 evenly.

    Returns
    -------
    ndarray
        (number,).
    """
    return (np.arange(number) + 0.5) / number


@cache
def strata() -> tuple[np.ndarray, np.ndarray]:
    """Return points of equal light, of which no two have the same radius.

    Returns
    -------
    fraction : ndarray
        Fraction of the flux within each point, (K,).
    sector : ndarray of int
        Which of `SECTORS` sectors of equal light holds it, (K,).
    """
    shell, sector = np.divmod(np.arange(SHELLS * SECTORS), SECTORS)
    # A permutation of the sectors from shell to shell keeps radius and angle independent.
    return (shell + ((sector * 7 + shell * 5) % SECTORS + 0.5) / SECTORS) / SHELLS, sector


@cache
def polar_strata() -> tuple[np.ndarray, np.ndarray]:
    """Return points of equal light of a profile with circular isophotes.

    Returns
    -------
    fraction : ndarray
        Fraction of the flux within each point, (K,).
    angle : ndarray
        rad, (K,).
    """
    fraction, sector = strata()
    return fraction, 2 * np.pi * (sector + 0.5) / SECTORS


@lru_cache(maxsize=256)
def sersic_points(n: float) -> tuple[np.ndarray, np.ndarray]:
    """Return points of equal light of a circular Sersic profile; the radii are interpolated, which is a hundred times faster.

    Parameters
    ----------
    n : float
        Sersic index.

    Returns
    -------
    radius : ndarray
        In units of r_eff, (K,).
    angle : ndarray
        rad, (K,).
    """
    position = np.log(n) / LOG_INDEX_STEP
    step = int(np.floor(position))
    below, above = _log_quantiles(step), _log_quantiles(step + 1)
    return np.exp(below + (position - step) * (above - below)), polar_strata()[1]


@cache
def _log_quantiles(step: int) -> np.ndarray:
    return np.log(sersic_quantile(np.exp(step * LOG_INDEX_STEP), polar_strata()[0]))


@cache
def edge_on_quantiles() -> np.ndarray:
    """Return distances along an edge-on exponential disc that divide its light evenly.

    Returns
    -------
    ndarray
        In scale radii, (2 SHELLS,).
    """
    x = np.linspace(0, 20, 4001)[1:]
    inside = np.cumsum(x * special.k1(x))
    half = np.interp(uniform(SHELLS), inside / inside[-1], x)
    return np.concatenate([-half[::-1], half])
