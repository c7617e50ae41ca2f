"""What the declaration of a column says, and the Arrow schema that follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

F4, F8, I8, TEXT = pa.float32(), pa.float64(), pa.int64(), pa.string()
NAMES = pa.string()
"""Names of classes: Parquet stores them as a dictionary by itself, and astropy cannot read Arrow's dictionary type."""


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes
    ----------
    name : str
    dtype : pyarrow.DataType
    unit : str or None
        In the spelling of astropy and VOUnits.
    ucd : str
        IVOA unified content descriptor (UCD1+).
    description : str
    stage : str
        The stage that makes the column.
    published : bool
        Whether the catalogue has the column.
    """

    name: str
    dtype: pa.DataType
    unit: str | None
    ucd: str
    description: str
    stage: str
    published: bool = True


def with_error(column: Column, error: str) -> list[Column]:
    """Return a column and the column `{name}_error`, of the same type and unit.

    Parameters
    ----------
    column : Column
    error : str
        Description of the error: what interval or deviation it is.
    """
    ucd = f"stat.error;{column.ucd}"
    return [column, Column(f"{column.name}_error", column.dtype, column.unit, ucd, error, column.stage)]


def schema(columns: Sequence[Column]) -> pa.Schema:
    """Return the Arrow schema of `columns`, with unit, UCD and description in the fields' metadata."""
    return pa.schema(
        [
            pa.field(
                column.name,
                column.dtype,
                metadata={"unit": column.unit or "", "ucd": column.ucd, "description": column.description},
            )
            for column in columns
        ]
    )
