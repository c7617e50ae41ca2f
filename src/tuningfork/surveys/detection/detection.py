"""Sources found on the tiles themselves, in the reference band.

A source is taken from the tile that counts at its position, so that what overlaps gives it once. Stars are left out:
a source whose half-light radius is below 1.15 times that of the PSF is not told from one. Two jobs whose shards share
a tile see the same windows of it and find the same sources, each on its own side of the border.
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
from tuningfork.core.progress import track
from tuningfork.sky.coordinates import ARCSEC, directions, distance, jacobian
from tuningfork.sky.shards import Shard
from tuningfork.surveys.base import FetchedTile, Image, Survey, Tile
from tuningfork.surveys.detection.extraction import extract
from tuningfork.surveys.detection.overlaps import each_once, tile_priority, tiles_that_count
from tuningfork.surveys.detection.windows import Window, windows
from tuningfork.surveys.lists.sources.rows import ids_of_positions, sources_of
from tuningfork.surveys.transfer.network import Network

logger = logging.getLogger(__name__)

BORDER_WIDTH = 30 / ARCSEC
"""How far beyond the shard (deg) sources are looked at, to settle which of two detections counts."""


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
        """Return the galaxies on a tile, in and about the shard.

        Raises
        ------
        InputError
            The tile has no image of the reference band, or it is damaged.
        """
        band = self.description.reference_band
        if band not in fetched.files:
            raise InputError(fetched.faults.get(band, "the survey has no such band here"))
        image = self.survey.open(fetched, band)
        parts = [self._in_window(image, *window) for window in windows(image, lambda window: self._near(image, window))]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

    def _near(self, image: Image, window: Window) -> bool:
        x, y = window.corners()
        ra, dec = image.wcs.all_pix2world(np.append(x, x.mean()), np.append(y, y.mean()), 0)
        size = np.max(distance(ra[:4], dec[:4], ra[4], dec[4]))
        return bool(distance(ra[4:], dec[4:], *self._centre)[0] <= self._reach + size)

    def _in_window(self, image: Image, window: Window, pixels: np.ndarray, weights: np.ndarray) -> pd.DataFrame:
        middle = np.array([np.mean(window.core_columns)]), np.array([np.mean(window.core_rows)])
        scale = float(directions(jacobian(image.wcs, *middle))[0][0])
        fwhm = float(image.psf_fwhm(*middle)[0])
        if not fwhm > 0:
            fwhm = self.description.psf_fwhm[self.description.reference]
        found = extract(pixels, weights, fwhm / scale, self.description.psf_beta, self.settings)
        ra, dec = image.wcs.all_pix2world(found.x + window.columns[0], found.y + window.rows[0], 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            mag = image.zero_point - 2.5 * np.log10(found.flux)
        frame = pd.DataFrame(
            {"ra": ra, "dec": dec, "mag": mag, "radius": found.radius * scale, "blended": found.blended, "fwhm": fwhm}
        )
        galaxy = window.counts(found.peak_x, found.peak_y) & ~found.point_like & np.isfinite(mag)
        return frame[galaxy & (distance(ra, dec, *self._centre) <= self._reach)]


def detect(
    selection: Sources, settings: Detection, survey: Survey, shard: Shard, description: Description, network: Network
) -> pa.Table:
    """Return the galaxies that are seen in the shard, as a table of the stage `sources`.

    A tile that cannot be had, or opened, is told in the log; the others are searched.

    Raises
    ------
    TransferError
        Offline, and tiles are missing: the list must not depend on whether the network was used.
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
            f"{network.settings.cache} (first: {missing[0]}; the log lists all); set transfer.offline to false, or name "
            "the cache that has them"
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


def _listed(selection: Sources, shard: Shard, tiles: list[Tile], found: pd.DataFrame) -> pa.Table:
    """Return what was found on all tiles, each source once, within the limits of the magnitude."""
    ra, dec, tile = (found[name].to_numpy() for name in ("ra", "dec", "tile"))
    best, own = np.full(len(found), -np.inf), np.full(len(found), -np.inf)
    for number, each in enumerate(tiles):
        here = tile_priority(each, ra, dec)
        own = np.where(tile == number, here, own)
        best = np.where(tile == number, best, np.maximum(best, here))
    reach = float(found["fwhm"].max()) / ARCSEC if len(found) else 0.0
    keep = each_once(tile, best, own, ra, dec, reach)
    keep &= shard.contains(ra, dec)
    keep &= (found["mag"] >= selection.mag_min).to_numpy() & (found["mag"] <= selection.mag_max).to_numpy()
    rows = found[keep]
    ids = ids_of_positions(rows["ra"].to_numpy(), rows["dec"].to_numpy())
    twice = rows.groupby(ids)["ra"].transform("size").to_numpy() > 1 if len(rows) else np.zeros(0, dtype=bool)
    flags = np.where(rows["blended"], int(Flag.BLENDED), 0)
    return sources_of(rows, ids, [None] * len(rows), twice, flags)
