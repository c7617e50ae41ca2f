"""Half-light radii measured on a tile, of sources whose list has none."""

import numpy as np

from tuningfork.core.stamp_scale import LARGEST_WINDOW
from tuningfork.stamps.growth import centre_of, sizes_of
from tuningfork.stamps.positions import Located
from tuningfork.stamps.strips import Strip, strips
from tuningfork.surveys.base import Image

WINDOW_RADII = 10.0
"""Half-light radii that a window spans at least: those of a disc, or of an elliptical, then hold all its light."""
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
    while left.size:
        corner = np.floor(located.position[left] + 0.5).astype(int) - width // 2
        for strip, held in strips(image, corner[:, 1], corner[:, 1] + width):
            for place in held.tolist():
                x, y = (located.position[left[place]] - corner[place]).tolist()
                radius[left[place]] = _radius(strip, corner[place], width, (x, y))
        width *= 2
        # Comparisons with NaN are false: what is not seen in a narrow window is not seen in a wide one.
        left = left[WINDOW_RADII * radius[left] > width // 2] if width <= LARGEST_WINDOW else left[:0]
    return radius


def _radius(strip: Strip, corner: np.ndarray, width: int, position: tuple[float, float]) -> float:
    """Return the radius (px) of the galaxy at a position in the window that begins at `corner`."""
    window = np.empty((2, width, width), np.float32)
    strip.copy(int(corner[0]), int(corner[1]), window)
    flux, weight = window
    good = weight > 0
    if not good.any():
        return np.nan
    noise = float(1 / np.sqrt(np.median(weight[good])))
    x, y = centre_of(flux, position, CENTRE_WINDOW, MAX_CENTRE_SHIFT)
    return sizes_of(flux, good, noise, x, y)[0]
