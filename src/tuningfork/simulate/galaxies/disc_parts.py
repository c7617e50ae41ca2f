"""What a disc galaxy is made of besides its bar: the disc itself, its bulge, star-forming regions, rings and arms."""

import numpy as np

from tuningfork.core.config.population import Population
from tuningfork.simulate.galaxies import arms
from tuningfork.simulate.galaxies.shape import flattened
from tuningfork.simulate.light.profiles import Knots, Sersic
from tuningfork.simulate.truth import Part

HALF_LIGHT_OF_SCALE = 1.678
"""Half-light radius of an exponential disc in scale radii."""
LOPSIDEDNESS = (0.05, 0.25)
"""Distance of an off-centre disc from the centre, in its scale radii."""
BROKEN_INDICES = (0.5, 0.9)
"""Sersic indices of discs that break down: they fall steeper further out (type II of Erwin+ 2008)."""
OUTER_LIGHT, OUTER_SCALES = (0.15, 0.5), (1.5, 2.6)
"""Share of the light, and scale radius in that of the inner disc, of the outer part of discs that break up (type III)."""
HOLLOW_DEPTH, HOLLOW_SCALES = (0.4, 0.95), (0.25, 0.6)
"""Part of the central light that a hollow disc lacks, and the scale radius of the hollow in that of the disc."""


def disc_parts(
    rng: np.random.Generator,
    scale: float,
    bulge: float,
    others: float,
    cos_i: float,
    angle: float,
    population: Population,
) -> list[Part]:
    """Return disc, bulge and star-forming regions.

    Parameters
    ----------
    rng : numpy.random.Generator
    scale : float
        Scale radius of the disc (arcsec).
    bulge : float
        Share of the galaxy's light in the bulge.
    others : float
        Share of what comes besides: bar, arms, rings.
    cos_i : float
        Cosine of the inclination.
    angle : float
        Position angle (deg).
    population : Population

    Returns
    -------
    list of Part
        Their fractions sum to 1 - `others`.
    """
    regions = float(rng.uniform(0.0, 0.06))
    spheroid = Sersic(
        rng.uniform(population.bulge_n_min, population.bulge_n_max),
        scale * rng.uniform(0.12, 0.4),
        flattened(cos_i, rng.uniform(0.5, 0.9)),
        angle,
    )
    return [
        *_stars(rng, scale, 1 - bulge - others - regions, cos_i, angle, population),
        Part(spheroid, bulge, "old"),
        Part(arms.star_formation(rng, int(rng.integers(15, 60)), scale, cos_i, angle), regions, "young"),
    ]


def _stars(
    rng: np.random.Generator, scale: float, light: float, cos_i: float, angle: float, population: Population
) -> list[Part]:
    """Return the disc's stars: an exponential disc, or one that breaks down or up or is hollow."""
    kind = rng.choice(["down", "up", "hollow"]) if rng.uniform() < population.broken_disc_fraction else "exponential"
    axis_ratio = flattened(cos_i, population.disc_thickness)
    x, y = _off_centre(rng, scale, population)

    def disc(fraction: float, size: float, n: float = 1.0) -> Part:
        return Part(Sersic(n, size * HALF_LIGHT_OF_SCALE, axis_ratio, angle), fraction * light, "disc", x, y)

    if kind == "down":
        return [disc(1.0, scale, rng.uniform(*BROKEN_INDICES))]
    if kind == "up":
        outer = rng.uniform(*OUTER_LIGHT)
        return [disc(1 - outer, scale), disc(outer, scale * rng.uniform(*OUTER_SCALES))]
    if kind == "hollow":
        size = rng.uniform(*HOLLOW_SCALES)
        # The hollow is never deeper than the disc: it is fainter at the centre, and falls faster.
        missing = rng.uniform(*HOLLOW_DEPTH) * size**2
        return [disc(1 / (1 - missing), scale), disc(-missing / (1 - missing), scale * size)]
    return [disc(1.0, scale)]


def _off_centre(rng: np.random.Generator, scale: float, population: Population) -> tuple[float, float]:
    """Return where the disc's centre lies (arcsec); mostly on that of the galaxy."""
    if rng.uniform() >= population.lopsided_fraction:
        return 0.0, 0.0
    distance, direction = scale * rng.uniform(*LOPSIDEDNESS), rng.uniform(0, 2 * np.pi)
    return float(distance * np.cos(direction)), float(distance * np.sin(direction))


def largest_barred_bulge(population: Population) -> float:
    """Return the largest bulge of a barred galaxy: half that of others, for the bar needs light too."""
    return max(population.bulge_fraction_max / 2, population.bulge_fraction_min * 1.01)


def outer_ring_light(rng: np.random.Generator, population: Population) -> float:
    """Return how much of the light outside bulge and bar an outer ring has; mostly there is none."""
    return rng.uniform(0.04, 0.12) if rng.uniform() < population.outer_ring_fraction else 0.0


def pattern(
    rng: np.random.Generator, ringed: bool, scale: float, cos_i: float, angle: float, population: Population
) -> Knots:
    """Return the ring or the arms of an unbarred disc.

    Parameters
    ----------
    rng : numpy.random.Generator
    ringed : bool
        Whether it is a ring.
    scale : float
        Scale radius of the disc (arcsec).
    cos_i, angle : float
        Cosine of the inclination, and position angle (deg).
    population : Population

    Returns
    -------
    Knots
    """
    if ringed:
        return arms.ring(rng, scale * rng.uniform(0.7, 1.6), cos_i, angle, roundest=0.8)
    number, begin = int(rng.choice([2, 3, 4], p=[0.6, 0.2, 0.2])), scale * rng.uniform(0.4, 0.9)
    return _arms(rng, number, begin, rng.uniform(0, 2 * np.pi), scale, cos_i, angle, population)


def pattern_around_bar(
    rng: np.random.Generator,
    ringed: bool,
    end: float,
    in_plane: float,
    scale: float,
    cos_i: float,
    angle: float,
    population: Population,
) -> Knots:
    """Return the ring about the bar, arms from its ends, or arms that know nothing of it.

    Parameters
    ----------
    rng : numpy.random.Generator
    ringed : bool
        Whether it is a ring.
    end : float
        Radius at which the bar ends, in the plane (arcsec).
    in_plane : float
        Angle of the bar in the plane, from the line of nodes (rad).
    scale, cos_i, angle, population
        See :func:`pattern`.

    Returns
    -------
    Knots
    """
    if ringed:
        # Inner rings are elongated along the bar (Buta 1995).
        return arms.ring(rng, end * rng.uniform(0.95, 1.2), cos_i, angle, roundest=0.65, along=in_plane)
    if rng.uniform() < 0.7:
        number, begin, start = 2, end * rng.uniform(0.9, 1.05), in_plane
    else:
        number, begin, start = int(rng.choice([2, 3, 4])), end * rng.uniform(0.8, 1.4), rng.uniform(0, 2 * np.pi)
    return _arms(rng, number, begin, start, scale, cos_i, angle, population)


def _arms(
    rng: np.random.Generator,
    number: int,
    begin: float,
    start: float,
    scale: float,
    cos_i: float,
    angle: float,
    population: Population,
) -> Knots:
    pitch = rng.uniform(population.pitch_min, population.pitch_max) * rng.choice([-1, 1])
    if rng.uniform() < population.flocculent_fraction:
        return arms.flocculent(rng, pitch, scale, cos_i, angle)
    return arms.spiral_arms(rng, number, pitch, begin, start, scale * rng.uniform(0.9, 1.3), cos_i, angle)
