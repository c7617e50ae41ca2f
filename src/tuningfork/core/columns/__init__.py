"""Every column of every per-shard table, declared once: name, type, unit, UCD, description, stage."""

from collections.abc import Sequence

from tuningfork.core.columns.bars import BARS, ESTIMATORS, FEATURES, MAPPED
from tuningfork.core.columns.declaration import F4, F8, I8, NAMES, TEXT, Column, schema
from tuningfork.core.columns.morphology import morphology
from tuningfork.core.columns.structure import PROFILE, STRUCTURE
from tuningfork.core.columns.survey import FLAGS, IDENTITY, SOURCES, TRUTH, stamps

__all__ = [
    "BARS",
    "ESTIMATORS",
    "F4",
    "F8",
    "FEATURES",
    "FLAGS",
    "I8",
    "IDENTITY",
    "MAPPED",
    "NAMES",
    "PROFILE",
    "SOURCES",
    "STRUCTURE",
    "TEXT",
    "TRUTH",
    "Column",
    "morphology",
    "of_stage",
    "published",
    "schema",
    "stamps",
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
