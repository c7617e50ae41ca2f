"""Measured galaxies of the survey with their stamps, as a part of a training set."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tuningfork.core.errors import InputError
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import lineage_of, numpy_column
from tuningfork.sky.coordinates import left_handed, sky_to_pixel_angle
from tuningfork.stamps.store import StampFiles
from tuningfork.surveys.lists.labels.measured import PARAMETERS, read_measured
from tuningfork.training.labels.matched import MatchedFiles, write_matched

logger = logging.getLogger(__name__)


def match_measurements(
    parameters: Parameters, *, sources: Sequence[Path], stamps: Sequence[StampFiles], outputs: MatchedFiles
) -> None:
    """Write the stamps of the measured galaxies, their measurements, and the fate of every row of the table.

    Parameters
    ----------
    parameters : Parameters
        Of the stage match_measurements.
    sources : sequence of Path
        Tables of the sources of the shards in which the measured galaxies lie.
    stamps : sequence of StampFiles
        Their stamps, in the same order.
    outputs : MatchedFiles
        The table has the known columns of a part of the training set; position angles are in the pixel frame.

    Raises
    ------
    InputError
        No row belongs to a source with a stamp.
    """
    settings = parameters.configuration.train.structure.measurements
    measured = read_measured(settings)
    if measured is None:
        raise InputError("train.structure.measurements.table names no table, so there is nothing to match")
    write_matched(
        measured,
        sources=sources,
        stamps=stamps,
        radius=settings.match_radius,
        columns=_measured_columns,
        lineage=parameters.lineage(lineage_of(*sources, *(files.table for files in stamps))),
        outputs=outputs,
    )
    _warn_of_half_shapes(measured.rows, measured.what)


def _warn_of_half_shapes(rows: pd.DataFrame, what: str) -> None:
    """Warn of rows with one half of the shape: networks learn axis ratio and position angle together."""
    alone = int((rows["axis_ratio"].notna() != rows["position_angle"].notna()).sum())
    if alone:
        logger.warning(
            "%s: %d rows have only one of axis_ratio and position_angle; it is not used, because networks learn both "
            "together",
            what,
            alone,
        )


def _measured_columns(rows: pd.DataFrame, stamped: pa.Table) -> dict[str, Any]:
    """Return the columns of the part that the measurements give."""
    columns: dict[str, Any] = {}
    for name in PARAMETERS:
        values = rows[name].to_numpy(dtype=np.float64)
        if name == "position_angle":
            left = left_handed(stamped["east_is_left"])
            values = sky_to_pixel_angle(values, numpy_column(stamped, "north_angle"), left)
        columns[name] = pa.array(values, pa.float32(), from_pandas=True)
    return columns
