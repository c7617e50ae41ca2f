"""Every column of every per-shard table, declared once: name, type, unit, UCD, description, stage."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from tuningfork.core.decision_tree import answers, questions


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes
    ----------
    name : str
    dtype : pyarrow.DataType
    unit : str or None
        In the spelling of astropy and VOUnits.
    ucd : str
        IVOA unified content descriptor (UCD1+).
    description : str
    stage : str
        The stage that makes the column.
    published : bool
        Whether the catalogue has the column.
    """

    name: str
    dtype: pa.DataType
    unit: str | None
    ucd: str
    description: str
    stage: str
    published: bool = True


F4, F8, I8, TEXT = pa.float32(), pa.float64(), pa.int64(), pa.string()
# Names of classes: Parquet stores them as a dictionary by itself, and astropy cannot read Arrow's type for one.
NAMES = pa.string()

IDENTITY = [
    Column(
        "source_id", I8, None, "meta.id;meta.main", "identifier in the survey's or the user's source list", "sources"
    ),
]
FLAGS = Column("flags", I8, None, "meta.code.qual", "bit flags; tuningfork.core.flags.decode names them", "sources")

SOURCES = [
    Column("name", TEXT, None, "meta.id", "name in the source list", "sources"),
    Column("ra", F8, "deg", "pos.eq.ra;meta.main", "right ascension (ICRS)", "sources"),
    Column("dec", F8, "deg", "pos.eq.dec;meta.main", "declination (ICRS)", "sources"),
    Column("redshift", F4, None, "src.redshift", "redshift in the source list", "sources"),
    Column("survey_mag", F4, "mag", "phot.mag", "magnitude in the reference band in the source list", "sources"),
    Column("survey_radius", F4, "arcsec", "phys.angSize", "half-light radius in the source list", "sources"),
]
TRUTH = [
    Column("true_class", TEXT, None, "src.class", "kind of galaxy that was simulated", "sources", False),
    Column("true_mag", F4, "mag", "phot.mag", "true magnitude in the reference band", "sources", False),
    Column("true_r_eff", F4, "arcsec", "phys.angSize", "true half-light radius along the major axis", "sources", False),
    Column("true_sersic_n", F4, None, "stat.param", "true Sersic index", "sources", False),
    Column("true_axis_ratio", F4, None, "phys.size.axisRatio", "true ratio of minor to major axis", "sources", False),
    Column("true_position_angle", F4, "deg", "pos.posAng", "true position angle, north through east", "sources", False),
    Column(
        "true_bar_length",
        F4,
        "arcsec",
        "phys.angSize",
        "true full bar length as seen on the sky; null without a bar",
        "sources",
        False,
    ),
    Column(
        "true_bar_position_angle",
        F4,
        "deg",
        "pos.posAng",
        "true position angle of the bar, north through east",
        "sources",
        False,
    ),
]


def stamps(bands: Sequence[str]) -> list[Column]:
    """Return the columns of the stamps stage."""
    rows = [
        Column("tile", TEXT, None, "meta.id;instr.det", "tile that gives the centre of the stamp", "stamps"),
        Column("pixel_scale", F4, "arcsec", "instr.scale;instr.pixel", "width of a pixel of the stamp", "stamps"),
        Column("zero_point", F4, "mag", "phot.mag;arith.zp", "AB magnitude of one flux unit", "stamps"),
        Column(
            "north_angle",
            F4,
            "deg",
            "pos.posAng",
            "angle from the stamp's +y axis to north, counter-clockwise",
            "stamps",
            False,
        ),
        Column(
            "east_is_left",
            pa.bool_(),
            None,
            "meta.code",
            "whether east is counter-clockwise from north on the stamp",
            "stamps",
            False,
        ),
        Column(
            "valid_fraction",
            F4,
            None,
            "stat.value",
            "fraction of the stamp's pixels with data in the reference band",
            "stamps",
        ),
        Column(
            "psf_beta",
            F4,
            None,
            "instr.det.psf",
            "exponent of the Moffat profile that describes the PSF, without the response of a pixel",
            "stamps",
        ),
        Column("pixels_checksum", pa.uint32(), None, "meta.checksum", "checksum of the pixels", "stamps", False),
    ]
    for band in bands:
        rows += [
            Column(
                f"psf_fwhm_{band}",
                F4,
                "arcsec",
                "instr.obsty.seeing",
                f"full width at half maximum of the PSF, {band}",
                "stamps",
            ),
            Column(
                f"sky_noise_{band}",
                F4,
                None,
                "stat.stdev;instr.background",
                f"standard deviation of the sky in a pixel, {band}, flux units",
                "stamps",
            ),
        ]
    return rows


