"""Columns of the stages `sources` and `stamps`: what is known of a source before anything is measured."""

from collections.abc import Sequence

import pyarrow as pa

from tuningfork.core.columns.declaration import F4, F8, I8, NAMES, TEXT, Column

IDENTITY = [
    Column(
        "source_id", I8, None, "meta.id;meta.main", "identifier in the survey's or the user's source list", "sources"
    ),
]
FLAGS = Column(
    "flags", I8, None, "meta.code.qual", "bit flags; tuningfork.core.flags.decode gives their names", "sources"
)

SOURCES = [
    Column("name", TEXT, None, "meta.id", "name in the source list", "sources"),
    Column("ra", F8, "deg", "pos.eq.ra;meta.main", "right ascension (ICRS)", "sources"),
    Column("dec", F8, "deg", "pos.eq.dec;meta.main", "declination (ICRS)", "sources"),
    Column("redshift", F4, None, "src.redshift", "redshift in the source list", "sources"),
    Column("survey_mag", F4, "mag", "phot.mag", "magnitude in the reference band in the source list", "sources"),
    Column("survey_radius", F4, "arcsec", "phys.angSize", "half-light radius in the source list", "sources"),
]
TRUTH = [
    Column("true_class", TEXT, None, "src.class", "simulated class", "sources", False),
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
    return [
        Column("tile", TEXT, None, "meta.id;instr.det", "tile that covers the centre of the stamp", "stamps"),
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
        *_of_psf(),
        Column("pixels_checksum", pa.uint32(), None, "meta.checksum", "checksum of the pixels", "stamps", False),
        *(column for band in bands for column in _of_band(band)),
    ]


def _of_psf() -> list[Column]:
    """Return the columns about the PSF in the reference band besides its width."""
    return [
        Column(
            "psf_beta",
            F4,
            None,
            "instr.det.psf",
            "exponent of the Moffat profile that describes the PSF, pixel response not included",
            "stamps",
        ),
        Column(
            "psf_model",
            NAMES,
            None,
            "meta.code",
            "PSF with which the light profile is fitted: image, or moffat for the profile of psf_fwhm and psf_beta",
            "stamps",
        ),
        Column(
            "psf_image",
            pa.list_(F4),
            None,
            "instr.det.psf",
            "image of the PSF in the reference band, pixel response included: the rows of a square, sum one",
            "stamps",
            False,
        ),
        Column("psf_image_scale", F4, "arcsec", "instr.scale;instr.pixel", "pixel width of psf_image", "stamps", False),
    ]


def _of_band(band: str) -> list[Column]:
    psf, noise = "full width at half maximum of the PSF", "standard deviation of the sky per pixel"
    return [
        Column(f"psf_fwhm_{band}", F4, "arcsec", "instr.obsty.seeing", f"{psf} in {band}", "stamps"),
        Column(
            f"sky_noise_{band}", F4, None, "stat.stdev;instr.background", f"{noise} in {band}, flux units", "stamps"
        ),
    ]
