"""The distribution of the true parameters of simulated galaxies."""

from typing import Self

from pydantic import model_validator

from tuningfork.core.config.base import ConflictError, Section, option

ORDERED = (
    "mag", "r_eff", "bar_length", "sersic_n", "elliptical_n", "bulge_n", "bulge_fraction", "pitch", "bar_axis_ratio",
    "einstein_radius", "surface_brightness", "bar_relative_length",
)  # fmt: skip
"""Quantities with a smallest and a largest value, which a validator compares."""


class ClassFractions(Section):
    """Relative frequencies of the kinds of galaxies; they are normalised to a sum of one."""

    elliptical: float = option(0.25, "ellipticals", ge=0, le=1e6)
    spiral: float = option(0.25, "unbarred spirals and discs", ge=0, le=1e6)
    barred_spiral: float = option(0.30, "barred spirals and discs", ge=0, le=1e6)
    edge_on: float = option(0.12, "discs seen edge-on", ge=0, le=1e6)
    merger: float = option(0.08, "mergers", ge=0, le=1e6)
    sersic: float = option(0.0, "galaxies with a single Sersic profile, as most fitting codes assume", ge=0, le=1e6)
    artifact: float = option(
        0.03, "stars, trails, ghosts, pieces of large galaxies and noise: no galaxies", ge=0, le=1e6
    )
    lens: float = option(0.01, "ellipticals that lens a galaxy behind them into arcs or an Einstein ring", ge=0, le=1e6)

    @model_validator(mode="after")
    def _not_all_zero(self) -> Self:
        if sum(self.model_dump().values()) <= 0:
            raise ConflictError("at least one class fraction must be above zero", *type(self).model_fields)
        return self


