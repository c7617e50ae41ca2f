"""The distribution of the true parameters of simulated galaxies."""

from typing import Self

from pydantic import model_validator

from tuningfork.core.config.base import Section, option

ORDERED = (
    "mag", "r_eff", "bar_length", "sersic_n", "elliptical_n", "bulge_n", "bulge_fraction", "pitch", "bar_axis_ratio",
    "einstein_radius", "surface_brightness",
)  # fmt: skip
"""Quantities of the population with a smallest and a largest value."""


class ClassFractions(Section):
    """How often each kind of galaxy is drawn; the numbers are normalised to a sum of one."""

    elliptical: float = option(0.25, "ellipticals", ge=0)
    spiral: float = option(0.25, "unbarred spirals and discs", ge=0)
    barred_spiral: float = option(0.30, "barred spirals and discs", ge=0)
    edge_on: float = option(0.12, "discs seen edge-on", ge=0)
    merger: float = option(0.08, "mergers", ge=0)
    sersic: float = option(0.0, "galaxies of one Sersic profile, as most fitting codes take them to be", ge=0)
    lens: float = option(0.01, "ellipticals with an Einstein ring or arcs of a galaxy behind them", ge=0)

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
    surface_brightness_min: float = option(
        18.3, "brightest mean surface brightness within the half-light radius", unit="mag/arcsec2", ge=5, le=40
    )
    surface_brightness_max: float = option(
        24.0, "faintest mean surface brightness within the half-light radius", unit="mag/arcsec2", ge=5, le=40
    )
    bar_length_min: float = option(3.0, "shortest full bar length as seen on the sky", unit="arcsec", gt=0, le=100)
    bar_length_max: float = option(12.0, "longest full bar length as seen on the sky", unit="arcsec", gt=0, le=100)
    sersic_n_min: float = option(
        0.3, "lowest Sersic index of the kind `sersic`; its logarithm is uniform", ge=0.2, le=8
    )
    sersic_n_max: float = option(8.0, "highest Sersic index of the kind `sersic`", ge=0.2, le=8)
    axis_ratio_min: float = option(
        0.2, "smallest ratio of minor to major axis of the kind `sersic`; uniform up to 1", ge=0.05, lt=1
    )
    elliptical_n_min: float = option(2.0, "lowest Sersic index of ellipticals", ge=0.2, le=8)
    elliptical_n_max: float = option(6.0, "highest Sersic index of ellipticals", ge=0.2, le=8)
    elliptical_axis_ratio_min: float = option(
        0.45, "smallest ratio of minor to major axis of ellipticals; uniform up to 1", ge=0.05, lt=1
    )
    bulge_n_min: float = option(1.0, "lowest Sersic index of bulges", ge=0.2, le=8)
    bulge_n_max: float = option(4.0, "highest Sersic index of bulges", ge=0.2, le=8)
    bulge_fraction_min: float = option(
        0.02, "smallest part of a disc galaxy's light in its bulge; its logarithm is uniform", gt=0, lt=0.3
    )
    bulge_fraction_max: float = option(
        0.4, "largest part of a disc galaxy's light in its bulge; barred galaxies have up to half as much", gt=0, le=0.8
    )
    disc_thickness: float = option(0.15, "ratio of the axes of a disc that would be seen edge-on", ge=0.05, le=0.5)
    arms_fraction: float = option(0.65, "part of the spirals whose arms stand out", ge=0, le=1)
    pitch_min: float = option(9.0, "smallest pitch angle of spiral arms", unit="deg", ge=3, le=60)
    pitch_max: float = option(32.0, "largest pitch angle of spiral arms", unit="deg", ge=3, le=60)
    bar_axis_ratio_min: float = option(0.2, "smallest ratio of a bar's axes, in the plane of the disc", ge=0.1, le=0.8)
    bar_axis_ratio_max: float = option(0.45, "largest ratio of a bar's axes, in the plane of the disc", ge=0.1, le=0.8)
    bar_boxiness_max: float = option(
        2.0, "largest exponent of a bar's isophotes, generalised ellipses; 2 for ellipses alone", ge=2, le=6
    )
    inner_ring_fraction: float = option(
        0.2, "part of the disc galaxies with a ring, about the bar's ends if there is one, in place of arms", ge=0, le=1
    )
    outer_ring_fraction: float = option(0.0, "part of the disc galaxies with an outer ring besides", ge=0, le=1)
    dust_lane_fraction: float = option(0.5, "part of the edge-on discs with a lane of dust", ge=0, le=1)
    einstein_radius_min: float = option(1.0, "smallest Einstein radius of lenses", unit="arcsec", gt=0, le=30)
    einstein_radius_max: float = option(4.0, "largest Einstein radius of lenses", unit="arcsec", gt=0, le=30)
    redshift_min: float = option(
        0.02, "smallest redshift: that at which magnitudes, radii and bar lengths are those given here", gt=0, le=10
    )
    redshift_max: float | None = option(
        None,
        "largest redshift, to which galaxies of the same luminosity and size are moved; null leaves them all where "
        "they have the magnitudes and radii given here",
        gt=0,
        le=20,
    )
    hubble_constant: float = option(70.0, "Hubble constant of the flat universe", unit="km/s/Mpc", ge=20, le=200)
    omega_matter: float = option(0.3, "density of matter in units of the critical one", gt=0, le=1)
    classes: ClassFractions = option(ClassFractions(), "relative frequency of the kinds of galaxy")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name in ORDERED:
            low, high = f"{name}_min", f"{name}_max"
            if getattr(self, low) >= getattr(self, high):
                raise ValueError(f"{low} ({getattr(self, low)}) must be below {high} ({getattr(self, high)})")
        if self.redshift_max is not None and self.redshift_max <= self.redshift_min:
            raise ValueError(f"redshift_min ({self.redshift_min}) must be below redshift_max ({self.redshift_max})")
        return self


class SkyPopulation(Population):
    """The galaxies of a simulated sky: more faint ones than bright ones, as on the real sky."""

    mag_slope: float = option(
        0.25, "slope of log10 of the counts with magnitude; 0 is flat, 0.6 Euclidean", unit="1/mag", ge=-1, le=1
    )
