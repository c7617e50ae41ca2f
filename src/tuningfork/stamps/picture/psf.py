"""How wide the PSF of a picture is: from its stars or, without one, from the grain of its sky."""

import numpy as np
import sep

from tuningfork.stamps.picture.stamp import PictureStamp, dark_parts, sky_of

DETECTED, BRIGHT, SATURATED = 8.0, 20.0, 0.93
"""Threshold of detection and least peak of a star (noise of the sky); brightness from which its peak is cut off."""
ROUND = 0.8
"""Least ratio of the axes of a star."""
APART, EDGE = 1.5, 8
"""Distance of a star from the galaxy in its radii (90 % of the light), and from the edge (px)."""
SHARPEST = 25.0
"""Percentile of the widths of compact sources that counts: the wider ones are galaxies."""
GRAIN = 4.0
"""Width of the PSF in units of the lag at which the correlation of the sky has fallen to a half, without a star.

The sky of a survey is white at its own pixels; the correlation tells how far a picture has been enlarged. Where there
are stars, the ratio is 3.0 in SDSS pictures and 6.6 in DECaLS pictures, with a scatter of a third in each.
"""
LAGS = 12
NARROWEST, WIDEST = 1.5, 25.0
"""Limits of the width (px)."""
MOST = 300
"""Most sources that are looked at; a picture that has more is of a field of stars, or of none."""


def psf_width(brightness: np.ndarray, light: np.ndarray, galaxy: PictureStamp) -> float:
    """Return the full width at half maximum of the PSF (px of the picture).

    Parameters
    ----------
    brightness : ndarray
        (H, W) the picture, 0 black, 1 white.
    light : ndarray
        (H, W) the same without the stretch.
    galaxy : PictureStamp
        Where the galaxy lies, which is left out.
    """
    stars = star_widths(brightness, light, galaxy)
    width = float(np.percentile(stars, SHARPEST)) if len(stars) else GRAIN * grain(brightness)
    return float(np.clip(width, NARROWEST, WIDEST))


def star_widths(brightness: np.ndarray, light: np.ndarray, galaxy: PictureStamp) -> np.ndarray:
    """Return the full widths at half maximum (px) of compact, round sources beside the galaxy, none if there is none.

    Twice the half-light radius, which is the width of a Gaussian.
    """
    level, noise = sky_of(light)
    above = np.ascontiguousarray(light - level, dtype=np.float32)
    try:
        found = sep.extract(above, DETECTED * noise, minarea=5)
    except Exception:  # sep has no type of its own for too many sources or too large ones
        return np.empty(0)
    x, y = found["x"], found["y"]
    height, width = light.shape
    apart = np.hypot(x - galaxy.x, y - galaxy.y) > APART * np.nan_to_num(galaxy.r90, nan=0.0) + EDGE
    inside = (np.minimum(x, y) > EDGE) & (x < width - 1 - EDGE) & (y < height - 1 - EDGE)
    good = apart & inside & (found["b"] > ROUND * found["a"]) & (found["peak"] > BRIGHT * noise) & (len(found) <= MOST)
    good &= brightness[found["ypeak"], found["xpeak"]] < SATURATED
    x, y, a = x[good], y[good], found["a"][good]
    radius, _ = sep.flux_radius(above, x, y, 4 * a, 0.5) if len(x) else (np.empty(0), 0)
    return 2 * radius[np.isfinite(radius) & (radius > 0)]


def grain(brightness: np.ndarray) -> float:
    """Return the lag (px) at which the correlation of the sky along rows and columns falls to a half; at least 0.5."""
    products = np.zeros(LAGS + 1)
    for part in dark_parts(brightness):
        part = part - part.mean()
        lags = range(min(LAGS + 1, *part.shape))
        along = [np.mean(part[lag:] * part[: len(part) - lag]) for lag in lags]
        across = [np.mean(part[:, lag:] * part[:, : part.shape[1] - lag]) for lag in lags]
        products[: len(lags)] += np.add(along, across)
    if products[0] <= 0:
        return 0.5
    correlation = np.minimum.accumulate(products / products[0])
    return float(np.interp(-0.5, -correlation, np.arange(LAGS + 1)))
