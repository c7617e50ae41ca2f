"""A HATS catalogue (IVOA note 1.0): one Parquet file a HEALPix pixel, found by its path."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tuningfork.core.files import write_text
from tuningfork.sky.hats import partition_path
from tuningfork.sky.shards import Shard

ORDER = 29


def first_pixel(shard: Shard) -> int:
    """Return the first pixel of order 29 in the shard."""
    return shard.pixel << (2 * (ORDER - shard.order))


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path` that takes its place if the block succeeds.

    A reader sees the old folder or the new one; only between the two renames there is none.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}"
    old = temporary.with_name(temporary.name + ".old")
    temporary.mkdir()
    try:
        yield temporary
        if path.exists():
            path.replace(old)
        try:
            temporary.replace(path)
        except OSError:
            if old.exists():
                old.replace(path)
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


class HatsWriter:
    """Writes the partitions of a catalogue, one after the other in order of their number, and then its index.

    Parameters
    ----------
    folder : Path
        An empty folder.
    schema : pyarrow.Schema
        The catalogue's columns and metadata.
    """

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self.folder = folder
        self.schema = schema
        self.rows = 0
        self.largest = 0
        self._shards: list[Shard] = []
        self._footers: list[pq.FileMetaData] = []

    def write(self, shard: Shard, rows: pa.Table) -> None:
        """Write one partition; a shard without rows has none.

        Parameters
        ----------
        shard : Shard
        rows : pyarrow.Table
            Sorted by `_healpix_29`, with the columns of the catalogue.
        """
        if rows.num_rows == 0:
            return
        relative = partition_path(shard)
        path = self.folder / "dataset" / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        with pq.ParquetWriter(path, self.schema, compression="zstd") as writer:
            writer.write_table(rows)
        footer = pq.read_metadata(path)
        footer.set_file_path(relative.as_posix())
        self._footers.append(footer)
        self._shards.append(shard)
        self.rows += rows.num_rows
        self.largest = max(self.largest, rows.num_rows)

    def finish(self, properties: Mapping[str, str]) -> None:
        """Write the files that describe the whole: metadata, list of partitions, properties."""
        dataset = self.folder / "dataset"
        pq.write_metadata(self.schema, dataset / "_common_metadata")
        pq.write_metadata(self.schema, dataset / "_metadata", metadata_collector=self._footers)
        lines = ["Norder,Npix", *(f"{shard.order},{shard.pixel}" for shard in self._shards)]
        write_text(self.folder / "partition_info.csv", "\n".join(lines) + "\n")
        text = properties_text(self._own_properties() | dict(properties))
        for name in ("hats.properties", "properties"):
            write_text(self.folder / name, text)

    def _own_properties(self) -> dict[str, str]:
        order = self._shards[0].order
        return {
            "dataproduct_type": "object",
            "hats_version": "v1.0",
            "hats_nrows": str(self.rows),
            "hats_max_rows": str(self.largest),
            "hats_order": str(order),
            "hats_col_ra": "ra",
            "hats_col_dec": "dec",
            "hats_col_healpix": "_healpix_29",
            "hats_col_healpix_order": str(ORDER),
            "hats_npix_suffix": ".parquet",
            "hats_frame": "equatorial",
            "moc_sky_fraction": f"{len(self._shards) / (12 * 4**order):.6g}",
        }


def properties_text(properties: Mapping[str, str]) -> str:
    """Return the text of a properties file: `key=value` lines as Java reads and writes them."""
    return "".join(f"{_escaped(key, ' =:')}={_escaped(value)}\n" for key, value in properties.items())


def _escaped(text: str, further: str = "") -> str:
    for character in "\\" + further:
        text = text.replace(character, "\\" + character)
    return text.replace("\n", "\\n").replace("\r", "\\r")
