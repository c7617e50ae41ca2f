"""Cut the stamps of many sources from many tiles, in one pass over each tile.

The pixels of a stamp are those of its best tile. Pixels that this tile does not have are filled from other tiles in a
second pass over those tiles alone. A strip of one band of one tile is in memory at a time.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from astropy.wcs import WCS

from tuningfork.core.description import Description
from tuningfork.core.errors import InputError
from tuningfork.core.running.progress import track
from tuningfork.sky.coordinates import ARCSEC
from tuningfork.stamps.finish import STAMPS_PER_BATCH, Finisher
from tuningfork.stamps.grid import Grid, windows_elsewhere
from tuningfork.stamps.positions import Positions, pixel_scale
from tuningfork.stamps.saturation import saturated_centres
from tuningfork.stamps.scaling import Scaling
from tuningfork.stamps.state import State
from tuningfork.stamps.store import StampStore
from tuningfork.stamps.strips import Strip, strips
from tuningfork.stamps.windows import Windows
from tuningfork.surveys.base import FetchedTile, Image, Tile

logger = logging.getLogger(__name__)

COMPLETE_FRACTION = 0.98
"""Fraction of good pixels above which a stamp that lies in its tile is not filled from other tiles."""
QUALITY_STEPS = 20
"""Steps of completeness: a few masked pixels do not decide between two tiles."""


@dataclass
class Mosaic:
    """The stamps of a shard while they are built.

    Attributes
    ----------
    store : StampStore
        If it has no room for inverse variances, nothing is filled from other tiles.
    positions : Positions
    scaling : Scaling
    description : Description
    open_band : callable
        (tile, band) -> Image; raises InputError.
    contradiction : callable, optional
        (image, tile, band) -> why the image's coordinates cannot be right, or None; raises InputError.
    tiles : list of FetchedTile
        All tiles, in the order of their numbers.
    state : State
    bad : set of int
        Numbers of the tiles of which no band could be used.
    contradicted : set of int
        Numbers of the tiles of which a band has coordinates that cannot be right.
    reach : float
        Half of the diagonal of the largest tile (deg).
    """

    store: StampStore
    positions: Positions
    scaling: Scaling
    description: Description
    open_band: Callable[[FetchedTile, str], Image]
    contradiction: Callable[[Image, Tile, str], str | None] | None = None
    tiles: list[FetchedTile] = field(init=False, default_factory=list)
    state: State = field(init=False)
    bad: set[int] = field(init=False, default_factory=set)
    contradicted: set[int] = field(init=False, default_factory=set)
    reach: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        count, bands = self.store.shape[0], self.store.shape[2]
        self.state = State(count, bands)
        self._finisher = Finisher(self.store, self.state, self.description.reference)
        self._active = np.ones(count, bool)
        self._covered: dict[int, np.ndarray] = {}
        self._unusable: set[tuple[int, int]] = set()
        self._trusted: dict[int, list[WCS]] = {}

    def build(self, tiles: Sequence[FetchedTile]) -> None:
        """Cut all stamps from `tiles`.

        A band may turn out to be unusable after others of its tile have been cut, or damaged while it is read. It then counts
        as if the tile never had it, and the sources near the tile start again.
        """
        self.tiles = list(tiles)
        numbers = list(range(len(self.tiles)))
        while numbers:
            again = [self._cut_tile(number) for number in track(numbers, "tiles cut")]
            if self.store.shape[1] > 1:
                again += [self._fill_from(number) for number in numbers]
            hurt = np.unique(np.concatenate(again))
            self._finisher.clear(hurt, list(range(self.store.shape[2])))
            self.state.forget(hurt)
            self.scaling.forget(hurt)
            self._active[:] = False
            self._active[hurt] = True
            numbers = [number for number, near in self._covered.items() if self._active[near].any()]

    def _open(self, number: int, band_index: int, band: str) -> Image | None:
        """Open a band of a tile. A band that cannot be used is logged and not tried again; the result is then None."""
        tile = self.tiles[number]
        try:
            image = self.open_band(tile, band)
            reason = self._why_distrusted(number, band, image)
        except InputError as error:
            self._give_up(number, band_index, str(error))
            return None
        if reason:
            self._give_up(number, band_index, reason)
            self.contradicted.add(number)
            return None
        return image

    def _give_up(self, number: int, band_index: int, reason: str) -> None:
        logger.warning("tile %s, band %s: %s", self.tiles[number].name, self.description.bands[band_index], reason)
        self._unusable.add((number, band_index))

    def _why_distrusted(self, number: int, band: str, image: Image) -> str | None:
        """Return why the coordinates of an image cannot be right; bands of a tile with the same WCS are checked once."""
        trusted = self._trusted.setdefault(number, [])
        if self.contradiction is None or any(image.wcs.wcs.compare(other.wcs) for other in trusted):
            return None
        reason = self.contradiction(image, self.tiles[number].tile, band)
        if reason is None:
            trusted.append(image.wcs)
        return reason

    def _bands(self, number: int) -> list[tuple[int, str]]:
        files = self.tiles[number].files
        bands = [
            (band_index, band)
            for band_index, band in enumerate(self.description.bands)
            if band in files and (number, band_index) not in self._unusable
        ]
        return sorted(bands, key=lambda item: item[0] != self.description.reference)

    def _cut_tile(self, number: int) -> np.ndarray:
        """Cut the stamps for which a tile is the best so far; return the sources that must start again."""
        grid: Grid | None = None
        done = []
        for band_index, band in self._bands(number):
            image = self._open(number, band_index, band)
            if image is None and grid is None:
                continue
            if image is None:
                return self._covered[number]
            try:
                if grid is None:
                    grid = self._cut_grid(number, band_index, image)
                else:
                    self._cut_band(grid, band_index, image)
            except InputError as error:
                self._give_up(number, band_index, str(error))
                return self._covered[number]
            done.append(band_index)
        if grid is None:
            self.bad.add(number)
        else:
            self._finisher.clear(grid.sources, [k for k in range(self.store.shape[2]) if k not in done])
        return np.empty(0, int)

    def _cut_grid(self, number: int, band_index: int, image: Image) -> Grid:
        """Cut the first band of a tile, which decides for which sources the tile is the best; return their grid."""
        tile, state = self.tiles[number], self.state
        near = self.positions.near(image, tile.name)
        located = self.positions.locate(image, near[self._active[near]])
        unique = self.positions.unique_in(tile.tile, located.sources)
        cover = Grid.of(located, self.scaling, unique).cover
        # Before anything is read: if the tile proves to be damaged, these sources start again.
        self._covered[number] = located.sources[(cover > 0) | self.scaling.may_grow(located)]
        self.scaling.measure(image, located)
        grid = Grid.of(located, self.scaling, unique)
        self.reach = max(self.reach, float(np.hypot(*image.shape)) / 2 * pixel_scale(image.wcs, image.shape) / ARCSEC)
        usable = len(self._bands(number))
        grid = grid.at((located.margin > 0) & self._better(grid, _quality(grid.cover, usable)))
        psf_fwhm = image.psf_fwhm(grid.located.x, grid.located.y)
        windows, taken = grid.windows, np.zeros(len(grid.sources), bool)
        whole = np.asarray(grid.overhang.max(axis=1, initial=0) == 0)
        for strip, batch in _batches(image, windows):
            stamps = self._finisher.cut(strip, windows, batch)
            valid = self._finisher.count_valid(stamps, strip.good and bool(whole[batch].all()))
            quality = _quality(valid / stamps[0, 0].size, usable)
            kept = grid.at(batch)
            state.note_shown(kept.sources[quality == 0], valid[quality == 0])
            better = (quality > 0) & self._better(kept, quality)
            if not better.all():
                kept, batch, stamps = kept.at(better), batch[better], stamps[better]
                valid, quality = valid[better], quality[better]
            kept.settle(state, number, quality, image.zero_point)
            self._finisher.keep(kept.sources, band_index, stamps, valid, psf_fwhm[batch])
            if band_index == self.description.reference:
                radius = np.nan_to_num(psf_fwhm[batch] / (kept.scale / kept.step))
                state.saturated[kept.sources] = saturated_centres(image, strip, kept.located.position, radius)
                state.keep_psf(image, kept.located)
            taken[batch] = True
        return grid.at(taken)

    def _better(self, grid: Grid, quality: np.ndarray) -> np.ndarray:
        """Return for which sources stamps of this quality are better than those that they have."""
        before = self.state.quality[grid.sources]
        return np.asarray((quality > before) | ((quality == before) & (grid.rank > self.state.rank[grid.sources])))

    def _cut_band(self, grid: Grid, band_index: int, image: Image) -> None:
        """Cut another band of the stamps that a tile gives."""
        located = self.positions.locate(image, grid.sources)
        windows = windows_elsewhere(self.state, located)
        psf_fwhm = image.psf_fwhm(located.x, located.y)
        factor = self._factor(located.sources, image)
        for strip, batch in _batches(image, windows):
            stamps = self._finisher.cut(strip, windows, batch, factor[batch])
            valid = self._finisher.count_valid(stamps)
            self._finisher.keep(located.sources[batch], band_index, stamps, valid, psf_fwhm[batch])

    def _factor(self, sources: np.ndarray, image: Image) -> np.ndarray:
        """Return the factors that bring the flux of an image to the zero points of the stamps."""
        return np.asarray(10 ** (0.4 * (self.state.zero_point[sources] - image.zero_point)))

    def _fill_from(self, number: int) -> np.ndarray:
        """Fill pixels that other tiles lack from a tile; return the sources that must start again because it is damaged."""
        state = self.state
        near = self._covered.get(number, np.empty(0, int))
        near = near[self._active[near] & (state.quality[near] > 0) & (state.tile[near] != number)]
        near = near[(state.valid[near].min(axis=1, initial=1) < COMPLETE_FRACTION) | state.overhang[near].any(axis=1)]
        if not near.size:
            return near
        for band_index, band in self._bands(number):
            lacking = near[state.valid[near, band_index] < 1]
            if not lacking.size:
                continue
            image = self._open(number, band_index, band)
            if image is None:
                return near
            try:
                self._fill_band(lacking, band_index, image)
            except InputError as error:
                self._give_up(number, band_index, str(error))
                return near
        return np.empty(0, int)

    def _fill_band(self, sources: np.ndarray, band_index: int, image: Image) -> None:
        located = self.positions.locate(image, sources)
        windows = windows_elsewhere(self.state, located)
        factor, psf_fwhm = self._factor(located.sources, image), image.psf_fwhm(located.x, located.y)
        for strip, batch in _batches(image, windows):
            other = self._finisher.cut(strip, windows, batch, factor[batch])
            stamps = np.stack([self.store.read(source, band_index) for source in located.sources[batch].tolist()])
            use = ((stamps[:, 1] <= 0) & (other[:, 1] > 0))[:, None]
            changed = use.any(axis=(1, 2, 3))
            stamps = np.where(use, other, stamps)[changed]
            changed_sources = located.sources[batch[changed]]
            before = self.state.psf_fwhm[changed_sources, band_index]
            width = np.where(np.isfinite(before), before, psf_fwhm[batch[changed]])
            self._finisher.keep(changed_sources, band_index, stamps, self._finisher.count_valid(stamps), width)
            self.state.stitched[changed_sources] = True
            # Where another tile has the central pixels, they are not lost.
            self.state.saturated[changed_sources] &= self.state.masked[changed_sources]

    def outside(self, source: int) -> np.ndarray:
        """Return which pixels of a stamp lie beyond the edge of its best tile, wholly or in part.

        Parameters
        ----------
        source : int

        Returns
        -------
        ndarray of bool
            (S, S).
        """
        size, step = self.store.shape[-1], self.state.step[source]
        left, below, right, above = np.ceil(self.state.overhang[source] / step).astype(int).clip(0, size)
        beyond = np.ones((size, size), dtype=bool)
        beyond[below : size - above, left : size - right] = False
        return beyond


def _quality(fraction: np.ndarray, bands: int) -> np.ndarray:
    return np.asarray(np.rint(QUALITY_STEPS * fraction) * bands)


def _batches(image: Image, windows: Windows) -> Iterator[tuple[Strip, np.ndarray]]:
    """Read the rows of an image that windows need; yield each strip with some of the windows that it holds."""
    wide = image.shape[1]
    low, high = windows.first[:, 1], windows.last[:, 1]
    beside = (windows.last[:, 0] <= 0) | (windows.first[:, 0] >= wide)
    for strip, held in strips(image, low, np.where(beside, low, high)):
        for begin in range(0, len(held), STAMPS_PER_BATCH):
            yield strip, held[begin : begin + STAMPS_PER_BATCH]
