"""What the catalogue says of stars and artifacts: that they are none of the galaxies, and nothing about their shape."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tuningfork.core.classes import ARTIFACT
from tuningfork.core.columns import Column
from tuningfork.core.flags import Flag

STAGES_ABOUT_GALAXIES = ("structure", "bars", "features")
"""Stages whose columns describe a galaxy, and are null for what is none."""


def without_artifacts(
    arrays: Mapping[str, pa.ChunkedArray], flags: np.ndarray, columns: Sequence[Column]
) -> tuple[dict[str, pa.ChunkedArray], np.ndarray]:
    """Return columns and flags in which stars and artifacts have no light profile, bar or features.

    Their class is `artifact`, whatever the votes say: a star that looks like a galaxy is one by its size. The votes
    stay, as the evidence.

    Parameters
    ----------
    arrays : mapping
        Column -> N values.
    flags : ndarray
        (N,) int64, those of all stages together.
    columns : sequence of Column
        Columns of the catalogue.

    Returns
    -------
    arrays : dict
    flags : ndarray
        (N,) int64, with NOT_BARRED for stars and artifacts.
    """
    artifact = flags & Flag.STAR_OR_ARTIFACT > 0
    mask = pa.array(artifact)
    result = dict(arrays)
    for column in columns:
        if column.stage in STAGES_ABOUT_GALAXIES:
            values = result[column.name]
            result[column.name] = pc.if_else(mask, pa.scalar(None, values.type), values)
    classes = result["morphology"]
    result["morphology"] = pc.if_else(mask, pa.scalar(ARTIFACT, classes.type), classes)
    return result, flags | np.where(artifact, int(Flag.NOT_BARRED), 0)