class Population(Section):
    """The distribution of magnitudes, sizes, shapes and kinds of simulated galaxies."""

    mag_min: float = option(14.0, "brightest magnitude in the reference band", unit="mag", ge=5, le=30)
    mag_max: float = option(18.0, "faintest magnitude in the reference band", unit="mag", ge=5, le=30)
    mag_slope: float = option(
        0.0, "slope of log10(counts) with magnitude: 0 is uniform, 0.6 Euclidean", unit="1/mag", ge=-1, le=1
    )
    r_eff_min: float = option(1.5, "smallest half-light radius along the major axis", unit="arcsec", gt=0, le=100)
    r_eff_max: float = option(20.0, "largest half-light radius along the major axis", unit="arcsec", gt=0, le=100)
    surface_brightness_min: float = option(
        18.3, "brightest mean surface brightness within the half-light radius", unit="mag/arcsec2", ge=5, le=40
    )
    surface_brightness_max: float = option(
        24.0, "faintest mean surface brightness within the half-light radius", unit="mag/arcsec2", ge=5, le=40
    )
    bar_length_min: float = option(3.0, "shortest full bar length as seen on the sky", unit="arcsec", gt=0, le=100)
    bar_length_max: float = option(40.0, "longest full bar length as seen on the sky", unit="arcsec", gt=0, le=100)
    sersic_n_min: float = option(
        0.3, "lowest Sersic index of the kind `sersic`, drawn uniformly in its logarithm", ge=0.2, le=8
    )
    sersic_n_max: float = option(8.0, "highest Sersic index of the kind `sersic`", ge=0.2, le=8)
    axis_ratio_min: float = option(
        0.2, "smallest axis ratio (minor/major) of the kind `sersic`, drawn uniformly up to 1", ge=0.05, lt=1
    )
    elliptical_n_min: float = option(2.0, "lowest Sersic index of ellipticals", ge=0.2, le=8)
    elliptical_n_max: float = option(6.0, "highest Sersic index of ellipticals", ge=0.2, le=8)
    elliptical_axis_ratio_min: float = option(
        0.45, "smallest axis ratio (minor/major) of ellipticals, drawn uniformly up to 1", ge=0.05, lt=1
    )
    bulge_n_min: float = option(1.0, "lowest Sersic index of bulges", ge=0.2, le=8)
    bulge_n_max: float = option(4.0, "highest Sersic index of bulges", ge=0.2, le=8)
    bulge_fraction_min: float = option(
        0.02, "smallest share of a disc galaxy's light in its bulge, drawn uniformly in its logarithm", gt=0, lt=0.3
    )
    bulge_fraction_max: float = option(
        0.4, "largest share of a disc galaxy's light in its bulge; half of it for barred galaxies", gt=0, le=0.8
    )
    disc_thickness: float = option(0.15, "axis ratio of a disc seen edge-on", ge=0.05, le=0.5)
    arms_fraction: float = option(0.65, "share of the spirals with visible arms", ge=0, le=1)
    pitch_min: float = option(9.0, "smallest pitch angle of spiral arms", unit="deg", ge=3, le=60)
    pitch_max: float = option(32.0, "largest pitch angle of spiral arms", unit="deg", ge=3, le=60)
    bar_axis_ratio_min: float = option(0.2, "smallest axis ratio of a bar in the plane of the disc", ge=0.1, le=0.8)
    bar_axis_ratio_max: float = option(0.45, "largest axis ratio of a bar in the plane of the disc", ge=0.1, le=0.8)
    bar_boxiness_max: float = option(
        3.0, "largest exponent of the generalised ellipses that are a bar's isophotes; 2: ellipses only", ge=2, le=6
    )
    inner_ring_fraction: float = option(
        0.2,
        "share of the disc galaxies with an inner ring instead of arms; in barred galaxies it passes "
        "through the ends of the bar",
        ge=0,
        le=1,
    )
    outer_ring_fraction: float = option(0.1, "share of the disc galaxies with an additional outer ring", ge=0, le=1)
    bar_light_max: float = option(0.45, "largest share of a barred galaxy's light in its bar", ge=0.13, le=0.7)
    bar_relative_length_min: float = option(
        0.3,
        "shortest bar in half-light radii of the galaxy: full length as seen",
        unit="half-light radius",
        gt=0,
        le=2,
    )
    bar_relative_length_max: float = option(
        3.2, "longest bar in half-light radii of the galaxy: full length as seen", unit="half-light radius", gt=0, le=10
    )
    oval_fraction: float = option(0.2, "share of the bars in an oval lens, flat and with a sharp edge", ge=0, le=1)
    barlens_fraction: float = option(0.15, "share of the bars with a barlens, their thick inner part", ge=0, le=1)
    ansae_fraction: float = option(0.1, "share of the bars with spots of light at their ends", ge=0, le=1)
    bar_dust_fraction: float = option(0.1, "share of the bars with dust lanes along their edges", ge=0, le=1)
    flocculent_fraction: float = option(
        0.2, "share of the disc galaxies with arms whose arms are flocculent: many short pieces", ge=0, le=1
    )
    broken_disc_fraction: float = option(
        0.4, "share of the disc galaxies whose disc is not exponential: it breaks down or up, or is hollow", ge=0, le=1
    )
    lopsided_fraction: float = option(0.1, "share of the disc galaxies whose disc is off-centre", ge=0, le=1)
    dust_lane_fraction: float = option(0.5, "share of the edge-on discs with a dust lane", ge=0, le=1)
    einstein_radius_min: float = option(1.0, "smallest Einstein radius of lenses", unit="arcsec", gt=0, le=30)
    einstein_radius_max: float = option(4.0, "largest Einstein radius of lenses", unit="arcsec", gt=0, le=30)
    redshift_min: float = option(
        0.02, "smallest redshift, at which galaxies have the magnitudes, radii and bar lengths given here", gt=0, le=10
    )
    redshift_max: float | None = option(
        None,
        "largest redshift: galaxies are moved to redshifts up to it, and keep their luminosity and physical size; "
        "null: all galaxies stay at redshift_min",
        gt=0,
        le=20,
    )
    hubble_constant: float = option(70.0, "Hubble constant of the flat universe", unit="km/s/Mpc", ge=20, le=200)
    omega_matter: float = option(0.3, "matter density in units of the critical density", gt=0, le=1)
    classes: ClassFractions = option(ClassFractions(), "relative frequencies of the kinds of galaxies")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name in ORDERED:
            low, high = f"{name}_min", f"{name}_max"
            if getattr(self, low) >= getattr(self, high):
                raise ConflictError(
                    f"{low} ({getattr(self, low)}) must be below {high} ({getattr(self, high)})", low, high
                )
        if self.redshift_max is not None and self.redshift_max <= self.redshift_min:
            raise ConflictError(
                f"redshift_min ({self.redshift_min}) must be below redshift_max ({self.redshift_max})",
                "redshift_min",
                "redshift_max",
            )
        return self


class SkyFractions(ClassFractions):
    """Relative frequencies of the kinds of galaxies of a simulated sky, which lists no artifacts as sources."""

    artifact: float = option(
        0.0, "stars, trails, ghosts, pieces of large galaxies and noise: no galaxies", ge=0, le=1e6
    )


class SkyPopulation(Population):
    """The galaxies of a simulated sky: more faint than bright ones, as on the real sky, and fewer sizes than are learned."""

    r_eff_max: float = option(12.0, "largest half-light radius along the major axis", unit="arcsec", gt=0, le=100)
    bar_length_max: float = option(24.0, "longest full bar length as seen on the sky", unit="arcsec", gt=0, le=100)
    mag_slope: float = option(
        0.25, "slope of log10(counts) with magnitude: 0 is uniform, 0.6 Euclidean", unit="1/mag", ge=-1, le=1
    )
    classes: SkyFractions = option(SkyFractions(), "relative frequencies of the kinds of galaxies")
