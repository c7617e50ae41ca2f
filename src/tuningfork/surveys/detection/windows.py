"""An image in overlapping windows, so that one of any size can be searched in bounded memory."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from tuningfork.surveys.base import Image

MAX_WHOLE_WIDTH = 4096
"""Width and height (px) up to which an image is one window."""
CORE_WIDTH = 2048
"""Width and height (px) of the part of a window whose sources count; the parts tile the image."""
OVERLAP_WIDTH = 512
"""Width (px) of the part around it: no galaxy that is searched for reaches farther from its peak."""


@dataclass(frozen=True)
class Window:
    """A window: rows and columns [start, stop) of its core, and of all of it."""

    core_rows: tuple[int, int]
    core_columns: tuple[int, int]
    rows: tuple[int, int]
    columns: tuple[int, int]

    def corners(self) -> tuple[np.ndarray, np.ndarray]:
        """Return x and y (px) of the corners of the core."""
        (bottom, top), (left, right) = self.core_rows, self.core_columns
        return np.array([left, right, right, left]) - 0.5, np.array([bottom, bottom, top, top]) - 0.5

    def counts(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return which pixels, numbered from the window's first, lie in its core."""
        x, y = x + self.columns[0], y + self.rows[0]
        (bottom, top), (left, right) = self.core_rows, self.core_columns
        return np.asarray((x >= left) & (x < right) & (y >= bottom) & (y < top))


def windows(image: Image, wanted: Callable[[Window], bool]) -> Iterator[tuple[Window, np.ndarray, np.ndarray]]:
    """Yield windows of an image with their pixels and inverse variances; rows are read once for a line of windows.

    Where the windows lie depends on the image alone. No part of a small image is cut off.

    Parameters
    ----------
    image : Image
    wanted : callable
        Whether a window is needed.
    """
    height, width = image.shape
    for core_rows, rows in _spans(height):
        line = [Window(core_rows, core_columns, rows, columns) for core_columns, columns in _spans(width)]
        line = [window for window in line if wanted(window)]
        if line:
            pixels, weights = image.rows(*rows)
        for window in line:
            columns = slice(*window.columns)
            yield window, np.ascontiguousarray(pixels[:, columns]), np.ascontiguousarray(weights[:, columns])


def _spans(size: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    if size <= MAX_WHOLE_WIDTH:
        return [((0, size), (0, size))]
    edges = np.linspace(0, size, -(-size // CORE_WIDTH) + 1).astype(int).tolist()
    cores = list(itertools.pairwise(edges))
    return [(span, (max(span[0] - OVERLAP_WIDTH, 0), min(span[1] + OVERLAP_WIDTH, size))) for span in cores]
