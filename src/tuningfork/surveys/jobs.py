"""The stages sources and tiles: list the sources of a shard, and fetch its tiles."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from tuningfork.core.config.stages import Stamps
from tuningfork.core.config.transfer import Transfer
from tuningfork.core.description import Description
from tuningfork.core.errors import TransferError
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.stamp_scale import stamp_steps
from tuningfork.core.tables import lineage_of, numpy_column, read_table, write_table
from tuningfork.sky.shards import Shard
from tuningfork.surveys.base import STAMP_MARGIN, OwnImages, Survey, Tile
from tuningfork.surveys.lists.sources.listed import list_of_sources
from tuningfork.surveys.manifest import fetch_all
from tuningfork.surveys.near import needed
from tuningfork.surveys.registry import open_survey
from tuningfork.surveys.transfer.network import Network

logger = logging.getLogger(__name__)


def list_sources(*, parameters: Parameters, shard: str, transfer: Transfer, output: Path) -> None:
    """Write the table of the sources of a shard.

    Parameters
    ----------
    parameters : Parameters
        Parameters of the stage `sources`.
    shard : str
        Name of the shard.
    transfer : Transfer
        How to deal with services, and the cache.
    output : Path
        The Parquet file to write.

    Raises
    ------
    InputError
        If the list of sources cannot be read.
    TransferError
        If a service does not answer.
    """
    network = Network(transfer)
    survey = open_survey(parameters, network)
    table = list_of_sources(parameters.configuration.sources, survey, Shard.parse(shard), parameters.survey, network)
    write_table(output, table, parameters.lineage())
    logger.info("shard %s: %d sources", shard, table.num_rows)


def fetch_tiles(*, parameters: Parameters, shard: str, sources: Path, transfer: Transfer, output: Path) -> None:
    """Fetch the tiles of a shard into the cache and write their manifest.

    Parameters
    ----------
    parameters : Parameters
        Parameters of the stage `tiles`.
    shard : str
        Name of the shard.
    sources : Path
        The shard's table of sources.
    transfer : Transfer
        How to deal with services, and the cache.
    output : Path
        The manifest (Parquet) to write, with one row per file; see `tuningfork.surveys.manifest`.

    Raises
    ------
    TransferError
        If offline and files are missing: the manifest must not depend on whether the job had a network.
    """
    network = Network(transfer)
    survey = open_survey(parameters, network)
    rows = read_table(sources)
    tiles = tiles_of_sources(survey, Shard.parse(shard), rows, parameters.configuration.stamps, parameters.survey)
    manifest = fetch_all(survey, tiles, parameters.survey.bands, transfer.connections, network.path)
    missing = [row for row in manifest.to_pylist() if row["status"] != "ok"]
    for row in missing:
        logger.warning("tile %s, band %s: %s", row["tile"], row["band"], row["reason"])
    if missing and transfer.offline:
        raise TransferError(
            f"shard {shard}: offline, and {len(missing)} of {len(tiles) * len(parameters.survey.bands)} images are not "
            f"in the cache {transfer.cache} (first: tile {missing[0]['tile']}, band {missing[0]['band']}; the log lists "
            "all of them); set transfer.offline to false, or transfer.cache to the cache that has them"
        )
    write_table(output, manifest, parameters.lineage(lineage_of(sources)))


def tiles_of_sources(
    survey: Survey, shard: Shard, rows: pa.Table, stamps: Stamps, description: Description
) -> list[Tile]:
    """Return the tiles that the stamps of the shard's sources need.

    Parameters
    ----------
    survey : Survey
    shard : Shard
    rows : pyarrow.Table
        The shard's sources.
    stamps : Stamps
        Size of the stamps.
    description : Description
        The survey's description.

    Returns
    -------
    list of Tile
        In order of name.
    """
    own_images = OwnImages.of(rows)
    anywhere = np.array([name is None for name in own_images.tiles], dtype=bool)
    ra, dec = (numpy_column(rows, name)[anywhere] for name in ("ra", "dec"))
    half_widths = reach(rows, stamps, description)[anywhere]
    around = survey.tiles(shard, max(STAMP_MARGIN, half_widths.max())) if anywhere.any() else []
    wanted = {tile.name: tile for tile in needed(around, ra, dec, half_widths)}
    named_tiles = sorted({name for name in own_images.tiles if name is not None} - set(wanted))
    wanted |= {tile.name: tile for tile in (survey.locate(named_tiles) if named_tiles else [])}
    facts = own_images.facts
    return [
        replace(wanted[name], facts={**wanted[name].facts, **facts[name]}) if name in facts else wanted[name]
        for name in sorted(wanted)
    ]


def reach(rows: pa.Table, stamps: Stamps, description: Description) -> np.ndarray:
    """Return half of the width of the sources' stamps.

    Parameters
    ----------
    rows : pyarrow.Table
        N sources, with `survey_radius` (arcsec).
    stamps : Stamps
        Size of the stamps.
    description : Description
        The survey's description.

    Returns
    -------
    ndarray
        Half widths (deg), shape (N,).
    """
    step = stamp_steps(stamps, description.pixel_scale, numpy_column(rows, "survey_radius").astype(float))
    return step * description.pixel_scale * stamps.size / 2 / 3600
