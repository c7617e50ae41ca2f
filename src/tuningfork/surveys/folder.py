"""The user's own images in a folder, with an optional table of sources.

Every row of the table is a source; without a table every image is one galaxy at its centre. A row that names the
image of its source (column `file`) is cut from that image alone: where the row and the image's WCS say, or at the
centre if either does not say where it is. Other rows are cut from whatever image covers them. Sources without a
position belong to the first shard of the run; they are measured if they have an image of their own. An image
without a WCS is taken to have north up and east left.

Pictures (PNG, JPEG) are read as they are: their stretch is not undone, so their magnitudes mean little.
"""

import logging
import os
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from astropy.wcs import WCS

from tuningfork.core.config.stages import Sources
from tuningfork.core.config.stages import Tiles as Transfer
from tuningfork.core.config.survey import Folder
from tuningfork.core.description import Description
from tuningfork.core.errors import ConfigurationError, InputError
from tuningfork.core.flags import Flag
from tuningfork.core.tables import numpy_column, shard_table
from tuningfork.sky.coordinates import ARCSEC, directions, distance, jacobian
from tuningfork.sky.shards import Shard, shards_of_positions, valid_position
from tuningfork.surveys.background import sky_level_and_noise
from tuningfork.surveys.base import FetchedTile, Image, OwnImages, Tile
from tuningfork.surveys.folder_images import Layout, find_images, footprint, read_band, safe, stem, upright
from tuningfork.surveys.folder_table import identify, read_user_table

logger = logging.getLogger(__name__)

MARGIN = 60 / ARCSEC
"""An image is read if a source lies this close (deg) to the circle around it."""
SMALL = 1000
"""Width (px) below which the sky is measured along the edges, where a galaxy at the centre does not reach."""
AGREEMENT = 2.0
"""Weights whose noise differs from that of the pixels by more than this factor are rescaled."""


def check(settings: Folder) -> None:
    """Check that the folder and the table can be used, before any job starts.

    Raises
    ------
    ConfigurationError
        A file is missing or unreadable, there is no image, the table lacks columns, or nothing says where the
        sources of the table are on the images.
    """
    folder = FolderSurvey(settings)
    layouts = folder.layouts
    if settings.table is None:
        return
    frame = folder.table
    if (
        frame is not None
        and "file" not in frame
        and all(folder.centre(layout)[0] is None for layout in layouts.values())
    ):
        raise ConfigurationError(
            f"survey.folder.images: none of the {len(layouts)} images in {settings.images} has a WCS, so the positions in "
            f"{settings.table} cannot be found on them; add a column file that names the image of each source"
        )


def shards(settings: Folder, order: int) -> list[Shard]:
    """Return the shards in which sources lie; the first also holds those without a position."""
    ra, dec = FolderSurvey(settings).positions
    return shards_of_positions(ra, dec, order) or [Shard(order, 0)]


