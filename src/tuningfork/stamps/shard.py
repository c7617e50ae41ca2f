"""The job that cuts the stamps of a shard."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tuningfork.core.columns.table import shard_table
from tuningfork.core.config.transfer import Transfer
from tuningfork.core.errors import InputError
from tuningfork.core.flags import Flag
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import lineage_of, numpy_column, read_table, write_table
from tuningfork.sky.coordinates import directions, distance
from tuningfork.stamps.astrometry.contradiction import Expected, contradiction
from tuningfork.stamps.astrometry.light import Listed
from tuningfork.stamps.mosaic import COMPLETE_FRACTION, Mosaic
from tuningfork.stamps.positions import Positions
from tuningfork.stamps.quality import larger_than_stamp
from tuningfork.stamps.scaling import Scaling
from tuningfork.stamps.state import FEW_PIXELS, PLACE, State
from tuningfork.stamps.store import CHECKSUM_COLUMN, new_stamps
from tuningfork.surveys.base import FetchedTile, Image, OwnImages, Survey, Tile
from tuningfork.surveys.manifest import read_tiles
from tuningfork.surveys.near import depth
from tuningfork.surveys.registry import open_survey
from tuningfork.surveys.transfer.network import Network

logger = logging.getLogger(__name__)

UNKNOWN_TILE_RADIUS = 1.0
"""Radius (deg) of a tile whose size is unknown because none could be opened."""


def cut_shard(
    *, parameters: Parameters, shard: str, sources: Path, tiles: Path, transfer: Transfer, pixels: Path, table: Path
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
        Limits for requests to services, and the cache.
    pixels : Path
        The .npy file to write: float32 (N, 2, B, S, S), flux and inverse variance.
    table : Path
        The table to write: one row per source, columns of the stage `stamps`.
    """
    network, description = Network(transfer), parameters.survey
    survey = open_survey(parameters, network)
    rows = read_table(sources)
    fetched = read_tiles(read_table(tiles))
    settings = parameters.configuration.stamps
    with new_stamps(pixels, (rows.num_rows, 2, len(description.bands), settings.size, settings.size)) as store:
        mosaic = Mosaic(
            store,
            Positions(numpy_column(rows, "ra"), numpy_column(rows, "dec"), OwnImages.of(rows)),
            Scaling(settings, numpy_column(rows, "survey_radius")),
            description,
            lambda tile, band: open_again(survey, network, tile, band),
            _contradiction(parameters, rows),
        )
        mosaic.build(list(fetched.values()))
        values = describe_stamps(mosaic, rows)
    write_table(
        table,
        shard_table("stamps", values, description.bands),
        parameters.lineage(lineage_of(sources, tiles)),
        bands=description.bands,
        reference_band=description.reference_band,
        shard=shard,
    )
    logger.info("shard %s: %d stamps of %d sources", shard, np.count_nonzero(mosaic.state.quality), rows.num_rows)


def _contradiction(parameters: Parameters, rows: pa.Table) -> Callable[[Image, Tile, str], str | None] | None:
    """Return the check of an image's coordinates; a user's own images are not checked."""
    if parameters.configuration.survey.name == "folder":
        return None
    listed = Listed(*(numpy_column(rows, name) for name in ("ra", "dec", "survey_mag", "survey_radius")))
    return lambda image, tile, band: contradiction(image, tile, listed, Expected.of(parameters.survey, band))


def open_again(survey: Survey, network: Network, tile: FetchedTile, band: str) -> Image:
    """Open a band of a tile; fetch its files again if the bounded cache has dropped them.

    Parameters
    ----------
    survey : Survey
    network : Network
    tile : FetchedTile
    band : str

    Returns
    -------
    Image

    Raises
    ------
    InputError
        The file is damaged, or the survey does not have the band here any more.
    """
    if not all(network.path(name).is_file() for name in tile.files[band].values()):
        logger.info("tile %s has left the cache; it is fetched again", tile.name)
        again = survey.fetch(tile.tile)
        if band not in again.files:
            raise InputError(again.faults.get(band, "the survey has no such band here"))
        tile = again
    return survey.open(tile, band)


def describe_stamps(mosaic: Mosaic, rows: pa.Table) -> Mapping[str, Any]:
    """Return the columns of the stamps' table.

    Parameters
    ----------
    mosaic : Mosaic
        With its stamps built.
    rows : pyarrow.Table
        The N sources.

    Returns
    -------
    dict
        Column name -> N values.
    """
    description, state = mosaic.description, mosaic.state
    present = state.quality > 0
    north, left = _orientations(state.matrix, present)
    upstream = numpy_column(rows, "flags")
    valid = state.valid[:, description.reference]
    names = pa.array([tile.name for tile in mosaic.tiles], pa.string())
    values: dict[str, Any] = {
        "source_id": rows["source_id"],
        "flags": upstream | np.where(present, _why_doubtful(mosaic, rows), _why_absent(mosaic, upstream)),
        "tile": names.take(pa.array(state.tile, mask=~present)),
        "pixel_scale": state.scale,
        "zero_point": state.zero_point,
        "north_angle": north,
        "east_is_left": pa.array(left, mask=~present),
        "valid_fraction": np.where(present, valid, np.nan),
        **_psfs(state, present, description.psf_beta),
        CHECKSUM_COLUMN: mosaic.store.checksums(),
    }
    for place, band in enumerate(description.bands):
        values[f"psf_fwhm_{band}"] = np.where(state.valid[:, place] > 0, state.psf_fwhm[:, place], np.nan)
        values[f"sky_noise_{band}"] = state.noise[:, place]
    return values


