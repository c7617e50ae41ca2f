"""The noise of sky and sources, white or correlated as that of resampled coadds."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from tuningfork.core.description import Description

SKY_BRIGHTNESS = 21.0
"""Brightness of the night sky (AB mag/arcsec^2) that makes the sky noise, and so sets the noise of the sources."""


@dataclass(frozen=True)
class Correlation:
    """Noise that a Gaussian kernel has smoothed, as the resampling of a coadd does.

    Smoothing leaves the noise of a large area unchanged and reduces that of a pixel. An inverse variance that is right for
    single pixels is too high for areas; one that is right for areas is too low for pixels.

    Attributes
    ----------
    width : ndarray
        Standard deviation of the kernel in each band (pixel), (B,).
    gain : ndarray
        Noise before the smoothing in units of that which the inverse variance states, (B,).
    """

    width: np.ndarray
    gain: np.ndarray

    @classmethod
    def of(cls, description: Description) -> "Correlation | None":
        """Return how the noise of a survey is correlated; None if it is white."""
        if not any(description.noise_correlation):
            return None
        width = np.array(description.noise_correlation)
        if description.inverse_variance_of == "area":
            return cls(width, np.ones(len(width)))
        return cls(width, np.array([1 / np.sqrt(noise_left(value)) for value in width]))

    def coarser(self, together: int) -> "Correlation":
        """Return the same for pixels that are `together` pixels wide."""
        return Correlation(self.width / together, self.gain)

    def smooth(self, field: np.ndarray, band: int) -> np.ndarray:
        """Return the correlated noise that is made from white noise.

        Parameters
        ----------
        field : ndarray
            White noise of unit variance, (H, W).
        band : int
            Index of the band.

        Returns
        -------
        ndarray
            (H, W).
        """
        return np.asarray(ndimage.gaussian_filter(field, self.width[band], mode="wrap")) * np.float32(self.gain[band])


def add_noise(
    rng: np.random.Generator,
    image: np.ndarray,
    sky_noise: np.ndarray,
    description: Description,
    correlation: Correlation | None = None,
    background: np.ndarray | None = None,
) -> np.ndarray:
    """Add the noise of sky and sources in place, and return its variance.

    The sky noise is taken as the Poisson noise of a sky of `SKY_BRIGHTNESS`, which gives the electrons in a
    unit of flux, and so the Poisson noise of the sources: variance = sky_noise^2 (1 + flux / sky flux).

    Parameters
    ----------
    rng : numpy.random.Generator
    image : ndarray
        Noiseless float32 (B, H, W), flux units.
    sky_noise : ndarray
        Flux units, shape (B,).
    description : Description
    correlation : Correlation, optional
        Of the noise; white noise without.
    background : ndarray, optional
        Pixels of empty sky (B, H, W), flux units, that are added in the place of the noise of the sky.

    Returns
    -------
    ndarray
        Variance of the noise, float32 (B, H, W), flux units squared.
    """
    sky = 10 ** (-0.4 * (SKY_BRIGHTNESS - description.zero_point)) * description.pixel_scale**2
    sources = np.maximum(image, 0) / np.float32(sky)
    deviation = np.sqrt(sources if background is not None else sources + 1)
    deviation *= sky_noise.astype(np.float32)[:, None, None]
    for band, plane in enumerate(image):
        field = rng.standard_normal(plane.shape, dtype=np.float32)
        if correlation is not None:
            field = correlation.smooth(field, band)
        plane += deviation[band] * field
    if background is not None:
        image += background
    sources += 1
    sources *= (sky_noise**2).astype(np.float32)[:, None, None]
    return sources


def noise_left(width: float) -> float:
    """Return the fraction of the variance of white noise that is left in a pixel after smoothing (width in pixels)."""
    if width <= 0:
        return 1.0
    spike = np.zeros(2 * int(np.ceil(5 * width)) + 3)
    spike[spike.size // 2] = 1
    return float((ndimage.gaussian_filter1d(spike, width) ** 2).sum() ** 2)
