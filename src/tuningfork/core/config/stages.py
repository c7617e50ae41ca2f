"""The sections of the stages, in the order of the data flow."""

from typing import Literal, Self

from pydantic import model_validator

from tuningfork.core.config.base import ConflictError, Section, option
from tuningfork.core.config.population import Population

MAX_PARTS = 20_000
"""Largest number of parts of the training set; Snakemake plans a job in 1.9 ms."""


class Stamps(Section):
    """How stamps are cut."""

    size: int = option(128, "width and height of a stamp", unit="pixel", ge=32, le=512)
    scale: Literal["whole", "native", "fixed", "radius"] = option(
        "whole",
        "whole: keep the pixels of the tile, but make them wider where the stamp would span fewer than `whole_radii` "
        "half-light radii of the galaxy; native: keep the pixels of the tile, which cuts large galaxies; fixed: resample "
        "to pixel_scale; radius: resample each stamp so that it spans `radii` half-light radii, with pixels at least a "
        "third as wide as the tile's. The radius is that of the source list, or else measured on the tile; a galaxy "
        "without any keeps the pixels of the tile",
    )
    whole_radii: float = option(
        6.0,
        "least width of the stamp in half-light radii, if scale is whole; a galaxy reaches 2.5 to either side",
        unit="half-light radius",
        gt=1,
        le=100,
    )
    pixel_scale: float = option(0.396, "pixel scale of all stamps, if scale is fixed", unit="arcsec", gt=0, le=10)
    radii: float = option(
        12.0, "width of the stamp in half-light radii, if scale is radius", unit="half-light radius", gt=1, le=100
    )


