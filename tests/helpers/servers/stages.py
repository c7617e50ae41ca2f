"""From a configuration to the stamps of a shard, by the jobs that the workflow runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from helpers.frozen import parameters
from tuningfork.core.config.transfer import Transfer
from tuningfork.core.files import open_array
from tuningfork.core.flags import decode
from tuningfork.core.tables import read_table
from tuningfork.stamps.shard import cut_shard
from tuningfork.surveys.jobs import fetch_tiles, list_sources


@dataclass
class Stages:
    """What the jobs have written for a shard."""

    sources: pa.Table
    manifest: pa.Table
    table: pa.Table
    stamps: np.ndarray

    def place(self, source_id: int) -> int:
        """Return the row of a source."""
        return self.table["source_id"].to_pylist().index(source_id)

    def value(self, column: str, source_id: int) -> Any:
        """Return a value of the stamps' table."""
        return self.table[column][self.place(source_id)].as_py()

    def flags(self, source_id: int) -> list[str]:
        """Return the names of a source's flags."""
        return decode(self.value("flags", source_id))

    def stamp(self, source_id: int) -> np.ndarray:
        """Return flux and inverse variance (2, B, S, S) of a source."""
        return self.stamps[self.place(source_id)]


def run_stages(folder: Path, values: Mapping[str, Any], shard: str, cache: Path | None = None) -> Stages:
    """List the sources of a shard, fetch its tiles and cut its stamps."""
    transfer = Transfer(cache=str(cache or folder / "cache"), timeout=10.0, retries=1, backoff=0.01, rate=1000.0)
    frozen = parameters(folder / "params", dict(values))
    sources, tiles, output, table = (folder / name for name in ("s.parquet", "t.parquet", "c.npy", "c.parquet"))
    list_sources(parameters=frozen["sources"], shard=shard, transfer=transfer, output=sources)
    fetch_tiles(parameters=frozen["tiles"], shard=shard, sources=sources, transfer=transfer, output=tiles)
    cut_shard(
        parameters=frozen["stamps"],
        shard=shard,
        sources=sources,
        tiles=tiles,
        transfer=transfer,
        pixels=output,
        table=table,
    )
    return Stages(read_table(sources), read_table(tiles), read_table(table), np.array(open_array(output)))
