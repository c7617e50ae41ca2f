"""What is known about the stamps of a shard while they are built: arrays with one row per source."""

from dataclasses import dataclass, field

import numpy as np

from tuningfork.stamps.positions import Located
from tuningfork.surveys.base import Image

NO_TILE = -1
NOTHING, PLACE, FEW_PIXELS = 0, 1, 2


@dataclass
class State:
    """The best tile of each source, the grid of its stamp there, and the properties of its pixels.

    Attributes
    ----------
    sources, bands : int
    tile : ndarray of int
        Number of the tile that gives the stamp its grid, -1 without one, (N,).
    quality : ndarray of int
        How complete the stamp is there, in twentieths, times the number of bands; 0 without a stamp, (N,).
    rank : ndarray
        Decides between tiles of the same quality, (N,).
    corner : ndarray of int
        Pixel (x, y) of that tile which is the stamp's first, (N, 2).
    step : ndarray
        Width of the stamp's pixels in pixels of the tile, (N,).
    scale : ndarray
        Width of the stamp's pixels (arcsec), (N,).
    span : ndarray of int
        Pixels of the tile across the stamp, (N,).
    position : ndarray
        Position (x, y) of the source in the tile, (N, 2).
    matrix : ndarray
        Jacobian of the sky there, (N, 2, 2).
    zero_point : ndarray
        AB magnitude of one flux unit, (N,).
    overhang : ndarray of int
        Pixels of the stamp beyond the left, lower, right and upper edge of the tile, (N, 4).
    psf_fwhm, valid, noise : ndarray
        PSF width (arcsec), fraction of pixels with data and standard deviation of the sky, (N, B).
    psf_beta : ndarray
        Exponent of the PSF's Moffat profile in the reference band; NaN if it is that of the survey, (N,).
    psf_images : dict
        Source -> image of the PSF in the reference band on the pixels of the tile, where there is one.
    masked, signal : ndarray of bool
        Whether the centre has masked pixels and whether it is above the noise, in the reference band, (N,).
    saturated : ndarray of bool
        Whether pixels within a PSF width of the centre are saturated in the reference band, by the survey's mask, (N,).
    stitched : ndarray of bool
        Whether another tile gave pixels, (N,).
    shown : ndarray of int
        What the tiles show of a source without a stamp: nothing, its place alone, or a few valid pixels (`NOTHING`, `PLACE`,
        `FEW_PIXELS`), (N,).
    written : ndarray of bool
        Whether the store holds anything but zeros, (N, B).
    """

    sources: int
    bands: int
    tile: np.ndarray = field(init=False)
    quality: np.ndarray = field(init=False)
    rank: np.ndarray = field(init=False)
    corner: np.ndarray = field(init=False)
    step: np.ndarray = field(init=False)
    scale: np.ndarray = field(init=False)
    span: np.ndarray = field(init=False)
    position: np.ndarray = field(init=False)
    matrix: np.ndarray = field(init=False)
    zero_point: np.ndarray = field(init=False)
    overhang: np.ndarray = field(init=False)
    psf_fwhm: np.ndarray = field(init=False)
    valid: np.ndarray = field(init=False)
    noise: np.ndarray = field(init=False)
    psf_beta: np.ndarray = field(init=False)
    psf_images: dict[int, np.ndarray] = field(init=False, default_factory=dict)
    masked: np.ndarray = field(init=False)
    signal: np.ndarray = field(init=False)
    saturated: np.ndarray = field(init=False)
    stitched: np.ndarray = field(init=False)
    shown: np.ndarray = field(init=False)
    written: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        n, b = self.sources, self.bands
        self.tile, self.quality = np.full(n, NO_TILE, np.int32), np.zeros(n, np.int32)
        self.rank, self.step = np.full(n, -np.inf), np.full(n, np.nan)
        self.corner, self.span, self.overhang = np.zeros((n, 2), int), np.zeros(n, int), np.zeros((n, 4), int)
        self.position, self.matrix = np.full((n, 2), np.nan), np.full((n, 2, 2), np.nan)
        self.scale, self.zero_point = np.full(n, np.nan), np.full(n, np.nan)
        self.psf_fwhm, self.noise = np.full((n, b), np.nan), np.full((n, b), np.nan)
        self.valid, self.psf_beta = np.zeros((n, b)), np.full(n, np.nan)
        self.masked, self.signal, self.stitched = np.ones(n, bool), np.zeros(n, bool), np.zeros(n, bool)
        self.shown = np.full(n, NOTHING, np.int8)
        self.saturated, self.written = np.zeros(n, bool), np.zeros((n, b), bool)

    def keep_psf(self, image: Image, located: Located) -> None:
        """Keep what an image in the reference band knows of the PSF besides its width.

        Parameters
        ----------
        image : Image
        located : Located
            Sources in it.
        """
        if image.psf_beta is not None:
            self.psf_beta[located.sources] = image.psf_beta(located.x, located.y)
        if image.psf_images is not None:
            images = image.psf_images(located.x, located.y)
            known = zip(located.sources.tolist(), images, strict=True)
            self.psf_images.update({source: psf for source, psf in known if psf is not None})

    def note_shown(self, sources: np.ndarray, valid: np.ndarray) -> None:
        """Note that a tile shows the places of some sources, with too few valid pixels for stamps.

        Parameters
        ----------
        sources : ndarray of int
            (K,).
        valid : ndarray of int
            Valid pixels of their stamps, (K,).
        """
        self.shown[sources] = np.maximum(self.shown[sources], np.where(valid > 0, FEW_PIXELS, PLACE))

    def forget_pixels(self, sources: np.ndarray) -> None:
        """Forget the properties of the pixels of some stamps, because other pixels take their place.

        Parameters
        ----------
        sources : ndarray of int
            (K,).
        """
        self.psf_fwhm[sources], self.noise[sources], self.valid[sources] = np.nan, np.nan, 0
        self.masked[sources], self.signal[sources], self.stitched[sources] = True, False, False
        self.saturated[sources], self.psf_beta[sources] = False, np.nan
        for source in sources.tolist():
            self.psf_images.pop(source, None)

    def forget(self, sources: np.ndarray) -> None:
        """Put some sources back to how they were before any tile was read; the store is left as it is.

        Parameters
        ----------
        sources : ndarray of int
            (K,).
        """
        self.forget_pixels(sources)
        self.tile[sources], self.quality[sources], self.rank[sources] = NO_TILE, 0, -np.inf
        self.shown[sources] = NOTHING
        self.position[sources], self.matrix[sources] = np.nan, np.nan
        self.scale[sources], self.zero_point[sources] = np.nan, np.nan