def _psfs(state: State, present: np.ndarray, usual_beta: float) -> dict[str, Any]:
    """Return the columns that describe the PSF in the reference band besides its width."""
    images = [state.psf_images.get(source) for source in range(state.sources)]
    known = np.array([image is not None for image in images], dtype=bool)
    beta = np.where(np.isfinite(state.psf_beta), state.psf_beta, usual_beta)
    return {
        "psf_beta": np.where(present, beta, np.nan),
        "psf_model": pa.array(np.where(known, "image", "moffat"), mask=~present),
        "psf_image": [None if image is None else image.ravel() for image in images],
        "psf_image_scale": np.where(known, state.scale / state.step, np.nan),
    }


def _orientations(matrix: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    north, left = np.full(len(present), np.nan), np.zeros(len(present), bool)
    if present.any():
        _, north[present], left[present] = directions(matrix[present])
    return north, left


def _why_doubtful(mosaic: Mosaic, rows: pa.Table) -> np.ndarray:
    """Return the flags of each source (N,) as if it had a stamp."""
    state, radius = mosaic.state, numpy_column(rows, "survey_radius")
    reasons = {
        Flag.MISSING_BAND: (state.valid == 0).any(axis=1),
        Flag.MASKED: state.masked,
        Flag.NO_SIGNAL: ~state.signal,
        Flag.LARGER_THAN_STAMP: larger_than_stamp(radius, state.scale, mosaic.store.shape[-1]),
        Flag.PADDED: _padded(mosaic),
        Flag.STITCHED: state.stitched,
        Flag.SATURATED: state.saturated,
    }
    flags = np.zeros(rows.num_rows, np.int64)
    for flag, where in reasons.items():
        flags |= np.where(where, int(flag), 0)
    return flags


def _padded(mosaic: Mosaic) -> np.ndarray:
    """Return for each source whether its stamp has pixels beyond its tile that no other tile has filled.

    A few of them may be masked in the other tile.
    """
    state, reference = mosaic.state, mosaic.description.reference
    padded = np.asarray(state.overhang.any(axis=1))
    for source in np.flatnonzero(padded & state.stitched).tolist():
        place = reference if state.valid[source, reference] else int(state.valid[source].argmax())
        empty = mosaic.store.read(source, place)[1][mosaic.outside(source)] <= 0
        padded[source] = empty.mean() > 1 - COMPLETE_FRACTION
    return padded


def _why_absent(mosaic: Mosaic, upstream: np.ndarray) -> np.ndarray:
    """Return the flag of each source as if it had no stamp, or 0 without a position and an image."""
    wrong, bad = (_on_tiles(mosaic, tiles) for tiles in (mosaic.bad & mosaic.contradicted, mosaic.bad))
    few, blank = (mosaic.state.shown == shown for shown in (FEW_PIXELS, PLACE))
    reasons = [(few, Flag.TOO_FEW_PIXELS), (blank, Flag.NO_VALID_PIXELS), (wrong, Flag.BAD_WCS), (bad, Flag.BAD_TILE)]
    nowhere = np.where(upstream & Flag.NO_POSITION > 0, 0, int(Flag.OUTSIDE_TILES))
    return np.select([where for where, _ in reasons], [int(flag) for _, flag in reasons], nowhere)


def _on_tiles(mosaic: Mosaic, numbers: set[int]) -> np.ndarray:
    """Return which sources lie on some tiles, by the tiles' positions in the survey's list."""
    positions = mosaic.positions
    ra, dec = positions.ra, positions.dec
    located = np.isfinite(ra) & np.isfinite(dec)
    covered = np.zeros(len(ra), dtype=bool)
    for number in sorted(numbers):
        tile = mosaic.tiles[number].tile
        if tile.corners:
            near = depth(tile, ra, dec) > 0
        else:
            # A tile whose place is unknown may have covered any source.
            near = distance(ra, dec, tile.ra, tile.dec) <= (mosaic.reach or UNKNOWN_TILE_RADIUS)
            near |= ~np.isfinite(tile.ra + tile.dec)
        covered |= positions.own_of(tile.name) | (positions.free & located & near)
    return covered
