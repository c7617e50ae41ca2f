"""The user's own images in a folder.

Without a table of sources every image is one galaxy at its centre. With one (`sources.catalogue` of kind table) every
row is a source: a row that names the image of its source (column `file`) is cut from that image alone, where the row
and the image's WCS say, or at the centre if either does not say where it is; other rows are cut from whatever image
covers them. An image without a WCS is taken to have north up and east left.

Pictures (PNG, JPEG) are read as they are: their stretch is not undone, so their magnitudes mean little.
"""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from tuningfork.core.config.sources import Sources
from tuningfork.core.config.survey import Folder
from tuningfork.core.description import Description
from tuningfork.core.errors import ConfigurationError, InputError
from tuningfork.sky.shards import Shard
from tuningfork.surveys.background import sky_level_and_noise
from tuningfork.surveys.base import IMAGE, MARGIN, FetchedTile, Image, Tile
from tuningfork.surveys.folder.images import Layout, find_images, footprint, read_band, upright_wcs
from tuningfork.surveys.folder.sources import FolderSources, ImagePlace
from tuningfork.surveys.lists.sources.table import UserTable
from tuningfork.surveys.near import reaches
from tuningfork.surveys.transfer.network import Network

logger = logging.getLogger(__name__)

SMALL_IMAGE_WIDTH = 1000
"""Width (px) below which the sky is measured along the edges, where a galaxy at the centre does not reach."""
MAX_NOISE_RATIO = 2.0
"""Weights whose noise differs from that of the pixels by more than this factor are rescaled."""


class ImagePlaces(Mapping[str, ImagePlace]):
    """Where the images lie, each looked up when it is first needed.

    Parameters
    ----------
    layouts : mapping
        Name -> image.
    bands : list of str
    """

    def __init__(self, layouts: Mapping[str, Layout], bands: list[str]) -> None:
        self._layouts = layouts
        self._bands = bands
        self._known: dict[str, ImagePlace] = {}

    def __getitem__(self, name: str) -> ImagePlace:
        if name not in self._known:
            self._known[name] = self._measure(self._layouts[name])
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._layouts)

    def __len__(self) -> int:
        return len(self._layouts)

    def _measure(self, layout: Layout) -> ImagePlace:
        try:
            wcs, (height, width) = footprint(layout, self._bands)
        except InputError as error:
            logger.warning("%s", error)
            return ImagePlace()
        if wcs is None:
            return ImagePlace()
        x, y = np.array([-0.5, width - 0.5, width - 0.5, -0.5]), np.array([-0.5, -0.5, height - 0.5, height - 0.5])
        ra, dec = wcs.all_pix2world([*x, (width - 1) / 2], [*y, (height - 1) / 2], 0)
        corners = tuple((float(a), float(b)) for a, b in zip(ra[:4], dec[:4], strict=True))
        known = np.isfinite(ra).all() and np.isfinite(dec).all()
        return ImagePlace(wcs, float(ra[4]), float(dec[4]), corners if known else ())


class FolderSurvey:
    """A folder of images; see :class:`tuningfork.surveys.base.Survey`.

    Parameters
    ----------
    settings : Folder
    description : Description
    network : Network, optional
        Not needed: the files stay where they are.
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
    def places(self) -> ImagePlaces:
        """Where the images lie, by name."""
        return ImagePlaces(self.layouts, self._settings.bands)

    def check(self, table: UserTable | None) -> None:
        """Check that the folder can be used, before any job starts.

        Raises
        ------
        ConfigurationError
            There is no image, or nothing says where the sources of the table are on the images.
        """
        layouts = self.layouts
        if table is None or "file" in table.columns:
            return
        if all(self.places[name].wcs is None for name in layouts):
            raise ConfigurationError(
                f"survey.folder.images: none of the {len(layouts)} images in {self._settings.images} has a WCS, so the "
                f"positions in the table of sources ({table.what}) cannot be found on them; add a column file that names "
                "the image of each source"
            )

    def own(self, table: UserTable | None) -> FolderSources:
        """Return the sources that are images, or the rows of a table that name images."""
        return FolderSources(self.layouts, self.places, table)

    def catalogue(self, shard: Shard, selection: Sources) -> pa.Table:
        """Return the images whose centre lies in the shard."""
        return self.own(None).sources(shard)

    def tiles(self, shard: Shard, margin: float = MARGIN) -> list[Tile]:
        """Return the images that come near the shard, and those that cannot say where they are."""
        reach = shard.radius + margin
        found = [self._tile(name) for name in self.layouts]
        return [tile for tile in found if not tile.corners or reaches(tile, *shard.centre, reach)]

    def locate(self, names: Sequence[str]) -> list[Tile]:
        """Return the images called `names`; one that is not there is a tile that cannot be fetched."""
        return [self._tile(name) if name in self.layouts else Tile(name, np.nan, np.nan) for name in names]

    def _tile(self, name: str) -> Tile:
        place = self.places[name]
        return Tile(name, place.ra, place.dec, place.corners)

    def fetch(self, tile: Tile) -> FetchedTile:
        """Check that the image's files can be read; they stay where they are."""
        fetched = FetchedTile(tile, {}, {})
        for band in self._settings.bands:
            try:
                path = self._path(tile.name, band)
                read_band(path, band, self._settings.bands, self.layouts[tile.name].combined)
                # The name of a file that lies outside the cache is its absolute path, whatever cache a run uses.
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
        """Read one band of an image, subtract its sky and find its noise.

        The file is found by the names of tile and band: the folder may have moved since it was listed.

        Raises
        ------
        InputError
            The file cannot be read or is not what it should be.
        """
        path = self._path(tile.name, band)
        pixels, weights, wcs = read_band(path, band, self._settings.bands, self.layouts[tile.name].combined)
        level, noise = sky_of(pixels, weights)
        if self._settings.sky == "estimate":
            pixels -= np.float32(level)
        inverse_variance = weigh(pixels, weights, noise, str(path))
        pixels[inverse_variance <= 0] = 0
        wcs = wcs or upright_wcs(self._description.pixel_scale, (pixels.shape[0], pixels.shape[1]))
        return Image.of_arrays(pixels, inverse_variance, wcs, self._settings.psf_fwhm, self._settings.zero_point)


def sky_of(pixels: np.ndarray, weights: np.ndarray | None) -> tuple[float, float]:
    """Return level and noise of the sky in an image: along the edges of a small one, everywhere in a large one."""
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
        if not 1 / MAX_NOISE_RATIO < ratio < MAX_NOISE_RATIO:
            logger.warning("%s: the weights' noise is %.3g times too small; they are rescaled", name, ratio)
            result /= np.float32(ratio**2)
    return result
