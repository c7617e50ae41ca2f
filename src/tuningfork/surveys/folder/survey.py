"""The user's own images in a folder.

Without a table of sources, every image shows one galaxy at its centre. With a table (`sources.catalogue` of kind table),
every row is a source. A row that names the image of its source (column `file`) is cut from that image alone: at the
row's position, or at the centre if the row has no position or the image no WCS. Other rows are cut from any image that
covers them. An image without a WCS is assumed to have north up and east left; its pixel scale must be given.

Pictures (PNG, JPEG) are used as they are: their stretch is not undone, so their magnitudes have little meaning.
"""

import contextlib
import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from astropy.wcs import WCS

from tuningfork.core.config.sources import Sources
from tuningfork.core.config.survey import Folder
from tuningfork.core.description import Description
from tuningfork.core.errors import ConfigurationError, InputError
from tuningfork.core.files import as_text
from tuningfork.sky.shards import Shard
from tuningfork.surveys.background import sky_of, weigh
from tuningfork.surveys.base import IMAGE, STAMP_MARGIN, FetchedTile, Image, Tile
from tuningfork.surveys.folder.facts import PIXEL_SCALE, SOURCES, ZERO_POINT, columns_of, imaging_of, psf_names
from tuningfork.surveys.folder.images import BandImage, read_band
from tuningfork.surveys.folder.names import Layout, find_images, images_below
from tuningfork.surveys.folder.psf import PsfReader
from tuningfork.surveys.folder.psf_files import path_below
from tuningfork.surveys.folder.sources import HOW_TO_SCALE, FolderSources, ImagePlaces
from tuningfork.surveys.folder.zero_point import zero_point_of
from tuningfork.surveys.lists.sources.table import UserTable
from tuningfork.surveys.near import reaches
from tuningfork.surveys.transfer.network import Network

logger = logging.getLogger(__name__)

MAX_SCALE_RATIO = 1.1
"""Ratio of the pixel scales of the images and of the training set beyond which the log says so."""