def morphology() -> list[Column]:
    """Return the columns of the classify stage."""
    rows = [
        Column("morphology", NAMES, None, "src.morph.type", "most likely class", "classify"),
        Column(
            "p_bar",
            F4,
            None,
            "stat.probability",
            "probability of a bar: the bar vote fraction times those of the answers that lead to it",
            "classify",
        ),
    ]
    for question in questions():
        for answer, label in zip(question.answers, question.labels, strict=True):
            text = f"'{answer}' to '{question.text}'"
            rows += [
                Column(
                    f"{label}_fraction", F4, None, "stat.probability", f"expected vote fraction of {text}", "classify"
                ),
                Column(
                    f"{label}_fraction_error",
                    F4,
                    None,
                    "stat.error;stat.probability",
                    f"standard deviation of the vote fraction of {text}",
                    "classify",
                ),
                Column(f"{label}_dirichlet", F4, None, "stat.param", f"Dirichlet concentration of {text}", "classify"),
            ]
    return rows


def _with_error(name: str, unit: str | None, ucd: str, description: str, stage: str) -> list[Column]:
    return [
        Column(name, F4, unit, ucd, description, stage),
        Column(f"{name}_error", F4, unit, f"stat.error;{ucd}", f"standard deviation of {name}", stage),
    ]


PROFILE = [
    Column("mag", F4, "mag", "phot.mag", "total magnitude in the reference band (AB)", "structure"),
    Column("r_eff", F4, "arcsec", "phys.angSize", "half-light radius along the major axis", "structure"),
    Column("sersic_n", F4, None, "stat.param", "Sersic index", "structure"),
    Column("axis_ratio", F4, None, "phys.size.axisRatio", "ratio of minor to major axis", "structure"),
    Column(
        "position_angle", F4, "deg", "pos.posAng", "position angle of the major axis, north through east", "structure"
    ),
]
"""What describes one Sersic profile."""
STRUCTURE = [
    *(
        entry
        for column in PROFILE
        for entry in _with_error(column.name, column.unit, column.ucd, column.description, column.stage)
    ),
    *_with_error("bulge_to_total", None, "phot.flux;arith.ratio", "share of the bulge in the light", "structure"),
    *(
        Column(
            f"{one}_{other}_correlation",
            F4,
            None,
            "stat.correlation",
            f"correlation of the errors of {one} and {other} (of magnitude and of the logarithms)",
            "structure",
        )
        for one, other in (("mag", "r_eff"), ("mag", "sersic_n"), ("r_eff", "sersic_n"))
    ),
    *(
        Column(
            f"{column.name}_network",
            column.dtype,
            column.unit,
            column.ucd,
            f"{column.name} by the network alone",
            "structure",
        )
        for column in PROFILE
    ),
    Column(
        "structure_method",
        NAMES,
        None,
        "meta.code.class",
        "what is behind the light profile: network, or refined by a least-squares fit that starts from it",
        "structure",
    ),
    Column("reduced_chi2", F4, None, "stat.fit.chi2", "chi^2 of that fit over its degrees of freedom", "structure"),
]
ESTIMATORS = {
    "direct": "regressed by the network",
    "mask": "from the mask that the network draws",
    "saliency": "from the saliency map of the bar answer",
    "fourier": "from the Fourier harmonics of the light, without a network",
}
"""Ways to measure a bar, and what they go by."""
MAPPED = ("mask", "saliency", "fourier")
"""Those whose length is measured on an image, with an angle."""
BARS = [
    *_with_error(
        "bar_length",
        "arcsec",
        "phys.angSize",
        "full bar length as seen on the sky, all estimators combined as held-out simulations tell",
        "bars",
    ),
    Column("bar_length_method", NAMES, None, "meta.code.class", "estimators behind bar_length", "bars"),
    *_with_error(
        "bar_length_deprojected",
        "arcsec",
        "phys.angSize",
        "bar_length in the plane of the disc, by its axis ratio and position angle",
        "bars",
    ),
    *_with_error(
        "bar_length_kpc", "kpc", "phys.size", "bar_length at the distance of the source list's redshift", "bars"
    ),
    *_with_error(
        "bar_position_angle",
        "deg",
        "pos.posAng",
        "position angle of the bar, north through east, all estimators combined",
        "bars",
    ),
    Column(
        "bar_strength",
        F4,
        None,
        "stat.param",
        "largest amplitude of the light's second Fourier harmonic in the bar over the mean light",
        "bars",
    ),
    *_with_error("bar_ellipticity", None, "src.ellipticity", "1 - width / length of the bar, from its mask", "bars"),
    *(
        entry
        for name, text in ESTIMATORS.items()
        for entry in _with_error(
            f"bar_length_{name}", "arcsec", "phys.angSize", f"full bar length {text}, calibrated on simulations", "bars"
        )
    ),
    *(
        Column(
            f"bar_length_{name}_raw",
            F4,
            "arcsec",
            "phys.angSize",
            f"full bar length {ESTIMATORS[name]}, before calibration",
            "bars",
        )
        for name in MAPPED
    ),
    *(
        Column(
            f"bar_position_angle_{name}",
            F4,
            "deg",
            "pos.posAng",
            f"position angle of the bar {ESTIMATORS[name]}",
            "bars",
        )
        for name in MAPPED
    ),
]


