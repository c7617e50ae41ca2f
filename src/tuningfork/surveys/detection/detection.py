"""Detection of sources on the tiles, in the reference band.

A source is taken from the tile that is primary at its position, so that overlapping tiles yield it once. Stars are
left out: a source whose half-light radius is less than 1.15 times that of the PSF cannot be told from a star. Two jobs
whose shards share a tile search the same windows of the tile, find the same sources, and each keeps those in its shard.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from tuningfork.core.config.sources import Detection, Sources
from tuningfork.core.description import Description
from tuningfork.core.errors import InputError, TransferError
from tuningfork.core.flags import Flag
from tuningfork.core.running.progress import track
from tuningfork.sky.coordinates import ARCSEC, directions, distance, jacobian
from tuningfork.sky.frames import sky_positions
from tuningfork.sky.shards import Shard
from tuningfork.surveys.base import FetchedTile, Image, Survey, Tile
from tuningfork.surveys.detection.extraction import extract
from tuningfork.surveys.detection.overlaps import each_once, tile_priority, tiles_that_count
from tuningfork.surveys.detection.windows import Window, windows
from tuningfork.surveys.lists.sources.rows import ids_of_positions, sources_of
from tuningfork.surveys.transfer.network import Network

logger = logging.getLogger(__name__)

BORDER_WIDTH = 30 / ARCSEC
"""Distance (deg) beyond the shard to which sources are considered, to decide between detections on two tiles."""


@dataclass
class Detector:
    """Finds the sources of a shard on tiles.

    Attributes
    ----------
    survey : Survey
    shard : Shard
    description : Description
    settings : Detection
    """

    survey: Survey
    shard: Shard
    description: Description
    settings: Detection

    def __post_init__(self) -> None:
        self._centre = self.shard.centre
        self._reach = self.shard.radius + BORDER_WIDTH

    def on_tile(self, fetched: FetchedTile) -> pd.DataFrame:
        """Return the galaxies on a tile, in the shard and close to it.

        Parameters
        ----------
        fetched : FetchedTile

        Returns
        -------
        pandas.DataFrame
            Columns `ra`, `dec` (deg), `mag`, `radius` (half-light, arcsec), `blended` and `fwhm` (of the PSF, arcsec).

        Raises
        ------
        InputError
            If the tile has no image of the reference band, or the image is damaged.
        """
        band = self.description.reference_band
        if band not in fetched.files:
            raise InputError(fetched.faults.get(band, "the survey has no such band here"))
        image = self.survey.open(fetched, band)
        if not image.on_sky:
            raise InputError("it has no coordinates")
        parts = [self._in_window(image, *window) for window in windows(image, lambda window: self._near(image, window))]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

    def _near(self, image: Image, window: Window) -> bool:
        x, y = window.corners()
        ra, dec = sky_positions(image.wcs, np.append(x, x.mean()), np.append(y, y.mean()))
        size = np.max(distance(ra[:4], dec[:4], ra[4], dec[4]))
        return bool(distance(ra[4:], dec[4:], *self._centre)[0] <= self._reach + size)

    def _in_window(self, image: Image, window: Window, pixels: np.ndarray, weights: np.ndarray) -> pd.DataFrame:
        middle = np.array([np.mean(window.core_columns)]), np.array([np.mean(window.core_rows)])
        scale = float(directions(jacobian(image.wcs, *middle))[0][0])
        fwhm = float(image.psf_fwhm(*middle)[0])
        if not fwhm > 0:
            fwhm = self.description.psf_fwhm[self.description.reference]
        detected = extract(pixels, weights, fwhm / scale, self.description.psf_beta, self.settings)
        ra, dec = sky_positions(image.wcs, detected.x + window.columns[0], detected.y + window.rows[0])
        with np.errstate(invalid="ignore", divide="ignore"):
            mag = image.zero_point - 2.5 * np.log10(detected.flux)
        frame = pd.DataFrame(
            {
                "ra": ra,
                "dec": dec,
                "mag": mag,
                "radius": detected.radius * scale,
                "blended": detected.blended,
                "fwhm": fwhm,
            }
        )
        galaxy = window.counts(detected.peak_x, detected.peak_y) & ~detected.point_like & np.isfinite(mag)
        return frame[galaxy & (distance(ra, dec, *self._centre) <= self._reach)]


def detect(
    selection: Sources, settings: Detection, survey: Survey, shard: Shard, description: Description, network: Network
) -> pa.Table:
    """Return the galaxies that are detected in the shard.

    A tile that cannot be fetched or opened is reported in the log; the others are searched.

    Parameters
    ----------
    selection : Sources
        Limits of the magnitude.
    settings : Detection
        Threshold and deblending.
    survey : Survey
    shard : Shard
    description : Description
        The survey's description.
    network : Network

    Returns
    -------
    pyarrow.Table
        Table of the stage `sources`.

    Raises
    ------
    TransferError
        If offline and tiles are missing: the list must not depend on whether the job had a network.
    """
    detector = Detector(survey, shard, description, settings)
    tiles = tiles_that_count(survey.tiles(shard), shard)
    searched: list[Tile] = []
    parts: list[pd.DataFrame] = []
    missing = []
    with ThreadPoolExecutor(network.settings.connections) as pool:
        fetched = pool.map(lambda tile: _fetch(survey, tile, description.bands), tiles)
        for tile, files in zip(tiles, track(fetched, "tiles", len(tiles)), strict=True):
            try:
                part = detector.on_tile(files)
            except InputError as error:
                missing.append(tile.name)
                logger.warning("tile %s, band %s: %s; not searched", tile.name, description.reference_band, error)
                continue
            parts.append(part.assign(tile=len(searched)))
            searched.append(tile)
    if missing and network.settings.offline:
        raise TransferError(
            f"shard {shard.name}: offline, and {len(missing)} of {len(tiles)} tiles to search are not in the cache "
            f"{network.settings.cache} (first: {missing[0]}; the log lists all of them); set transfer.offline to false, "
            "or transfer.cache to the cache that has them"
        )
    return _listed(selection, shard, searched, pd.concat([_empty(), *parts], ignore_index=True))


def _fetch(survey: Survey, tile: Tile, bands: list[str]) -> FetchedTile:
    try:
        return survey.fetch(tile)
    except (TransferError, InputError) as error:
        return FetchedTile(tile, {}, dict.fromkeys(bands, str(error)))


def _empty() -> pd.DataFrame:
    columns = ("ra", "dec", "mag", "radius", "fwhm")
    types = dict.fromkeys(columns, float) | {"blended": bool, "tile": int}
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in types.items()})


def _listed(selection: Sources, shard: Shard, tiles: list[Tile], detections: pd.DataFrame) -> pa.Table:
    """Return the detections on all tiles, each source once, within the magnitude limits."""
    ra, dec, tile = (detections[name].to_numpy() for name in ("ra", "dec", "tile"))
    best_other, own_priority = np.full(len(detections), -np.inf), np.full(len(detections), -np.inf)
    for number, each in enumerate(tiles):
        priority = tile_priority(each, ra, dec)
        own_priority = np.where(tile == number, priority, own_priority)
        best_other = np.where(tile == number, best_other, np.maximum(best_other, priority))
    reach = float(detections["fwhm"].max()) / ARCSEC if len(detections) else 0.0
    keep = each_once(tile, best_other, own_priority, ra, dec, reach)
    keep &= shard.contains(ra, dec)
    keep &= (detections["mag"] >= selection.mag_min).to_numpy() & (detections["mag"] <= selection.mag_max).to_numpy()
    rows = detections[keep]
    ids = ids_of_positions(rows["ra"].to_numpy(), rows["dec"].to_numpy())
    twice = rows.groupby(ids)["ra"].transform("size").to_numpy() > 1 if len(rows) else np.zeros(0, dtype=bool)
    flags = np.where(rows["blended"], int(Flag.BLENDED), 0)
    return sources_of(rows, ids, [None] * len(rows), twice, flags)
