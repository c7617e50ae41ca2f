"""Votes of real volunteers, from published tables such as those of Galaxy Zoo."""

from typing import Literal, Self

from pydantic import field_validator, model_validator

from tuningfork.core.config.base import (
    ADDRESS,
    EXTENSION,
    UNITS,
    ConflictError,
    Extension,
    Section,
    known_columns,
    known_units,
    option,
)

NUMBERS = ("ra", "dec")
OURS = (*NUMBERS, "source_id")


class Votes(Section):
    """A table of volunteer votes on galaxies of the survey."""

    table: str | None = option(
        None,
        "table (Parquet, FITS, CSV or VOTable, also .gz) with a position or source_id and the votes of each galaxy; "
        "null: simulated votes alone",
        path="table",
        min_length=1,
    )
    vizier: str | None = option(
        None, "name of a table in VizieR, instead of a file, such as J/MNRAS/435/2835/table5", min_length=1
    )
    tap_url: str = option(
        "https://tapvizier.cds.unistra.fr/TAPVizieR/tap", "address of VizieR's TAP service", pattern=ADDRESS
    )
    tree: str = option(
        "gz2",
        "decision tree and columns of the table: gz2 (Galaxy Zoo 2), gz_decals (Galaxy Zoo DECaLS) or the path of a "
        "tree file of your own (.yaml)",
        path="file",
        words=("gz2", "gz_decals"),
        min_length=1,
    )
    columns: dict[str, str] = option(
        {},
        f"names of the table's columns, where they differ from {', '.join(OURS[:-1])} (deg) or {OURS[-1]}: "
        "{ours: theirs}",
    )
    units: dict[str, str] = option({}, UNITS)
    extension: Extension = option(None, EXTENSION + "; null: the only one with such columns")
    match_radius: float = option(1.0, "largest distance between a row and its source", unit="arcsec", gt=0, le=60)
    shards: list[str] = option(
        [],
        "shards whose sources are matched with the table, so that a growing footprint does not retrain the networks; "
        "empty: the shards of the footprint that contain rows",
        plan=True,
    )
    max_shards: int = option(
        64,
        "largest number of shards that are matched, evenly spread over the footprint; their stamps (0.4 MB per source in three bands) "
        "must exist before the training",
        plan=True,
        ge=1,
        le=100_000,
    )
    simulated: Literal["all", "bars", "none"] = option(
        "all",
        "what to learn from simulated galaxies beside real votes: all, votes and bars; bars, only the lengths, angles "
        "and masks of bars; none",
    )

    @field_validator("columns")
    @classmethod
    def _known(cls, columns: dict[str, str]) -> dict[str, str]:
        return known_columns(columns, OURS)

    @field_validator("units")
    @classmethod
    def _known_units(cls, units: dict[str, str]) -> dict[str, str]:
        return known_units(units, NUMBERS)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.table is not None and self.vizier is not None:
            raise ConflictError("table and vizier cannot both be given; leave out one", "vizier", "table")
        return self

    @property
    def wanted(self) -> bool:
        """Whether a table of volunteer votes is given."""
        return self.table is not None or self.vizier is not None
