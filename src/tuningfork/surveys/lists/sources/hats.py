"""HATS catalogues (IVOA note 1.0) on disk: Parquet files by HEALPix pixel, of which only those of a shard are read."""

import csv
import hashlib
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from tuningfork.core.config.sources import HatsCatalogue
from tuningfork.core.errors import InputError
from tuningfork.sky.hats import PROPERTY_FILES, partition_path, read_properties
from tuningfork.sky.shards import Shard
from tuningfork.surveys.lists.columns import NUMBER_COLUMNS, choose_columns, numbers, require_position
from tuningfork.surveys.lists.files import TABLE_ERRORS
from tuningfork.surveys.lists.formats.parquet import masks_of, plain_column
from tuningfork.surveys.lists.formats.parquet_units import systems_of_schema, units_of
from tuningfork.surveys.lists.missing import MARKED
from tuningfork.surveys.lists.sources.rows import POSITION_ORDER, identified
from tuningfork.surveys.lists.units import Units

HEALPIX_INDEX = "_healpix_29"
"""Column with the number of each row's HEALPix pixel of order 29."""
PARTITION_PATH = re.compile(r"Norder=(\d{1,2})/Dir=\d{1,18}/Npix=(\d{1,18})(\.[a-z.]+)?")
CATALOGUE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
"""Name of a catalogue within a collection."""
FILE_ENDING = re.compile(r"/|(\.[A-Za-z0-9]+)+")
"""Ending of the files of the partitions."""


