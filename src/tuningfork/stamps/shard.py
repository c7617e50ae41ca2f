"""The job that cuts the stamps of a shard."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tuningfork.core.config.transfer import Transfer
from tuningfork.core.errors import InputError
from tuningfork.core.files import new_array
from tuningfork.core.flags import Flag
from tuningfork.core.parameters import Parameters
from tuningfork.core.tables import lineage_of, numpy_column, read_table, shard_table, write_table
from tuningfork.sky.coordinates import directions, distance
from tuningfork.stamps.mosaic import Mosaic
from tuningfork.stamps.quality import inspect, sky_noise
from tuningfork.surveys.base import FetchedTile, Image, OwnImages, Survey, Tile
from tuningfork.surveys.manifest import read_tiles
from tuningfork.surveys.registry import open_survey
from tuningfork.surveys.transfer.network import Network

logger = logging.getLogger(__name__)

REACH = 1.0
"""Radius (deg) of a tile whose size is unknown because none could be opened."""


def cut_shard(
    parameters: Parameters, shard: str, sources: Path, tiles: Path, transfer: Transfer, output: Path, table: Path
) -> None:
    """Cut a stamp in all bands around every source of a shard.

    Parameters
    ----------
    parameters : Parameters
        Of the stage `stamps`.
    shard : str
        Name of the shard.
    sources, tiles : Path
        Its table of sources and its manifest.
    transfer : Transfer
        How to deal with services, and the cache.
    output : Path
        The .npy file to write: float32 (N, 2, B, S, S), flux and inverse variance.
    table : Path
        The table to write: one row a source, columns of the stage `stamps`.
    """
    network, description = Network(transfer), parameters.survey
    survey = open_survey(parameters, network)
    rows = read_table(sources)
    fetched = read_tiles(read_table(tiles))
    size = parameters.configuration.stamps.size
    with new_array(output, (rows.num_rows, 2, len(description.bands), size, size), np.float32) as stamps:
        mosaic = Mosaic(
            stamps,
            numpy_column(rows, "ra"),
            numpy_column(rows, "dec"),
            OwnImages.of(rows),
            description,
            lambda tile, band: open_again(survey, network, tile, band),
        )
        bad = mosaic.build(list(fetched.values()))
        values = describe_stamps(mosaic, rows, [fetched[name].tile for name in bad])
    write_table(
        table,
        shard_table("stamps", values, description.bands),
        parameters.lineage(lineage_of(sources, tiles)),
        bands=description.bands,
        reference_band=description.reference_band,
        shard=shard,
    )
    logger.info("shard %s: %d stamps of %d sources", shard, np.count_nonzero(mosaic.quality > 0), rows.num_rows)


def open_again(survey: Survey, network: Network, tile: FetchedTile, band: str) -> Image:
    """Open a band of a tile; files that the bounded cache has dropped meanwhile are fetched again."""
    if not all(network.path(name).is_file() for name in tile.files[band].values()):
        logger.info("tile %s has left the cache; it is fetched again", tile.name)
        again = survey.fetch(tile.tile)
        if band not in again.files:
            raise InputError(again.faults.get(band, "the survey has no such band here"))
        tile = again
    return survey.open(tile, band)


def describe_stamps(mosaic: Mosaic, rows: pa.Table, bad: list[Tile]) -> Mapping[str, Any]:
    """Return the columns of the stamps' table.

    Parameters
    ----------
    mosaic : Mosaic
        With its stamps built.
    rows : pyarrow.Table
        The sources.
    bad : list of Tile
        Tiles of which nothing could be opened.
    """
    description = mosaic.description
    present = mosaic.quality > 0
    flags = numpy_column(rows, "flags").copy()
    scale, north, left = _orientations(mosaic.matrix, present)
    good = np.zeros((len(present), len(description.bands)))
    noise = np.full(good.shape, np.nan)
    radius = numpy_column(rows, "survey_radius")
    for source in np.flatnonzero(present).tolist():
        stamp = np.asarray(mosaic.stamps[source])
        good[source] = (stamp[1] > 0).mean(axis=(1, 2))
        noise[source] = [sky_noise(weight) for weight in stamp[1]]
        flags[source] |= _flags(mosaic, source, stamp, scale[source], radius[source])
    flags[~present] |= _why_absent(mosaic, numpy_column(rows, "flags"), bad)[~present]
    values: dict[str, Any] = {
        "source_id": rows["source_id"],
        "flags": flags,
        "tile": pa.array(mosaic.tile.tolist(), pa.string()),
        "pixel_scale": scale,
        "zero_point": mosaic.zero_point,
        "north_angle": north,
        "east_is_left": pa.array(left.tolist(), pa.bool_(), mask=~present),
        "valid_fraction": np.where(present, good[:, description.reference], np.nan),
    }
    for place, band in enumerate(description.bands):
        values[f"psf_fwhm_{band}"] = np.where(good[:, place] > 0, mosaic.psf_fwhm[:, place], np.nan)
        values[f"sky_noise_{band}"] = noise[:, place]
    return values


def _orientations(matrix: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    scale, north, left = (np.full(len(present), fill) for fill in (np.nan, np.nan, False))
    if present.any():
        scale[present], north[present], left[present] = directions(matrix[present])
    return scale, north, left


def _flags(mosaic: Mosaic, source: int, stamp: np.ndarray, scale: float, radius: float) -> int:
    description = mosaic.description
    reference = description.reference
    flags = inspect(stamp, reference, scale, float(mosaic.psf_fwhm[source, reference]), float(radius))
    weight = stamp[1, reference] if stamp[1, reference].any() else stamp[1].max(axis=0)
    if (mosaic.outside(source) & (weight <= 0)).any():
        flags |= Flag.PADDED
    if mosaic.stitched[source]:
        flags |= Flag.STITCHED
    return int(flags)


def _why_absent(mosaic: Mosaic, upstream: np.ndarray, bad: list[Tile]) -> np.ndarray:
    """Return for each source, as if it had no stamp, BAD_TILE, OUTSIDE_TILES or nothing if it has no position."""
    names = {tile.name for tile in bad}
    covered = np.array([name in names for name in mosaic.own.tiles], dtype=bool)
    located = np.isfinite(mosaic.ra) & np.isfinite(mosaic.dec)
    free = np.array([name is None for name in mosaic.own.tiles], dtype=bool)
    for tile in bad:
        # A tile whose place is unknown may have covered any source.
        near = distance(mosaic.ra, mosaic.dec, tile.ra, tile.dec) <= (mosaic.reach or REACH)
        covered |= free & located & (near | ~np.isfinite(tile.ra + tile.dec))
    reason = np.where(covered, int(Flag.BAD_TILE), int(Flag.OUTSIDE_TILES))
    return np.where((upstream & Flag.NO_POSITION > 0) & ~covered, 0, reason)
