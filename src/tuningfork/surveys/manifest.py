"""The manifest of a shard: one row for each file of each tile and band, or the reason why there is none."""

import hashlib
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from tuningfork.core.files import as_text
from tuningfork.core.running.progress import track
from tuningfork.surveys.base import FetchedTile, Survey, Tile

MANIFEST_SCHEMA = pa.schema(
    [
        ("tile", pa.string()),
        ("ra", pa.float64()),
        ("dec", pa.float64()),
        ("geometry", pa.string()),
        ("band", pa.string()),
        ("role", pa.string()),
        ("path", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
    ]
)


def fetch_all(
    survey: Survey, tiles: list[Tile], bands: list[str], threads: int, path: Callable[[str], Path]
) -> pa.Table:
    """Fetch all tiles into the cache and return the manifest.

    A tile or band that cannot be fetched is a row with a reason. A fault of the machine itself, such as a full disk, is
    raised.

    Parameters
    ----------
    survey : Survey
    tiles : list of Tile
    bands : list of str
    threads : int
        Tiles fetched at a time.
    path : callable
        Name of a file in the cache -> its path.

    Returns
    -------
    pyarrow.Table
        Columns of `MANIFEST_SCHEMA`, in the order of `tiles` and `bands`.

    Raises
    ------
    OSError
        If the disk is full.
    """
    rows = []
    with ThreadPoolExecutor(threads) as pool:
        fetched = pool.map(survey.fetch, tiles)
        for tile, files in zip(tiles, track(fetched, "tiles", len(tiles)), strict=True):
            rows += _rows(tile, files, bands, path)
    return pa.Table.from_pylist(rows, schema=MANIFEST_SCHEMA)


def _rows(tile: Tile, fetched: FetchedTile, bands: list[str], path: Callable[[str], Path]) -> list[dict[str, object]]:
    digests: dict[str, tuple[int | None, str | None]] = {}
    ra, dec = (float(value) if np.isfinite(value) else None for value in (tile.ra, tile.dec))
    geometry = json.dumps({"corners": tile.corners, "unique": tile.unique, "facts": dict(tile.facts)}, sort_keys=True)
    common: dict[str, object] = {"tile": tile.name, "ra": ra, "dec": dec, "geometry": geometry}
    rows: list[dict[str, object]] = []
    for band in bands:
        if band not in fetched.files:
            reason = fetched.faults.get(band, "the survey has no such band here")
            rows.append(common | {"band": band, "status": "missing", "reason": reason})
        for role, name in fetched.files.get(band, {}).items():
            if name not in digests:
                digests[name] = _digest(path(name))
            size, digest = digests[name]
            rows.append(
                common
                | {"band": band, "role": role, "status": "ok", "path": as_text(name), "bytes": size, "sha256": digest}
            )
    return rows


def _digest(path: Path) -> tuple[int | None, str | None]:
    """Return size and checksum of a file, or None if a cache smaller than the shard's tiles has already dropped it."""
    try:
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None, None


def read_tiles(manifest: pa.Table) -> dict[str, FetchedTile]:
    """Return the tiles of a manifest.

    Parameters
    ----------
    manifest : pyarrow.Table
        Columns of `MANIFEST_SCHEMA`.

    Returns
    -------
    dict
        Name -> tile, in the order of the manifest.
    """
    tiles: dict[str, FetchedTile] = {}
    for row in manifest.to_pylist():
        name, band = row["tile"], row["band"]
        if name not in tiles:
            tiles[name] = FetchedTile(_tile(row), {}, {})
        if row["status"] == "ok":
            tiles[name].files.setdefault(band, {})[row["role"]] = row["path"]
        else:
            tiles[name].faults[band] = row["reason"]
    return tiles


def _tile(row: dict[str, str | float | None]) -> Tile:
    ra, dec = (np.nan if row[key] is None else float(row[key]) for key in ("ra", "dec"))  # type: ignore[arg-type]
    geometry = json.loads(str(row["geometry"]))
    tile = Tile(str(row["tile"]), ra, dec, tuple(tuple(corner) for corner in geometry["corners"]))
    unique = geometry["unique"]
    return replace(tile, unique=tuple(unique) if unique else None, facts=geometry["facts"])
