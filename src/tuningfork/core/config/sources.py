"""Where the list of galaxies comes from."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from tuningfork.core.config.base import Section, known_columns, option

OURS = ("ra", "dec", "source_id", "name", "file", "redshift", "mag", "radius")
COLUMNS = (
    "which column of the list is our ra, dec (deg), source_id, name, file, redshift, mag or radius (arcsec), "
    "where its name differs, such as {ra: RAJ2000, dec: DEJ2000}"
)


class SurveyCatalogue(Section):
    """The survey's own catalogue; for the user's own images, one galaxy at the centre of each."""

    kind: Literal["survey"] = option("survey", "the survey's own catalogue")


class Mapped(Section):
    """A list whose columns may have other names than ours."""

    columns: dict[str, str] = option({}, COLUMNS)

    @field_validator("columns")
    @classmethod
    def _known(cls, columns: dict[str, str]) -> dict[str, str]:
        return known_columns(columns, OURS)


class TableCatalogue(Mapped):
    """A table of the user's."""

    kind: Literal["table"] = option("table", "a table of the user's")
    path: str = option(..., "the table: Parquet, FITS, CSV or VOTable", min_length=1)


class VizierCatalogue(Mapped):
    """A catalogue of VizieR."""

    kind: Literal["vizier"] = option("vizier", "a catalogue of VizieR")
    table: str = option(..., "the table's name in VizieR, such as J/MNRAS/435/2835/table5", min_length=1)
    columns: dict[str, str] = option(
        {"ra": "RAJ2000", "dec": "DEJ2000"}, COLUMNS + "; ra and dec are RAJ2000 and DEJ2000 unless they are named"
    )
    tap_url: str = option("https://tapvizier.cds.unistra.fr/TAPVizieR/tap", "address of VizieR's TAP service")


class HatsCatalogue(Mapped):
    """A HATS catalogue on disk."""

    kind: Literal["hats"] = option("hats", "a HATS catalogue on disk, such as one that tuningfork has written")
    path: str = option(..., "the catalogue's folder", min_length=1)


class Detection(Section):
    """Sources found on the tiles themselves, in the reference band (Bertin & Arnouts 1996, by the library sep)."""

    kind: Literal["detection"] = option("detection", "sources found on the tiles, in the reference band")
    threshold: float = option(
        3.0, "signal-to-noise ratio of a pixel, after smoothing with the PSF, that counts as detected", gt=0, le=100
    )
    min_area: int = option(8, "smallest number of connected pixels", unit="pixel", ge=1, le=10_000)
    deblend_levels: int = option(32, "levels at which a detection is tried to be split", ge=1, le=256)
    deblend_contrast: float = option(0.005, "smallest share of the flux that makes a part a source", ge=0, le=1)


class Sources(Section):
    """Which sources are taken, and from where."""

    catalogue: Annotated[
        SurveyCatalogue | TableCatalogue | VizierCatalogue | HatsCatalogue | Detection, Field(discriminator="kind")
    ] = option(SurveyCatalogue(), "the list of sources: kind survey, table, vizier, hats or detection")
    mag_min: float = option(
        10.0, "brightest magnitude in the reference band; lists of the user's are taken whole", unit="mag", ge=0, le=40
    )
    mag_max: float = option(
        17.8, "faintest magnitude in the reference band; lists of the user's are taken whole", unit="mag", ge=0, le=40
    )
