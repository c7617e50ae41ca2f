"""Rows of records: dataclasses whose fields are arrays with one entry a source, such records again, or None."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np

R = TypeVar("R")


def take(record: R, rows: np.ndarray) -> R:
    """Return the record of some rows.

    Parameters
    ----------
    record : dataclass
        Of N rows.
    rows : ndarray
        Row numbers, or a mask (N,).

    Returns
    -------
    dataclass
        Of the same class.
    """
    return _mapped([record], lambda arrays: arrays[0][rows])


def join(records: Sequence[R]) -> R:
    """Return the record of the rows of all records, one after the other."""
    return _mapped(records, np.concatenate)


def _mapped(records: Sequence[R], function: Callable[[list[np.ndarray]], np.ndarray]) -> R:
    values: dict[str, Any] = {}
    for field in fields(records[0]):  # type: ignore[arg-type]
        parts = [getattr(record, field.name) for record in records]
        first = parts[0]
        values[field.name] = (
            None if first is None else function(parts) if isinstance(first, np.ndarray) else _mapped(parts, function)
        )
    return type(records[0])(**values)
