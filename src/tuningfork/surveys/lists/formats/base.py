"""What the readers of all table formats have in common."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from astropy.table import Table

ROWS_PER_PART = 200_000
"""Rows that are read at a time."""
MAX_WHOLE_BYTES = 2 << 30
"""Largest file of a format that can only be read as a whole."""
Ranges = Mapping[str, tuple[Any, Any]]
"""Column -> smallest and largest value in a part of a table."""
Wanted = Callable[[Ranges], bool]


@dataclass(frozen=True)
class Place:
    """Which of a file's tables one is.

    Attributes
    ----------
    number : int
        Counted from 1; for FITS the number of the extension.
    name : str
        Empty if it has none.
    """

    number: int = 1
    name: str = ""


class TableFile(Protocol):
    """A table in a file.

    Attributes
    ----------
    columns : list of str
    units : dict
        Column -> unit, if the file states it.
    systems : dict
        Column, or `WHOLE_TABLE` -> coordinate system, if the file states one that is not close to ICRS.
    place : Place
    typed : bool
        Whether the format knows the types of its columns, so that all rows have the type of the first.
    """

    columns: list[str]
    units: dict[str, str]
    systems: dict[str, str]
    place: Place
    typed: bool

    def parts(self, columns: Sequence[str], texts: Sequence[str], wanted: Wanted) -> Iterator[tuple[int, pd.DataFrame]]:
        """Yield the table in parts.

        Parameters
        ----------
        columns : sequence of str
            Columns to read.
        texts : sequence of str
            Those among them that may be text; formats without types read them as text.
        wanted : callable
            Ranges of values of a part -> whether the part is needed. If the format knows the ranges, parts that are not
            needed are skipped.

        Yields
        ------
        int
            Number of the first row of a part.
        pandas.DataFrame
            Rows of the part.
        """
        ...


class WholeTable:
    """A table that was read as a whole.

    Parameters
    ----------
    table : astropy.table.Table
    place : Place, optional
    names : sequence of str, optional
        Names of the columns; without it, those of `table`, which are used besides where they are no names.
    """

    typed = True

    def __init__(self, table: Table, place: Place | None = None, names: Sequence[str] | None = None) -> None:
        self.place = place or Place()
        self.systems: dict[str, str] = {}
        frame = frame_of(table)
        names = list(names or table.colnames)
        others = [(number, name) for number, name in enumerate(table.colnames) if name not in names]
        self.columns = [*names, *(name for _, name in others)]
        self._numbers = [*range(len(names)), *(number for number, _ in others)]
        units = [getattr(column, "unit", None) for column in table.itercols()]
        self.units = {
            name: str(units[number])
            for name, number in zip(self.columns, self._numbers, strict=True)
            if units[number] is not None
        }
        self._frame = frame.set_axis(range(len(frame.columns)), axis=1)

    def parts(self, columns: Sequence[str], texts: Sequence[str], wanted: Wanted) -> Iterator[tuple[int, pd.DataFrame]]:
        """Yield the whole table as one part.

        Parameters
        ----------
        columns, texts : sequence of str
            See :meth:`TableFile.parts`.
        wanted : callable
            Not used.

        Yields
        ------
        int, pandas.DataFrame
            See :meth:`TableFile.parts`.
        """
        numbers = [self._numbers[self.columns.index(name)] for name in columns]
        yield 0, self._frame[numbers].set_axis(list(columns), axis=1)


def frame_of(table: Table) -> pd.DataFrame:
    """Return the columns of an astropy table that have one value per row.

    Parameters
    ----------
    table : astropy.table.Table
        N rows. A column of arrays of one element, as VOTables write with arraysize="1", counts as a column of values;
        columns of longer arrays are kept as such, so that they can be named in a message.

    Returns
    -------
    pandas.DataFrame
    """
    plain = Table()
    arrays = {}
    for name in table.colnames:
        column = table[name]
        if getattr(column, "ndim", 1) > 1 and column.size == len(column):
            column = column.reshape(len(column))
        if getattr(column, "ndim", 1) > 1:
            arrays[name] = [np.asarray(row) for row in column]
        elif getattr(column.dtype, "kind", "") == "O":
            arrays[name] = [_single(value) for value in np.ma.filled(np.ma.asarray(column), None)]
        else:
            plain[name] = column
    plain.convert_bytestring_to_unicode()
    frame = plain.to_pandas() if plain.colnames else pd.DataFrame(index=range(len(table)))
    for name, values in arrays.items():
        frame[name] = pd.Series(values, index=frame.index, dtype=object)
    return frame[[name for name in table.colnames if name in frame]]


def _single(value: Any) -> Any:
    """Return the element of an array of one, None for an array without elements, and everything else as it is."""
    if not isinstance(value, np.ndarray):
        return value
    if value.size > 1:
        return value
    return None if value.size == 0 or np.ma.is_masked(value) else value.ravel()[0].item()
