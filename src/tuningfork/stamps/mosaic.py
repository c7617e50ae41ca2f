"""Cut the stamps of many sources from many tiles, reading each tile and band once.

A stamp's pixels are those of its best tile. Pixels that this tile does not have are filled from other tiles in a
second pass over those tiles alone. One band of one tile is in memory at a time.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from astropy.wcs import WCS

from tuningfork.core.description import Description
from tuningfork.core.errors import InputError
from tuningfork.core.progress import track
from tuningfork.sky.coordinates import ARCSEC, directions, jacobian, to_pixels
from tuningfork.stamps.cut import COPY, Mapping, copy_into, extract, overlap
from tuningfork.surveys.base import FetchedTile, Image, OwnImages

logger = logging.getLogger(__name__)

COMPLETE = 0.98
"""Fraction of good pixels above which a stamp is not looked at again."""


@dataclass
class Geometry:
    """Where the sources lie in one band of a tile; arrays of the N sources, NaN for those that are not near."""

    x: np.ndarray
    y: np.ndarray
    matrix: np.ndarray
    shape: tuple[int, int]

    @property
    def centred_inside(self) -> np.ndarray:
        """Which sources have their central pixel in the image."""
        return self.overlapping(1)

    def overlapping(self, size: int) -> np.ndarray:
        """Return which sources' stamps of `size` pixels share a pixel with the image."""
        left, bottom = _corner(self.x, size), _corner(self.y, size)
        with np.errstate(invalid="ignore"):
            return (left > -size) & (left < self.shape[1]) & (bottom > -size) & (bottom < self.shape[0])

    @property
    def margin(self) -> np.ndarray:
        """Distance (px) of the sources from the nearest edge."""
        edges = [self.x, self.shape[1] - 1 - self.x, self.y, self.shape[0] - 1 - self.y]
        return np.asarray(np.min(edges, axis=0))


