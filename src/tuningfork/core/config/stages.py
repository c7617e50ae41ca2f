"""One section a stage, in the order in which the data flows."""

from typing import Literal, Self

from pydantic import model_validator

from tuningfork.core.config.base import Section, option
from tuningfork.core.config.measurements import Measurements
from tuningfork.core.config.population import Population
from tuningfork.core.config.votes import Votes


class Stamps(Section):
    """How stamps are cut."""

    size: int = option(128, "width and height of a stamp", unit="pixel", ge=32, le=512)
    scale: Literal["native", "fixed", "radius"] = option(
        "native",
        "native: the pixels of the tiles; fixed: pixels of pixel_scale; radius: pixels so wide that the stamp spans "
        "`radii` half-light radii of each galaxy's entry in the source list, but no narrower than a third of the "
        "tile's, and the tile's own where the list has no radius",
    )
    pixel_scale: float = option(0.396, "pixel scale of every stamp, for scale fixed", unit="arcsec", gt=0, le=10)
    radii: float = option(
        12.0, "width of the stamp in half-light radii, for scale radius", unit="half-light radius", gt=1, le=100
    )


class Simulate(Section):
    """The training set."""

    size: int = option(
        8000,
        "simulated galaxies; every ninth of ten is for validation, every tenth for the test",
        plan=True,
        ge=100,
        le=10_000_000,
    )
    galaxies_per_part: int = option(1000, "galaxies that one job draws", ge=10, le=100_000)
    volunteers: int = option(40, "simulated volunteers who look at each galaxy", ge=1, le=1000)
    neighbour_density: float = option(6000.0, "neighbouring galaxies and stars", unit="1/deg2", ge=0, le=500_000)
    seeing: list[float] | None = option(
        None,
        "lowest and highest width of the PSF in the reference band, evenly covered in its logarithm, with the other "
        "bands in proportion; null: the survey's distribution",
        unit="arcsec",
        min_length=2,
        max_length=2,
    )
    noise: list[float] | None = option(
        None,
        "lowest and highest sky noise in units of the survey's median, evenly covered in its logarithm; null: the "
        "survey's distribution",
        min_length=2,
        max_length=2,
    )
    psf_images: str | None = option(
        None,
        "file with images of measured PSFs that take the place of Moffat profiles: .npy or FITS, (N, P, P) for all "
        "bands or (N, B, P, P), in pixels of the survey; null: Moffat profiles",
        min_length=1,
    )
    sky_patches: str | None = option(
        None,
        "folder of empty patches of the survey's sky whose pixels take the place of the noise of the sky: .npy or "
        "FITS, (B, H, W), background subtracted, flux units of the survey; null: noise as described",
        min_length=1,
    )
    population: Population = option(Population(), "distribution of the galaxies' true parameters")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name, most in (("seeing", 20.0), ("noise", 1000.0)):
            limits = getattr(self, name)
            if limits is not None and not 0 < limits[0] <= limits[1] <= most:
                raise ValueError(
                    f"{name} ({limits}) must be two numbers above 0, at most {most:g}, the lower one first"
                )
        for name, measured in (("seeing", "psf_images"), ("noise", "sky_patches")):
            if getattr(self, name) is not None and getattr(self, measured) is not None:
                raise ValueError(f"{name} cannot be chosen where {measured} are given, which bring their own")
        return self


class Pretrain(Section):
    """Self-supervised training of the encoder by restoration of noisy, masked stamps."""

    shards: list[str] = option([], "shards whose stamps are learnt from, besides the training set", plan=True)
    epochs: int = option(1, "passes over the stamps; 0 starts the networks from random weights", ge=0, le=1000)
    masked_fraction: float = option(0.3, "fraction of the patches that are hidden", ge=0, le=0.9)
    width: int = option(16, "channels of the first layer of every encoder; multiples of 16 are fast", ge=8, le=256)
    batch_size: int = option(64, "stamps in a training step", ge=2, le=4096)
    learning_rate: float = option(2e-3, "peak learning rate", gt=0, le=1)
    threads: int = option(1, "threads of a training on CPUs; another number changes the weights slightly", ge=1, le=256)


