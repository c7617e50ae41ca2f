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
from tuningfork.surveys.lists.labels.measured import PARAMETERS, read_measured
from tuningfork.training.labels.matched import Outputs, write_matched

logger = logging.getLogger(__name__)


def match_measurements(
    parameters: Parameters, sources: Sequence[Path], stamps: Sequence[Path], outputs: Outputs
) -> None:
    """Write the stamps of the measured galaxies with what was measured, and what became of every row.

    Parameters
    ----------
    parameters : Parameters
        Of the stage measurements.
    sources, stamps : sequence of Path
        Tables of sources and of stamps of the shards in which the measured galaxies lie, in the same order.
    outputs : Outputs
        The table has the columns of a part of the training set as far as they are known; position angles in the pixel
        frame.

    Raises
    ------
    InputError
        No row belongs to a source with a stamp.
    """
    settings = parameters.configuration.train.structure.measurements
    measured = read_measured(settings)
    if measured is None:
        raise InputError("train.structure.measurements.table names no table: there is nothing to match")
    lineage = parameters.lineage(lineage_of(*sources, *stamps))
    write_matched(measured, sources, stamps, settings.match_radius, _columns, lineage, outputs)
    _warn_of_halves(measured.rows, measured.what)


def _warn_of_halves(rows: pd.DataFrame, what: str) -> None:
    """Warn of what networks cannot learn: they know the shape as a whole, axis ratio with angle."""
    alone = int((rows["axis_ratio"].notna() != rows["position_angle"].notna()).sum())
    if alone:
        logger.warning("%s: axis_ratio or position_angle without the other teaches nothing, %d rows", what, alone)


def _columns(rows: pd.DataFrame, stamped: pa.Table) -> dict[str, Any]:
    """Return the columns of the part that the measurements give."""
    columns: dict[str, Any] = {}
    for name in PARAMETERS:
        values = rows[name].to_numpy(dtype=np.float64)
        if name == "position_angle":
            left = left_handed(stamped["east_is_left"])
            values = sky_to_pixel_angle(values, numpy_column(stamped, "north_angle"), left)
        columns[name] = pa.array(values, pa.float32(), from_pandas=True)
    return columns
