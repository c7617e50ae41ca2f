"""The table of `tuningfork measure-folder`: its columns, the values known from the pictures alone, and how it is written."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from tuningfork.core.columns import ESTIMATORS, F4, NAMES, TEXT, Column, schema
from tuningfork.core.errors import ConfigurationError
from tuningfork.core.files import replacing
from tuningfork.core.flags import Flag
from tuningfork.core.tables import write_table
from tuningfork.pictures.read import Reading

PIXEL_UNIT = "pix"
NO_GALAXY = "a star or an artifact by its votes, so that neither its light nor a bar is measured"
SIZES = ("r50", "r90")
FOLDER_STAGE = "folder"
MAX_PSF_R50 = 0.75
"""PSF width (FWHM), in half-light radii of the galaxy, from which the picture is too blurred for its bar.

A star has 2, galaxies on pictures of SDSS and the Legacy Surveys usually 0.2 to 0.7. From here on, lengths below 1.5
half-light radii mean nothing, and many bars are no longer than that.
"""
MEASURED_PSF = 2.0
"""Bar length, in PSF widths (FWHM), below which lengths mean little."""


def _length(name: str, description: str, unit: str | None = PIXEL_UNIT) -> list[Column]:
    return [
        Column(name, F4, unit, "phys.angSize", description, FOLDER_STAGE),
        Column(f"{name}_error", F4, unit, "stat.error;phys.angSize", f"standard deviation of {name}", FOLDER_STAGE),
    ]


COLUMNS = [
    Column("file", TEXT, None, "meta.id;meta.file;meta.main", "name of the file", FOLDER_STAGE),
    Column(
        "flags", pa.int64(), None, "meta.code.qual", "bit flags; tuningfork.core.flags.decode names them", FOLDER_STAGE
    ),
    Column(
        "reason", TEXT, None, "meta.note", "why nothing was measured, or why short lengths mean nothing", FOLDER_STAGE
    ),
    Column("width", pa.int32(), PIXEL_UNIT, "pos.cartesian", "width of the picture", FOLDER_STAGE),
    Column("height", pa.int32(), PIXEL_UNIT, "pos.cartesian", "height of the picture", FOLDER_STAGE),
    Column("x", F4, PIXEL_UNIT, "pos.cartesian.x", "centre of the galaxy from the left edge", FOLDER_STAGE),
    Column("y", F4, PIXEL_UNIT, "pos.cartesian.y", "centre of the galaxy from the lower edge", FOLDER_STAGE),
    Column("r50", F4, PIXEL_UNIT, "phys.angSize", "radius of the circle with half of the galaxy's light", FOLDER_STAGE),
    Column("r90", F4, PIXEL_UNIT, "phys.angSize", "radius of the circle with 90 % of the galaxy's light", FOLDER_STAGE),
    Column("psf_fwhm", F4, PIXEL_UNIT, "instr.obsty.seeing", "full width at half maximum of the PSF", FOLDER_STAGE),
    Column("stretch", F4, None, "", "Q with which the picture's arcsinh stretch was undone; 0: linear", FOLDER_STAGE),
    Column("morphology", NAMES, None, "src.morph.type", "class of the galaxy by the expected votes", FOLDER_STAGE),
    Column(
        "bar_vote_share",
        F4,
        None,
        "stat.probability",
        "expected share of all volunteers who report a bar; not the probability that there is one",
        FOLDER_STAGE,
    ),
    Column(
        "bar_probability",
        F4,
        None,
        "stat.probability",
        "probability that the galaxy has a bar, by the networks",
        FOLDER_STAGE,
    ),
    Column(
        "bar_yes_fraction",
        F4,
        None,
        "stat.probability",
        "expected share of volunteers who report a bar, of those who are asked: a disc, not edge-on",
        FOLDER_STAGE,
    ),
    *_length("bar_length_pixels", "full bar length, all estimators combined"),
    *_length("bar_length_scaled", "full bar length over the galaxy's diameter, twice r90", None),
    Column(
        "bar_position_angle",
        F4,
        "deg",
        "pos.posAng",
        "angle of the bar from the picture's upward direction, counter-clockwise",
        FOLDER_STAGE,
    ),
    Column("bar_position_angle_error", F4, "deg", "stat.error;pos.posAng", "standard deviation of it", FOLDER_STAGE),
    Column("bar_ellipticity", F4, None, "src.ellipticity", "1 - width / length of the bar", FOLDER_STAGE),
    Column("bar_length_method", NAMES, None, "meta.code.class", "estimators behind bar_length_pixels", FOLDER_STAGE),
    *(
        Column(f"bar_length_{name}_pixels", F4, PIXEL_UNIT, "phys.angSize", f"full bar length {text}", FOLDER_STAGE)
        for name, text in ESTIMATORS.items()
    ),
]


def picture_values(readings: Sequence[Reading]) -> dict[str, Any]:
    """Return the columns known from the pictures alone, and those about the bars still empty."""
    number = len(readings)
    values: dict[str, Any] = {
        "file": [reading.file for reading in readings],
        "flags": np.array([flags_of(reading) for reading in readings], dtype=np.int64),
        "reason": [reading.reason or _unseen(reading) or _blurred(reading) for reading in readings],
        "width": [reading.width or None for reading in readings],
        "height": [reading.height or None for reading in readings],
        "psf_fwhm": np.array([reading.psf_fwhm for reading in readings]),
        "stretch": np.array([reading.stretch for reading in readings]),
    }
    for name in ("x", "y", "r50", "r90"):
        values[name] = np.array([_in_picture(reading, name) for reading in readings], dtype=float)
    values["r90"] *= np.array([reading.size_factor for reading in readings])
    texts = ("morphology", "bar_length_method")
    numbers = (
        "bar_vote_share",
        "bar_probability",
        "bar_yes_fraction",
        "bar_position_angle",
        "bar_position_angle_error",
        "bar_ellipticity",
    )
    lengths = [f"bar_length_{name}" for name in ("pixels", "pixels_error", "scaled", "scaled_error")]
    lengths += [f"bar_length_{name}_pixels" for name in ESTIMATORS]
    values |= {name: np.full(number, np.nan) for name in (*numbers, *lengths)}
    return (
        values | {name: np.full(number, None, dtype=object) for name in texts} | {"bar_flags": values["flags"].copy()}
    )


def without_artifacts(values: dict[str, Any]) -> dict[str, Any]:
    """Return the columns without sizes and bars of stars and artifacts, whose reason is given.

    Parameters
    ----------
    values : dict
        Column name -> N values; with `flags`.

    Returns
    -------
    dict
    """
    artifact = values["flags"] & Flag.STAR_OR_ARTIFACT > 0
    result = dict(values)
    for column in COLUMNS:
        if column.name in SIZES or column.name.startswith(("bar_length", "bar_position", "bar_ellipticity")):
            nothing = np.nan if pa.types.is_floating(column.dtype) else None
            result[column.name] = np.where(artifact, nothing, values[column.name])
    result["reason"] = np.where(artifact, NO_GALAXY, values["reason"]).tolist()
    return result


def _in_picture(reading: Reading, name: str) -> float:
    """Return a position or radius in pixels of the picture; positions are measured from the edges."""
    if reading.stamp is None:
        return np.nan
    value = float(getattr(reading.stamp, name))
    if name not in ("x", "y"):
        return value * reading.binned
    left_over = (reading.width if name == "x" else reading.height) % reading.binned // 2
    return (value + 0.5) * reading.binned + left_over


def _unseen(reading: Reading) -> str:
    seen = reading.stamp is not None and np.isfinite(reading.stamp.r90)
    return "" if seen else "no galaxy is seen in the middle of the picture"


def _blurred(reading: Reading) -> str:
    if not psf_too_wide(reading):
        return ""
    return (
        f"PSF of {reading.psf_fwhm:.1f} px for a half-light radius of {_in_picture(reading, 'r50'):.1f} px: lengths below "
        f"{wide_psf_limit(reading.psf_fwhm):.0f} px mean nothing; give --psf-fwhm if you know the PSF better"
    )


def psf_too_wide(reading: Reading) -> bool:
    """Return whether the PSF is wider than `MAX_PSF_R50` half-light radii of the galaxy."""
    return bool(reading.psf_fwhm > MAX_PSF_R50 * _in_picture(reading, "r50"))


def wide_psf_limit(psf_fwhm: float) -> float:
    """Return the length (px) below which lengths mean nothing, for a PSF width (px)."""
    return MEASURED_PSF * psf_fwhm


def flags_of(reading: Reading) -> int:
    """Return the flags known from the picture alone."""
    stamp = reading.stamp
    if stamp is None:
        return int(Flag.BAD_TILE)
    if not np.isfinite(stamp.r90):
        return int(Flag.NO_SIGNAL)
    bits = {
        Flag.PADDED: not stamp.valid.all(),
        Flag.LARGER_THAN_STAMP: not stamp.complete,
        Flag.PSF_TOO_WIDE: psf_too_wide(reading),
    }
    return sum(int(flag) for flag, is_set in bits.items() if is_set)


def table_of(values: Mapping[str, Any]) -> pa.Table:
    """Return the table; a number that is not finite becomes null.

    Parameters
    ----------
    values : mapping
        Column name -> N values.

    Returns
    -------
    pyarrow.Table
        N rows.
    """
    arrays = []
    for column in COLUMNS:
        given = values[column.name]
        if pa.types.is_floating(column.dtype):
            given = np.asarray(given, dtype=np.float32)
            arrays.append(pa.array(given, type=column.dtype, mask=~np.isfinite(given)))
        else:
            arrays.append(pa.array(list(given), type=column.dtype))
    return pa.Table.from_arrays(arrays, schema=schema(COLUMNS))


def check_name(path: Path) -> None:
    """Check that a table can be written under a name.

    Raises
    ------
    ConfigurationError
        Its ending is neither .parquet nor .csv.
    """
    if path.suffix.lower() not in (".parquet", ".csv"):
        raise ConfigurationError(f"--out {path}: expected a name that ends in .parquet or .csv")


def write(path: Path, table: pa.Table, **details: Any) -> None:
    """Write the table as Parquet, with units, descriptions and `details` in its metadata, or as CSV.

    Parameters
    ----------
    path : Path
    table : pyarrow.Table
    **details
        JSON values.
    """
    if path.suffix.lower() == ".csv":
        with replacing(path) as temporary:
            pyarrow.csv.write_csv(table, temporary)
    else:
        write_table(path, table, **details)
