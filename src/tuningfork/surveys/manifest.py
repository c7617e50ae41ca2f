"""The manifest of a shard: one row for every tile and band, with its file or the reason why there is none."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa

from tuningfork.core.config.stages import Tiles as Transfer
from tuningfork.core.progress import track
from tuningfork.surveys.base import FetchedTile, Survey, Tile

SCHEMA = pa.schema(
    [
        ("tile", pa.string()),
        ("ra", pa.float64()),
        ("dec", pa.float64()),
        ("band", pa.string()),
        ("path", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
    ]
)
THREADS = 4
"""Tiles fetched at a time by one job; services ask for few connections."""


def fetch_all(survey: Survey, tiles: list[Tile], bands: list[str], cache: Path, transfer: Transfer) -> pa.Table:
    """Bring all tiles into the cache and return the manifest, in the order of `tiles` and `bands`.

    A tile or band that cannot be had is a row with a reason. What is wrong with the machine itself, such as a
    full disk, is raised.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        fetched = pool.map(lambda tile: survey.fetch(tile, cache, transfer), tiles)
        rows = []
        for tile, files in zip(tiles, track(fetched, "tiles", len(tiles)), strict=True):
            rows += _rows(tile, files, bands, cache)
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _rows(tile: Tile, fetched: FetchedTile, bands: list[str], cache: Path) -> list[dict[str, object]]:
    digests: dict[str, tuple[int, str]] = {}
    rows: list[dict[str, object]] = []
    for band in bands:
        ra, dec = (float(value) if np.isfinite(value) else None for value in (tile.ra, tile.dec))
        row: dict[str, object] = {"tile": tile.name, "ra": ra, "dec": dec, "band": band}
        path = fetched.files.get(band)
        if path is None:
            row |= {"status": "missing", "reason": fetched.faults.get(band, "the survey has no such band here")}
        else:
            if path not in digests:
                with (cache / path).open("rb") as file:
                    digests[path] = (cache / path).stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
            size, digest = digests[path]
            row |= {"status": "ok", "path": path, "bytes": size, "sha256": digest}
        rows.append(row)
    return rows


def read_tiles(manifest: pa.Table) -> dict[str, tuple[Tile, FetchedTile]]:
    """Return the tiles of a manifest by name, in its order."""
    tiles: dict[str, tuple[Tile, FetchedTile]] = {}
    for row in manifest.to_pylist():
        name = row["tile"]
        if name not in tiles:
            ra, dec = (np.nan if row[key] is None else float(row[key]) for key in ("ra", "dec"))
            tiles[name] = Tile(name, ra, dec), FetchedTile(name, {}, {})
        if row["status"] == "ok":
            tiles[name][1].files[row["band"]] = row["path"]
        else:
            tiles[name][1].faults[row["band"]] = row["reason"]
    return tiles