class FolderSurvey:
    """A folder of images behind the protocol of `tuningfork.surveys.base`.

    Parameters
    ----------
    settings : Folder
    description : Description, optional
        Needed to open images.
    """

    def __init__(self, settings: Folder, description: Description | None = None) -> None:
        self._settings = settings
        self._description = description
        self._centres: dict[str, tuple[WCS | None, float, float, float]] = {}

    @cached_property
    def layouts(self) -> dict[str, Layout]:
        """The images by name.

        Raises
        ------
        ConfigurationError
            There is no such folder, or no image in it.
        """
        folder = Path(self._settings.images)
        if not folder.is_dir():
            raise ConfigurationError(f"survey.folder.images: {folder}: no such folder")
        try:
            found = find_images(folder, self._settings.bands)
        except PermissionError as error:
            raise ConfigurationError(f"survey.folder.images: {folder} cannot be read ({error.strerror})") from None
        if not found:
            raise ConfigurationError(f"survey.folder.images: {folder} holds no FITS, PNG or JPEG image")
        return found

    @cached_property
    def table(self) -> pd.DataFrame | None:
        """The user's table, None without one."""
        return read_user_table(Path(self._settings.table)) if self._settings.table else None

    def centre(self, layout: Layout) -> tuple[WCS | None, float, float, float]:
        """Return WCS, centre (deg) and half of the diagonal (deg) of an image; None and NaN if it cannot say."""
        if layout.name not in self._centres:
            self._centres[layout.name] = self._measure(layout)
        return self._centres[layout.name]

    def _measure(self, layout: Layout) -> tuple[WCS | None, float, float, float]:
        try:
            wcs, (height, width) = footprint(layout, self._settings.bands)
        except InputError as error:
            logger.warning("%s", error)
            return None, np.nan, np.nan, np.nan
        if wcs is None:
            return None, np.nan, np.nan, np.nan
        x, y = np.array([(width - 1) / 2]), np.array([(height - 1) / 2])
        ra, dec = wcs.all_pix2world(x, y, 0)
        scale, _, _ = directions(jacobian(wcs, x, y))
        return wcs, float(ra[0]), float(dec[0]), float(np.hypot(height, width) / 2 * scale[0] / ARCSEC)

    @cached_property
    def own(self) -> list[str | None]:
        """For each source the name of its own image, or None."""
        if self.table is None:
            return list(self.layouts)
        if "file" not in self.table:
            return [None] * len(self.table)
        return [
            None if pd.isna(value) or not str(value).strip() else self._image_of(str(value))
            for value in self.table["file"]
        ]

    def _image_of(self, file: str) -> str:
        """Return the image that a row's `file` means: a file of it, or its name."""
        path = Path(file.strip())
        for layout in (self._by_file.get(path.name), self.layouts.get(safe(path.name))):
            if layout is not None:
                return layout.name
        return safe(stem(path) or path.name)

    @cached_property
    def _by_file(self) -> dict[str, Layout]:
        return {path.name: layout for layout in self.layouts.values() for path in layout.files.values()}

    @cached_property
    def _stated(self) -> tuple[np.ndarray, np.ndarray]:
        """Right ascension and declination (deg) as the table states them, NaN where it does not."""
        frame = self.table
        if frame is None or not {"ra", "dec"} <= set(frame.columns):
            return np.full(len(self.own), np.nan), np.full(len(self.own), np.nan)
        ra, dec = frame["ra"].to_numpy(dtype=float).copy(), frame["dec"].to_numpy(dtype=float).copy()
        bad = ~valid_position(ra, dec)
        ra[bad], dec[bad] = np.nan, np.nan
        return ra % 360, dec

    @cached_property
    def positions(self) -> tuple[np.ndarray, np.ndarray]:
        """Right ascension and declination (deg) of all sources, from the table or their own image; NaN if unknown."""
        ra, dec = (values.copy() for values in self._stated)
        for row in np.flatnonzero(np.isnan(ra)):
            layout = self.layouts.get(self.own[row] or "")
            if layout is not None:
                ra[row], dec[row] = self.centre(layout)[1:3]
        return ra % 360, dec

    @cached_property
    def centred(self) -> np.ndarray:
        """Whether each source lies at the centre of its own image, because nothing says more."""
        stated = np.isfinite(self._stated[0])
        layouts = [None if name is None else self.layouts.get(name) for name in self.own]
        placed = [layout is not None and self.centre(layout)[0] is not None for layout in layouts]
        own = np.array([name is not None for name in self.own], dtype=bool)
        return own & ~(stated & np.array(placed, dtype=bool))

    def sources(self, shard: Shard, selection: Sources) -> pa.Table:
        """Return the rows of the table, or the images, that lie in the shard, in order of source_id."""
        ra, dec = self.positions
        known = valid_position(ra, dec)
        here = shard.contains(ra, dec)
        first = (shards_of_positions(ra, dec, shard.order) or [Shard(shard.order, 0)])[0]
        if shard == first:
            here |= ~known
        frame = self.table if self.table is not None else pd.DataFrame({"name": self.own})
        ids, names, twice = identify(frame)
        flags = np.where(known, 0, int(Flag.NO_POSITION)) | np.where(twice, int(Flag.DUPLICATE_ID), 0)
        rows = np.flatnonzero(here)
        rows = rows[np.argsort(ids[rows], kind="stable")]
        values = {
            "source_id": ids[rows],
            "flags": flags[rows],
            "ra": ra[rows],
            "dec": dec[rows],
            "name": pa.array([names[row] for row in rows], pa.string()),
        }
        for name, column in (("redshift", "redshift"), ("survey_mag", "mag"), ("survey_radius", "radius")):
            if column in frame:
                values[name] = frame[column].to_numpy(dtype=float)[rows]
        own = OwnImages([self.own[row] for row in rows], [bool(self.centred[row]) for row in rows])
        return own.attach(shard_table("sources", values))

    def tiles(self, shard: Shard, sources: pa.Table) -> list[Tile]:
        """Return the images that are some source's own or lie near the others, in order of their names."""
        own = OwnImages.of(sources)
        names = {name for name in own.tiles if name is not None}
        free = np.array([name is None for name in own.tiles], dtype=bool)
        ra, dec = numpy_column(sources, "ra")[free], numpy_column(sources, "dec")[free]
        tiles = [Tile(name, np.nan, np.nan) for name in names - set(self.layouts)]
        for layout in self.layouts.values():
            _, ra_0, dec_0, radius = self.centre(layout)
            near = free.any() and (np.isnan(radius) or bool((distance(ra, dec, ra_0, dec_0) <= radius + MARGIN).any()))
            if layout.name in names or near:
                tiles.append(Tile(layout.name, ra_0, dec_0))
        return sorted(tiles, key=lambda tile: tile.name)

    def fetch(self, tile: Tile, cache: Path, transfer: Transfer) -> FetchedTile:
        """Check that the image's files can be read; they stay where they are."""
        fetched = FetchedTile(tile.name, {}, {})
        layout = self.layouts.get(tile.name)
        for band in self._settings.bands:
            path = layout.files.get(band) if layout else None
            if layout is None or path is None:
                fetched.faults[band] = f"no file of the image {tile.name} in this band in {self._settings.images}"
                continue
            try:
                read_band(path, band, self._settings.bands, layout.combined)
                fetched.files[band] = os.path.relpath(path.resolve(), cache.resolve())
            except InputError as error:
                fetched.faults[band] = str(error)
        return fetched

    def open(self, tile: FetchedTile, band: str, cache: Path) -> Image:
        """Read one band of an image, subtract its sky and find its noise.

        Raises
        ------
        InputError
            The file cannot be read or is not what it should be.
        """
        if self._description is None:
            raise InputError("the folder's images cannot be opened without the survey's description")
        layout = self.layouts.get(tile.name)
        path = cache.resolve() / tile.files[band]
        pixels, weights, wcs = read_band(path, band, self._settings.bands, layout.combined if layout else False)
        level, noise = sky_of(pixels, weights)
        if self._settings.sky == "estimate":
            pixels -= np.float32(level)
        inverse_variance = weigh(pixels, weights, noise, str(path))
        pixels[inverse_variance <= 0] = 0
        wcs = wcs or upright(self._description.pixel_scale, (pixels.shape[0], pixels.shape[1]))
        return Image(pixels, inverse_variance, wcs, self._settings.psf_fwhm, self._settings.zero_point)


