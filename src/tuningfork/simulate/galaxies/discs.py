"""Disc galaxies: spirals without and with a bar, and discs seen edge-on."""

import numpy as np

from tuningfork.core.config.population import Population
from tuningfork.simulate.galaxies import arms
from tuningfork.simulate.galaxies.bar_companions import draw_companions
from tuningfork.simulate.galaxies.bars import Bar, bar_on_sky, draw_boxiness, draw_light
from tuningfork.simulate.galaxies.disc_parts import (
    HALF_LIGHT_OF_SCALE,
    disc_parts,
    largest_barred_bulge,
    outer_ring_light,
    pattern,
    pattern_around_bar,
)
from tuningfork.simulate.galaxies.priors import log_uniform
from tuningfork.simulate.galaxies.shape import Shape, flattened
from tuningfork.simulate.light.profiles import EdgeOn, Sersic
from tuningfork.simulate.truth import Part, growth_radii

MAX_INNER_LIGHT = 0.75
"""Largest part of a barred galaxy's light in the bar and what comes with it; a bulge may add a tenth."""
LEAST_COS_INCLINATION = 0.3
"""Discs are drawn up to 72 deg; more inclined ones are edge-on discs."""
RADIUS_TOLERANCE = 0.07
"""How far the half-light radius of a barred galaxy may be off, as a part of it, before another is drawn."""
DUST_DEPTH, DUST_REACH = (0.15, 0.6), 0.9
"""Part of the disc's light in its plane that a dust lane takes away at the centre, in the reference band, and the
lane's scale radius in that of the disc: in u half as much again is taken, and less than there is."""


def spiral(rng: np.random.Generator, r_eff: float, population: Population) -> Shape:
    """Return an unbarred disc, with or without arms and rings.

    Parameters
    ----------
    rng : numpy.random.Generator
    r_eff : float
        Half-light radius along the major axis (arcsec).
    population : Population

    Returns
    -------
    Shape
    """
    cos_i, angle = rng.uniform(LEAST_COS_INCLINATION, 1.0), rng.uniform(0, 180)
    bulge = log_uniform(rng, population.bulge_fraction_min, population.bulge_fraction_max)
    strength = rng.uniform(0.12, 0.35) if rng.uniform() < population.arms_fraction else rng.uniform(0.0, 0.05)
    strength *= 1 - bulge
    scale = r_eff / HALF_LIGHT_OF_SCALE
    ringed, outer = rng.uniform() < population.inner_ring_fraction, outer_ring_light(rng, population) * (1 - bulge)
    parts = disc_parts(rng, scale, bulge, strength + outer, cos_i, angle, population)
    parts.append(Part(pattern(rng, ringed, scale, cos_i, angle, population), strength, "young"))
    if outer:
        parts.append(Part(arms.ring(rng, scale * rng.uniform(2.8, 3.8), cos_i, angle, roundest=0.8), outer, "young"))
    axis_ratio, rings = flattened(cos_i, population.disc_thickness), outer + ringed * strength
    return Shape(parts, axis_ratio, angle, None, 0.0, bulge, strength + outer, cos_i, ring_strength=rings)


