"""The distribution of the true parameters of simulated galaxies."""

from typing import Self

from pydantic import model_validator

from tuningfork.core.config.base import Section, option


class ClassFractions(Section):
    """How often each kind of galaxy is drawn; the numbers are normalised to a sum of one."""

    elliptical: float = option(0.25, "ellipticals", ge=0)
    spiral: float = option(0.25, "unbarred spirals and discs", ge=0)
    barred_spiral: float = option(0.30, "barred spirals and discs", ge=0)
    edge_on: float = option(0.12, "discs seen edge-on", ge=0)
    merger: float = option(0.08, "mergers", ge=0)

    @model_validator(mode="after")
    def _not_all_zero(self) -> Self:
        if sum(self.model_dump().values()) <= 0:
            raise ValueError("at least one class fraction must be above zero")
        return self


class Population(Section):
    """Magnitudes, sizes, shapes and kinds of the galaxies that are drawn."""

    mag_min: float = option(14.0, "brightest magnitude in the reference band", unit="mag", ge=5, le=30)
    mag_max: float = option(18.0, "faintest magnitude in the reference band", unit="mag", ge=5, le=30)
    mag_slope: float = option(
        0.0, "slope of log10 of the counts with magnitude; 0 is flat, 0.6 Euclidean", unit="1/mag", ge=-1, le=1
    )
    r_eff_min: float = option(1.5, "smallest half-light radius along the major axis", unit="arcsec", gt=0, le=100)
    r_eff_max: float = option(12.0, "largest half-light radius along the major axis", unit="arcsec", gt=0, le=100)
    bar_length_min: float = option(3.0, "shortest full bar length as seen on the sky", unit="arcsec", gt=0, le=100)
    bar_length_max: float = option(12.0, "longest full bar length as seen on the sky", unit="arcsec", gt=0, le=100)
    classes: ClassFractions = option(ClassFractions(), "relative frequency of the kinds of galaxy")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for low, high in (("mag_min", "mag_max"), ("r_eff_min", "r_eff_max"), ("bar_length_min", "bar_length_max")):
            if getattr(self, low) >= getattr(self, high):
                raise ValueError(f"{low} ({getattr(self, low)}) must be below {high} ({getattr(self, high)})")
        return self


class SkyPopulation(Population):
    """The galaxies of a simulated sky: more faint ones than bright ones, as on the real sky."""

    mag_slope: float = option(
        0.25, "slope of log10 of the counts with magnitude; 0 is flat, 0.6 Euclidean", unit="1/mag", ge=-1, le=1
    )