def sky_of(pixels: np.ndarray, weights: np.ndarray | None) -> tuple[float, float]:
    """Return level and noise of the sky in an image: along the edges of a small one, everywhere in a large one."""
    good = np.isfinite(pixels) if weights is None else np.isfinite(pixels) & (weights > 0)
    height, width = pixels.shape
    if max(height, width) < SMALL:
        border = max(min(height, width) // 10, 2)
        middle = np.zeros_like(good)
        middle[border : height - border, border : width - border] = True
        edge = good & ~middle
        good = edge if edge.any() else good
        return sky_level_and_noise(pixels[good])
    step = max(1, int(np.sqrt(pixels.size / 4e6)))
    return sky_level_and_noise(pixels[::step, ::step][good[::step, ::step]])


def weigh(pixels: np.ndarray, weights: np.ndarray | None, noise: float, name: str) -> np.ndarray:
    """Return the inverse variance of an image from its weights, or from its noise alone.

    Weights in another unit than inverse variance are rescaled to the noise that the pixels have.
    """
    good = np.isfinite(pixels)
    if weights is None:
        return np.where(good, np.float32(1 / noise**2), np.float32(0))
    good &= np.isfinite(weights) & (weights > 0)
    result = np.where(good, weights, 0).astype(np.float32)
    if good.any():
        ratio = noise * float(np.sqrt(np.median(result[good])))
        if not 1 / AGREEMENT < ratio < AGREEMENT:
            logger.warning("%s: the weights' noise is %.3g times too small; they are rescaled", name, ratio)
            result /= np.float32(ratio**2)
    return result
