"""Linear interpolation on an even grid, many times faster than a search for each value."""

import numpy as np


def interpolate_evenly(values: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Return values between the points of an even grid; beyond its ends, the values there.

    Parameters
    ----------
    values : ndarray
        (K,), at the positions 0, 1, ..., K - 1.
    position : ndarray
        float32, any shape.

    Returns
    -------
    ndarray
        Of the shape of `position`.
    """
    position = np.clip(position, 0, values.size - 1)
    below = np.minimum(position.astype(np.int32), values.size - 2)
    position -= below
    low = values[below]
    below += 1
    position *= values[below] - low
    position += low
    return position
