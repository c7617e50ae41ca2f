"""Galaxies: what they are made of, drawn at random by class."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tuningfork.core.config.population import Population
from tuningfork.simulate.galaxies.artifacts import ARTIFACT, NOMINAL_RADIUS, draw_artifact
from tuningfork.simulate.galaxies.colours import relative_fluxes
from tuningfork.simulate.galaxies.kinds import KINDS
from tuningfork.simulate.galaxies.priors import draw_kind, draw_magnitude, draw_radius
from tuningfork.simulate.galaxies.redshift import draw_redshift, moved
from tuningfork.simulate.light.canvas import Light
from tuningfork.simulate.truth import Part, equivalents


@dataclass(frozen=True)
class Galaxy:
    """A galaxy with its truth.

    Attributes
    ----------
    kind : str
        A key of `tuningfork.simulate.galaxies.kinds.KINDS`, or `artifact` for what is not a galaxy.
    mag : float
        Total magnitude in the reference band.
    r_eff : float
        Half-light radius along the major axis (arcsec); see :mod:`tuningfork.simulate.truth`.
    sersic_n, axis_ratio : float
    position_angle : float
        deg.
    bar_length : float
        Full length as seen on the sky (arcsec), as :mod:`tuningfork.simulate.galaxies.bars` defines it; NaN without
        a bar.
    bar_position_angle : float
        deg; NaN without a bar.
    bar_axis_ratio : float
        Width over length of the bar's outermost isophote as seen on the sky; NaN without a bar.
    bar_strength : float
        The bar's part of the flux in the reference band; 0 without a bar.
    bulge_fraction : float
        The spheroid's part of the flux in the reference band, in mergers that of the brighter galaxy, in lenses that
        of the lens alone; NaN for `sersic`.
    arm_strength : float
        The arms' and rings' part of the flux in the reference band.
    cos_inclination : float
        1 face-on.
    disturbance : float
        Mergers: the part of the flux in the companion and in tails; lenses: in the arcs; 0 for others.
    reddening : float
        Magnitudes by which the colour g - r is redder than usual.
    parts : list of Part
    redshift : float
        NaN for a population without redshifts.
    ring_strength : float
        The rings' part of the flux in the reference band; `arm_strength` holds it too.
    """

    kind: str
    mag: float
    r_eff: float
    sersic_n: float
    axis_ratio: float
    position_angle: float
    bar_length: float
    bar_position_angle: float
    bar_axis_ratio: float
    bar_strength: float
    bulge_fraction: float
    arm_strength: float
    cos_inclination: float
    disturbance: float
    reddening: float
    parts: list[Part] = field(repr=False)
    redshift: float = np.nan
    ring_strength: float = 0.0

    def lights(
        self, bands: Sequence[str], reference: int, zero_point: float, x: float = 0.0, y: float = 0.0
    ) -> list[Light]:
        """Return the lights to be drawn.

        Parameters
        ----------
        bands : sequence of str
        reference : int
            Index of the reference band.
        zero_point : float
            AB magnitude of one flux unit.
        x, y : float
            Position of the galaxy's centre (arcsec, west and north).

        Returns
        -------
        list of Light
        """
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

    def seen_at(self, redshift: float, population: Population) -> "Galaxy":
        """Return the same galaxy at another redshift: fainter and smaller, otherwise alike.

        Parameters
        ----------
        redshift : float
        population : Population
            Gives the cosmology, and the redshift that a galaxy without one is assumed to have (`redshift_min`).

        Returns
        -------
        Galaxy
        """
        near = self.redshift if np.isfinite(self.redshift) else population.redshift_min
        fainter, factor = moved(near, redshift, population)
        return replace(
            self,
            mag=self.mag + fainter,
            r_eff=self.r_eff * factor,
            bar_length=self.bar_length * factor,
            parts=[part.scaled(factor) for part in self.parts],
            redshift=redshift,
        )


def draw_galaxy(rng: np.random.Generator, population: Population, redshift: float | None = None) -> Galaxy:
    """Return a galaxy drawn from the population.

    Parameters
    ----------
    rng : numpy.random.Generator
    population : Population
    redshift : float, optional
        Redshift of the galaxy, instead of one that is drawn. The same state of `rng` gives the same galaxy at any
        redshift.

    Returns
    -------
    Galaxy
    """
    galaxy = _draw_nearby(rng, population)
    drawn = draw_redshift(rng, population)
    seen = drawn if redshift is None else redshift
    return galaxy.seen_at(seen, population) if np.isfinite(seen) else galaxy


def _draw_nearby(rng: np.random.Generator, population: Population) -> Galaxy:
    """Return a galaxy with the magnitude, the radius and the bar length that the configuration states."""
    kind = draw_kind(rng, population)
    mag = float(draw_magnitude(rng, population.mag_min, population.mag_max, population.mag_slope))
    if kind == ARTIFACT:
        return _artifact(rng, mag)
    r_eff = draw_radius(rng, mag, population)
    shape = KINDS[kind](rng, r_eff, population)
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
        shape.bar.axis_ratio if shape.bar else np.nan,
        shape.bar_strength,
        shape.bulge_fraction,
        shape.arm_strength,
        shape.cos_inclination,
        shape.disturbance,
        float(rng.normal(0, 0.08)),
        [part.scaled(factor) for part in shape.parts],
        ring_strength=shape.ring_strength,
    )


def _artifact(rng: np.random.Generator, mag: float) -> Galaxy:
    """Return something that is not a galaxy; its radius, index, shape and angle mean nothing."""
    parts, brighter = draw_artifact(rng)
    nothing = {
        "bar_length": np.nan, "bar_position_angle": np.nan, "bar_axis_ratio": np.nan, "bar_strength": 0.0,
        "bulge_fraction": np.nan, "arm_strength": 0.0, "cos_inclination": 1.0, "disturbance": 0.0,
    }  # fmt: skip
    shape = {"r_eff": NOMINAL_RADIUS, "sersic_n": 1.0, "axis_ratio": 1.0, "position_angle": 0.0}
    return Galaxy(ARTIFACT, mag - brighter, **shape, **nothing, reddening=float(rng.normal(0, 0.3)), parts=parts)
