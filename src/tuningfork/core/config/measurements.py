"""Measured galaxies of the survey, to which the structure networks are adapted."""

from pydantic import field_validator

from tuningfork.core.config.base import EXTENSION, UNITS, Extension, Section, known_columns, known_units, option

OURS = (
    "ra", "dec", "source_id", "mag", "r_eff", "sersic_n", "axis_ratio", "position_angle", "bulge_to_total",
)  # fmt: skip


class Measurements(Section):
    """A table of measured galaxies, and the training that adapts the structure networks to them (Tuccillo+ 2018)."""

    table: str | None = option(
        None,
        "table (Parquet, FITS, CSV or VOTable) with ra and dec (deg) or source_id, and any of mag (AB, total), r_eff "
        "(half-light radius along the major axis, arcsec), sersic_n, axis_ratio, position_angle (deg, north through "
        "east) and bulge_to_total, all in the reference band; null: no adaptation",
        path="table",
        min_length=1,
    )
    columns: dict[str, str] = option(
        {},
        f"names of the table's columns, where they differ from {', '.join(OURS[:-1])} or {OURS[-1]}: {{ours: theirs}}",
    )
    units: dict[str, str] = option({}, UNITS)
    extension: Extension = option(None, EXTENSION + "; null: the only one with such columns")
    match_radius: float = option(1.0, "largest distance between a row and its source", unit="arcsec", gt=0, le=60)
    max_shards: int = option(
        64,
        "largest number of shards in which rows may lie; stamps of these shards are cut, also outside the footprint",
        plan=True,
        ge=1,
        le=100_000,
    )
    epochs: int = option(40, "passes over the measured galaxies, after the training on simulated ones", ge=1, le=1000)
    share: float = option(
        0.5,
        "share of measured galaxies per training step; the others are simulated, so that the "
        "network keeps what it knows",
        gt=0,
        le=1,
    )
    learning_rate: float = option(5e-4, "peak learning rate", gt=0, le=1)

    @field_validator("columns")
    @classmethod
    def _known(cls, columns: dict[str, str]) -> dict[str, str]:
        return known_columns(columns, OURS)

    @field_validator("units")
    @classmethod
    def _known_units(cls, units: dict[str, str]) -> dict[str, str]:
        return known_units(units, [name for name in OURS if name != "source_id"])
