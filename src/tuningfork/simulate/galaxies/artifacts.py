"""What source lists contain besides galaxies: stars, their spikes and ghosts, trails, pieces of large galaxies, and noise."""

from collections.abc import Callable

import numpy as np

from tuningfork.simulate.galaxies import arms
from tuningfork.simulate.galaxies.priors import log_uniform
from tuningfork.simulate.light.axes import from_axes
from tuningfork.simulate.light.profiles import EdgeOn, Ferrers, Knots, Point, Sersic
from tuningfork.simulate.truth import Part

ARTIFACT = "artifact"
"""Name of this kind in `simulate.population.classes`."""
NOMINAL_RADIUS = 2.0
"""Stands for the half-light radius where the size of an image has to be chosen (arcsec)."""
TRAIL_REACH = 60.0
"""Half the length of a trail (arcsec): beyond the edges of the image."""
SATURATED_BRIGHTER, NOISE_FAINTER = 6.0, 4.0
"""How much brighter than the faintest galaxy a saturated star is at most, and how much fainter a peak of noise (mag)."""

Drawn = tuple[list[Part], float]
"""Parts, and how much brighter than a galaxy drawn at the same time the whole is (mag)."""


def draw_artifact(rng: np.random.Generator) -> Drawn:
    """Return something that is not a galaxy.

    Parameters
    ----------
    rng : numpy.random.Generator

    Returns
    -------
    parts : list of Part
        Their fractions sum to 1.
    brighter : float
        Magnitudes by which it is brighter than a galaxy.
    """
    kinds: list[Callable[[np.random.Generator], Drawn]] = [_star, _saturated_star, _trail, _noise, _ghost, _piece]
    return kinds[int(rng.choice(len(kinds), p=[0.25, 0.25, 0.22, 0.06, 0.1, 0.12]))](rng)


def _star(rng: np.random.Generator) -> Drawn:
    return [Part(Point(), 1.0, "disc")], 0.0


def _saturated_star(rng: np.random.Generator) -> Drawn:
    """Return a star whose core is flat, with wings, diffraction spikes and sometimes a bleeding trail."""
    core, wings = rng.uniform(0.8, 5.0), rng.uniform(0.1, 0.4)
    spikes = rng.uniform(0.02, 0.15) if rng.uniform() < 0.8 else 0.0
    bleed = rng.uniform(0.02, 0.1) if rng.uniform() < 0.4 else 0.0
    angle, number = rng.uniform(0, 90), 2
    parts = [
        Part(Ferrers(2 * core, rng.uniform(0.9, 1.0), rng.uniform(0, 180), 0.5), 1 - wings - spikes - bleed, "disc"),
        Part(Sersic(rng.uniform(2, 5), core * rng.uniform(1.5, 4)), wings, "disc"),
    ]
    if spikes:
        length, width = core * rng.uniform(1.5, 5), rng.uniform(0.2, 0.6)
        parts += [Part(EdgeOn(length, width, angle + 90 * turn), spikes / number, "disc") for turn in range(number)]
    if bleed:
        parts.append(
            Part(EdgeOn(core * rng.uniform(1, 4), rng.uniform(0.3, 0.8), float(rng.choice([0, 90]))), bleed, "old")
        )
    return parts, rng.uniform(1, SATURATED_BRIGHTER)


def _trail(rng: np.random.Generator) -> Drawn:
    """Return the trail of a satellite, a meteor or a star that bled: an even line through the whole image, or a dashed one."""
    sigma, angle = log_uniform(rng, 0.25, 1.5), rng.uniform(0, 180)
    along = np.arange(-TRAIL_REACH, TRAIL_REACH, 0.8 * sigma)
    across = np.full(along.size, rng.normal(0, 1.0))
    x, y = from_axes(along, across, angle)
    weight = np.ones(along.size)
    if rng.uniform() < 0.2:
        weight += rng.uniform(0.2, 0.9) * np.sin(2 * np.pi * along / log_uniform(rng, 5, 60) + rng.uniform(0, 6))
    trail = Knots(x, y, np.full(along.size, sigma), weight / weight.sum())
    return [Part(trail, 1.0, "disc")], rng.uniform(-1, 3)


def _noise(rng: np.random.Generator) -> Drawn:
    """Return hardly anything: a peak of the noise that a source list took for a source."""
    return [Part(Sersic(1.0, rng.uniform(0.5, 3)), 1.0, "disc")], -rng.uniform(NOISE_FAINTER, 2 * NOISE_FAINTER)


def _ghost(rng: np.random.Generator) -> Drawn:
    """Return the out-of-focus image of a star reflected in the camera: a disc or a ring."""
    radius = rng.uniform(5, 20)
    if rng.uniform() < 0.5:
        return [Part(arms.ring(rng, radius, rng.uniform(0.7, 1), rng.uniform(0, 180)), 1.0, "disc")], 0.5
    return [Part(Ferrers(2 * radius, rng.uniform(0.8, 1), rng.uniform(0, 180), 0.5), 1.0, "disc")], 0.5


def _piece(rng: np.random.Generator) -> Drawn:
    """Return a region of a much larger galaxy, on that galaxy's disc."""
    radius, direction, knot = rng.uniform(15, 50), rng.uniform(0, 360), rng.uniform(0.02, 0.15)
    x, y = from_axes(np.array([radius * rng.uniform(0.7, 1.6)]), np.zeros(1), direction)
    disc = Sersic(1.0, radius, rng.uniform(0.3, 1), rng.uniform(0, 180))
    region = Sersic(rng.uniform(0.5, 1), rng.uniform(0.6, 3), rng.uniform(0.4, 1), rng.uniform(0, 180))
    return [Part(disc, 1 - knot, "disc", float(x[0]), float(y[0])), Part(region, knot, "young")], rng.uniform(1.5, 4)
