"""Half-light radii measured on a tile, of sources whose list has none."""

import numpy as np

from tuningfork.core.stamp_scale import LARGEST_WINDOW
from tuningfork.stamps.positions import Located
from tuningfork.stamps.sizes.growth import centre_of, sizes_of
from tuningfork.stamps.strips import Strip, strips
from tuningfork.surveys.background import sky_level_and_noise
from tuningfork.surveys.base import Image

WINDOW_RADII = 12.0
"""Half-light radii that a window spans at least, so that it holds all the light of a disc, and sky in its corners."""
SKY_SHARE, SKY_LINES = 0.2, 1024
"""The sky is taken from the farthest share of a window's pixels: its corners. Of a wider window fewer rows and columns do."""
CENTRE_WINDOW, MAX_CENTRE_SHIFT = 3.0, 6.0
"""Gaussian width of the window that finds the centre, and its largest distance from the listed position (px)."""


def half_light_radii(image: Image, located: Located, width: int) -> np.ndarray:
    """Measure half-light radii on a tile, in circles, after neighbours have been replaced by the pixels opposite to them.

    The windows grow, up to `LARGEST_WINDOW`, until they span `WINDOW_RADII`. One strip of the tile and one window are in
    memory at a time.

    Parameters
    ----------
    image : Image
        A band of the tile.
    located : Located
        M sources in it.
    width : int
        Width of the first windows (px).

    Returns
    -------
    ndarray
        px, (M,), NaN where no galaxy is seen. The radius includes the blur of the PSF.

    Raises
    ------
    InputError
        The image turns out to be damaged.
    """
    radius = np.full(len(located.sources), np.nan)
    left = np.arange(len(radius))
    largest = min(LARGEST_WINDOW, 4 * max(image.shape))
    while left.size:
        corner = np.floor(located.position[left] + 0.5).astype(int) - width // 2
        for strip, held in strips(image, corner[:, 1], corner[:, 1] + width):
            for place in held.tolist():
                x, y = (located.position[left[place]] - corner[place]).tolist()
                radius[left[place]] = _radius(strip, corner[place], width, (x, y))
        width *= 2
        # Comparisons with NaN are false: what is not seen in a narrow window is not seen in a wide one.
        left = left[WINDOW_RADII * radius[left] > width // 2] if width <= largest else left[:0]
    return radius


def _radius(strip: Strip, corner: np.ndarray, width: int, position: tuple[float, float]) -> float:
    """Return the radius (px) of the galaxy at a position in the window that begins at `corner`."""
    window = np.empty((2, width, width), np.float32)
    strip.copy(int(corner[0]), int(corner[1]), window)
    flux, weight = window
    good = weight > 0
    if not good.any():
        return np.nan
    sky = sky_level_and_noise(_farthest(flux, good, position))[0]
    # What little sky is left in a tile would keep the mean light of wide rings from falling below that of the galaxy.
    above = np.where(good, flux - np.float32(sky), 0)
    noise = float(1 / np.sqrt(np.median(weight[good])))
    x, y = centre_of(above, position, CENTRE_WINDOW, MAX_CENTRE_SHIFT)
    return sizes_of(above, good, noise, x, y)[0]


def _farthest(flux: np.ndarray, good: np.ndarray, position: tuple[float, float]) -> np.ndarray:
    """Return the pixels with data that are farthest from a position."""
    lines = slice(None, None, -(-len(flux) // SKY_LINES))
    columns, rows = (np.arange(len(flux))[lines] - middle for middle in position)
    seen = good[lines, lines]
    distance = np.hypot(rows[:, None], columns)[seen]
    return np.asarray(flux[lines, lines][seen][distance >= np.quantile(distance, 1 - SKY_SHARE)])
