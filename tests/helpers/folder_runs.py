"""Runs on a folder of the user's own images, up to the stamps."""

from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from helpers.frozen import ROOT, parameters
from helpers.small_images import header_at, pixels
from tuningfork.core.config import validate
from tuningfork.core.config.transfer import Transfer
from tuningfork.core.description import describe
from tuningfork.core.files import open_array
from tuningfork.core.tables import read_table
from tuningfork.sky.shards import Shard
from tuningfork.stamps.shard import cut_shard
from tuningfork.surveys.area import shards_of
from tuningfork.surveys.inputs import inputs_of
from tuningfork.surveys.jobs import fetch_tiles, list_sources

ORDER = 4


def write_bands(images: Path, name: str, ra: float, dec: float, bands: str = "gri", **options: int) -> None:
    images.mkdir(exist_ok=True)
    data = pixels(**options)
    for band in bands:
        fits.writeto(
            images / f"{name}-{band}.fits", data, header_at(ra, dec, data.shape[1], data.shape[0]), overwrite=True
        )


def values_of(tmp_path: Path, table: str | None = None, **section: Any) -> dict[str, Any]:
    """Return the configuration of a run on tmp_path/images."""
    catalogue = {"kind": "table", "path": str(tmp_path / table)} if table else {"kind": "survey"}
    return {
        "sky": {"footprint": {"kind": "table"}, "shard_order": ORDER},
        "survey": {"name": "folder", "folder": {"images": str(tmp_path / "images"), **section}},
        "sources": {"catalogue": catalogue},
    }


def shards(tmp_path: Path, table: str | None = None, **section: Any) -> list[Shard]:
    configuration = validate(values_of(tmp_path, table, **section))
    return shards_of(configuration, describe(configuration, ROOT / "config" / "surveys"))


def check(tmp_path: Path, table: str | None = None) -> dict[str, dict[str, str]]:
    configuration = validate(values_of(tmp_path, table))
    return inputs_of(configuration, describe(configuration, ROOT / "config" / "surveys"))


def run(
    tmp_path: Path, table: str | None = None, **section: Any
) -> tuple[dict[str, dict[str, Any]], np.ndarray, list[dict[str, Any]]]:
    """Run all shards up to the stamps; return the rows by source_id or name, the stamps, the manifest rows."""
    stages = parameters(tmp_path / "params", values_of(tmp_path, table, **section))
    rows, arrays, manifest = {}, [], []
    for shard in shards(tmp_path, table, **section):
        paths = [tmp_path / f"{shard.name}.{end}" for end in ("s.parquet", "t.parquet", "npy", "parquet")]
        list_sources(
            parameters=stages["sources"],
            shard=shard.name,
            transfer=Transfer(cache=str(tmp_path / "cache")),
            output=paths[0],
        )
        fetch_tiles(
            parameters=stages["tiles"],
            shard=shard.name,
            sources=paths[0],
            transfer=Transfer(cache=str(tmp_path / "cache")),
            output=paths[1],
        )
        # Another run may name another cache: the user's own images must be found all the same.
        cut_shard(
            parameters=stages["stamps"],
            shard=shard.name,
            sources=paths[0],
            tiles=paths[1],
            transfer=Transfer(cache="elsewhere"),
            pixels=paths[2],
            table=paths[3],
        )
        for source, stamp in zip(read_table(paths[0]).to_pylist(), read_table(paths[3]).to_pylist(), strict=True):
            assert source["source_id"] == stamp["source_id"]
            row = source | stamp | {"row": len(rows), "shard": shard.name}
            rows[f"{source['source_id']}/{source['name'] or ''}"] = row
        arrays.append(open_array(paths[2]))
        manifest += read_table(paths[1]).to_pylist()
    return rows, np.concatenate(arrays), manifest