class Training(Section):
    """One network's training."""

    members: int = option(1, "networks in the ensemble", plan=True, ge=1, le=64)
    epochs: int = option(3, "passes over the training set", ge=1, le=1000)
    batch_size: int = option(32, "stamps in a training step", ge=2, le=4096)
    learning_rate: float = option(
        1e-3,
        "peak learning rate of the one-cycle schedule; five times that from random weights or the pretrained encoder",
        gt=0,
        le=1,
    )
    weight_decay: float = option(0.01, "weight decay of AdamW", ge=0, le=1)
    threads: int = option(1, "threads of a training on CPUs; another number changes the weights slightly", ge=1, le=256)
    start: str = option(
        "compact",
        "where the training starts: compact, the trained network that comes with the package; pretrained, the "
        "pretrained encoder; random; or the path of the card (.json) of a network of this task",
        min_length=1,
    )
    width: int = option(16, "channels of the first layer, for start random; multiples of 16 are fast", ge=8, le=256)


class MorphologyTraining(Training):
    """The training of the morphology network."""

    members: int = option(
        2,
        "networks in the ensemble; 0: none, for the targets models and training_set alone",
        plan=True,
        ge=0,
        le=64,
    )
    epochs: int = option(2, "passes over the training set", ge=1, le=1000)
    evidence: float = option(
        15.0,
        "weight of the lesson where the bar answer comes from: its derivative by the pixels shall lie on the bar; 0: "
        "none, as published, and a third of the time",
        ge=0,
        le=100,
    )
    balance: float = option(
        0.0,
        "how far rare classes are made up for: 0, galaxies are seen as often as they come; 1, each class is seen equally "
        "often; between them, classes in proportion to their number to the power of 1 - balance",
        ge=0,
        le=1,
    )
    pictures: float = option(
        0.0,
        "share of the stamps that are learnt from as JPEG pictures show them, for tuningfork measure-folder; needs a "
        "training set of one band",
        ge=0,
        le=1,
    )
    votes: Votes = option(Votes(), "votes of people, from which it learns beside the simulated ones")


class StructureTraining(Training):
    """The training of the structure network."""

    members: int = option(2, "networks in the ensemble", plan=True, ge=1, le=64)
    targets: list[Literal["mag", "r_eff", "sersic_n", "axis_ratio", "position_angle", "bulge_to_total"]] = option(
        ["mag", "r_eff", "sersic_n", "axis_ratio", "position_angle", "bulge_to_total"],
        "parameters that are learnt; the others are null in the catalogue",
        min_length=1,
    )
    measurements: Measurements = option(Measurements(), "measured galaxies of the survey, to which it is adapted")


class Train(Section):
    """The networks: one task a network, several members an ensemble."""

    morphology: MorphologyTraining = option(MorphologyTraining(), "votes and direct bar length")
    structure: StructureTraining = option(StructureTraining(), "profile parameters")


class Evaluate(Section):
    """The measurement, repeated on the held-out simulated galaxies whose truth is known."""

    bars: int = option(
        120,
        "held-out barred galaxies, each of validation and test, whose saliency maps are measured",
        ge=10,
        le=100_000,
    )
    features: int = option(
        200,
        "held-out galaxies of any kind, each of validation and test, whose bulges and spiral arms are measured",
        ge=10,
        le=100_000,
    )


class Classify(Section):
    """How vote fractions are predicted."""

    batch_size: int = option(256, "stamps predicted at once", ge=1, le=16_384)
    rotations: int = option(4, "orientations averaged, of the eight of the square", ge=1, le=8)


