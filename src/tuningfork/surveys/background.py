"""The level and the noise of the sky in an image."""

import numpy as np

from tuningfork.core.statistics import MAD_TO_SIGMA


def sky_level_and_noise(values: np.ndarray, clip: float = 3.0, rounds: int = 8) -> tuple[float, float]:
    """Return level and standard deviation of the sky by clipping around the median.

    Parameters
    ----------
    values : ndarray
        Pixels, any shape; those that are not finite are ignored.
    clip : float
        Pixels farther than this many standard deviations from the level are left out.
    rounds : int
        Largest number of clippings.

    Returns
    -------
    level, noise : float
        The noise is never zero: an image without any noise gets that of its digital step or, if all pixels are the
        same, one.
    """
    values = np.asarray(values, dtype=np.float64).ravel()
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    level, noise = _median_and_noise(values)
    for _ in range(rounds):
        kept = values[np.abs(values - level) <= clip * noise] if noise > 0 else values
        if kept.size == values.size or not kept.size:
            break
        values = kept
        level, noise = _median_and_noise(values)
    if noise > 0:
        return level, noise
    steps = np.diff(np.unique(values))
    return level, float(steps.min() / np.sqrt(12)) if steps.size else 1.0


def _median_and_noise(values: np.ndarray) -> tuple[float, float]:
    level = float(np.median(values))
    return level, MAD_TO_SIGMA * float(np.median(np.abs(values - level)))
