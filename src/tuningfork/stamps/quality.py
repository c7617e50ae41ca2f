"""Noise and faults of stamps, from their own pixels. All functions take many stamps at once."""

import functools

import numpy as np

CENTRE_RADIUS = 3.0
"""Radius (arcsec) around the centre in which masked pixels are flagged."""
MIN_CENTRE_SNR = 3.0
"""Signal-to-noise ratio within one PSF width below which a stamp has no signal."""
GALAXY_EXTENT = 2.5
"""A galaxy reaches this many half-light radii: 91 % of the light of an exponential disc."""
NOISE_SAMPLES = 16
"""Rows and columns, evenly spaced, of which the median noise is taken: the rest adds time and no knowledge."""


def sky_noise(weight: np.ndarray) -> np.ndarray:
    """Return the standard deviation of the sky in a pixel.

    It is the median over the outer half of the stamp's width, where the galaxy's own photons do not count.

    Parameters
    ----------
    weight : ndarray
        Inverse variance (N, S, S).

    Returns
    -------
    ndarray
        (N,), NaN without data.
    """
    if not len(weight):
        return np.empty(0)
    planes = weight.reshape(len(weight), -1)
    sample = np.take(planes, _ring(weight.shape[-1]), axis=1)
    middle = sample.shape[1] // 2
    median = np.partition(sample, middle, axis=1)[:, middle]
    noise = 1 / np.sqrt(np.maximum(median, np.finfo(np.float32).tiny))
    for stamp in np.flatnonzero(sample.min(axis=1) <= 0):
        for pixels in (sample[stamp], planes[stamp]):
            good = pixels[pixels > 0]
            noise[stamp] = 1 / np.sqrt(np.median(good)) if good.size else np.nan
            if good.size:
                break
    return np.asarray(noise, dtype=float)


@functools.cache
def _ring(size: int) -> np.ndarray:
    """Return the indices, in a flat plane of `size` x `size` pixels, of a sample of its outer half."""
    lines = np.arange(0, size, max(size // NOISE_SAMPLES, 1))
    outside = (lines < size // 4) | (lines >= size - size // 4)
    return (lines[:, None] * size + lines)[outside[:, None] | outside]


def disc(size: int, radius: np.ndarray | float) -> np.ndarray:
    """Return which pixels lie within a radius of the centre of a stamp, at least one.

    Parameters
    ----------
    size : int
        S, width of the stamp (px).
    radius : ndarray or float
        In pixels, (...).

    Returns
    -------
    ndarray of bool
        (..., S, S).
    """
    offset = np.arange(size) - size // 2
    return np.asarray(np.hypot(offset[:, None], offset) <= np.maximum(radius, 0.5)[..., None, None])


def _central(size: int, radius: np.ndarray) -> tuple[slice, np.ndarray]:
    """Return the central rows and columns of a stamp that hold discs of `radius` (N,), and these discs in them."""
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

    Returns
    -------
    ndarray of bool
        (N,).
    """
    middle, disc = _central(weight.shape[-1], CENTRE_RADIUS / pixel_scale)
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
        Standard deviation of the sky (N,), from :func:`sky_noise`.
    pixel_scale, psf_fwhm : ndarray
        In arcsec, (N,); an unknown PSF counts as one pixel.

    Returns
    -------
    ndarray of bool
        (N,).
    """
    radius = np.where(np.isfinite(psf_fwhm), psf_fwhm / pixel_scale, 1.0)
    middle, disc = _central(flux.shape[-1], radius)
    core = disc & (weight[:, middle, middle] > 0)
    signal = np.einsum("nij,nij->n", flux[:, middle, middle], core, dtype=float)
    pixels = core.sum(axis=(1, 2))
    with np.errstate(invalid="ignore"):
        return np.asarray((pixels > 0) & (signal >= MIN_CENTRE_SNR * noise * np.sqrt(pixels)))


def larger_than_stamp(radius: np.ndarray, pixel_scale: np.ndarray, size: int) -> np.ndarray:
    """Return whether galaxies reach beyond their stamps.

    Parameters
    ----------
    radius : ndarray
        Half-light radius (arcsec), NaN if unknown, (N,).
    pixel_scale : ndarray
        In arcsec, (N,).
    size : int
        Width of the stamps (px).

    Returns
    -------
    ndarray of bool
        (N,).
    """
    with np.errstate(invalid="ignore"):
        return np.asarray(radius * GALAXY_EXTENT > size * pixel_scale / 2)