class Simulate(Section):
    """The training set."""

    size: int = option(
        3000,
        "number of simulated galaxies, split 8:1:1 into training, validation and test; more give better networks and "
        "calibrations and take proportionally longer: the default suits a laptop, 8000 or more suit a survey",
        plan=True,
        ge=100,
        le=10_000_000,
    )
    galaxies_per_part: int = option(750, "galaxies drawn by one job", ge=10, le=100_000)
    volunteers: int = option(40, "simulated volunteers per galaxy", ge=1, le=1000)
    neighbour_density: float = option(
        6000.0, "density of neighbouring galaxies and stars", unit="1/deg2", ge=0, le=500_000
    )
    foreground_fraction: float = option(
        0.1, "share of the galaxies with an additional star or galaxy in front of them", ge=0, le=1
    )
    seeing: list[float] | None = option(
        None,
        "smallest and largest PSF FWHM in the reference band, drawn uniformly in its logarithm; the other bands change "
        "in proportion; null: the survey's distribution",
        unit="arcsec",
        min_length=2,
        max_length=2,
    )
    noise: list[float] | None = option(
        None,
        "lowest and highest sky noise in units of the survey's median, drawn uniformly in its logarithm; null: the "
        "survey's distribution",
        min_length=2,
        max_length=2,
    )
    psf_images: str | None = option(
        None,
        "file with images of measured PSFs to use instead of Moffat profiles: .npy or FITS, (N, P, P) for all bands or "
        "(N, B, P, P), in pixels of the survey; null: Moffat profiles",
        path="file",
        min_length=1,
    )
    sky_patches: str | None = option(
        None,
        "folder with patches of the survey's empty sky, whose pixels are used as the sky noise: .npy or FITS, "
        "(B, H, W), background subtracted, in flux units of the survey; null: noise after the survey's description",
        path="folder",
        min_length=1,
    )
    population: Population = option(Population(), "distribution of the true parameters of the galaxies")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name, most in (("seeing", 20.0), ("noise", 1000.0)):
            limits = getattr(self, name)
            if limits is not None and not 0 < limits[0] <= limits[1] <= most:
                raise ConflictError(
                    f"{name} ({limits}) must be two numbers above 0, at most {most:g}, the lower one first", name
                )
        for name, measured in (("seeing", "psf_images"), ("noise", "sky_patches")):
            if getattr(self, name) is not None and getattr(self, measured) is not None:
                raise ConflictError(
                    f"{name} cannot be chosen where {measured} are given, which bring their own", name, measured
                )
        return self

    @model_validator(mode="after")
    def _few_parts(self) -> Self:
        if self.parts > MAX_PARTS:
            raise ConflictError(
                f"size ({self.size}) over galaxies_per_part ({self.galaxies_per_part}) makes {self.parts} jobs; the limit "
                f"is {MAX_PARTS}: raise galaxies_per_part",
                "galaxies_per_part",
                "size",
            )
        return self

    @property
    def parts(self) -> int:
        """Number of parts of the training set, each drawn by a job."""
        return -(-self.size // self.galaxies_per_part)


class Calibrate(Section):
    """The samples of validation galaxies from which the calibrations are learned."""

    bars: int = option(
        120,
        "barred galaxies of the validation split from which bar lengths are calibrated; more give better calibrations, "
        "at the cost of their saliency maps",
        ge=10,
        le=100_000,
    )
    features: int = option(
        200,
        "galaxies of any kind of the validation split from which bulges and spiral arms are calibrated",
        ge=10,
        le=100_000,
    )


class Evaluate(Section):
    """The samples of test galaxies on which the measurements are tested."""

    bars: int = option(
        120,
        "barred galaxies of the test split whose bars are measured; more give smaller errors of the figures, at the cost "
        "of their saliency maps",
        ge=10,
        le=100_000,
    )
    features: int = option(
        200, "galaxies of any kind of the test split whose bulges and spiral arms are measured", ge=10, le=100_000
    )


class Infer(Section):
    """The networks' answers about every stamp."""

    batch_size: int = option(256, "stamps predicted at once; larger batches need more memory", ge=1, le=16_384)
    rotations: int = option(
        4,
        "orientations of the stamp that are averaged for votes and light profiles; time is proportional to the larger "
        "of this number and bar_rotations",
        ge=1,
        le=8,
    )
    bar_rotations: int = option(
        8, "orientations of the stamp that are averaged for the regressed bar length and the bar mask", ge=1, le=8
    )


class Structure(Section):
    """The measurement of light profiles."""

    batch_size: int = option(256, "stamps fitted at once", ge=1, le=16_384)
    refine: bool = option(
        True,
        "whether to fit a PSF-convolved Sersic profile by least squares, starting from the network's answer, and "
        "combine both",
    )
    sky_sigma: float = option(
        0.1,
        "standard deviation of the prior on the sky level in the fit: enlarge it if the survey's sky subtraction is "
        "uncertain; 0 if the sky is known to be zero",
        unit="sky noise of a pixel",
        ge=0,
        le=10,
    )


# Shared by the sections of all maps.
_TOLERANCE = option(
    0.05,
    "a stamp gets no more noisy copies once the relative standard error of its map is below this; larger is faster and "
    "noisier; 0: always use all samples",
    ge=0,
    le=1,
)
_NOISE_LEVEL = option(
    0.1, "standard deviation of the added noise, in units of (max - min) of the network's input", ge=0, le=1
)
_TURNS = option(8, "orientations of the stamp that the noisy copies cycle through", ge=1, le=8)


class Saliency(Section):
    """Saliency maps: derivatives of the bar answer with respect to the pixels."""

    target: Literal["evidence", "bar", "length"] = option(
        "evidence",
        "the output that is differentiated: evidence, the bar answer that was trained with derivatives on the bar (see "
        "train.morphology.evidence); bar, the logit of the bar votes, as published; length, the regressed bar length",
    )
    method: Literal["smoothgrad", "vargrad", "integrated_gradients"] = option(
        "smoothgrad",
        "smoothgrad (Smilkov+ 2017): mean of the derivatives over noisy copies, as published for bars; vargrad "
        "(Adebayo+ 2018): their variance; integrated_gradients (Sundararajan+ 2017): their mean along the path from the "
        "azimuthal mean of the galaxy to the galaxy, times the difference of the two",
    )
    sign: Literal["absolute", "signed"] = option(
        "absolute",
        "for smoothgrad: absolute, the mean of the absolute derivatives, as published; signed, the absolute value of "
        "their mean",
    )
    samples: int = option(
        32, "largest number of noisy copies per stamp; for integrated_gradients the steps along the path", ge=1, le=4096
    )
    tolerance: float = _TOLERANCE
    noise_level: float = _NOISE_LEVEL
    rotations: int = _TURNS
    batch_size: int = option(128, "noisy copies per pass through the network, limited by memory", ge=1, le=16_384)


class Features(Section):
    """The measurement of bulges and spiral arms on maps of the network's answers about them."""

    samples: int = option(
        4,
        "largest number of noisy copies per stamp for each of the two maps; 0: bulges and arms are not measured",
        ge=0,
        le=4096,
    )
    tolerance: float = _TOLERANCE
    noise_level: float = _NOISE_LEVEL
    rotations: int = _TURNS
    batch_size: int = option(64, "noisy copies per pass through the network, limited by memory", ge=1, le=16_384)


class Bars(Section):
    """The measurement of bars."""

    method: Literal["moments", "paper"] = option(
        "moments",
        "measurement on the saliency map: moments, rotation-invariant second moments; paper, the published algorithm "
        "(Bhambra+ 2022), which makes bars along the pixel axes too short",
    )
    min_probability: float = option(
        0.5,
        "smallest bar_probability of a barred galaxy; below it bar_length is null and NOT_BARRED is set. Lower: more "
        "bars, with less certain lengths",
        ge=0,
        le=1,
    )
    hubble_constant: float = option(
        70.0, "Hubble constant of the flat universe, for lengths in kpc", unit="km/s/Mpc", ge=20, le=200
    )
    omega_matter: float = option(0.3, "matter density in units of the critical density, for lengths in kpc", gt=0, le=1)


class Catalogue(Section):
    """The published catalogue."""

    name: str = option("tuningfork", "name of the catalogue in its metadata", min_length=1, max_length=100)


class Explain(Section):
    """Explanations of the networks' answers for a sample of the sources."""

    sources: int = option(24, "number of sources that are explained", ge=1, le=10_000)


class Report(Section):
    """The HTML report."""

    gallery: int = option(24, "number of barred galaxies shown with their saliency maps", ge=1, le=500)


class Label(Section):
    """The queue of galaxies for an astronomer to label."""

    queue: int = option(100, "number of sources in the queue, most informative first", ge=1, le=100_000)
    rare_fraction: float = option(0.25, "share of the queue for classes that are rare in the catalogue", ge=0, le=1)
