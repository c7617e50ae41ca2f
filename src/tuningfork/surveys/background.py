"""The level and the noise of the sky in an image."""

import logging

import numpy as np
from astropy.stats import SigmaClip, mad_std

from tuningfork.core.errors import InputError

logger = logging.getLogger(__name__)

SMALL_IMAGE_WIDTH = 1000
"""Width (px) below which the sky is measured along the edges, which a central galaxy does not reach."""
TINIEST, LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
"""Limits of the inverse variances, which are numbers of 32 bits."""
MAX_NOISE_RATIO = 2.0
"""Weights whose noise differs from that of the pixels by more than this factor are rescaled."""
CLIPPED_SIGMA = 3.0
"""Pixels farther from the median than this, in standard deviations, are clipped."""
MAX_CLIPPINGS = 8
UNIFORM_STEP_SIGMA = 1 / np.sqrt(12)
"""Standard deviation of a uniform distribution, such as that of rounding errors, in units of its width."""


def sky_level_and_noise(values: np.ndarray) -> tuple[float, float]:
    """Measure the sky by clipping pixels that are far from the median (:class:`astropy.stats.SigmaClip`).

    Parameters
    ----------
    values : ndarray
        Pixels, any shape; those that are not finite are ignored.

    Returns
    -------
    level : float
        Median of the sky.
    noise : float
        Standard deviation of the sky, from the median absolute deviation. It is never zero: an image without noise
        gets the noise of its digital step or, if all pixels are equal, one.
    """
    finite = np.asarray(values, dtype=np.float64)[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    clip = SigmaClip(CLIPPED_SIGMA, maxiters=MAX_CLIPPINGS, cenfunc="median", stdfunc="mad_std")
    sky = clip(finite, masked=False)
    level, noise = float(np.median(sky)), float(mad_std(sky))
    if noise > 0:
        return level, noise
    steps = np.diff(np.unique(finite))
    return level, float(steps.min() * UNIFORM_STEP_SIGMA) if steps.size else 1.0


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