def barred_spiral(rng: np.random.Generator, r_eff: float, population: Population) -> Shape:
    """Return a barred disc whose bar has the drawn length, although the disc around it sets the half-light radius.

    Parameters
    ----------
    rng : numpy.random.Generator
    r_eff : float
        Half-light radius along the major axis (arcsec).
    population : Population

    Returns
    -------
    Shape
    """
    low, high = population.bar_length_min, population.bar_length_max
    for _ in range(20):
        cos_i, angle = rng.uniform(LEAST_COS_INCLINATION, 1.0), rng.uniform(0, 180)
        in_plane = rng.uniform(0, 2 * np.pi)
        shortest, longest = (
            r_eff * limit for limit in (population.bar_relative_length_min, population.bar_relative_length_max)
        )
        length = log_uniform(rng, np.clip(shortest, low, high / 1.05), np.clip(longest, low * 1.05, high))
        bar = _bar(rng, length, in_plane, cos_i, angle, population)
        bar_strength = log_uniform(rng, np.clip(0.04 * length / r_eff, 0.04, 0.1), population.bar_light_max)
        companions = draw_companions(rng, bar, cos_i, angle, population)
        # What comes with a bar leaves a part of the light to the disc.
        bar_strength = min(bar_strength, MAX_INNER_LIGHT / (1 + companions.light))
        bulge = log_uniform(rng, population.bulge_fraction_min, largest_barred_bulge(population))
        bulge = min(bulge, MAX_INNER_LIGHT + 0.1 - bar_strength * (1 + companions.light))
        inner = bar_strength * (1 + companions.light)
        strength = rng.uniform(0.08, 0.3) if rng.uniform() < population.arms_fraction else rng.uniform(0.0, 0.04)
        strength *= 1 - bulge - inner
        ringed = rng.uniform() < population.inner_ring_fraction
        outer = outer_ring_light(rng, population) * (1 - bulge - inner)
        seed, axis_ratio = int(rng.integers(2**62)), flattened(cos_i, population.disc_thickness)
        scale = r_eff / HALF_LIGHT_OF_SCALE
        for _ in range(3):
            # The bar stays as it is; the same disc around it is drawn larger or smaller.
            again = np.random.default_rng(seed)
            parts = disc_parts(again, scale, bulge, strength + outer + inner, cos_i, angle, population)
            end = bar.length / 2 / np.hypot(np.cos(in_plane), np.sin(in_plane) * cos_i)
            around = pattern_around_bar(again, ringed, end, in_plane, scale, cos_i, angle, population)
            parts += [Part(around, strength, "young"), Part(bar, bar_strength, "old"), *companions.of(bar_strength)]
            if outer:
                # About where the outer Lindblad resonance of a bar lies, which ends near its corotation.
                far = arms.ring(again, end * again.uniform(1.8, 2.4), cos_i, angle, roundest=0.75)
                parts.append(Part(far, outer, "young"))
            factor = r_eff / growth_radii(parts, axis_ratio, angle, [0.5])[0]
            scale *= factor
        if abs(factor - 1) < RADIUS_TOLERANCE:
            break
    rings = outer + ringed * strength
    return Shape(parts, axis_ratio, angle, bar, bar_strength, bulge, strength + outer, cos_i, ring_strength=rings)


def edge_on(rng: np.random.Generator, r_eff: float, population: Population) -> Shape:
    """Return a disc seen edge-on.

    Parameters
    ----------
    rng : numpy.random.Generator
    r_eff : float
        Half-light radius along the major axis (arcsec).
    population : Population

    Returns
    -------
    Shape
    """
    angle = rng.uniform(0, 180)
    bulge = log_uniform(rng, population.bulge_fraction_min, population.bulge_fraction_max)
    scale = r_eff / 1.4
    disc = EdgeOn(scale, scale * rng.uniform(0.14, 0.35), angle)
    thickness, depth = rng.uniform(0.25, 0.5), rng.uniform(*DUST_DEPTH)
    dusty = rng.uniform() < population.dust_lane_fraction
    # The part of the disc's light that a thinner and shorter disc of this depth takes away.
    dust = depth * thickness * DUST_REACH if dusty else 0.0
    index = rng.uniform(population.bulge_n_min, population.bulge_n_max)
    spheroid = Sersic(index, scale * rng.uniform(0.2, 0.45), rng.uniform(0.6, 0.9), angle)
    stars = (1 - bulge) / (1 - dust)
    parts = [Part(disc, stars, "disc"), Part(spheroid, bulge, "old")]
    if dusty:
        lane = EdgeOn(scale * DUST_REACH, disc.scale_height * thickness, angle)
        parts.append(Part(lane, -dust * stars, "dust"))
    return Shape(parts, disc.axis_ratio, angle, bulge_fraction=bulge, cos_inclination=0.0)


def _bar(
    rng: np.random.Generator, length: float, in_plane: float, cos_i: float, angle: float, population: Population
) -> Bar:
    axis_ratio = rng.uniform(population.bar_axis_ratio_min, population.bar_axis_ratio_max)
    boxiness = draw_boxiness(rng, population.bar_boxiness_max)
    return bar_on_sky(length, axis_ratio, in_plane, draw_light(rng), boxiness, cos_i, angle)
