"""Galaxies: what they are made of, drawn at random by class."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tuningfork.core.config.population import Population
from tuningfork.simulate import arms
from tuningfork.simulate.canvas import Light
from tuningfork.simulate.colours import relative_fluxes
from tuningfork.simulate.priors import draw_kind, draw_magnitude, draw_radius, log_uniform
from tuningfork.simulate.profiles import EdgeOn, Ferrers, Knots, Sersic
from tuningfork.simulate.truth import Part, equivalents, growth_radii

SPHEROID_INDICES = np.arange(2.0, 6.01, 0.25)
BULGE_INDICES = np.array([1.0, 2.0, 3.0, 4.0])
"""Sersic indices are quantised: GalSim tabulates each new one for 0.1 s."""
DISC_THICKNESS = 0.15
HALF_LIGHT_OF_SCALE = 1.678
"""Half-light radius of an exponential disc in scale radii."""


@dataclass(frozen=True)
class Shape:
    """A galaxy of relative fluxes, and what is known about it."""

    parts: list[Part]
    axis_ratio: float
    position_angle: float
    bar: Ferrers | None = None
    bar_strength: float = 0.0
    bulge_fraction: float = 0.0
    arm_strength: float = 0.0
    cos_inclination: float = 1.0
    disturbance: float = 0.0


@dataclass(frozen=True)
class Galaxy:
    """A galaxy with its truth.

    Attributes
    ----------
    kind : str
        elliptical, spiral, barred_spiral, edge_on or merger.
    mag : float
        Total magnitude in the reference band.
    r_eff : float
        Half-light radius along the major axis (arcsec); see :mod:`tuningfork.simulate.truth`.
    sersic_n, axis_ratio : float
    position_angle : float
        deg.
    bar_length : float
        Full length as seen on the sky (arcsec); NaN without a bar.
    bar_position_angle : float
        deg; NaN without a bar.
    bar_strength : float
        The bar's part of the flux in the reference band; 0 without a bar.
    bulge_fraction : float
        The spheroid's part of the flux in the reference band.
    arm_strength : float
        The arms' and rings' part of the flux in the reference band.
    cos_inclination : float
        1 face-on.
    disturbance : float
        Mergers: the part of the flux in the companion and in tails; 0 for others.
    reddening : float
        Magnitudes by which the colour g - r is redder than usual.
    parts : list of Part
    """

    kind: str
    mag: float
    r_eff: float
    sersic_n: float
    axis_ratio: float
    position_angle: float
    bar_length: float
    bar_position_angle: float
    bar_strength: float
    bulge_fraction: float
    arm_strength: float
    cos_inclination: float
    disturbance: float
    reddening: float
    parts: list[Part] = field(repr=False)

    def lights(
        self, bands: Sequence[str], reference: int, zero_point: float, x: float = 0.0, y: float = 0.0
    ) -> list[Light]:
        """Return what is to be drawn, with its centre at (x, y) arcsec, in flux units of the zero point."""
        flux = 10 ** (-0.4 * (self.mag - zero_point))
        return [
            Light(
                part.profile,
                flux * part.fraction * relative_fluxes(part.population, bands, reference, self.reddening),
                part.x + x,
                part.y + y,
            )
            for part in self.parts
        ]


def draw_galaxy(rng: np.random.Generator, population: Population) -> Galaxy:
    """Return a galaxy drawn from the population."""
    kind = draw_kind(rng, population)
    mag = float(draw_magnitude(rng, population.mag_min, population.mag_max, population.mag_slope))
    r_eff = draw_radius(rng, mag, population)
    shape = SHAPES[kind](rng, r_eff, population)
    measured, sersic_n = equivalents(shape.parts, shape.axis_ratio, shape.position_angle)
    factor = r_eff / measured
    return Galaxy(
        kind,
        mag,
        r_eff,
        sersic_n,
        shape.axis_ratio,
        shape.position_angle % 180,
        shape.bar.length * factor if shape.bar else np.nan,
        shape.bar.position_angle if shape.bar else np.nan,
        shape.bar_strength,
        shape.bulge_fraction,
        shape.arm_strength,
        shape.cos_inclination,
        shape.disturbance,
        float(rng.normal(0, 0.08)),
        [part.scaled(factor) for part in shape.parts],
    )


def _elliptical(rng: np.random.Generator, r_eff: float, population: Population) -> Shape:
    axis_ratio, angle = rng.uniform(0.45, 1.0), rng.uniform(0, 180)
    profile = Sersic(float(rng.choice(SPHEROID_INDICES)), r_eff, axis_ratio, angle)
    return Shape([Part(profile, 1.0, "old")], axis_ratio, angle, bulge_fraction=1.0)


def _spiral(rng: np.random.Generator, r_eff: float, population: Population) -> Shape:
    cos_i, angle = rng.uniform(0.3, 1.0), rng.uniform(0, 180)
    bulge = log_uniform(rng, 0.02, 0.4)
    strength = rng.uniform(0.12, 0.35) if rng.uniform() < 0.65 else rng.uniform(0.0, 0.05)
    strength *= 1 - bulge
    scale = r_eff / HALF_LIGHT_OF_SCALE
    pattern = arms.spiral_arms(
        rng,
        int(rng.choice([2, 3, 4], p=[0.6, 0.2, 0.2])),
        rng.uniform(9, 32) * rng.choice([-1, 1]),
        scale * rng.uniform(0.4, 0.9),
        rng.uniform(0, 2 * np.pi),
        scale * rng.uniform(0.9, 1.3),
        cos_i,
        angle,
    )
    parts = _disc(rng, scale, bulge, strength, cos_i, angle)
    parts.append(Part(pattern, strength, "young"))
    return Shape(parts, _flattened(cos_i, DISC_THICKNESS), angle, None, 0.0, bulge, strength, cos_i)


def _barred_spiral(rng: np.random.Generator, r_eff: float, population: Population) -> Shape:
    low, high = population.bar_length_min, population.bar_length_max
    for _ in range(20):
        cos_i, angle, in_plane = rng.uniform(0.45, 1.0), rng.uniform(0, 180), rng.uniform(0, 2 * np.pi)
        length = log_uniform(rng, np.clip(0.35 * r_eff, low, high / 1.05), np.clip(2.4 * r_eff, low * 1.05, high))
        bar = arms.bar_on_sky(length, rng.uniform(0.2, 0.45), in_plane, float(rng.choice([1.0, 1.5])), cos_i, angle)
        bar_strength = log_uniform(rng, np.clip(0.05 * length / r_eff, 0.05, 0.12), 0.3)
        bulge = log_uniform(rng, 0.02, 0.2)
        strength = (rng.uniform(0.08, 0.3) if rng.uniform() < 0.7 else rng.uniform(0.0, 0.04)) * (
            1 - bulge - bar_strength
        )
        seed, axis_ratio, scale = (
            int(rng.integers(2**62)),
            _flattened(cos_i, DISC_THICKNESS),
            r_eff / HALF_LIGHT_OF_SCALE,
        )
        for _ in range(3):
            # The bar stays as it is; the same disc around it is drawn larger or smaller.
            again = np.random.default_rng(seed)
            parts = _disc(again, scale, bulge, strength + bar_strength, cos_i, angle)
            parts.append(Part(_around_bar(again, bar, in_plane, scale, cos_i, angle), strength, "young"))
            parts.append(Part(bar, bar_strength, "old"))
            factor = r_eff / growth_radii(parts, axis_ratio, angle, [0.5])[0]
            scale *= factor
        if 0.93 < factor < 1.07:
            break
    return Shape(parts, axis_ratio, angle, bar, bar_strength, bulge, strength, cos_i)


def _around_bar(
    rng: np.random.Generator, bar: Ferrers, in_plane: float, scale: float, cos_i: float, angle: float
) -> Knots:
    """Return the ring about the bar, arms from its ends, or arms that know nothing of it."""
    end = bar.length / 2 / np.hypot(np.cos(in_plane), np.sin(in_plane) * cos_i)
    if rng.uniform() < 0.2:
        return arms.ring(rng, end * rng.uniform(0.95, 1.15), cos_i, angle)
    if rng.uniform() < 0.7:
        number, begin, start = 2, end * rng.uniform(0.9, 1.05), in_plane
    else:
        number, begin, start = int(rng.choice([2, 3, 4])), end * rng.uniform(0.8, 1.4), rng.uniform(0, 2 * np.pi)
    pitch = rng.uniform(9, 30) * rng.choice([-1, 1])
    return arms.spiral_arms(rng, number, pitch, begin, start, scale * rng.uniform(0.9, 1.3), cos_i, angle)


def _edge_on(rng: np.random.Generator, r_eff: float, population: Population) -> Shape:
    angle, bulge = rng.uniform(0, 180), log_uniform(rng, 0.02, 0.35)
    scale = r_eff / 1.4
    disc = EdgeOn(scale, scale * rng.uniform(0.14, 0.35), angle)
    dust = float(rng.uniform(0.02, 0.07)) if rng.uniform() < 0.5 else 0.0
    bulge_axis_ratio = rng.uniform(0.6, 0.9)
    spheroid = Sersic(float(rng.choice(BULGE_INDICES)), scale * rng.uniform(0.2, 0.45), bulge_axis_ratio, angle)
    parts = [Part(disc, 1 - bulge + dust, "disc"), Part(spheroid, bulge, "old")]
    if dust:
        parts.append(Part(EdgeOn(scale * 0.9, disc.scale_height * rng.uniform(0.2, 0.35), angle), -dust, "dust"))
    return Shape(parts, disc.axis_ratio, angle, bulge_fraction=bulge, cos_inclination=0.0)


def _merger(rng: np.random.Generator, r_eff: float, population: Population) -> Shape:
    first, second = (
        SHAPES[str(rng.choice(["elliptical", "spiral"], p=[0.3, 0.7]))](rng, r_eff * size, population)
        for size in (0.8, rng.uniform(0.4, 0.8))
    )
    companion, tails = rng.uniform(0.15, 0.45), rng.uniform(0.06, 0.25)
    distance, direction = r_eff * rng.uniform(0.7, 2.2), rng.uniform(0, 2 * np.pi)
    x, y = distance * np.cos(direction), distance * np.sin(direction)
    main = 1 - companion - tails
    parts = [Part(p.profile, p.fraction * main, p.population, p.x, p.y) for p in first.parts]
    parts += [Part(p.profile, p.fraction * companion, p.population, x + p.x, y + p.y) for p in second.parts]
    places = [(0.0, 0.0), (x, y)][: int(rng.choice([1, 2]))]
    parts += [
        Part(arms.tidal_tail(rng, place, r_eff * rng.uniform(2.0, 4.0)), tails / len(places), "disc")
        for place in places
    ]
    return Shape(
        parts,
        first.axis_ratio,
        first.position_angle,
        bulge_fraction=first.bulge_fraction,
        arm_strength=first.arm_strength,
        cos_inclination=first.cos_inclination,
        disturbance=companion + tails,
    )


SHAPES: dict[str, Callable[[np.random.Generator, float, Population], Shape]] = {
    "elliptical": _elliptical,
    "spiral": _spiral,
    "barred_spiral": _barred_spiral,
    "edge_on": _edge_on,
    "merger": _merger,
}


def _flattened(cos_inclination: float, thickness: float) -> float:
    """Return the axis ratio of an oblate body seen inclined (Hubble 1926)."""
    return float(np.sqrt(cos_inclination**2 + thickness**2 * (1 - cos_inclination**2)))


def _disc(
    rng: np.random.Generator, scale: float, bulge: float, others: float, cos_i: float, angle: float
) -> list[Part]:
    """Return disc, bulge and star-forming regions; `others` is the light of what comes besides."""
    regions = float(rng.uniform(0.0, 0.06))
    spheroid = Sersic(
        float(rng.choice(BULGE_INDICES)),
        scale * rng.uniform(0.12, 0.4),
        _flattened(cos_i, rng.uniform(0.5, 0.9)),
        angle,
    )
    disc = Sersic(1.0, scale * HALF_LIGHT_OF_SCALE, _flattened(cos_i, DISC_THICKNESS), angle)
    return [
        Part(disc, 1 - bulge - others - regions, "disc"),
        Part(spheroid, bulge, "old"),
        Part(arms.star_formation(rng, int(rng.integers(15, 60)), scale, cos_i, angle), regions, "young"),
    ]
