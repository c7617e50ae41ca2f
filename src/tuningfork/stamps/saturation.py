"""Whether sources lie on saturated pixels, by the survey's own masks."""

import numpy as np

from tuningfork.stamps.strips import Strip
from tuningfork.surveys.base import Image

HALF_DIAGONAL = 0.5**0.5
"""Of a pixel."""


def saturated_centres(image: Image, strip: Strip, position: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Return which sources have a saturated pixel near their position.

    Parameters
    ----------
    image : Image
    strip : Strip
        Rows of the image that hold the sources. The mask is read only where they have pixels without data.
    position : ndarray
        Pixel positions (x, y) in the image, (N, 2).
    radius : ndarray
        How near (pixel), (N,); the pixel that holds the source always counts.

    Returns
    -------
    ndarray of bool
        (N,), false where the survey's masks do not tell.
    """
    result = np.zeros(len(position), dtype=bool)
    if image.saturated is None or strip.good:
        return result
    for number, ((x, y), reach) in enumerate(zip(position, np.maximum(radius, HALF_DIAGONAL), strict=True)):
        first_x, first_y = np.ceil([x - reach, y - reach]).astype(int).clip(0).tolist()
        last_x, last_y = (np.floor([x + reach, y + reach]).astype(int) + 1).clip(0, image.shape[::-1]).tolist()
        rows, columns = np.arange(first_y, last_y)[:, None], np.arange(first_x, last_x)
        near = np.hypot(rows - y, columns - x) <= reach
        window = np.empty((2, *near.shape), np.float32)
        strip.copy(first_x, first_y, window)
        if (near & (window[1] <= 0)).any():
            result[number] = (near & image.saturated(first_y, last_y)[:, first_x:last_x]).any()
    return result