def _corner(position: np.ndarray, size: int) -> np.ndarray:
    """Return the first pixel of a stamp whose pixel `size // 2` is the one that holds `position`."""
    return np.asarray(np.floor(np.asarray(position) + 0.5) - size // 2)


@dataclass
class Whole:
    """An image that has been read."""

    pixels: np.ndarray
    inverse_variance: np.ndarray
    wcs: WCS
    psf_fwhm: Callable[[np.ndarray, np.ndarray], np.ndarray]
    zero_point: float

    @classmethod
    def of(cls, image: Image) -> "Whole":
        """Read all rows of an image."""
        pixels, inverse_variance = image.rows(0, image.shape[0])
        return cls(pixels, inverse_variance, image.wcs, image.psf_fwhm, image.zero_point)


@dataclass
class Mosaic:
    """The stamps of a shard while they grow.

    Attributes
    ----------
    stamps : ndarray
        float32 (N, 2, B, S, S), zeros at the beginning; may be a memory map.
    ra, dec : ndarray
        Positions (deg), NaN if unknown.
    own : OwnImages
    description : Description
    open_band : callable
        (tile, band) -> Image; raises InputError.
    """

    stamps: np.ndarray
    ra: np.ndarray
    dec: np.ndarray
    own: OwnImages
    description: Description
    open_band: Callable[[FetchedTile, str], Image]
    tile: np.ndarray = field(init=False)
    quality: np.ndarray = field(init=False)
    margin: np.ndarray = field(init=False)
    corner: np.ndarray = field(init=False)
    position: np.ndarray = field(init=False)
    matrix: np.ndarray = field(init=False)
    zero_point: np.ndarray = field(init=False)
    psf_fwhm: np.ndarray = field(init=False)
    filled: np.ndarray = field(init=False)
    overhang: np.ndarray = field(init=False)
    stitched: np.ndarray = field(init=False)
    covered_by: dict[str, np.ndarray] = field(init=False, default_factory=dict)
    reach: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        count, bands = self.stamps.shape[0], self.stamps.shape[2]
        self.tile = np.full(count, None, dtype=object)
        self.quality, self.margin = np.full(count, -1.0), np.full(count, -np.inf)
        self.corner, self.position = np.zeros((count, 2), dtype=np.int64), np.full((count, 2), np.nan)
        self.matrix = np.full((count, 2, 2), np.nan)
        self.zero_point, self.psf_fwhm = np.full(count, np.nan), np.full((count, bands), np.nan)
        self.filled = np.zeros((count, bands))
        self.overhang, self.stitched = np.zeros((count, 4), dtype=np.int64), np.zeros(count, dtype=bool)
        self._own = np.array(self.own.tiles, dtype=object) if count else np.empty(0, dtype=object)
        self._centred = np.array(self.own.centred, dtype=bool)

    @property
    def size(self) -> int:
        """Width and height of the stamps."""
        return int(self.stamps.shape[-1])

    def build(self, tiles: Sequence[FetchedTile]) -> list[str]:
        """Cut all stamps from `tiles`; return the names of the tiles of which nothing could be opened."""
        bad = [tile.name for tile in track(tiles, "tiles cut") if not self._cut_tile(tile)]
        incomplete = (self.quality > 0) & (self.filled.min(axis=1, initial=1) < COMPLETE)
        for tile in tiles:
            near = self.covered_by.get(tile.name, np.empty(0, dtype=np.int64))
            near = near[incomplete[near] & (self.tile[near] != tile.name)]
            if near.size:
                self._fill_from(tile, near)
        return bad

    def _bands(self, tile: FetchedTile) -> list[tuple[int, str]]:
        """Return the bands that a tile has, the one that gives the grid first."""
        bands = [(place, band) for place, band in enumerate(self.description.bands) if band in tile.files]
        return sorted(bands, key=lambda item: item[0] != self.description.reference)

    def _images(self, tile: FetchedTile) -> Iterator[tuple[int, Whole]]:
        """Open the bands of a tile one after the other; one that cannot be opened is logged and left out."""
        for place, band in self._bands(tile):
            try:
                image = Whole.of(self.open_band(tile, band))
            except InputError as error:
                logger.warning("tile %s, band %s: %s", tile.name, band, error)
            else:
                image.pixels[~(image.inverse_variance > 0)] = 0
                yield place, image

    def _cut_tile(self, tile: FetchedTile) -> bool:
        """Take from `tile` the stamps for which it is the best so far; return whether any band could be opened."""
        grid: Geometry | None = None
        taken = np.empty(0, dtype=np.int64)
        usable = len(self._bands(tile))
        for place, image in self._images(tile):
            here = self._locate(image, tile.name)
            if grid is None:
                grid = here
                self._remember(tile.name, image, grid)
                taken, quality = self._best_here(grid, image, usable)
                self._settle(taken, quality, tile.name, grid, image)
            self.psf_fwhm[taken, place] = image.psf_fwhm(here.x[taken], here.y[taken])
            self._cut_band(taken, place, image, here)
        return grid is not None

    def _cut_band(self, taken: np.ndarray, place: int, image: Whole, here: Geometry) -> None:
        """Cut one band of the stamps; where its pixels are those of the stamps, straight into the store."""
        start, step = self._mappings(taken, here)
        corner = np.rint(start)
        same = np.abs(start - corner).max(axis=-1, initial=0) < COPY
        same &= np.abs(step - np.eye(2)).sum(axis=2).max(axis=1, initial=0) * self.size / 2 < COPY
        same &= image.zero_point == self.zero_point[taken]
        for source, copied, (left, bottom) in zip(taken.tolist(), same, corner.tolist(), strict=True):
            stamp = self.stamps[source, :, place]
            if copied:
                copy_into(stamp, image.pixels, image.inverse_variance, int(left), int(bottom))
            else:
                stamp[:] = self._extract(source, image, here)
            self.filled[source, place] = np.count_nonzero(stamp[1] > 0) / self.size**2

    def _mappings(self, sources: np.ndarray, here: Geometry) -> tuple[np.ndarray, np.ndarray]:
        """Return for each source where its stamp's pixel (0, 0) lies in an image, and the step to the next pixels."""
        step = np.full((len(sources), 2, 2), np.nan)
        known = np.isfinite(here.x[sources])
        step[known] = np.linalg.solve(here.matrix[sources[known]], self.matrix[sources[known]])
        shift = (self.corner[sources] - self.position[sources])[..., None]
        return np.stack([here.x[sources], here.y[sources]], axis=1) + (step @ shift)[..., 0], step

    def _locate(self, image: Whole, name: str) -> Geometry:
        height, width = image.pixels.shape
        free = self._own == None  # noqa: E711 (elementwise)
        mine = self._own == name
        wanted = (free | mine) & ~self._centred
        x, y = to_pixels(
            image.wcs, np.where(wanted, self.ra, np.nan), np.where(wanted, self.dec, np.nan), (height, width)
        )
        middle = mine & self._centred
        x[middle], y[middle] = (width - 1) / 2, (height - 1) / 2
        matrix = np.full((len(x), 2, 2), np.nan)
        known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
        if known.size:
            matrix[known] = jacobian(image.wcs, x[known], y[known])
        return Geometry(x, y, matrix, (height, width))

    def _remember(self, name: str, image: Whole, grid: Geometry) -> None:
        self.covered_by[name] = np.flatnonzero(grid.overlapping(self.size))
        scale, _, _ = directions(jacobian(image.wcs, np.array([grid.shape[1] / 2]), np.array([grid.shape[0] / 2])))
        self.reach = max(self.reach, float(np.hypot(*grid.shape) / 2 * scale[0] / ARCSEC))

    def _best_here(self, grid: Geometry, image: Whole, usable: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the sources whose stamp is better here than before, and how complete it is.

        Better is more complete or, if equally so, farther from the edge. A few masked pixels do not count, a missing
        band does.
        """
        inside = np.flatnonzero(grid.centred_inside)
        left, bottom = _corner(grid.x[inside], self.size), _corner(grid.y[inside], self.size)
        wide, high = (
            np.minimum(start + self.size, length) - np.maximum(start, 0)
            for start, length in ((left, grid.shape[1]), (bottom, grid.shape[0]))
        )
        filled = wide * high
        if not (image.inverse_variance > 0).all():
            for number, (column, row) in enumerate(
                zip(left.astype(int).tolist(), bottom.astype(int).tolist(), strict=True)
            ):
                _, window = overlap(column, row, self.size, grid.shape)
                filled[number] = np.count_nonzero(image.inverse_variance[window] > 0)
        quality = np.rint(20 * filled / self.size**2) * usable
        margin, before = grid.margin[inside], self.quality[inside]
        better = (quality > before) | ((quality == before) & (margin > self.margin[inside]))
        better &= quality > 0
        return inside[better], quality[better]

    def _settle(self, taken: np.ndarray, quality: np.ndarray, name: str, grid: Geometry, image: Whole) -> None:
        again = self.quality[taken] > 0
        self.quality[taken] = quality
        self.tile[taken] = name
        self.margin[taken] = grid.margin[taken]
        self.position[taken] = np.stack([grid.x[taken], grid.y[taken]], axis=1)
        self.corner[taken] = _corner(self.position[taken], self.size).astype(np.int64)
        self.matrix[taken] = grid.matrix[taken]
        self.zero_point[taken] = image.zero_point
        self.psf_fwhm[taken], self.filled[taken] = np.nan, 0
        limits = self.corner[taken]
        below, above = np.maximum(-limits, 0), np.maximum(limits + self.size - np.array(grid.shape[::-1]), 0)
        self.overhang[taken] = np.concatenate([below, above], axis=1)
        for source in taken[again].tolist():
            self.stamps[source] = 0

    def _extract(self, source: int, image: Whole, here: Geometry) -> np.ndarray:
        """Return flux and inverse variance (2, S, S) of a source on the grid of its stamp."""
        if not np.isfinite(here.x[source]):
            return np.zeros((2, self.size, self.size), dtype=np.float32)
        start, step = (values[0] for values in self._mappings(np.array([source]), here))
        stamp = extract(image.pixels, image.inverse_variance, Mapping(start[0], start[1], step), self.size)
        factor = np.float32(10 ** (0.4 * (self.zero_point[source] - image.zero_point)))
        if factor != 1:
            stamp[0] *= factor
            stamp[1] /= factor**2
        return stamp

    def _fill_from(self, tile: FetchedTile, sources: np.ndarray) -> None:
        for place, image in self._images(tile):
            here = self._locate(image, tile.name)
            for source in sources.tolist():
                stamp = self.stamps[source, :, place]
                empty = stamp[1] <= 0
                if not empty.any():
                    continue
                found = self._extract(source, image, here)
                use = empty & (found[1] > 0)
                if use.any():
                    stamp[:, use] = found[:, use]
                    self.stitched[source] = True
                    if not np.isfinite(self.psf_fwhm[source, place]):
                        self.psf_fwhm[source, place] = image.psf_fwhm(here.x[[source]], here.y[[source]])[0]

    def outside(self, source: int) -> np.ndarray:
        """Return which pixels (S, S) of a stamp lie beyond the edge of its best tile."""
        left, bottom, right, top = self.overhang[source]
        beyond = np.ones((self.size, self.size), dtype=bool)
        beyond[bottom : self.size - top, left : self.size - right] = False
        return beyond