class Structure(Section):
    """How profile parameters are measured."""

    batch_size: int = option(256, "stamps predicted and fitted at once", ge=1, le=16_384)
    rotations: int = option(4, "orientations averaged, of the eight of the square", ge=1, le=8)
    refine: bool = option(
        True,
        "polish the network's answer by a least-squares fit of a Sersic profile convolved with the PSF, and combine both",
    )
    sky_sigma: float = option(
        0.1,
        "how far the sky of a stamp may be from zero in the fit: standard deviation; 0 where it is known to be zero",
        unit="sky noise of a pixel",
        ge=0,
        le=10,
    )


# What maps of any answer have in common.
_TOLERANCE = option(
    0.05,
    "relative standard error of a map at which no further copies of that stamp are made; 0: always all samples",
    ge=0,
    le=1,
)
_NOISE_LEVEL = option(0.1, "standard deviation of the noise in units of (max - min) of the network's input", ge=0, le=1)
_TURNS = option(8, "orientations of the square that the copies take in turn", ge=1, le=8)


class Saliency(Section):
    """Maps of the pixels on which it hangs what the network says about the bar."""

    target: Literal["evidence", "bar", "length"] = option(
        "evidence",
        "what is differentiated: evidence, the bar answer of the head whose derivatives are taught to lie on the bar; bar, "
        "the logit of the bar answer, as published; length, the regressed bar length",
    )
    method: Literal["smoothgrad", "vargrad", "integrated_gradients"] = option(
        "smoothgrad",
        "smoothgrad (Smilkov+ 2017): mean of the derivatives over noisy copies, as published for bars; vargrad "
        "(Adebayo+ 2018): their variance; integrated_gradients (Sundararajan+ 2017): their mean on the way from the "
        "galaxy's azimuthal mean, times what it has beyond that",
    )
    sign: Literal["absolute", "signed"] = option(
        "absolute",
        "for smoothgrad: absolute, mean of absolute derivatives, as published; signed, absolute value of their mean",
    )
    samples: int = option(
        32, "noisy copies of each stamp, at most; for integrated_gradients the steps of the way", ge=1, le=4096
    )
    tolerance: float = _TOLERANCE
    noise_level: float = _NOISE_LEVEL
    rotations: int = _TURNS
    batch_size: int = option(128, "noisy copies in one forward and backward pass", ge=1, le=16_384)


class Features(Section):
    """Bulge and spiral arms, measured where the network looks when it answers for them."""

    samples: int = option(
        4,
        "noisy copies of each stamp behind the map of either answer, at most; 0: bulges and arms are not measured",
        ge=0,
        le=4096,
    )
    tolerance: float = _TOLERANCE
    noise_level: float = _NOISE_LEVEL
    rotations: int = _TURNS
    batch_size: int = option(64, "noisy copies in one forward and backward pass", ge=1, le=16_384)


class Bars(Section):
    """How bars are measured."""

    method: Literal["moments", "paper"] = option(
        "moments",
        "on the saliency map: moments, rotation-invariant second moments; paper, the published algorithm (Bhambra+ 2022)",
    )
    min_fraction: float = option(
        0.5, "expected bar vote fraction below which a galaxy counts as not barred", ge=0, le=1
    )
    hubble_constant: float = option(
        70.0, "Hubble constant of the flat universe, for lengths in kpc", unit="km/s/Mpc", ge=20, le=200
    )
    omega_matter: float = option(0.3, "density of matter in units of the critical one, likewise", gt=0, le=1)


class Catalogue(Section):
    """The published catalogue."""

    name: str = option("tuningfork", "name of the catalogue in its metadata", min_length=1, max_length=100)


class Explain(Section):
    """Why the networks say so, for a sample of the sources."""

    sources: int = option(24, "sources that are explained", ge=1, le=10_000)


class Report(Section):
    """The HTML report."""

    gallery: int = option(24, "barred galaxies shown with their saliency maps", ge=1, le=500)


class Label(Section):
    """What an astronomer is asked to label."""

    queue: int = option(100, "sources in the queue, most informative first", ge=1, le=100_000)
    rare_fraction: float = option(0.25, "share of the queue for classes that are rare in the catalogue", ge=0, le=1)
