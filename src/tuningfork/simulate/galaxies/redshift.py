"""How a galaxy fades and shrinks with redshift.

No K-correction: every galaxy is seen in the same rest-frame bands, so that the surface brightness falls as
(1 + z)^-4 alone (Tolman 1930).
"""

from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from tuningfork.core.config.population import Population

if TYPE_CHECKING:
    from astropy.cosmology import FlatLambdaCDM


def draw_redshift(rng: np.random.Generator, population: Population) -> float:
    """Return a redshift, uniform between the limits; NaN for a population without redshifts."""
    if population.redshift_max is None:
        return np.nan
    return float(rng.uniform(population.redshift_min, population.redshift_max))


def moved(near: float, far: float, population: Population) -> tuple[float, float]:
    """Return the changes of a galaxy that is moved from one redshift to another.

    Parameters
    ----------
    near, far : float
        The two redshifts.
    population : Population
        Gives the cosmology.

    Returns
    -------
    fainter : float
        Change of the magnitude: the difference of the distance moduli.
    smaller : float
        Factor of all angles: the inverse ratio of the angular diameter distances.
    """
    before, after = (_luminosity_distance(population.hubble_constant, population.omega_matter, z) for z in (near, far))
    return float(5 * np.log10(after / before)), float(before / after * ((1 + far) / (1 + near)) ** 2)


@lru_cache(maxsize=64)
def _luminosity_distance(hubble_constant: float, omega_matter: float, redshift: float) -> float:
    return float(cosmology(hubble_constant, omega_matter).luminosity_distance(redshift).value)


@cache
def cosmology(hubble_constant: float, omega_matter: float) -> "FlatLambdaCDM":
    """Return a flat universe (km/s/Mpc, density of matter in units of the critical one)."""
    # Half a second, which only galaxies with redshifts need.
    from astropy.cosmology import FlatLambdaCDM

    return FlatLambdaCDM(H0=hubble_constant, Om0=omega_matter)
