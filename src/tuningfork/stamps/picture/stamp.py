"""From a picture made for the eye to a stamp: the stretch is undone, the sky measured, the galaxy centred and scaled.

Pictures of surveys show arcsinh(Q I) / Q of the light I (Lupton+ 2004, PASP 116, 133), cut off at black and white and
rounded to 8 bits. The noise below black and the light above white are lost and cannot be restored. Arrays have row = y
and column = x, row 0 at the bottom.
"""

from dataclasses import dataclass

import numpy as np
import sep
from scipy import ndimage
from scipy.special import ndtri

STRETCH = 5.5
"""Q of pictures whose Q is not given: between the 4.5 of the Legacy Surveys and the 8 of SDSS.

With too high a Q the centre of the galaxy becomes far too bright; with too low a Q it only loses contrast.
"""
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
PETROSIAN_RATIO, PETROSIAN_APERTURE = 0.2, 2.0
"""Petrosian ratio that defines the radius, and the aperture of all light in such radii (Blanton+ 2001, AJ 121, 2358)."""
MIN_CENTRE_SNR, MIN_RING_SHARE = 3.0, 0.3
"""Least mean light near the centre in units of the noise, and least part of a ring that lies in the picture."""
NEIGHBOUR_SNR = 4.0
"""A pixel so many times the noise brighter than the opposite one, and half as bright again, is a neighbour's."""


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


def unstretch(brightness: np.ndarray, stretch: float = STRETCH) -> np.ndarray:
    """Return the light that a picture shows as `brightness` (0 black, 1 white).

    Parameters
    ----------
    brightness : ndarray
        Any shape: the mean of the colours.
    stretch : float
        Q; 0 for a linear picture.

    Returns
    -------
    ndarray
        float32, in units in which faint light is as in the picture.
    """
    brightness = np.asarray(brightness, dtype=np.float32)
    return np.sinh(stretch * brightness) / np.float32(stretch) if stretch > 0 else brightness


def stamp_of(light: np.ndarray, size: int = STAMP_SIZE) -> PictureStamp:
    """Return the galaxy in the middle of a picture as a stamp.

    Parameters
    ----------
    light : ndarray
        (H, W) from :func:`unstretch`.
    size : int
        Width and height of the stamp (px).

    Returns
    -------
    PictureStamp
    """
    level, noise = sky_of(light)
    above = light - np.float32(level)
    x, y = centre_of(above)
    r50, r90, complete = sizes_of(above, noise, x, y)
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
    pixels = np.concatenate([part.ravel() for part in dark_parts(light)])
    black = float(np.mean(pixels <= pixels.min()))
    low = max(0.5, min(black + 0.02, 0.95))
    high = low + 0.68 * (1 - low)
    below, above = np.quantile(pixels, [low, high])
    noise = max(float(above - below) / float(ndtri(high) - ndtri(low)), MIN_SKY_NOISE)
    return float(below) - noise * float(ndtri(low)), noise


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


def centre_of(above: np.ndarray) -> tuple[float, float]:
    """Return the centre of the galaxy in the middle of a picture.

    It is the centroid in a Gaussian window that follows it (as XWIN_IMAGE of SExtractor); or the middle of the picture, if
    the window moves too far from it.

    Parameters
    ----------
    above : ndarray
        (H, W) light above the sky.

    Returns
    -------
    x, y : float
        px, 0 is the middle of the first pixel.
    """
    middle = (above.shape[1] - 1) / 2, (above.shape[0] - 1) / 2
    width = min(above.shape)
    window = max(CENTRE_WINDOW * width, MIN_CENTRE_WINDOW)
    x, y, _ = sep.winpos(np.ascontiguousarray(above, dtype=np.float32), *middle, window)
    distance = np.hypot(x - middle[0], y - middle[1])
    if not np.isfinite(distance) or distance > MAX_CENTRE_SHIFT * width:
        return middle
    return float(x), float(y)


def sizes_of(above: np.ndarray, noise: float, x: float, y: float) -> tuple[float, float, bool]:
    """Return the radii with half and with 90 % of the light of a galaxy, from the Petrosian radius as SDSS defines it.

    Parameters
    ----------
    above : ndarray
        (H, W) light above the sky.
    noise : float
        Standard deviation of the sky.
    x, y : float
        The galaxy's centre (px).

    Returns
    -------
    r50, r90 : float
        px; NaN where no galaxy is seen.
    complete : bool
        Whether the Petrosian radius lies in the picture; if not, the light within the picture counts.
    """
    radius, light = _growth(_without_neighbours(above, noise, x, y), x, y)
    near = max(3, round(0.01 * min(above.shape)))
    if len(radius) <= near or light[near] < MIN_CENTRE_SNR * noise * np.pi * radius[near] ** 2 / np.sqrt(near):
        return np.nan, np.nan, False
    ratio = _petrosian_ratio(radius, light)
    below = (ratio < PETROSIAN_RATIO) & (radius > 1)
    complete = bool(below.any())
    petrosian = radius[-1]
    if complete:
        end = int(np.argmax(below))
        petrosian = np.interp(-PETROSIAN_RATIO, -ratio[end - 1 : end + 1], radius[end - 1 : end + 1])
    total = np.interp(PETROSIAN_APERTURE * petrosian, radius, light)
    rising = np.maximum.accumulate(light)
    r50, r90 = (float(np.interp(part * total, rising, radius)) for part in (0.5, 0.9))
    return r50, r90, complete


def _petrosian_ratio(radius: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Return the mean light of the ring from 0.8 to 1.25 radii divided by that within the radius; 1 at the centre."""
    inner, outer = 0.8 * radius[1:], np.minimum(1.25 * radius[1:], radius[-1])
    ring = np.interp(outer, radius, light) - np.interp(inner, radius, light)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = ring / (outer**2 - inner**2) / (light[1:] / radius[1:] ** 2)
    return np.concatenate([[1.0], np.where(light[1:] > 0, ratio, 1.0)])


def _without_neighbours(above: np.ndarray, noise: float, x: float, y: float) -> np.ndarray:
    """Replace pixels that are far brighter than those on the other side of the centre by these."""
    twice_x, twice_y = round(2 * x), round(2 * y)
    rows, columns = (twice - np.arange(length) for twice, length in zip((twice_y, twice_x), above.shape, strict=True))
    known = ((rows >= 0) & (rows < above.shape[0]))[:, None] & (columns >= 0) & (columns < above.shape[1])
    opposite = above[np.clip(rows, 0, above.shape[0] - 1)[:, None], np.clip(columns, 0, above.shape[1] - 1)]
    foreign = known & (above - opposite > NEIGHBOUR_SNR * noise + 0.5 * np.maximum(opposite, 0))
    return np.where(foreign, opposite, above)


def _growth(above: np.ndarray, x: float, y: float) -> tuple[np.ndarray, np.ndarray]:
    """Return radii 0, 1, 2, ... (px) and the light within them; a ring that leaves the picture is completed with its mean."""
    ring = np.hypot(np.arange(above.shape[1]) - x, (np.arange(above.shape[0]) - y)[:, None]).astype(int).ravel()
    number = np.bincount(ring)
    mean = np.bincount(ring, above.ravel()) / np.maximum(number, 1)
    area = np.pi * (2 * np.arange(len(number)) + 1)
    short = np.flatnonzero(number < MIN_RING_SHARE * area)
    # The innermost rings hold so few pixels that chance decides how many.
    end = short[short > 3][0] if (short > 3).any() else len(number)
    radius = np.arange(end + 1, dtype=float)
    return radius, np.concatenate([[0.0], np.cumsum(mean[:end] * area[:end])])
