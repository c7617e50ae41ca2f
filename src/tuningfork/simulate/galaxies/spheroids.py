"""Galaxies without a disc: single Sersic profiles, ellipticals, and ellipticals that lens a galaxy behind them."""

from dataclasses import replace

import numpy as np

from tuningfork.core.config.population import Population
from tuningfork.simulate.galaxies.priors import log_uniform
from tuningfork.simulate.galaxies.shape import Shape
from tuningfork.simulate.light.axes import from_axes
from tuningfork.simulate.light.profiles import Knots, Sersic
from tuningfork.simulate.truth import Part, growth_radii

MIN_SERSIC_N_OLD = 2.5
"""Single Sersic profiles with a higher index have the colours of old stars, others those of a disc."""
ARC_KNOTS = 120
"""Closer to each other than the width of the smallest source."""


def sersic(rng: np.random.Generator, r_eff: float, population: Population) -> Shape:
    """Return one Sersic profile of any shape; its bulge fraction is not defined.

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
    n = log_uniform(rng, population.sersic_n_min, population.sersic_n_max)
    axis_ratio, angle = rng.uniform(population.axis_ratio_min, 1.0), rng.uniform(0, 180)
    stars = "old" if n > MIN_SERSIC_N_OLD else "disc"
    part = Part(Sersic(n, r_eff, axis_ratio, angle), 1.0, stars)
    return Shape([part], axis_ratio, angle, bulge_fraction=np.nan)


def elliptical(rng: np.random.Generator, r_eff: float, population: Population) -> Shape:
    """Return a spheroid of old stars.

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
    n = rng.uniform(population.elliptical_n_min, population.elliptical_n_max)
    axis_ratio, angle = rng.uniform(population.elliptical_axis_ratio_min, 1.0), rng.uniform(0, 180)
    return Shape([Part(Sersic(n, r_eff, axis_ratio, angle), 1.0, "old")], axis_ratio, angle, bulge_fraction=1.0)


def lens(rng: np.random.Generator, r_eff: float, population: Population) -> Shape:
    """Return an elliptical with the arcs or the ring of a blue galaxy behind it.

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
    galaxy = elliptical(rng, r_eff, population)
    (stars,) = galaxy.parts
    radius = log_uniform(rng, population.einstein_radius_min, population.einstein_radius_max)
    arcs = arcs_of_source(radius, rng.uniform(0, 0.5) * radius, rng.uniform(0.06, 0.16) * radius, rng.uniform(0, 360))
    share = log_uniform(rng, 0.05, 0.3)
    for _ in range(3):
        # The arcs stay where they are; the elliptical about them is drawn larger or smaller.
        parts = [replace(stars, fraction=1 - share), Part(arcs, share, "young")]
        measured = growth_radii(parts, galaxy.axis_ratio, galaxy.position_angle, [0.5])[0]
        stars = stars.scaled(r_eff / measured)
    return replace(galaxy, parts=parts, disturbance=share)


def arcs_of_source(radius: float, distance: float, sigma: float, direction: float) -> Knots:
    """Return the images of a Gaussian source behind a singular isothermal sphere.

    A ray seen at the radius r and angle phi left the source's plane at (r - radius) in the same direction, and surface
    brightness is conserved (Schneider, Ehlers & Falco 1992, section 8.1.4). So along each direction the image is a Gaussian
    of the source's width about r = radius + distance cos(phi), which knots represent.

    Parameters
    ----------
    radius : float
        Einstein radius (arcsec).
    distance : float
        Of the source from the line of sight to the lens (arcsec), below `radius`: 0 gives a ring, other values two arcs.
    sigma : float
        Standard deviation of the source (arcsec).
    direction : float
        Of the source, as a position angle (deg).

    Returns
    -------
    Knots
    """
    angle = 2 * np.pi * (np.arange(ARC_KNOTS) + 0.5) / ARC_KNOTS
    image_radius = radius + distance * np.cos(angle)
    weight = image_radius * np.exp(-0.5 * (distance * np.sin(angle) / sigma) ** 2)
    x, y = from_axes(image_radius * np.cos(angle), image_radius * np.sin(angle), direction)
    return Knots(x, y, np.full(ARC_KNOTS, sigma), weight / weight.sum())
