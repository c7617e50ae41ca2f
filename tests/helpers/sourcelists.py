"""Lists of sources for tests: positions over the whole sky, and what the shards make of a list."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from helpers.frozen import ROOT
from tuningfork.core.config import validate
from tuningfork.core.config.sources import TableCatalogue
from tuningfork.core.description import describe
from tuningfork.sky.shards import shards_of_positions
from tuningfork.surveys.inputs import inputs_of
from tuningfork.surveys.lists.columns import require_position
from tuningfork.surveys.lists.sources.hats import Hats
from tuningfork.surveys.lists.sources.table import UserTable

ORDER = 0


def sky(count: int = 500, seed: int = 1) -> pd.DataFrame:
    """Return positions over the whole sky, some about the pole and right ascension zero."""
    rng = np.random.default_rng(seed)
    ra, dec = rng.uniform(0, 360, count), np.rad2deg(np.arcsin(rng.uniform(-1, 1, count)))
    ra[:50], dec[:50] = rng.uniform(-1, 1, 50) % 360, rng.uniform(-1, 1, 50)
    dec[50:60] = 89.9
    return pd.DataFrame({"source_id": 7_000_000_000_000_000_000 + np.arange(count), "ra": ra, "dec": dec})


def all_rows(table: UserTable | Hats, frame: pd.DataFrame, order: int = ORDER) -> pd.DataFrame:
    """Return the sources of all shards in which rows of `frame` lie, after a check that they are in order and place."""
    shards = shards_of_positions(frame["ra"].to_numpy(), frame["dec"].to_numpy(), order)
    parts = [table.sources(shard) for shard in shards]
    for shard, part in zip(shards, parts, strict=True):
        assert part["source_id"].to_pylist() == sorted(part["source_id"].to_pylist())
        known = part.filter(pa.compute.is_valid(part["ra"]))
        assert shard.contains(known["ra"].to_numpy(), known["dec"].to_numpy()).all()
    return pa.concat_tables(parts).to_pandas()


def check(catalogue: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Return what identifies the lists of a configuration, after the check that is made before any job."""
    configuration = validate({"sources": {"catalogue": catalogue}})
    return inputs_of(configuration, describe(configuration, ROOT / "config" / "surveys"))


def rows_of(path: Path, **catalogue: Any) -> list[dict[str, Any]]:
    """Return the sources of a user's table as the stage lists them, in order of source_id, after its check."""
    table = UserTable(TableCatalogue(path=str(path), **catalogue))
    require_position(table.columns, table.available, table.what)
    table.check()
    rows = [row for shard in table.shards(ORDER) for row in table.sources(shard).to_pylist()]
    return sorted(rows, key=lambda row: row["source_id"])
