"""Features in the plane of a disc: spiral arms, rings and star-forming regions; and tidal tails."""

import numpy as np

from tuningfork.simulate.light.axes import from_axes
from tuningfork.simulate.light.profiles import Knots

MAX_ARM_KNOTS = 360


def knots_in_disc(
    radius: np.ndarray,
    angle: np.ndarray,
    sigma: np.ndarray,
    weight: np.ndarray,
    cos_inclination: float,
    position_angle: float,
) -> Knots:
    """Return knots, given in the plane of a disc, as they are seen.

    Parameters
    ----------
    radius, sigma : ndarray
        arcsec, (K,).
    angle : ndarray
        rad from the line of nodes, (K,).
    weight : ndarray
        Relative fluxes, (K,).
    cos_inclination : float
    position_angle : float
        Of the line of nodes (deg).

    Returns
    -------
    Knots
    """
    x, y = from_axes(radius * np.cos(angle), radius * np.sin(angle) * cos_inclination, position_angle)
    return Knots(x, y, sigma * np.sqrt(cos_inclination), weight / weight.sum())


def spiral_arms(
    rng: np.random.Generator,
    number: int,
    pitch: float,
    inner: float,
    start: float,
    scale: float,
    cos_inclination: float,
    position_angle: float,
) -> Knots:
    """Return logarithmic arms with random clumps.

    Parameters
    ----------
    rng : numpy.random.Generator
    number : int
        Arms, evenly spaced.
    pitch : float
        Pitch angle (deg); its sign gives the sense of winding.
    inner : float
        Radius at which the arms begin (arcsec).
    start : float
        Angle of the first arm there, from the line of nodes (rad).
    scale : float
        Exponential scale of the arms' surface brightness (arcsec).
    cos_inclination, position_angle : float
        Of the disc; see :func:`knots_in_disc`.

    Returns
    -------
    Knots
    """
    width = rng.uniform(0.05, 0.13)
    outer = max(rng.uniform(2.6, 3.8) * scale, 1.8 * inner)
    length = np.log(outer / inner)
    step = max(0.8 * width * np.sin(np.deg2rad(abs(pitch))), length * number / MAX_ARM_KNOTS)
    along = np.tile(np.arange(0, length, step), number)
    arm = np.repeat(np.arange(number), along.size // number)
    radius = inner * np.exp(along) * (1 + 0.3 * width * rng.standard_normal(along.size))
    angle = start + 2 * np.pi * arm / number + along / np.tan(np.deg2rad(pitch))
    # Arms of one galaxy differ in strength, swell at the beginning and fade at the end.
    taper = np.minimum(1, (along + 0.1) / 0.3) * np.minimum(1, (length - along) / 0.4)
    weight = radius**2 * np.exp(-radius / scale) * taper * rng.uniform(0.6, 1.0, number)[arm]
    weight *= rng.lognormal(0, 0.45, along.size)
    return knots_in_disc(radius, angle, width * radius, weight, cos_inclination, position_angle)


def flocculent(
    rng: np.random.Generator, pitch: float, scale: float, cos_inclination: float, position_angle: float
) -> Knots:
    """Return many short pieces of logarithmic arms, spread over an exponential disc.

    Parameters
    ----------
    rng : numpy.random.Generator
    pitch : float
        Pitch angle (deg); its sign gives the sense of winding.
    scale : float
        Scale radius of the disc (arcsec).
    cos_inclination, position_angle : float
        Of the disc; see :func:`knots_in_disc`.

    Returns
    -------
    Knots
    """
    pieces, knots = int(rng.integers(12, 36)), 8
    along = np.linspace(0, rng.uniform(0.25, 0.6), knots)
    begin = rng.gamma(2.5, 0.7 * scale, pieces) + 0.3 * scale
    radius = begin[:, None] * np.exp(along)
    turns = rng.uniform(0, 2 * np.pi, pieces)[:, None] + along / np.tan(np.deg2rad(pitch))
    width = radius * rng.uniform(0.06, 0.12)
    weight = np.exp(-radius / scale) * radius * rng.lognormal(0, 0.5, (pieces, 1)) * np.sin(np.pi * (along + 0.1))
    radius, turns, width, weight = (values.ravel() for values in (radius, turns, width, np.maximum(weight, 0)))
    return knots_in_disc(radius, turns, width, weight, cos_inclination, position_angle)


def star_formation(
    rng: np.random.Generator, number: int, scale: float, cos_inclination: float, position_angle: float
) -> Knots:
    """Return star-forming regions spread over an exponential disc.

    Parameters
    ----------
    rng : numpy.random.Generator
    number : int
        Of regions.
    scale : float
        Scale radius of the disc (arcsec).
    cos_inclination, position_angle : float
        Of the disc; see :func:`knots_in_disc`.

    Returns
    -------
    Knots
    """
    radius = rng.gamma(2.0, scale, number)
    sigma = scale * rng.uniform(0.06, 0.18, number)
    return knots_in_disc(
        radius, rng.uniform(0, 2 * np.pi, number), sigma, rng.lognormal(0, 0.7, number), cos_inclination, position_angle
    )


def ring(
    rng: np.random.Generator,
    radius: float,
    cos_inclination: float,
    position_angle: float,
    roundest: float = 1.0,
    along: float | None = None,
) -> Knots:
    """Return a ring: an ellipse in the plane of the disc, from smooth to clumpy.

    Parameters
    ----------
    rng : numpy.random.Generator
    radius : float
        Semi-major axis (arcsec).
    cos_inclination, position_angle : float
        Of the disc; see :func:`knots_in_disc`.
    roundest : float
        Smallest axis ratio in the plane, drawn uniformly up to 1.
    along : float, optional
        Angle of the major axis in the plane, from the line of nodes (rad); without it any.

    Returns
    -------
    Knots
    """
    number = 60
    angle = 2 * np.pi * np.arange(number) / number
    sigma = np.full(number, radius * rng.uniform(0.06, 0.16))
    weight = rng.lognormal(0, rng.uniform(0.05, 0.45), number)
    axis_ratio, turn = rng.uniform(roundest, 1), rng.uniform(0, np.pi)
    x, y = radius * np.cos(angle), radius * axis_ratio * np.sin(angle)
    turned = np.arctan2(y, x) + (turn if along is None else along)
    return knots_in_disc(np.hypot(x, y), turned, sigma, weight, cos_inclination, position_angle)


def tidal_tail(rng: np.random.Generator, begin: tuple[float, float], reach: float) -> Knots:
    """Return a curved tail that widens and fades.

    Parameters
    ----------
    rng : numpy.random.Generator
    begin : tuple of float
        Position (x, y) where it begins (arcsec).
    reach : float
        Its approximate length (arcsec).

    Returns
    -------
    Knots
    """
    number = 40
    t = np.linspace(0, 1, number)
    turn = rng.uniform(0.8, 2.4) * rng.choice([-1, 1])
    heading = rng.uniform(0, 2 * np.pi) + turn * t
    x = begin[0] + reach * np.cumsum(np.cos(heading)) / number
    y = begin[1] + reach * np.cumsum(np.sin(heading)) / number
    sigma = reach * (0.05 + 0.09 * t) * rng.uniform(0.7, 1.2)
    weight = (1.1 - t) * rng.lognormal(0, 0.25, number)
    return Knots(x, y, sigma, weight / weight.sum())
