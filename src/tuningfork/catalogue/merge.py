"""Joins what every stage says about every source and publishes it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tuningfork.catalogue import accounting, provenance
from tuningfork.catalogue.hats import ORDER, HatsWriter, first_pixel, replacing_folder
from tuningfork.catalogue.voparquet import HEALPIX, arrow_schema
from tuningfork.core.columns import Column, published, schema
from tuningfork.core.errors import InputError
from tuningfork.core.files import replacing, write_json
from tuningfork.core.progress import track
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import lineage_of, read_table, require_same_sources
from tuningfork.sky.shards import Shard, pixels, valid_position

STAGES = ("sources", "stamps", "classify", "structure", "bars", "features")


@dataclass(frozen=True)
class ShardFiles:
    """The tables of one shard.

    Attributes
    ----------
    shard : Shard
    tables : dict
        Stage -> path, in the order of `STAGES`.
    tiles : Path
        The manifest.
    """

    shard: Shard
    tables: dict[str, Path]
    tiles: Path


def build_catalogue(
    parameters: Parameters,
    sources: Sequence[Path],
    stamps: Sequence[Path],
    morphology: Sequence[Path],
    structure: Sequence[Path],
    bars: Sequence[Path],
    features: Sequence[Path],
    tiles: Sequence[Path],
    models: Sequence[Path],
    output: Path,
    table: Path,
    accounts: Path,
) -> None:
    """Publish the catalogue: a HATS folder, one Parquet file, and the account of every source.

    Parameters
    ----------
    parameters : Parameters
        Of the stage `catalogue`.
    sources, stamps, morphology, structure, bars, features, tiles : sequence of Path
        One table a shard, called `<shard>.parquet`, the shards in the same order.
    models : sequence of Path
        Cards of the models behind the tables.
    output : Path
        Folder of the HATS catalogue; an earlier one is replaced.
    table : Path
        The same rows in one Parquet file.
    accounts : Path
        JSON file with the accounts.

    Raises
    ------
    InputError
        Tables do not belong together, sources are lost, or there is no source at all.
    """
    stages = sources, stamps, morphology, structure, bars, features, tiles
    shards = shard_files(*stages)
    lineage = parameters.lineage(lineage_of(*(path for paths in stages for path in paths), *models))
    survey = parameters.survey
    name = parameters.configuration.catalogue.name
    columns = [HEALPIX, *published(survey.bands)]
    facts = provenance.facts(name, lineage, models)
    description = f"Galaxy morphology of {survey.title}: vote fractions, light profiles, bars, arms, by tuningfork"
    layout = arrow_schema(columns, facts, name, description, _text_lengths(shards, columns))
    with replacing(table) as file, replacing_folder(output) as folder:
        books = _write(shards, columns, layout, file, HatsWriter(folder, layout), _properties(name, description, facts))
        write_json(
            accounts,
            {
                "name": name,
                "survey": survey.title,
                "bands": survey.bands,
                "reference_band": survey.reference_band,
                "total": accounting.total(books.values()).as_dict(),
                "shards": {shard: book.as_dict() for shard, book in books.items()},
                "lineage": lineage,
                "models": json.loads(facts["tuningfork.models"]),
                "versions": json.loads(facts["tuningfork.versions"]),
            },
        )


def _write(
    shards: Sequence[ShardFiles],
    columns: Sequence[Column],
    layout: pa.Schema,
    file: Path,
    hats: HatsWriter,
    properties: dict[str, str],
) -> dict[str, accounting.Account]:
    """Write the rows shard by shard, so that only one shard is in memory, and return the books of each."""
    books: dict[str, accounting.Account] = {}
    with pq.ParquetWriter(file, layout, compression="zstd") as writer:
        for files in track(shards, "shards"):
            rows, sources_in = merge_shard(files, columns)
            if rows.num_rows:
                writer.write_table(rows)
                hats.write(files.shard, rows)
            manifest = read_table(files.tiles, ["tile", "band", "status", "reason"])
            books[files.shard.name] = accounting.of_shard(sources_in, rows, manifest)
    everything = accounting.total(books.values())
    accounting.require_balance(everything, pq.read_metadata(file).num_rows)
    accounting.require_balance(everything, hats.rows)
    if everything.sources_in == 0:
        raise InputError(
            f"no sources in the {len(shards)} shards of the footprint, so there is no catalogue; "
            "enlarge sky.footprint or raise sources.mag_max"
        )
    hats.finish(properties)
    return books


def _text_lengths(shards: Sequence[ShardFiles], columns: Sequence[Column]) -> dict[str, int]:
    """Return how many characters the longest text of each string column has."""
    lengths: dict[str, int] = {}
    for column in columns:
        if pa.types.is_string(column.dtype):
            parts = (read_table(files.tables[column.stage], [column.name])[column.name] for files in shards)
            lengths[column.name] = max((pc.max(pc.utf8_length(part)).as_py() or 0 for part in parts), default=0)
    return lengths


def shard_files(*stages: Sequence[Path]) -> list[ShardFiles]:
    """Return the files of each shard, in HEALPix order, from the lists of each stage.

    Parameters
    ----------
    *stages : sequences of Path
        The tables of sources, stamps, classify, structure, bars and features, and the manifests.

    Raises
    ------
    InputError
        The lists do not name the same shards in the same order.
    """
    names = [path.stem for path in stages[0]]
    for paths in stages[1:]:
        if [path.stem for path in paths] != names:
            odd = next((path for path, name in zip(paths, names, strict=False) if path.stem != name), None)
            raise InputError(
                f"{odd or paths[0].parent if paths else names}: the tables of every stage must be given for the same "
                f"{len(names)} shards, in the same order ({len(paths)} given)"
            )
    if len(set(names)) != len(names):
        raise InputError(f"{stages[0][0].parent}: a shard is given twice; give each table once")
    rows = [
        ShardFiles(Shard.parse(name), dict(zip(STAGES, paths[:-1], strict=True)), paths[-1])
        for name, *paths in zip(names, *stages, strict=True)
    ]
    return sorted(rows, key=lambda files: first_pixel(files.shard))


def merge_shard(files: ShardFiles, columns: Sequence[Column]) -> tuple[pa.Table, int]:
    """Return the catalogue's rows of one shard, sorted by HEALPix pixel, and the number of its sources.

    Raises
    ------
    InputError
        A table has other sources than the sources table, or a source lies outside the shard.
    """
    reference = read_table(files.tables["sources"], ["source_id"])
    arrays: dict[str, pa.ChunkedArray] = {}
    flags = np.zeros(reference.num_rows, dtype=np.int64)
    for stage, path in files.tables.items():
        wanted = [column.name for column in columns if column.stage == stage]
        part = read_table(path, list(dict.fromkeys(["source_id", "flags", *wanted])))
        require_same_sources(reference, part, path)
        flags |= part["flags"].to_numpy()
        arrays |= {name: part[name] for name in part.column_names if name != "flags"}
    arrays["flags"] = pa.chunked_array([flags])
    arrays[HEALPIX.name] = pa.chunked_array([healpix_index(arrays["ra"], arrays["dec"], files)])
    plain = schema(columns)
    rows = pa.Table.from_arrays([_without_nan(arrays[field.name]).cast(field.type) for field in plain], schema=plain)
    order = pc.sort_indices(rows, sort_keys=[(HEALPIX.name, "ascending"), ("source_id", "ascending")])
    return rows.take(order), reference.num_rows


def healpix_index(ra: pa.ChunkedArray, dec: pa.ChunkedArray, files: ShardFiles) -> np.ndarray:
    """Return the pixel of order 29 of each source; one without a position gets the first pixel of its shard.

    Raises
    ------
    InputError
        A position lies outside the shard.
    """
    lon, lat = ra.to_numpy().astype(float), dec.to_numpy().astype(float)
    good = valid_position(lon, lat)
    index = np.full(len(lon), first_pixel(files.shard), dtype=np.int64)
    index[good] = pixels(lon[good], lat[good], ORDER)
    outside = np.flatnonzero(index >> (2 * (ORDER - files.shard.order)) != files.shard.pixel)
    if len(outside):
        first = outside[0]
        raise InputError(
            f"{files.tables['sources']}: row {first} (ra {lon[first]}, dec {lat[first]}) and {len(outside) - 1} more "
            f"lie outside shard {files.shard.name}; delete the table and run again"
        )
    return index


def _without_nan(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_floating(values.type):
        return values
    return pc.if_else(pc.is_finite(values), values, pa.scalar(None, values.type))


def _properties(name: str, description: str, facts: dict[str, str]) -> dict[str, str]:
    return {
        "obs_collection": name,
        "obs_title": name,
        "obs_description": description,
        "hats_builder": f"tuningfork v{provenance.versions()['tuningfork']}",
        **{key.replace(".", "_"): text for key, text in facts.items() if key != "tuningfork.name"},
    }
