"""The list of galaxies."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from tuningfork.core.config.base import (
    ADDRESS,
    EXTENSION,
    UNITS,
    Extension,
    Section,
    known_columns,
    known_units,
    option,
)

OURS = ("ra", "dec", "source_id", "name", "file", "redshift", "mag", "radius")
NUMBERS = ("ra", "dec", "redshift", "mag", "radius")
BAND_COLUMNS = ("psf_fwhm", "zero_point", "pixel_scale")
"""Columns that describe the images of a folder, also with the name of a band behind them."""
COLUMNS = (
    "names of the list's columns, where they differ from ra, dec (deg), source_id, name, file, redshift, mag or radius "
    "(arcsec), such as {ra: RAJ2000, dec: DEJ2000}"
)


class SurveyCatalogue(Section):
    """The survey's own catalogue; for the survey `folder`, one galaxy at the centre of each image."""

    kind: Literal["survey"] = option("survey", "the survey's own catalogue")


class Mapped(Section):
    """A list whose columns may have names of their own."""

    columns: dict[str, str] = option({}, COLUMNS)
    units: dict[str, str] = option({}, UNITS)

    @field_validator("columns")
    @classmethod
    def _known(cls, columns: dict[str, str]) -> dict[str, str]:
        return known_columns(columns, OURS)

    @field_validator("units")
    @classmethod
    def _known_units(cls, units: dict[str, str]) -> dict[str, str]:
        plain = {name: unit for name, unit in units.items() if not name.startswith(BAND_COLUMNS)}
        known_units(plain, (*NUMBERS, *BAND_COLUMNS))
        return units


class TableCatalogue(Mapped):
    """A table of the user."""

    kind: Literal["table"] = option("table", "a table of your own")
    path: str = option(
        ...,
        "the table: Parquet (a file, or a folder of parts), FITS, CSV, ECSV or VOTable, also compressed",
        path="table",
        min_length=1,
    )
    extension: Extension = option(None, EXTENSION + "; null: the only one with positions")


class VizierCatalogue(Mapped):
    """A catalogue of VizieR."""

    kind: Literal["vizier"] = option("vizier", "a catalogue of VizieR")
    table: str = option(..., "the table's name in VizieR, such as J/MNRAS/435/2835/table5", min_length=1)
    columns: dict[str, str] = option(
        {"ra": "RAJ2000", "dec": "DEJ2000"},
        COLUMNS + "; RAJ2000 and DEJ2000 are used for ra and dec unless you name others",
    )
    tap_url: str = option(
        "https://tapvizier.cds.unistra.fr/TAPVizieR/tap", "address of VizieR's TAP service", pattern=ADDRESS
    )


class HatsCatalogue(Mapped):
    """A HATS catalogue on disk."""

    kind: Literal["hats"] = option("hats", "a HATS catalogue on disk, such as one that tuningfork has written")
    path: str = option(..., "the catalogue's folder", path="folder", min_length=1)


class Detection(Section):
    """Sources detected on the tiles in the reference band (Bertin & Arnouts 1996, with the library sep)."""

    kind: Literal["detection"] = option("detection", "sources detected on the tiles, in the reference band")
    threshold: float = option(
        3.0, "smallest signal-to-noise ratio of a detected pixel, after smoothing with the PSF", gt=0, le=100
    )
    min_area: int = option(8, "smallest number of connected pixels of a source", unit="pixel", ge=1, le=10_000)
    deblend_levels: int = option(32, "number of levels at which touching sources may be separated", ge=1, le=256)
    deblend_contrast: float = option(
        0.005,
        "smallest share of the flux that a part needs to become a source of its own; larger: fewer galaxies split",
        ge=0,
        le=1,
    )


class Sources(Section):
    """The list of sources and its limits."""

    catalogue: Annotated[
        SurveyCatalogue | TableCatalogue | VizierCatalogue | HatsCatalogue | Detection, Field(discriminator="kind")
    ] = option(SurveyCatalogue(), "the list of sources: kind survey, table, vizier, hats or detection")
    mag_min: float = option(
        10.0, "brightest magnitude in the reference band; does not apply to lists of your own", unit="mag", ge=0, le=40
    )
    mag_max: float = option(
        17.8, "faintest magnitude in the reference band; does not apply to lists of your own", unit="mag", ge=0, le=40
    )
