"""The jobs that deal with a survey: list the sources of a shard, fetch its tiles."""

import logging
from pathlib import Path

from tuningfork.core.parameters import Parameters
from tuningfork.core.tables import lineage_of, read_table, write_table
from tuningfork.sky.shards import Shard
from tuningfork.surveys.manifest import fetch_all
from tuningfork.surveys.registry import open_survey

logger = logging.getLogger(__name__)


def list_sources(parameters: Parameters, shard: str, output: Path) -> None:
    """Write the table of the sources of a shard.

    Parameters
    ----------
    parameters : Parameters
        Of the stage `sources`.
    shard : str
        Name of the shard.
    output : Path
        The Parquet file to write.
    """
    table = open_survey(parameters).sources(Shard.parse(shard), parameters.configuration.sources)
    write_table(output, table, parameters.lineage())
    logger.info("shard %s: %d sources", shard, table.num_rows)


def fetch_tiles(parameters: Parameters, shard: str, sources: Path, cache: Path, output: Path) -> None:
    """Bring the tiles of a shard into the cache and write their manifest.

    Parameters
    ----------
    parameters : Parameters
        Of the stage `tiles`.
    shard : str
        Name of the shard.
    sources : Path
        Its table of sources.
    cache : Path
        Folder of the tiles.
    output : Path
        The manifest (Parquet) to write: one row a tile and band, see `tuningfork.surveys.manifest`.
    """
    survey = open_survey(parameters)
    tiles = survey.tiles(Shard.parse(shard), read_table(sources))
    cache.mkdir(parents=True, exist_ok=True)
    manifest = fetch_all(survey, tiles, parameters.survey.bands, cache, parameters.configuration.tiles)
    write_table(output, manifest, parameters.lineage(lineage_of(sources)))
    for row in manifest.to_pylist():
        if row["status"] != "ok":
            logger.warning("tile %s, band %s: %s", row["tile"], row["band"], row["reason"])
