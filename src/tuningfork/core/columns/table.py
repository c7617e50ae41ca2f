"""The table of a stage from arrays, with all columns that the stage declares."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tuningfork.core.columns import FLAGS, IDENTITY, TRUTH, Column, of_stage, schema
from tuningfork.core.errors import InputError


def shard_table(stage: str, values: Mapping[str, Any], bands: Sequence[str] = (), truth: bool = False) -> pa.Table:
    """Return a stage's table from arrays.

    Parameters
    ----------
    stage : str
        One of sources, stamps, classify, structure, bars, features.
    values : mapping
        Column name -> array of N values; NaN and None become null. `source_id` and `flags` are needed,
        every column that is left out is null.
    bands : sequence of str
        The survey's bands (stage `stamps`).
    truth : bool
        Whether the columns of the simulated truth are added.

    Returns
    -------
    Table
        N rows, with all columns of the stage in the order of their declaration.

    Raises
    ------
    InputError
        A column is not declared in :mod:`tuningfork.core.columns`.
    """
    columns = [*IDENTITY, FLAGS, *of_stage(stage, bands), *(TRUTH if truth else [])]
    unknown = set(values) - {column.name for column in columns}
    if unknown:
        raise InputError(f"undeclared columns of stage {stage}: {sorted(unknown)}; declare them in core/columns")
    rows = len(values["source_id"])
    arrays = [_arrow(column, values.get(column.name), rows) for column in columns]
    return pa.Table.from_arrays(arrays, schema=schema(columns))


def _arrow(column: Column, values: Any, rows: int) -> pa.Array:
    if values is None:
        return pa.nulls(rows, column.dtype)
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if isinstance(values, pa.Array):
        return values.cast(column.dtype)
    if pa.types.is_floating(column.dtype):
        values = np.asarray(values, dtype=column.dtype.to_pandas_dtype())
        return pa.array(values, type=column.dtype, mask=~np.isfinite(values))
    if pa.types.is_dictionary(column.dtype):
        return pa.array(list(values), type=pa.string()).cast(column.dtype)
    return pa.array(values, type=column.dtype)
