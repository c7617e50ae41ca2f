"""Parquet files, alone or a folder of them, with what pandas, astropy and the Virtual Observatory put into their metadata."""

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tuningfork.surveys.lists.formats import base
from tuningfork.surveys.lists.formats.base import Place, Ranges, Wanted
from tuningfork.surveys.lists.formats.parquet_units import systems_of_schema, units_of

NULLABLE_INTEGERS = {
    pa.int64(): pd.Int64Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
}
"""Pandas types that keep integers exact next to missing values."""
PARQUET_ENDINGS = (".parquet", ".parq", ".pq")
PARTITION = re.compile(r"[^=]+=.*", re.DOTALL)
"""Name of a folder of a partitioned table, such as bin=3."""
MAX_ENTRIES, MAX_DEPTH = 100_000, 8
"""Most files and folders, and levels of folders, that are looked at in a folder of parts."""
UNNAMED_INDEX = "index"
"""Name of the column for a pandas index that has none."""
MAX_INDEX_ROWS = 50_000_000
"""Most rows of an unnamed index of integers that is searched for numbers that come twice."""


class ParquetTable:
    """Parquet files, of which only the wanted columns of the wanted row groups are read.

    Parameters
    ----------
    path : Path
        A file, or a folder whose Parquet files are parts of one table, see :func:`parts_of`.
    """

    typed = True
    place = Place()

    def __init__(self, path: Path) -> None:
        self._files = parts_of(path) if path.is_dir() else [path]
        with _named(self._files[0], path.is_dir()):
            schema = pq.read_schema(self._files[0])
        self._stored = {name: name for name in schema.names}
        self._ranges = _range_index(schema)
        self._name_index(schema)
        self.columns = [*self._shown(schema), *self._ranges]
        self.units = units_of(schema)
        self.systems = systems_of_schema(schema)
        self._masks = masks_of(schema)

    def _name_index(self, schema: pa.Schema) -> None:
        """Give an unnamed pandas index a name, unless it is a number that comes twice, and so identifies nothing."""
        unnamed = [name for name in schema.names if name.startswith("__index_level_")]
        if len(unnamed) != 1 or UNNAMED_INDEX in schema.names:
            return
        if pa.types.is_integer(schema.field(unnamed[0]).type) and not self._distinct(unnamed[0]):
            return
        del self._stored[unnamed[0]]
        self._stored[UNNAMED_INDEX] = unnamed[0]

    def _distinct(self, name: str) -> bool:
        if sum(pq.read_metadata(file).num_rows for file in self._files) > MAX_INDEX_ROWS:
            return False
        values = pa.chunked_array([chunk for file in self._files for chunk in _column(file, name).chunks])
        return len(values) == 0 or pc.count_distinct(values).as_py() == len(values)

    def _shown(self, schema: pa.Schema) -> list[str]:
        names = {stored: shown for shown, stored in self._stored.items()}
        return [names.get(name, name) for name in schema.names]

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
        for path in self._files:
            with _named(path, len(self._files) > 1):
                self._require_like_first(path, columns)
                file = pq.ParquetFile(path)
            with file, _named(path, len(self._files) > 1):
                start = 0
                for group in range(file.num_row_groups):
                    rows = file.metadata.row_group(group)
                    if wanted(_ranges(rows)):
                        yield from self._of_group(file, group, columns, first, start)
                    start += rows.num_rows
            first += start

    def _of_group(
        self, file: pq.ParquetFile, group: int, columns: Sequence[str], first: int, start: int
    ) -> Iterator[tuple[int, pd.DataFrame]]:
        stored = {name: self._stored[name] for name in columns if name in self._stored}
        masks = [mask for name in stored.values() if (mask := self._masks.get(name))]
        read = list(dict.fromkeys([*stored.values(), *masks]))
        for batch in file.iter_batches(base.ROWS_PER_PART, row_groups=[group], columns=read):
            table = pa.Table.from_batches([batch])
            frame = pd.DataFrame(index=range(batch.num_rows))
            for name in columns:
                if name in stored:
                    frame[name] = plain_column(table, stored[name], self._masks)
                else:
                    origin, step = self._ranges[name]
                    frame[name] = origin + step * (start + pd.RangeIndex(batch.num_rows))
            yield first + start, frame
            start += batch.num_rows

    def _require_like_first(self, path: Path, columns: Sequence[str]) -> None:
        """Check that a file has the columns of the first, in the same units."""
        if path == self._files[0]:
            return
        schema = pq.read_schema(path)
        lacking = [name for name in columns if self._stored.get(name, name) not in schema.names]
        if lacking:
            raise ValueError(f"its file {path.name} has no column {lacking[0]}, other than {self._files[0].name}")
        if systems_of_schema(schema) != self.systems:
            raise ValueError(f"the coordinate system is another in {path.name} than in {self._files[0].name}")
        units = units_of(schema)
        for name in columns:
            if units.get(name) != self.units.get(name):
                raise ValueError(
                    f"the unit of {name} is {units.get(name)} in {path.name} and {self.units.get(name)} in "
                    f"{self._files[0].name}"
                )


