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
from tuningfork.sky.shards import Shard
from tuningfork.surveys.background import sky_level_and_noise
from tuningfork.surveys.base import IMAGE, STAMP_MARGIN, FetchedTile, Image, Tile
from tuningfork.surveys.folder.facts import PIXEL_SCALE, SOURCES, ZERO_POINT, columns_of, imaging_of, psf_names
from tuningfork.surveys.folder.images import Layout, find_images, read_band
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
SMALL_IMAGE_WIDTH = 1000
"""Width (px) below which the sky is measured along the edges, which a central galaxy does not reach."""
TINIEST, LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
"""Limits of the inverse variances, which are numbers of 32 bits."""
MAX_NOISE_RATIO = 2.0
"""Weights whose noise differs from that of the pixels by more than this factor are rescaled."""


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
            raise ConfigurationError(f"survey.folder.images: {folder} holds no FITS, PNG or JPEG image")
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
        if table is not None and columns_of(table, self._settings.bands):
            self._check_facts(table)
        placed = next((name for name in self.layouts if self.places[name].wcs), None)
        if placed is not None and self._settings.pixel_scale is None:
            self._compare_scale(placed)
        if table is None or "file" in table.columns:
            if not detection:
                self._check_scales(table)
            return
        if placed is None:
            raise ConfigurationError(
                f"survey.folder.images: none of the {len(self.layouts)} images in {self._settings.images} has a WCS, so the "
                f"positions in the table of sources ({table.what}) cannot be found on them; add a column file that "
                "names the image of each source"
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

    def _check_facts(self, table: UserTable) -> None:
        """Check what a table says about the imaging.

        Raises
        ------
        ConfigurationError
            If a value is out of range, two rows disagree about an image, or no column names the images.
        """
        try:
            imaging_of(table, self._settings.bands)
            _ = self.own(table).facts
        except InputError as error:
            raise ConfigurationError(str(error)) from None

    def _check_scales(self, table: UserTable | None) -> None:
        """Check that the pixel scale of every image that shows a source is known.

        Images that cannot be read, or whose WCS is at fault, do not end the run; their sources are flagged.
        """
        if self._settings.pixel_scale is not None:
            return
        own = self.own(table)
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
                pixels, _, wcs, _ = read_band(path, band, self._settings.bands, self.layouts[tile.name].combined)
                self._coordinates(tile, path, wcs, pixels.shape)
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
        pixels, weights, wcs, header = read_band(path, band, settings.bands, layout.combined)
        level, noise = sky_of(pixels, weights)
        if settings.sky == "estimate":
            pixels -= np.float32(level)
        inverse_variance = weigh(pixels, weights, noise, str(path))
        pixels[inverse_variance <= 0] = 0
        shape = (pixels.shape[0], pixels.shape[1])
        wcs, on_sky = self._coordinates(tile.tile, path, wcs, shape)
        zero_point = facts.get(ZERO_POINT) or zero_point_of(header, str(path)) or settings.zero_point
        psf = PsfReader(settings, layout, band, wcs, shape).psf(facts.get(SOURCES, ()))
        image = Image.of_arrays(pixels, inverse_variance, wcs, settings.psf_fwhm, zero_point)
        return replace(image, psf_fwhm=psf.fwhm, psf_beta=psf.beta, psf_images=psf.images, on_sky=on_sky)

    def _coordinates(self, tile: Tile, path: Path, wcs: WCS | None, shape: tuple[int, ...]) -> tuple[WCS, bool]:
        scale = tile.facts.get(PIXEL_SCALE, self._settings.pixel_scale)
        return self.places[tile.name].coordinates(path, wcs, scale, (shape[0], shape[1]))


def sky_of(pixels: np.ndarray, weights: np.ndarray | None) -> tuple[float, float]:
    """Measure the sky in an image: along the edges of a small one, everywhere in a large one.

    Parameters
    ----------
    pixels : ndarray
        Image (H, W).
    weights : ndarray or None
        Inverse variances (H, W); pixels without weight are ignored.

    Returns
    -------
    level, noise : float
        Level and standard deviation of the sky, in the unit of the image.
    """
    good = np.isfinite(pixels) if weights is None else np.isfinite(pixels) & (weights > 0)
    height, width = pixels.shape
    if max(height, width) < SMALL_IMAGE_WIDTH:
        border = max(min(height, width) // 10, 2)
        middle = np.zeros_like(good)
        middle[border : height - border, border : width - border] = True
        edge = good & ~middle
        good = edge if edge.any() else good
        return sky_level_and_noise(pixels[good])
    step = max(1, int(np.sqrt(pixels.size / 4e6)))
    return sky_level_and_noise(pixels[::step, ::step][good[::step, ::step]])


def weigh(pixels: np.ndarray, weights: np.ndarray | None, noise: float, name: str) -> np.ndarray:
    """Return the inverse variance of an image from its weights or, without weights, from its noise.

    Weights in another unit than inverse variance are rescaled to match the noise of the pixels.

    Parameters
    ----------
    pixels : ndarray
        Image (H, W).
    weights : ndarray or None
        Weights (H, W).
    noise : float
        Standard deviation of the sky, in the unit of the image.
    name : str
        Name of the image, for the log.

    Returns
    -------
    ndarray
        float32 (H, W), zero where the image has no valid pixels.

    Raises
    ------
    InputError
        If the inverse variance of the noise is no number of 32 bits.
    """
    if not TINIEST < 1 / noise**2 < LARGEST:
        raise InputError(
            f"{name}: the noise of its pixels is {noise:.3g}; expected {LARGEST**-0.5:.0e} to {TINIEST**-0.5:.0e}: multiply "
            "the image by a constant, and correct its zero point"
        )
    good = np.isfinite(pixels)
    if weights is None:
        return np.where(good, np.float32(1 / noise**2), np.float32(0))
    good &= np.isfinite(weights) & (weights > 0)
    result = np.where(good, weights, 0).astype(np.float32)
    if good.any():
        ratio = noise * float(np.sqrt(np.median(result[good])))
        if not 1 / MAX_NOISE_RATIO < ratio < MAX_NOISE_RATIO:
            logger.warning("%s: the noise of the weights is too small by a factor of %.3g; rescaling", name, ratio)
            result /= np.float32(ratio**2)
    return result