FEATURES = [
    *_with_error(
        "bulge_fraction",
        None,
        "phot.flux;arith.ratio",
        "share of the bulge in the light by the bulge answer and its saliency map, calibrated on simulations",
        "features",
    ),
    Column(
        "bulge_fraction_raw",
        F4,
        None,
        "phot.flux;arith.ratio",
        "share of the galaxy's light in the central region of the bulge answer's saliency map",
        "features",
    ),
    *_with_error(
        "spiral_arm_fraction",
        None,
        "phot.flux;arith.ratio",
        "share of spiral arms and rings in the light by the arms answer and the mask of the arms, calibrated on "
        "simulations",
        "features",
    ),
    Column(
        "spiral_arm_fraction_raw",
        F4,
        None,
        "phot.flux;arith.ratio",
        "share of the galaxy's light in the mask of the spiral arms",
        "features",
    ),
]


def of_stage(stage: str, bands: Sequence[str] = ()) -> list[Column]:
    """Return the columns that the per-shard table of `stage` has besides `source_id` and `flags`.

    `stage` is one of sources, stamps, classify, structure, bars, features.
    """
    return {
        "sources": lambda: SOURCES,
        "stamps": lambda: stamps(bands),
        "classify": morphology,
        "structure": lambda: STRUCTURE,
        "bars": lambda: BARS,
        "features": lambda: FEATURES,
    }[stage]()


def published(bands: Sequence[str]) -> list[Column]:
    """Return the columns of the catalogue, in order."""
    rows = [*IDENTITY, FLAGS]
    for stage in ("sources", "stamps", "classify", "structure", "bars", "features"):
        rows += [column for column in of_stage(stage, bands) if column.published]
    return rows


def schema(columns: Sequence[Column]) -> pa.Schema:
    """Return the Arrow schema of `columns`, with unit, UCD and description in the fields' metadata."""
    return pa.schema(
        [
            pa.field(
                column.name,
                column.dtype,
                metadata={"unit": column.unit or "", "ucd": column.ucd, "description": column.description},
            )
            for column in columns
        ]
    )


def vote_columns() -> list[str]:
    """Return the names of the vote-count columns of a training set, in the order of the vote vectors."""
    return [f"{label}_votes" for label in answers()]
