"""What can be said about a stamp from its own pixels: its noise, and what is wrong with it."""

import numpy as np

from tuningfork.core.flags import Flag

CENTRE = 3.0
"""Radius (arcsec) around the centre in which masked pixels are flagged."""
SIGNIFICANCE = 3.0
"""Signal-to-noise ratio within one PSF width below which a stamp has no signal."""
EXTENT = 2.5
"""A galaxy reaches this many half-light radii: 91 % of the light of an exponential disc."""


def sky_noise(inverse_variance: np.ndarray) -> float:
    """Return the standard deviation of the sky in a pixel of one band, NaN without data.

    The median over the outer half of the stamp's width is taken, where the galaxy's own photons do not count.

    Parameters
    ----------
    inverse_variance : ndarray
        Shape (S, S).
    """
    size = inverse_variance.shape[0]
    border = size // 4
    ring = inverse_variance.copy()
    ring[border : size - border, border : size - border] = 0
    for pixels in (ring, inverse_variance):
        good = pixels[pixels > 0]
        if good.size:
            return float(1 / np.sqrt(np.median(good)))
    return float("nan")


def disc(size: int, radius: float) -> np.ndarray:
    """Return which pixels of a stamp lie within `radius` pixels of its centre, at least the central one."""
    offset = np.arange(size) - size // 2
    return np.asarray(np.hypot(offset[:, None], offset) <= max(radius, 0.5))


def inspect(stamp: np.ndarray, reference: int, pixel_scale: float, psf_fwhm: float, radius: float) -> int:
    """Return the flags that follow from the pixels of one stamp.

    Parameters
    ----------
    stamp : ndarray
        Shape (2, B, S, S): flux and inverse variance.
    reference : int
        Place of the reference band.
    pixel_scale, psf_fwhm : float
        In arcsec.
    radius : float
        Half-light radius in the source list (arcsec), NaN if unknown.

    Returns
    -------
    int
        Bits of MISSING_BAND, MASKED, NO_SIGNAL and LARGER_THAN_STAMP.
    """
    flux, weight = stamp[0, reference], stamp[1, reference]
    size = weight.shape[0]
    flags = Flag(0)
    if not (stamp[1] > 0).any(axis=(1, 2)).all():
        flags |= Flag.MISSING_BAND
    if (weight[disc(size, CENTRE / pixel_scale)] <= 0).any():
        flags |= Flag.MASKED
    core = disc(size, psf_fwhm / pixel_scale if np.isfinite(psf_fwhm) else 1.0) & (weight > 0)
    noise = sky_noise(weight) * np.sqrt(core.sum())
    if not (core.any() and flux[core].sum() >= SIGNIFICANCE * noise):
        flags |= Flag.NO_SIGNAL
    if radius * EXTENT > size * pixel_scale / 2:
        flags |= Flag.LARGER_THAN_STAMP
    return int(flags)
