"""Tables in files of all common formats, read in parts so that a large table does not fill the memory."""

import contextlib
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import fitsio
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.table import Table

from tuningfork.core.errors import InputError

ROWS_PER_PART = 200_000
"""Rows that are read at a time."""
NULLABLE_INTEGERS = {
    pa.int64(): pd.Int64Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
}
"""Pandas types that keep integers exact next to missing values."""
Ranges = Mapping[str, tuple[Any, Any]]
"""Column -> smallest and largest value in a part of a table."""
Wanted = Callable[[Ranges], bool]
TABLE_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    EOFError,
    zlib.error,
    struct.error,
    pa.ArrowException,
)
"""Exceptions that the readers raise for files that are damaged, truncated or of another format."""


class TableFile(Protocol):
    """A table in a file.

    Attributes
    ----------
    columns : list of str
    units : dict
        Column -> unit, if the file states it.
    """

    columns: list[str]
    units: dict[str, str]

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


class ParquetTable:
    """A Parquet file, of which only the wanted columns of the wanted row groups are read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        schema = pq.read_schema(path)
        self.columns = list(schema.names)
        self.units = {
            field.name: field.metadata[b"unit"].decode() for field in schema if b"unit" in (field.metadata or {})
        }

    def parts(self, columns: Sequence[str], texts: Sequence[str], wanted: Wanted) -> Iterator[tuple[int, pd.DataFrame]]:
        """Yield the table in parts, skipping row groups according to their statistics.

        Parameters
        ----------
        columns, texts : sequence of str
            See :meth:`TableFile.parts`.
        wanted : callable
            Ranges of values of a part -> whether the part is needed.

        Yields
        ------
        int, pandas.DataFrame
            See :meth:`TableFile.parts`.
        """
        first = 0
        with pq.ParquetFile(self._path) as file:
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group)
                if wanted(_ranges(rows)):
                    start = first
                    for batch in file.iter_batches(ROWS_PER_PART, row_groups=[group], columns=list(columns)):
                        yield start, pa.Table.from_batches([batch]).to_pandas(types_mapper=NULLABLE_INTEGERS.get)
                        start += batch.num_rows
                first += rows.num_rows


def _ranges(rows: pq.RowGroupMetaData) -> dict[str, tuple[Any, Any]]:
    ranges = {}
    for number in range(rows.num_columns):
        column = rows.column(number)
        if column.is_stats_set and column.statistics.has_min_max:
            ranges[column.path_in_schema] = (column.statistics.min, column.statistics.max)
    return ranges


class TextTable:
    """A table of comma- or tab-separated values; lines that begin with # are comments."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._options: dict[str, Any] = {
            "comment": "#",
            "sep": "\t" if ".tsv" in path.suffixes else ",",
            "skipinitialspace": True,
        }
        self.columns = list(pd.read_csv(path, nrows=0, **self._options).columns)
        self.units: dict[str, str] = {}

    def parts(self, columns: Sequence[str], texts: Sequence[str], wanted: Wanted) -> Iterator[tuple[int, pd.DataFrame]]:
        """Yield the table in parts.

        Parameters
        ----------
        columns, texts : sequence of str
            See :meth:`TableFile.parts`.
        wanted : callable
            Not used: the format does not know ranges.

        Yields
        ------
        int, pandas.DataFrame
            See :meth:`TableFile.parts`.
        """
        types = dict.fromkeys(texts, str)
        first = 0
        with pd.read_csv(
            self._path, usecols=list(columns), dtype=types, chunksize=ROWS_PER_PART, low_memory=False, **self._options
        ) as file:
            for part in file:
                yield first, part[list(columns)].reset_index(drop=True)
                first += len(part)


class FitsTable:
    """The first table of a FITS file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with fitsio.FITS(str(path)) as file:
            tables = [number for number, hdu in enumerate(file) if hdu.get_exttype() in {"BINARY_TBL", "ASCII_TBL"}]
            if not tables:
                raise ValueError("it holds no table")
            self._place = tables[0]
            hdu = file[self._place]
            header = hdu.read_header()
            self._rows = hdu.get_nrows()
            self.columns = hdu.get_colnames()
        numbered = list(enumerate(self.columns, 1))
        self.units = {name: str(header[f"TUNIT{k}"]).strip() for k, name in numbered if f"TUNIT{k}" in header}
        self._null = {name: header[f"TNULL{k}"] for k, name in numbered if f"TNULL{k}" in header}

    def parts(self, columns: Sequence[str], texts: Sequence[str], wanted: Wanted) -> Iterator[tuple[int, pd.DataFrame]]:
        """Yield the table in parts.

        Parameters
        ----------
        columns, texts : sequence of str
            See :meth:`TableFile.parts`.
        wanted : callable
            Not used: the format does not know ranges.

        Yields
        ------
        int, pandas.DataFrame
            See :meth:`TableFile.parts`.
        """
        with fitsio.FITS(str(self._path)) as file:
            hdu = file[self._place]
            for first in range(0, self._rows, ROWS_PER_PART):
                values = hdu[list(columns)][first : min(first + ROWS_PER_PART, self._rows)]
                yield first, pd.DataFrame({name: self._column(values, name) for name in columns})

    def _column(self, values: np.ndarray, name: str) -> pd.Series:
        column = values[name]
        if column.ndim != 1:
            raise ValueError(f"column {name} holds arrays")
        if column.dtype.kind == "S":
            column = np.char.decode(np.char.rstrip(column), "utf-8", "replace").astype(object)
        series = pd.Series(column.astype(column.dtype.newbyteorder("=")))
        if name in self._null and column.dtype.kind in "iu":
            return series.astype("Int64").mask(series == int(self._null[name]))
        return series


class VoTable:
    """The first table of a VOTable file, which can only be read as a whole."""

    def __init__(self, path: Path) -> None:
        table = Table.read(path, format="votable")
        table = table[[name for name in table.colnames if table[name].ndim == 1]]
        table.convert_bytestring_to_unicode()
        self.columns = list(table.colnames)
        self.units = {name: str(table[name].unit) for name in table.colnames if table[name].unit is not None}
        self._frame = table.to_pandas()

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
        yield 0, self._frame[list(columns)]


TABLE_READERS: dict[str, type[TableFile]] = {
    ".parquet": ParquetTable, ".pq": ParquetTable, ".csv": TextTable, ".txt": TextTable, ".tsv": TextTable,
    ".vot": VoTable, ".xml": VoTable, ".votable": VoTable,
}  # fmt: skip


def open_table(path: Path, what: str) -> TableFile:
    """Open the table in a file, whose suffix tells the format: Parquet, CSV, VOTable, and FITS for all others.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    ending = Path(path.name.removesuffix(".gz")).suffix.lower()
    if not path.is_file():
        raise InputError(f"{what}: no such file")
    with readable(what):
        return TABLE_READERS.get(ending, FitsTable)(path)  # type: ignore[call-arg]


@contextlib.contextmanager
def readable(what: str) -> Iterator[None]:
    """Turn exceptions that table readers raise in the block into an InputError about the table `what`."""
    try:
        yield
    except TABLE_ERRORS as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{what}: not a readable table ({reason}); expected Parquet, FITS, CSV or VOTable") from None
