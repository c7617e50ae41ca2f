"""The width of the PSF of a picture: from its stars or, without one, from the correlation of its sky."""

import numpy as np
import sep

from tuningfork.stamps.picture.stamp import PictureStamp, dark_parts, sky_of

STAR_DETECTION_SNR, MIN_STAR_PEAK_SNR, SATURATED_BRIGHTNESS = 8.0, 20.0, 0.93
"""Threshold of detection and least peak of a star (noise of the sky); brightness from which its peak is cut off."""
MIN_STAR_AXIS_RATIO = 0.8
"""Least ratio of the axes of a star."""
MIN_STAR_DISTANCE, MIN_EDGE_DISTANCE = 1.5, 8
"""Distance of a star from the galaxy in its radii (90 % of the light), and from the edge (px)."""
STAR_WIDTH_PERCENTILE = 25.0
"""Percentile of the widths of compact sources that is taken as the PSF's: the wider sources are galaxies."""
PSF_WIDTH_PER_GRAIN = 4.0
"""Width of the PSF without a star, in units of the lag at which the correlation of the sky falls to a half.

The noise of a survey is white at its own pixels, so the correlation tells how much a picture has been enlarged. Where
there are stars, the ratio is 3.0 in SDSS pictures and 6.6 in DECaLS pictures, with a scatter of a third in each.
"""
MAX_LAG = 12
MIN_PSF_WIDTH, MAX_PSF_WIDTH = 1.5, 25.0
"""Limits of the width (px)."""
MAX_SOURCES = 300
"""A picture with more sources shows a field of stars, or nothing that can be used."""


def psf_width(brightness: np.ndarray, light: np.ndarray, galaxy: PictureStamp) -> float:
    """Return the full width at half maximum of the PSF (px of the picture).

    Parameters
    ----------
    brightness : ndarray
        (H, W) the picture, 0 black, 1 white.
    light : ndarray
        (H, W) the same without the stretch.
    galaxy : PictureStamp
        Position and size of the galaxy, which is left out.

    Returns
    -------
    float
    """
    stars = star_widths(brightness, light, galaxy)
    width = (
        float(np.percentile(stars, STAR_WIDTH_PERCENTILE)) if len(stars) else PSF_WIDTH_PER_GRAIN * grain(brightness)
    )
    return float(np.clip(width, MIN_PSF_WIDTH, MAX_PSF_WIDTH))


def star_widths(brightness: np.ndarray, light: np.ndarray, galaxy: PictureStamp) -> np.ndarray:
    """Return the full widths at half maximum of compact, round sources near the galaxy.

    The width is twice the half-light radius, which is exact for a Gaussian.

    Parameters
    ----------
    brightness, light : ndarray
        (H, W), as in :func:`psf_width`.
    galaxy : PictureStamp

    Returns
    -------
    ndarray
        (K,) in px of the picture; K is 0 if there is no such source.
    """
    level, noise = sky_of(light)
    above = np.ascontiguousarray(light - level, dtype=np.float32)
    try:
        sources = sep.extract(above, STAR_DETECTION_SNR * noise, minarea=5)
    except Exception:  # sep has no type of its own for too many sources or too large ones
        return np.empty(0)
    x, y = sources["x"], sources["y"]
    height, width = light.shape
    apart = (
        np.hypot(x - galaxy.x, y - galaxy.y)
        > MIN_STAR_DISTANCE * np.nan_to_num(galaxy.r90, nan=0.0) + MIN_EDGE_DISTANCE
    )
    inside = (
        (np.minimum(x, y) > MIN_EDGE_DISTANCE)
        & (x < width - 1 - MIN_EDGE_DISTANCE)
        & (y < height - 1 - MIN_EDGE_DISTANCE)
    )
    good = (
        apart
        & inside
        & (sources["b"] > MIN_STAR_AXIS_RATIO * sources["a"])
        & (sources["peak"] > MIN_STAR_PEAK_SNR * noise)
        & (len(sources) <= MAX_SOURCES)
    )
    good &= brightness[sources["ypeak"], sources["xpeak"]] < SATURATED_BRIGHTNESS
    x, y, a = x[good], y[good], sources["a"][good]
    radius, _ = sep.flux_radius(above, x, y, 4 * a, 0.5) if len(x) else (np.empty(0), 0)
    return 2 * radius[np.isfinite(radius) & (radius > 0)]


def grain(brightness: np.ndarray) -> float:
    """Return the lag at which the correlation of the sky along rows and columns falls to a half.

    Parameters
    ----------
    brightness : ndarray
        (H, W).

    Returns
    -------
    float
        px, at least 0.5.
    """
    products = np.zeros(MAX_LAG + 1)
    for part in dark_parts(brightness):
        part = part - part.mean()
        lags = range(min(MAX_LAG + 1, *part.shape))
        along = [np.mean(part[lag:] * part[: len(part) - lag]) for lag in lags]
        across = [np.mean(part[:, lag:] * part[:, : part.shape[1] - lag]) for lag in lags]
        products[: len(lags)] += np.add(along, across)
    if products[0] <= 0:
        return 0.5
    correlation = np.minimum.accumulate(products / products[0])
    return float(np.interp(-0.5, -correlation, np.arange(MAX_LAG + 1)))
