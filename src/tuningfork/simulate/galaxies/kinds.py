"""The kinds of galaxies by name; a merger is made of two others."""

from collections.abc import Callable

import numpy as np

from tuningfork.core.config.population import Population
from tuningfork.simulate.galaxies import arms
from tuningfork.simulate.galaxies.discs import barred_spiral, edge_on, spiral
from tuningfork.simulate.galaxies.shape import Shape
from tuningfork.simulate.galaxies.spheroids import elliptical, lens, sersic
from tuningfork.simulate.truth import Part


def merger(rng: np.random.Generator, r_eff: float, population: Population) -> Shape:
    """Return two galaxies with tidal tails.

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
    first, second = (
        (elliptical if rng.uniform() < 0.3 else spiral)(rng, r_eff * size, population)
        for size in (0.8, rng.uniform(0.4, 0.8))
    )
    companion, tails = rng.uniform(0.15, 0.45), rng.uniform(0.06, 0.25)
    distance, direction = r_eff * rng.uniform(0.7, 2.2), rng.uniform(0, 2 * np.pi)
    x, y = distance * np.cos(direction), distance * np.sin(direction)
    main = 1 - companion - tails
    parts = [Part(p.profile, p.fraction * main, p.population, p.x, p.y) for p in first.parts]
    parts += [Part(p.profile, p.fraction * companion, p.population, x + p.x, y + p.y) for p in second.parts]
    begins = [(0.0, 0.0), (x, y)][: int(rng.choice([1, 2]))]
    parts += [
        Part(arms.tidal_tail(rng, begin, r_eff * rng.uniform(2.0, 4.0)), tails / len(begins), "disc")
        for begin in begins
    ]
    return Shape(
        parts,
        first.axis_ratio,
        first.position_angle,
        bulge_fraction=first.bulge_fraction,
        arm_strength=first.arm_strength,
        cos_inclination=first.cos_inclination,
        disturbance=companion + tails,
        ring_strength=first.ring_strength,
    )


KINDS: dict[str, Callable[[np.random.Generator, float, Population], Shape]] = {
    "elliptical": elliptical,
    "spiral": spiral,
    "barred_spiral": barred_spiral,
    "edge_on": edge_on,
    "merger": merger,
    "sersic": sersic,
    "lens": lens,
}