@contextlib.contextmanager
def _named(path: Path, several: bool) -> Iterator[None]:
    """Name the part that cannot be read, if there are several."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        if not several or isinstance(error, pa.ArrowMemoryError):
            raise
        raise ValueError(f"its part {path.name}: {error}") from None


def parts_of(folder: Path) -> list[Path]:
    """Return the Parquet files of a folder, and of folders in it that are called KEY=VALUE, by name, without hidden ones.

    Raises
    ------
    ValueError
        If there is none, the folder is a HATS catalogue, or it holds more than `MAX_ENTRIES` files and folders.
    """
    if (folder / "hats.properties").is_file() or (folder / "collection.properties").is_file():
        raise ValueError("a HATS catalogue; use sources.catalogue: {kind: hats}")
    files: list[Path] = []
    folders, entries = [(folder, 0)], 0
    while folders:
        current, depth = folders.pop()
        with os.scandir(current) as found:
            for entry in found:
                entries += 1
                if entries > MAX_ENTRIES:
                    raise ValueError(
                        f"a folder of more than {MAX_ENTRIES} files and folders; name a folder that holds the parts of "
                        "the table alone, or write fewer and larger parts"
                    )
                if entry.name.startswith(("_", ".")):
                    continue
                if Path(entry.name).suffix.lower() in PARQUET_ENDINGS and entry.is_file():
                    files.append(Path(entry.path))
                elif PARTITION.fullmatch(entry.name) and depth < MAX_DEPTH and entry.is_dir():
                    folders.append((Path(entry.path), depth + 1))
    if not files:
        raise ValueError(
            "a folder without Parquet files (.parquet); folders in it are looked at only if they are called KEY=VALUE"
        )
    return sorted(files)


def plain_column(table: pa.Table, name: str, masks: dict[str, str]) -> pd.Series:
    """Return a column in a type that pandas takes as it is: no bytes, categories or decimal numbers.

    Parameters
    ----------
    table : pyarrow.Table
        N rows.
    name : str
    masks : dict
        Column -> column that is true where the first has no value.

    Returns
    -------
    pandas.Series
        N values.
    """
    column = table[name]
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        column = column.cast(pa.string())
    if pa.types.is_decimal(column.type):
        # Text keeps every digit of identifiers.
        column = column.cast(pa.string() if column.type.scale == 0 else pa.float64())
    if pa.types.is_float16(column.type):
        column = column.cast(pa.float32())
    if name in masks:
        column = pc.if_else(table[masks[name]], pa.scalar(None, column.type), column)
    # The mapper is for integers alone: with one, texts would be converted a hundred times more slowly.
    return column.to_pandas(types_mapper=NULLABLE_INTEGERS.get if pa.types.is_integer(column.type) else None)


def masks_of(schema: pa.Schema) -> dict[str, str]:
    """Return column -> column that masks it: astropy writes the values of masked columns as if they were valid."""
    names = set(schema.names)
    if b"table_meta_yaml" not in (schema.metadata or {}):
        return {}
    return {
        name: f"{name}.mask"
        for name in schema.names
        if f"{name}.mask" in names and pa.types.is_boolean(schema.field(f"{name}.mask").type)
    }


def _column(path: Path, name: str) -> pa.ChunkedArray:
    return pq.read_table(path, columns=[name], partitioning=None)[name]


def _range_index(schema: pa.Schema) -> dict[str, tuple[int, int]]:
    """Return name -> first value and step of a pandas index that stands in the metadata alone."""
    described: dict[str, Any] = schema.pandas_metadata or {}
    ranges = [index for index in described.get("index_columns", []) if isinstance(index, dict)]
    return {
        str(index["name"]): (int(index["start"]), int(index["step"]))
        for index in ranges
        if index.get("kind") == "range" and index.get("name") and index["name"] not in schema.names
    }


def _ranges(rows: pq.RowGroupMetaData) -> Ranges:
    ranges = {}
    for number in range(rows.num_columns):
        column = rows.column(number)
        if column.is_stats_set and column.statistics.has_min_max:
            ranges[column.path_in_schema] = (column.statistics.min, column.statistics.max)
    return ranges
