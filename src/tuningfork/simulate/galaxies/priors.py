"""Draws of the quantities that the configuration states: kind, magnitude and half-light radius."""

import numpy as np

from tuningfork.core.config.population import Population


def draw_kind(rng: np.random.Generator, population: Population) -> str:
    """Return a class of galaxy."""
    weights = population.classes.model_dump()
    chances = np.array(list(weights.values()))
    return str(rng.choice(list(weights), p=chances / chances.sum()))


def draw_magnitude(
    rng: np.random.Generator, low: float, high: float, slope: float, size: int | None = None
) -> np.ndarray:
    """Return magnitudes whose counts grow as 10^(slope x magnitude).

    Parameters
    ----------
    rng : numpy.random.Generator
    low, high : float
        Limits (mag).
    slope : float
    size : int, optional
        N, how many; without it one.

    Returns
    -------
    ndarray
        () or (N,).
    """
    u = rng.uniform(size=size)
    rate = slope * np.log(10)
    if abs(rate) * (high - low) < 1e-9:
        return np.asarray(low + (high - low) * u)
    return np.asarray(low + np.log1p(u * np.expm1(rate * (high - low))) / rate)


def draw_radius(rng: np.random.Generator, mag: float, population: Population) -> float:
    """Return a half-light radius (arcsec), uniform in its logarithm.

    The configured limits hold. Within them the mean surface brightness (of a round galaxy) keeps its own limits, where both
    can be met.

    Parameters
    ----------
    rng : numpy.random.Generator
    mag : float
    population : Population

    Returns
    -------
    float
    """
    low, high = population.r_eff_min, population.r_eff_max
    densest, sparsest = (
        np.sqrt(10 ** (0.4 * (limit - mag)) / (2 * np.pi))
        for limit in (population.surface_brightness_min, population.surface_brightness_max)
    )
    narrow_low, narrow_high = max(low, densest), min(high, sparsest)
    if narrow_low < narrow_high:
        low, high = narrow_low, narrow_high
    return log_uniform(rng, low, high)


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Return a number that is uniform in its logarithm.

    Parameters
    ----------
    rng : numpy.random.Generator
    low, high : float
        Limits, above 0.

    Returns
    -------
    float
    """
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
