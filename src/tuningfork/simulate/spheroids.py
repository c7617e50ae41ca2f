"""Galaxies without a disc: one Sersic profile, and ellipticals."""

import numpy as np

from tuningfork.core.config.population import Population
from tuningfork.simulate.priors import log_uniform
from tuningfork.simulate.profiles import Sersic
from tuningfork.simulate.shape import Shape
from tuningfork.simulate.truth import Part

OLD_ABOVE = 2.5
"""Single Sersic profiles with a higher index have the colours of old stars, others those of a disc."""


def sersic(rng: np.random.Generator, r_eff: float, population: Population) -> Shape:
    """Return one Sersic profile of any shape; it has no bulge that could be told from a disc."""
    n = log_uniform(rng, population.sersic_n_min, population.sersic_n_max)
    axis_ratio, angle = rng.uniform(population.axis_ratio_min, 1.0), rng.uniform(0, 180)
    stars = "old" if n > OLD_ABOVE else "disc"
    part = Part(Sersic(n, r_eff, axis_ratio, angle), 1.0, stars)
    return Shape([part], axis_ratio, angle, bulge_fraction=np.nan)


def elliptical(rng: np.random.Generator, r_eff: float, population: Population) -> Shape:
    """Return a spheroid of old stars."""
    n = rng.uniform(population.elliptical_n_min, population.elliptical_n_max)
    axis_ratio, angle = rng.uniform(population.elliptical_axis_ratio_min, 1.0), rng.uniform(0, 180)
    return Shape([Part(Sersic(n, r_eff, axis_ratio, angle), 1.0, "old")], axis_ratio, angle, bulge_fraction=1.0)
