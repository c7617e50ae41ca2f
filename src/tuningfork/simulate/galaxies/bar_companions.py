"""What real bars come with: an oval lens, a barlens, ansae at the ends, and dust lanes along the leading edges."""

from dataclasses import dataclass

import numpy as np

from tuningfork.core.config.population import Population
from tuningfork.simulate.galaxies.bars import Bar
from tuningfork.simulate.galaxies.priors import log_uniform
from tuningfork.simulate.galaxies.shape import flattened
from tuningfork.simulate.light.axes import from_axes
from tuningfork.simulate.light.profiles import Ferrers, Knots, Sersic
from tuningfork.simulate.truth import Part

OVAL_LIGHT, BARLENS_LIGHT, ANSAE_LIGHT = (0.1, 1.2), (0.2, 0.8), (0.04, 0.15)
"""Light in units of the bar's, smallest and largest."""
LANE_DEPTH, LANE_LENGTH, LANE_AXIS_RATIO = (0.1, 0.6), 0.42, 0.16
"""Part of the bar's surface brightness that a dust lane takes away at its middle, its length in that of the bar, and its
axis ratio."""
BAR_BESIDE_THE_AXIS = 0.6
"""Surface brightness of the bar at the middle of a lane, in units of the mean over the bar: it never falls below that."""


@dataclass(frozen=True)
class Companions:
    """The light that comes with a bar.

    Attributes
    ----------
    parts : list of Part
        Their fractions are in units of the bar's light.
    """

    parts: list[Part]

    @property
    def light(self) -> float:
        """Sum of the fractions."""
        return sum(part.fraction for part in self.parts)

    def of(self, bar_strength: float) -> list[Part]:
        """Return the parts of a galaxy whose bar has this part of the light."""
        return [Part(p.profile, p.fraction * bar_strength, p.population, p.x, p.y) for p in self.parts]


def draw_companions(
    rng: np.random.Generator, bar: Bar, cos_inclination: float, position_angle: float, population: Population
) -> Companions:
    """Return what comes with a bar; with all shares of the population at zero, nothing.

    Parameters
    ----------
    rng : numpy.random.Generator
    bar : Bar
        As seen on the sky.
    cos_inclination, position_angle : float
        Of the disc (deg).
    population : Population
        Gives the share of the bars with each companion.

    Returns
    -------
    Companions
    """
    parts = []
    if rng.uniform() < population.oval_fraction:
        parts.append(_oval(rng, bar))
    if rng.uniform() < population.barlens_fraction:
        parts.append(_barlens(rng, bar, cos_inclination, position_angle))
    if rng.uniform() < population.ansae_fraction:
        parts.append(_ansae(rng, bar))
    if rng.uniform() < population.bar_dust_fraction:
        parts += _dust_lanes(rng, bar)
    return Companions(parts)


def _oval(rng: np.random.Generator, bar: Bar) -> Part:
    """Return a lens (Kormendy 1979): flat, with a sharp edge, about as long as the bar but much rounder."""
    axis_ratio = bar.axis_ratio + (1 - bar.axis_ratio) * rng.uniform(0.35, 0.8)
    length, angle = bar.length * rng.uniform(0.95, 1.3), bar.position_angle + rng.normal(0, 6)
    light = log_uniform(rng, *OVAL_LIGHT)
    return Part(Ferrers(length, float(axis_ratio), float(angle % 180), float(rng.choice([0.5, 1.0]))), light, "old")


def _barlens(rng: np.random.Generator, bar: Bar, cos_inclination: float, position_angle: float) -> Part:
    """Return the vertically thick inner part of a bar, seen nearly round (Laurikainen+ 2011)."""
    radius = bar.length / 2 * rng.uniform(0.2, 0.4)
    axis_ratio = flattened(cos_inclination, rng.uniform(0.4, 0.7))
    profile = Sersic(rng.uniform(0.5, 1.0), radius, axis_ratio, position_angle)
    return Part(profile, rng.uniform(*BARLENS_LIGHT), "old")


def _ansae(rng: np.random.Generator, bar: Bar) -> Part:
    """Return two spots of light just inside the ends of the bar."""
    distance = bar.length / 2 * rng.uniform(0.82, 0.95) * np.array([1.0, -1.0])
    x, y = from_axes(distance, np.zeros(2), bar.position_angle)
    width = np.full(2, bar.length / 2 * rng.uniform(0.06, 0.12))
    return Part(Knots(x, y, width, np.array([0.5, 0.5])), rng.uniform(*ANSAE_LIGHT), "old")


def _dust_lanes(rng: np.random.Generator, bar: Bar) -> list[Part]:
    """Return two straight lanes beside the bar's axis, one on each half, that take a part of the light there away."""
    side, depth = rng.choice([-1.0, 1.0]), rng.uniform(*LANE_DEPTH)
    # A lane is twice as deep at its middle as its mean over its own area, and must not be deeper than the bar is bright.
    area = LANE_LENGTH**2 * LANE_AXIS_RATIO / bar.axis_ratio
    light = depth * BAR_BESIDE_THE_AXIS * area / 2
    lanes = []
    for half in (-1.0, 1.0):
        along = np.array([half * bar.length * 0.24])
        across = np.array([half * side * bar.length / 2 * bar.axis_ratio * 0.35])
        x, y = from_axes(along, across, bar.position_angle)
        lane = Ferrers(bar.length * LANE_LENGTH, LANE_AXIS_RATIO, bar.position_angle, 1.0)
        lanes.append(Part(lane, -light, "dust", float(x[0]), float(y[0])))
    return lanes
