"""From a picture made for the eye to a stamp: the sky is measured, the galaxy centred and scaled.

Pictures are cut off at black and white and rounded to 8 bits. The noise below black and the light above white are lost
and cannot be restored. Arrays have row = y and column = x, row 0 at the bottom.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.special import ndtri

from tuningfork.stamps.sizes.growth import centre_of, sizes_of

STAMP_SIZE = 128
"""Width and height of the stamps (px)."""
GALAXY_RADIUS = 32.0
"""The radius with 90 % of the light, in pixels of the stamp."""
MIN_STEP = 0.2
"""Narrowest pixel of a stamp, in pixels of the picture: small galaxies are not enlarged further."""
MIN_SKY_NOISE = 1 / 255
"""Least noise of the sky: the step of 8 bits, below which compression leaves no noise to be measured."""
SKY_BLOCKS, DARKEST_SHARE = 8, 0.33
"""The sky is measured in the darkest share of the outermost of SKY_BLOCKS x SKY_BLOCKS parts of the picture."""
CENTRE_WINDOW, MIN_CENTRE_WINDOW = 0.03, 2.0
"""Gaussian width of the window that finds the centre, in widths of the picture, and its least value (px)."""
MAX_CENTRE_SHIFT = 0.08
"""Largest distance of the centre from the middle of the picture (widths of the picture)."""


@dataclass(frozen=True)
class PictureStamp:
    """A picture as the networks read it.

    Attributes
    ----------
    image : ndarray
        float32 (S, S) light above the sky, the galaxy's centre at index S // 2; zero outside the picture.
    valid : ndarray
        bool (S, S), inside the picture.
    sky_noise : float
        Standard deviation of the sky in a pixel of the stamp, in the unit of `image`.
    step : float
        Width of a pixel of the stamp in pixels of the picture.
    x, y : float
        The galaxy's centre in the picture (px, 0 is the middle of the first pixel).
    r50, r90 : float
        Radii of the circles with 50 % and 90 % of the light (px of the picture); NaN where no galaxy is seen.
    complete : bool
        Whether the picture reaches out to the galaxy's Petrosian radius.
    """

    image: np.ndarray
    valid: np.ndarray
    sky_noise: float
    step: float
    x: float
    y: float
    r50: float
    r90: float
    complete: bool


def stamp_of(light: np.ndarray, size: int = STAMP_SIZE) -> PictureStamp:
    """Return the galaxy in the middle of a picture as a stamp.

    Parameters
    ----------
    light : ndarray
        (H, W) from :func:`tuningfork.stamps.picture.stretch.unstretch`.
    size : int
        Width and height of the stamp (px).

    Returns
    -------
    PictureStamp
    """
    level, noise = sky_of(light)
    above = light - np.float32(level)
    width, middle = min(light.shape), ((light.shape[1] - 1) / 2, (light.shape[0] - 1) / 2)
    x, y = centre_of(above, middle, max(CENTRE_WINDOW * width, MIN_CENTRE_WINDOW), MAX_CENTRE_SHIFT * width)
    r50, r90, complete = sizes_of(above, np.ones(above.shape, bool), noise, x, y)
    step = max(r90 / GALAXY_RADIUS * (STAMP_SIZE / size), MIN_STEP) if np.isfinite(r90) else 1.0
    # Pixels that become wider must not alias: their mean over the new width, as a Gaussian of the same variance.
    smooth = ndimage.gaussian_filter(light, np.sqrt((step**2 - 1) / 12)) if step > 1 else light
    level, noise = sky_of(smooth)
    offset = (np.arange(size) - size // 2) * step
    rows, columns = y + offset, x + offset
    image = ndimage.map_coordinates(
        smooth - np.float32(level), np.broadcast_arrays(rows[:, None], columns), order=3, mode="nearest"
    )
    valid = _inside(rows, light.shape[0])[:, None] & _inside(columns, light.shape[1])
    image = np.where(valid, image, 0).astype(np.float32)
    return PictureStamp(image, valid, noise, step, x, y, r50, r90, complete)


def _inside(places: np.ndarray, length: int) -> np.ndarray:
    return np.asarray((places >= -0.5) & (places <= length - 0.5))


def sky_brightness(brightness: np.ndarray) -> float:
    """Return the median brightness of the sky of a picture.

    Parameters
    ----------
    brightness : ndarray
        (H, W), 0 black, 1 white.

    Returns
    -------
    float
    """
    return float(np.median(_sky_pixels(brightness)))


def sky_of(light: np.ndarray) -> tuple[float, float]:
    """Return level and standard deviation of the sky along the edges of a picture.

    Only the darkest parts of the edge count, because a neighbour or the galaxy may reach it, and only the brighter half of
    their pixels, because the others may have been cut off at black. If a fraction f is cut off, quantiles above f are
    compared with those of the normal distribution.

    Parameters
    ----------
    light : ndarray
        (H, W).

    Returns
    -------
    level, noise : float
        In the unit of `light`.
    """
    pixels = _sky_pixels(light)
    black = float(np.mean(pixels <= pixels.min()))
    low = max(0.5, min(black + 0.02, 0.95))
    high = low + 0.68 * (1 - low)
    below, above = np.quantile(pixels, [low, high])
    noise = max(float(above - below) / float(ndtri(high) - ndtri(low)), MIN_SKY_NOISE)
    return float(below) - noise * float(ndtri(low)), noise


def _sky_pixels(light: np.ndarray) -> np.ndarray:
    return np.concatenate([part.ravel() for part in dark_parts(light)])


def dark_parts(light: np.ndarray) -> list[np.ndarray]:
    """Return the darkest parts of the edge of a picture, where the sky is measured.

    Parameters
    ----------
    light : ndarray
        (H, W).

    Returns
    -------
    list of ndarray
        (h, w) each.
    """
    parts = _edge_parts(light)
    # Where the sky is cut off at black many medians are zero; the means then tell the parts apart.
    order = np.lexsort(([np.mean(part) for part in parts], [np.median(part) for part in parts]))
    chosen = order[: max(int(DARKEST_SHARE * len(parts)), 1)]
    return [parts[place] for place in chosen]


def _edge_parts(light: np.ndarray) -> list[np.ndarray]:
    """Return the outermost of SKY_BLOCKS x SKY_BLOCKS parts; all pixels as one part of a picture too small for them."""
    if min(light.shape) < 2 * SKY_BLOCKS:
        return [light]
    rows, columns = (np.linspace(0, length, SKY_BLOCKS + 1).round().astype(int) for length in light.shape)
    ends = (0, SKY_BLOCKS - 1)
    return [
        light[rows[j] : rows[j + 1], columns[i] : columns[i + 1]]
        for j in range(SKY_BLOCKS)
        for i in range(SKY_BLOCKS)
        if j in ends or i in ends
    ]