class Hats:
    """A HATS catalogue, or the primary catalogue of a HATS collection.

    Parameters
    ----------
    catalogue : HatsCatalogue

    Raises
    ------
    InputError
        If the folder holds no readable catalogue.
    """

    def __init__(self, catalogue: HatsCatalogue) -> None:
        self.what = f"sources.catalogue.path: {catalogue.path}"
        self._mapping = dict(catalogue.columns)
        self._given_units = dict(catalogue.units)
        self.folder = Path(catalogue.path)
        if (self.folder / "collection.properties").is_file():
            name = (read_properties(self.folder, ["collection.properties"]) or {}).get("hats_primary_table_url", "")
            if not CATALOGUE_NAME.fullmatch(name):
                raise InputError(f"{self.what}: the collection names no catalogue in its folder ({name[:80]!r})")
            self.folder /= name
        properties = read_properties(self.folder)
        if properties is None:
            raise InputError(f"{self.what}: not a HATS catalogue (it has no {PROPERTY_FILES[0]})")
        self._properties = properties
        self._ending = self._properties.get("hats_npix_suffix", ".parquet")
        if not FILE_ENDING.fullmatch(self._ending):
            raise InputError(f"{self.what}: hats_npix_suffix {self._ending[:80]!r} is not the ending of a file")

    @cached_property
    def partitions(self) -> list[Shard]:
        """The pixels that have a file, each of its own order.

        Raises
        ------
        InputError
            If the list of partitions cannot be read.
        """
        path = self.folder / "partition_info.csv"
        try:
            if path.is_file():
                with path.open(encoding="utf-8", newline="") as file:
                    rows = [(row["Norder"], row["Npix"]) for row in csv.DictReader(file)]
            else:
                rows = list(self._in_folders())
            return sorted({Shard.parse(f"{order}-{pixel}") for order, pixel in rows})
        except (OSError, ValueError, KeyError, TypeError, csv.Error, InputError) as error:
            raise InputError(f"{path}: not a list of the partitions of a HATS catalogue ({error})") from None

    def _in_folders(self) -> Iterator[tuple[str, str]]:
        dataset = self.folder / "dataset"
        for path in dataset.glob("Norder=*/Dir=*/Npix=*"):
            match = PARTITION_PATH.fullmatch(path.relative_to(dataset).as_posix())
            if match:
                yield match[1], match[2]

    def _path(self, partition: Shard) -> Path:
        return self.folder / "dataset" / partition_path(partition, self._ending.rstrip("/"))

    def check(self) -> dict[str, str]:
        """Check the columns of the first partition.

        Returns
        -------
        dict
            Our name -> column.

        Raises
        ------
        InputError
            If there is no partition, it cannot be read, or it lacks the position.
        """
        if not self.partitions:
            raise InputError(f"{self.what}: it has no partition")
        return self._columns(self._open(self.partitions[0]).schema)

    def digest(self) -> str:
        """Return a digest of the catalogue's properties and of the sizes and modification times (ns) of its files."""
        parts = [f"{key}={value}" for key, value in sorted(self._properties.items())]
        for partition in self.partitions:
            path = self._path(partition)
            files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
            for status, name in ((file.stat(), file.name) for file in files if file.is_file()):
                parts.append(f"{partition.name} {name} {status.st_size} {status.st_mtime_ns}")
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def _open(self, partition: Shard) -> ds.Dataset:
        path = self._path(partition)
        files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
        if not files or not all(file.is_file() for file in files):
            raise InputError(f"{path}: the file is missing, although the catalogue lists it")
        try:
            return ds.dataset([str(file) for file in files], schema=pq.read_schema(files[0]), format="parquet")
        except TABLE_ERRORS as error:
            raise self._unreadable(path, error) from None

    @staticmethod
    def _unreadable(path: Path, error: Exception) -> InputError:
        return InputError(f"{path}: not a readable Parquet file ({' '.join(str(error).split())[:200]})")

    def _columns(self, schema: pa.Schema) -> dict[str, str]:
        stated = {name: self._properties.get(f"hats_col_{name}", "") for name in ("ra", "dec")}
        mapping = {name: column for name, column in stated.items() if column in schema.names} | self._mapping
        columns = choose_columns(schema.names, mapping, self.what)
        require_position(columns, schema.names, self.what)
        return columns

    def sources(self, shard: Shard) -> pa.Table:
        """Return the rows of a shard.

        Parameters
        ----------
        shard : Shard

        Returns
        -------
        pyarrow.Table
            Table of the stage `sources`.

        Raises
        ------
        InputError
            If a partition is missing or cannot be read.
        """
        parts = [self._read(partition, shard) for partition in self.partitions if _overlap(partition, shard)]
        return identified(pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"ra": [], "dec": []}))

    def _read(self, partition: Shard, shard: Shard) -> pd.DataFrame:
        data = self._open(partition)
        columns = self._columns(data.schema)
        indexed = HEALPIX_INDEX in data.schema.names and pa.types.is_integer(data.schema.field(HEALPIX_INDEX).type)
        shift = 2 * (POSITION_ORDER - shard.order)
        within = (ds.field(HEALPIX_INDEX) >= shard.pixel << shift) & (
            ds.field(HEALPIX_INDEX) < (shard.pixel + 1) << shift
        )
        try:
            masks = masks_of(data.schema)
            read = [*columns.values(), *(masks[column] for column in columns.values() if column in masks)]
            table = data.to_table(list(dict.fromkeys(read)), filter=within if indexed else None)
            units = Units(given=self._given_units, stated=units_of(data.schema), systems=systems_of_schema(data.schema))
        except TABLE_ERRORS as error:
            raise self._unreadable(self._path(partition), error) from None
        frame = pd.DataFrame(index=range(table.num_rows))
        for name, column in columns.items():
            values = plain_column(table, column, masks)
            if name in NUMBER_COLUMNS:
                frame[name], marked = numbers(values, name, column, units, self.what)
                if marked.any():
                    frame[f"{MARKED}{name}"] = marked
            else:
                frame[name] = values
        if indexed:
            return frame
        return frame[shard.contains(frame["ra"].to_numpy(), frame["dec"].to_numpy())]


def _overlap(first: Shard, second: Shard) -> bool:
    order = min(first.order, second.order)
    return len(np.unique([shard.pixel >> 2 * (shard.order - order) for shard in (first, second)])) == 1
