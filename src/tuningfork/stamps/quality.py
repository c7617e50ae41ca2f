"""What can be said about stamps from their own pixels: their noise, and what is wrong with them.

All functions take many stamps at once.
"""

import functools

import numpy as np

CENTRE = 3.0
"""Radius (arcsec) around the centre in which masked pixels are flagged."""
SIGNIFICANCE = 3.0
"""Signal-to-noise ratio within one PSF width below which a stamp has no signal."""
EXTENT = 2.5
"""A galaxy reaches this many half-light radii: 91 % of the light of an exponential disc."""
SAMPLES = 16
"""Rows and columns, evenly spaced, of which the median noise is taken: the rest adds time and no knowledge."""


def sky_noise(weight: np.ndarray) -> np.ndarray:
    """Return the standard deviation of the sky in a pixel, NaN without data.

    The median over the outer half of the stamp's width is taken, where the galaxy's own photons do not count.

    Parameters
    ----------
    weight : ndarray
        Inverse variance (N, S, S).
    """
    if not len(weight):
        return np.empty(0)
    planes = weight.reshape(len(weight), -1)
    sample = np.take(planes, _ring(weight.shape[-1]), axis=1)
    middle = sample.shape[1] // 2
    median = np.partition(sample, middle, axis=1)[:, middle]
    noise = 1 / np.sqrt(np.maximum(median, np.finfo(np.float32).tiny))
    for place in np.flatnonzero(sample.min(axis=1) <= 0):
        for pixels in (sample[place], planes[place]):
            good = pixels[pixels > 0]
            noise[place] = 1 / np.sqrt(np.median(good)) if good.size else np.nan
            if good.size:
                break
    return np.asarray(noise, dtype=float)


@functools.cache
def _ring(size: int) -> np.ndarray:
    """Return the places, in a flat plane of `size` x `size` pixels, of a sample of its outer half."""
    lines = np.arange(0, size, max(size // SAMPLES, 1))
    outside = (lines < size // 4) | (lines >= size - size // 4)
    return (lines[:, None] * size + lines)[outside[:, None] | outside]


def disc(size: int, radius: np.ndarray | float) -> np.ndarray:
    """Return which pixels (..., S, S) of a stamp lie within `radius` (...) pixels of its centre, at least one."""
    offset = np.arange(size) - size // 2
    return np.asarray(np.hypot(offset[:, None], offset) <= np.maximum(radius, 0.5)[..., None, None])


def _central(size: int, radius: np.ndarray) -> tuple[slice, np.ndarray]:
    """Return the central rows and columns of a stamp that hold discs of `radius` (N,), and these discs therein."""
    reach = int(min(np.max(radius, initial=0), (size - 1) // 2))
    return slice(size // 2 - reach, size // 2 + reach + 1), disc(2 * reach + 1, radius)


def masked_at_centre(weight: np.ndarray, pixel_scale: np.ndarray) -> np.ndarray:
    """Return whether pixels near the centre have no data.

    Parameters
    ----------
    weight : ndarray
        Inverse variance (N, S, S).
    pixel_scale : ndarray
        In arcsec, (N,).
    """
    middle, disc = _central(weight.shape[-1], CENTRE / pixel_scale)
    return np.asarray((disc & ~(weight[:, middle, middle] > 0)).any(axis=(1, 2)))


def has_signal(
    flux: np.ndarray, weight: np.ndarray, noise: np.ndarray, pixel_scale: np.ndarray, psf_fwhm: np.ndarray
) -> np.ndarray:
    """Return whether the centre is above the noise.

    Parameters
    ----------
    flux, weight : ndarray
        Flux and inverse variance (N, S, S).
    noise : ndarray
        Standard deviation of the sky (N,), of :func:`sky_noise`.
    pixel_scale, psf_fwhm : ndarray
        In arcsec, (N,); a PSF that is not known counts as one pixel.
    """
    radius = np.where(np.isfinite(psf_fwhm), psf_fwhm / pixel_scale, 1.0)
    middle, disc = _central(flux.shape[-1], radius)
    core = disc & (weight[:, middle, middle] > 0)
    signal = np.einsum("nij,nij->n", flux[:, middle, middle], core, dtype=float)
    pixels = core.sum(axis=(1, 2))
    with np.errstate(invalid="ignore"):
        return np.asarray((pixels > 0) & (signal >= SIGNIFICANCE * noise * np.sqrt(pixels)))


def larger_than_stamp(radius: np.ndarray, pixel_scale: np.ndarray, size: int) -> np.ndarray:
    """Return whether galaxies of half-light radius `radius` (arcsec, NaN if unknown) reach beyond stamps of `size`."""
    with np.errstate(invalid="ignore"):
        return np.asarray(radius * EXTENT > size * pixel_scale / 2)
