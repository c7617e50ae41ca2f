"""Votes of people, from published tables such as Galaxy Zoo's, from which the morphology networks learn."""

from typing import Literal, Self

from pydantic import field_validator, model_validator

from tuningfork.core.config.base import Section, known_columns, option

OURS = ("ra", "dec", "source_id")


class Votes(Section):
    """A table of the votes of people about galaxies of the survey."""

    table: str | None = option(
        None,
        "table (Parquet, FITS, CSV or VOTable, also .gz) with a position or source_id and the votes of each galaxy; "
        "null: none",
        min_length=1,
    )
    vizier: str | None = option(
        None, "in the place of a file: name of a table of VizieR, such as J/MNRAS/435/2835/table5", min_length=1
    )
    tap_url: str = option("https://tapvizier.cds.unistra.fr/TAPVizieR/tap", "address of VizieR's TAP service")
    tree: str = option(
        "gz2",
        "decision tree and columns of the table: gz2 (Galaxy Zoo 2), gz_decals (Galaxy Zoo DECaLS) or the path of a "
        "file like those (.yaml)",
        min_length=1,
    )
    columns: dict[str, str] = option(
        {}, f"which column of the table is our {', '.join(OURS[:-1])} (deg) or {OURS[-1]}, where its name differs"
    )
    match_radius: float = option(
        1.0, "largest distance between a row and the source that it is about", unit="arcsec", gt=0, le=60
    )
    shards: list[str] = option(
        [],
        "shards whose sources are looked up in the table; none: those of the footprint in which rows lie",
        plan=True,
    )
    max_shards: int = option(
        64,
        "shards of the footprint that are looked up at most, evenly spread over it; their stamps are needed at once",
        plan=True,
        ge=1,
        le=100_000,
    )
    simulated: Literal["all", "bars", "none"] = option(
        "all",
        "what is learnt of simulated galaxies beside people's votes: all, votes and bars; bars, the bars' lengths and "
        "shapes alone; none",
    )

    @field_validator("columns")
    @classmethod
    def _known(cls, columns: dict[str, str]) -> dict[str, str]:
        return known_columns(columns, OURS)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.table is not None and self.vizier is not None:
            raise ValueError("table and vizier cannot both be given; leave out one")
        return self

    @property
    def wanted(self) -> bool:
        """Whether there are votes of people to learn from."""
        return self.table is not None or self.vizier is not None
