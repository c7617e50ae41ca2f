"""Joins the tables of all stages, source by source, and writes the catalogue."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tuningfork.catalogue import accounting, provenance
from tuningfork.catalogue.artifacts import without_artifacts
from tuningfork.catalogue.hats import ORDER, HatsWriter, first_pixel, replacing_folder
from tuningfork.catalogue.voparquet import HEALPIX, arrow_schema
from tuningfork.core.columns import Column, published, schema
from tuningfork.core.errors import InputError
from tuningfork.core.files import replacing, write_json
from tuningfork.core.running.progress import track
from tuningfork.core.stage.accept import accepted_digests
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import MARKED_KEY, lineage_of, read_table, require_same_sources
from tuningfork.sky.shards import Shard, pixels, valid_position


@dataclass(frozen=True)
class ShardFiles:
    """The tables of one shard.

    Attributes
    ----------
    shard : Shard
    tables : dict
        Stage -> path, in the order of :attr:`CatalogueFiles.stages`.
    tiles : Path
        The manifest.
    """

    shard: Shard
    tables: dict[str, Path]
    tiles: Path


@dataclass(frozen=True, kw_only=True)
class CatalogueFiles:
    """The files that the stage `catalogue` reads and writes.

    Attributes
    ----------
    sources, stamps, morphology, structure, bars, features, tiles : sequence of Path
        One table per shard, called `<shard>.parquet`, all in the same order of shards.
    models : sequence of Path
        Cards of the models behind the tables.
    output : Path
        Folder of the HATS catalogue; an earlier one is replaced.
    table : Path
        The same rows in one Parquet file.
    accounting : Path
        JSON file that accounts for every source.
    """

    sources: Sequence[Path]
    stamps: Sequence[Path]
    morphology: Sequence[Path]
    structure: Sequence[Path]
    bars: Sequence[Path]
    features: Sequence[Path]
    tiles: Sequence[Path]
    models: Sequence[Path]
    output: Path
    table: Path
    accounting: Path

    @property
    def stages(self) -> dict[str, Sequence[Path]]:
        """Stage -> its tables, in the order in which their columns stand in the catalogue."""
        return {
            "sources": self.sources,
            "stamps": self.stamps,
            "classify": self.morphology,
            "structure": self.structure,
            "bars": self.bars,
            "features": self.features,
        }


def build_catalogue(parameters: Parameters, files: CatalogueFiles) -> None:
    """Write the catalogue: a HATS folder, one Parquet file, and the account of every source.

    Parameters
    ----------
    parameters : Parameters
        Parameters of the stage `catalogue`.
    files : CatalogueFiles

    Raises
    ------
    InputError
        Tables do not belong together, sources are lost, or there is no source at all.
    """
    shards = shard_files(files)
    tables = (path for paths in (*files.stages.values(), files.tiles) for path in paths)
    lineage = parameters.lineage(lineage_of(*tables, *files.models))
    survey = parameters.survey
    name = parameters.configuration.catalogue.name
    columns = [HEALPIX, *published(survey.bands)]
    facts = provenance.facts(name, lineage, files.models, accepted_digests(parameters.folder, lineage))
    facts[provenance.INTERVALS_KEY] = provenance.intervals(files.structure)
    description = f"Galaxy morphology of {survey.title}: vote fractions, light profiles, bars, arms, by tuningfork"
    layout = arrow_schema(columns, facts, name, description, _text_lengths(shards, columns))
    with replacing(files.table) as table, replacing_folder(files.output) as folder:
        hats = HatsWriter(folder, layout)
        accounts = _write(shards, columns, layout, table, hats, _properties(name, description, facts))
        write_json(
            files.accounting,
            {
                "name": name,
                "survey": survey.title,
                "bands": survey.bands,
                "reference_band": survey.reference_band,
                "total": accounting.total(accounts.values()).as_dict(),
                "shards": {shard: account.as_dict() for shard, account in accounts.items()},
                "lineage": lineage,
                "accepted": json.loads(facts["tuningfork.accepted"]),
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
    """Write the rows shard by shard, so that only one shard is in memory, and return the account of each."""
    accounts: dict[str, accounting.Account] = {}
    with pq.ParquetWriter(file, layout, compression="zstd") as writer:
        for files in track(shards, "shards"):
            rows, sources_in = merge_shard(files, columns)
            if rows.num_rows:
                writer.write_table(rows)
                hats.write(files.shard, rows)
            manifest = read_table(files.tiles, ["tile", "band", "status", "reason"])
            accounts[files.shard.name] = accounting.of_shard(
                sources_in, rows, manifest, _missing_values(files.tables["sources"])
            )
    everything = accounting.total(accounts.values())
    accounting.require_balance(everything, pq.read_metadata(file).num_rows)
    accounting.require_balance(everything, hats.rows)
    if everything.sources_in == 0:
        raise InputError(
            f"no sources in the {len(shards)} shards of the footprint, so there is no catalogue; "
            "enlarge sky.footprint or raise sources.mag_max"
        )
    hats.finish(properties)
    return accounts


def _missing_values(sources: Path) -> dict[str, int]:
    """Return column -> values of a table of sources that its list marks as missing; nothing for tables of old."""
    metadata = pq.read_schema(sources).metadata or {}
    return {str(name): int(count) for name, count in json.loads(metadata.get(MARKED_KEY, b"{}")).items()}


def _text_lengths(shards: Sequence[ShardFiles], columns: Sequence[Column]) -> dict[str, int]:
    """Return how many characters the longest text of each string column has."""
    lengths: dict[str, int] = {}
    for column in columns:
        if pa.types.is_string(column.dtype):
            parts = (read_table(files.tables[column.stage], [column.name])[column.name] for files in shards)
            lengths[column.name] = max((pc.max(pc.utf8_length(part)).as_py() or 0 for part in parts), default=0)
    return lengths


def shard_files(files: CatalogueFiles) -> list[ShardFiles]:
    """Return the files of each shard, in HEALPix order.

    Raises
    ------
    InputError
        The stages have tables of different shards, or in another order.
    """
    names = [path.stem for path in files.sources]
    for stage, paths in (files.stages | {"tiles": files.tiles}).items():
        if len(paths) != len(names):
            raise InputError(f"the stage {stage} has {len(paths)} tables for {len(names)} shards; give one per shard")
        if odd := next((path for path, name in zip(paths, names, strict=True) if path.stem != name), None):
            raise InputError(
                f"{odd}: the tables of every stage must belong to the same {len(names)} shards, in the same order"
            )
    if len(set(names)) != len(names):
        raise InputError(f"{files.sources[0].parent}: a shard is given twice; give each table once")
    rows = [
        ShardFiles(Shard.parse(name), dict(zip(files.stages, tables, strict=True)), tiles)
        for name, *tables, tiles in zip(names, *files.stages.values(), files.tiles, strict=True)
    ]
    return sorted(rows, key=lambda row: first_pixel(row.shard))


def merge_shard(files: ShardFiles, columns: Sequence[Column]) -> tuple[pa.Table, int]:
    """Return the catalogue's rows of one shard.

    Parameters
    ----------
    files : ShardFiles
    columns : sequence of Column
        Columns of the catalogue.

    Returns
    -------
    rows : pyarrow.Table
        Sorted by HEALPix pixel.
    sources_in : int
        Rows of the shard's sources table.

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
    arrays, flags = without_artifacts(arrays, flags, columns)
    arrays["flags"] = pa.chunked_array([flags])
    arrays[HEALPIX.name] = pa.chunked_array([healpix_index(arrays["ra"], arrays["dec"], files)])
    plain = schema(columns)
    rows = pa.Table.from_arrays([_without_nan(arrays[field.name]).cast(field.type) for field in plain], schema=plain)
    order = pc.sort_indices(rows, sort_keys=[(HEALPIX.name, "ascending"), ("source_id", "ascending")])
    return rows.take(order), reference.num_rows


def healpix_index(ra: pa.ChunkedArray, dec: pa.ChunkedArray, files: ShardFiles) -> np.ndarray:
    """Return the HEALPix pixel of order 29 of each source.

    Parameters
    ----------
    ra, dec : pyarrow.ChunkedArray
        (N,) positions (deg).
    files : ShardFiles

    Returns
    -------
    ndarray of int64
        (N,) pixels; a source without a position gets the first pixel of its shard.

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
