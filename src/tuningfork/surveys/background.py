"""The level and the noise of the sky in an image."""

import numpy as np
from astropy.stats import SigmaClip, mad_std

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