class FolderSurvey:
    """The survey `folder`; see :class:`tuningfork.surveys.base.Survey`. A tile is an image.

    Parameters
    ----------
    settings : Folder
    description : Description
    network : Network, optional
        Not used: the files stay where they are.
    """

    def __init__(self, settings: Folder, description: Description, network: Network | None = None) -> None:
        self._settings = settings
        self._description = description

    @cached_property
    def layouts(self) -> dict[str, Layout]:
        """The images by name.

        Raises
        ------
        ConfigurationError
            If there is no such folder, or no image in it.
        """
        folder = Path(self._settings.images)
        if not folder.is_dir():
            raise ConfigurationError(f"survey.folder.images: {folder}: no such folder")
        try:
            layouts = find_images(folder, self._settings.bands)
        except PermissionError as error:
            raise ConfigurationError(f"survey.folder.images: {folder} cannot be read ({error.strerror})") from None
        if not layouts:
            below = images_below(folder)
            where = (
                f"; there are {len(below)} in sub-folders, which are not searched, such as {as_text(below[0])}"
                if below
                else ""
            )
            raise ConfigurationError(f"survey.folder.images: {folder} holds no FITS, PNG or JPEG image{where}")
        return layouts

    @cached_property
    def places(self) -> ImagePlaces:
        """Positions of the images on the sky, by name."""
        return ImagePlaces(self.layouts, self._settings.bands)

    def check(self, table: UserTable | None, *, detection: bool = False) -> None:
        """Check that the folder can be used, before any job starts.

        Parameters
        ----------
        table : UserTable or None
            Table of sources.
        detection : bool
            Whether the sources are detected on the images, for which those without a WCS are not searched.

        Raises
        ------
        ConfigurationError
            If there is no image, nothing says where the sources of the table are on the images, or nothing gives the
            pixel scale of an image without a WCS.
        """
        self._name_images_below()
        own = self.own(table)
        if table is not None and columns_of(table, self._settings.bands):
            self._check_facts(table, own)
        placed = next((name for name in self.layouts if self.places[name].wcs), None)
        if placed is not None and self._settings.pixel_scale is None:
            self._compare_scale(placed)
        if table is None or "file" in table.columns:
            if not detection:
                self._check_scales(own)
            return
        if placed is None:
            raise ConfigurationError(
                f"survey.folder.images: none of the {len(self.layouts)} images in {self._settings.images} has a WCS, so the "
                f"positions in the table of sources ({table.what}) cannot be found on them; add a column file that "
                "names the image of each source"
            )

    def _name_images_below(self) -> None:
        """Say so if there are images in sub-folders, which are not read."""
        below = images_below(Path(self._settings.images))
        if below:
            logger.warning(
                "survey.folder.images: images in sub-folders of %s are not read: %d, such as %s; move them, or link them, into the "
                "folder itself",
                self._settings.images,
                len(below),
                as_text(below[0]),
            )

    def _compare_scale(self, name: str) -> None:
        """Say so if the pixels of the training set will be unlike those of an image with a WCS."""
        scale, assumed = self.places[name].scale, self._description.pixel_scale
        if abs(np.log(scale / assumed)) > np.log(MAX_SCALE_RATIO):
            logger.warning(
                "survey.folder.pixel_scale is not set: the training set is simulated with pixels of %.3g arcsec, and those of "
                "the image %s are %.3g arcsec wide; set it to what is typical of your images",
                assumed,
                name,
                scale,
            )

    def _check_facts(self, table: UserTable, own: FolderSources) -> None:
        """Check what a table says about the imaging.

        Raises
        ------
        ConfigurationError
            If a value is out of range, two rows disagree about an image, or no column names the images.
        """
        try:
            imaging_of(table, self._settings.bands)
            _ = own.facts
        except InputError as error:
            raise ConfigurationError(str(error)) from None

    def _check_scales(self, own: FolderSources) -> None:
        """Check that the pixel scale of every image that shows a source is known.

        Images that cannot be read, or whose WCS is at fault, do not end the run; their sources are flagged.
        """
        if self._settings.pixel_scale is not None:
            return
        lacking = own.without_scale
        if lacking:
            raise ConfigurationError(
                f"survey.folder.pixel_scale: {len(lacking)} of {len(own.images)} images have no WCS, so nothing says how "
                f"wide their pixels are (first: {lacking[0]}); set it to {HOW_TO_SCALE}"
            )

    def psf_files(self, table: UserTable | None) -> list[Path]:
        """Return the files beside the images, and those that a table names, that hold images of the PSF."""
        paths = [path for layout in self.layouts.values() for path in layout.psfs.values()]
        facts = self.own(table).facts if table is not None and "file" in table.columns else {}
        names = {value for fact in facts.values() for entry in fact[SOURCES] for value in psf_names(entry)}
        for name in sorted(names):
            with contextlib.suppress(InputError):
                paths.append(path_below(Path(self._settings.images), name))
        return [path for path in paths if path.is_file()]

    def own(self, table: UserTable | None) -> FolderSources:
        """Return the sources that are images, or the rows of a table that name images."""
        return FolderSources(self.layouts, self.places, table, self._settings.bands)

    def catalogue(self, shard: Shard, selection: Sources) -> pa.Table:
        """Return the images whose centres lie in the shard.

        Parameters
        ----------
        shard : Shard
        selection : Sources
            Not used: all images are sources.

        Returns
        -------
        pyarrow.Table
            Table of the stage `sources`.
        """
        return self.own(None).sources(shard)

    def tiles(self, shard: Shard, margin: float = STAMP_MARGIN) -> list[Tile]:
        """Return the images that come within `margin` (deg) of the shard.

        One whose coordinates cannot be read may lie there. One without coordinates has only sources that name it.
        """
        reach = shard.radius + margin
        tiles = [self._tile(name) for name in self.layouts if self.places[name].wcs or self.places[name].fault]
        return [tile for tile in tiles if not tile.corners or reaches(tile, *shard.centre, reach)]

    def locate(self, names: Sequence[str]) -> list[Tile]:
        """Return the images called `names`; one that does not exist is a tile that cannot be fetched."""
        return [self._tile(name) if name in self.layouts else Tile(name, np.nan, np.nan) for name in names]

    def _tile(self, name: str) -> Tile:
        image_place = self.places[name]
        return Tile(name, image_place.ra, image_place.dec, image_place.corners)

    def fetch(self, tile: Tile) -> FetchedTile:
        """Check that the image's files can be read; they stay where they are."""
        fetched = FetchedTile(tile, {}, {})
        for band in self._settings.bands:
            try:
                path = self._path(tile.name, band)
                image, _ = self._read(tile.name, band)
                self._coordinates(tile, path, image.wcs, image.pixels.shape)
                # A file outside the cache is named by its absolute path, so that the name is valid for any cache.
                fetched.files[band] = {IMAGE: os.path.abspath(path)}  # noqa: PTH100 - symbolic links stay
            except InputError as error:
                fetched.faults[band] = str(error)
        return fetched

    def _path(self, name: str, band: str) -> Path:
        layout = self.layouts.get(name)
        if layout is None or band not in layout.files:
            raise InputError(f"no file of the image {name} in this band in {self._settings.images}")
        return layout.files[band]

    def open(self, tile: FetchedTile, band: str) -> Image:
        """Read one band of an image, subtract its sky, and determine its noise, its zero point and its PSF.

        The file is found by the names of tile and band, because the folder may have moved since it was listed.

        Raises
        ------
        InputError
            If the file cannot be read or is not what it should be.
        """
        path, facts = self._path(tile.name, band), tile.tile.facts
        layout, settings = self.layouts[tile.name], self._settings
        (pixels, _, wcs, header), inverse_variance = self._read(tile.name, band)
        shape = (pixels.shape[0], pixels.shape[1])
        wcs, on_sky = self._coordinates(tile.tile, path, wcs, shape)
        zero_point = facts.get(ZERO_POINT) or zero_point_of(header, as_text(path), wcs) or settings.zero_point
        psf = PsfReader(settings, layout, band, wcs, shape).psf(facts.get(SOURCES, ()))
        image = Image.of_arrays(pixels, inverse_variance, wcs, settings.psf_fwhm, zero_point)
        return replace(image, psf_fwhm=psf.fwhm, psf_beta=psf.beta, psf_images=psf.images, on_sky=on_sky)

    def _coordinates(self, tile: Tile, path: Path, wcs: WCS | None, shape: tuple[int, ...]) -> tuple[WCS, bool]:
        scale = tile.facts.get(PIXEL_SCALE) or self.places[tile.name].stated_scale or self._settings.pixel_scale
        return self.places[tile.name].coordinates(path, wcs, scale, (shape[0], shape[1]))

    def _read(self, name: str, band: str) -> tuple[BandImage, np.ndarray]:
        """Return a band of an image, from which the sky is subtracted where that is to be, and its inverse variances.

        Raises
        ------
        InputError
            If the file cannot be read, or its noise is beyond the numbers of 32 bits.
        """
        path, layout, settings = self._path(name, band), self.layouts[name], self._settings
        image = read_band(path, band, settings.bands, layout.combined, layout.beside.get(band))
        pixels = image.pixels
        level, noise = sky_of(pixels, image.weights)
        if settings.sky == "estimate":
            pixels -= np.float32(level)
        inverse_variance = weigh(pixels, image.weights, noise, as_text(path))
        pixels[inverse_variance <= 0] = 0
        return image, inverse_variance
