"""Division of an image into overlapping windows, so that an image of any size can be searched in bounded memory."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from tuningfork.surveys.base import Image

MAX_WHOLE_WIDTH = 4096
"""Width and height (px) up to which an image is a single window."""
CORE_WIDTH = 2048
"""Width and height (px) of the core of a window, whose sources are kept; the cores tile the image."""
OVERLAP_WIDTH = 512
"""Width (px) of the margin around the core: no galaxy that is searched for extends farther from its peak."""


@dataclass(frozen=True)
class Window:
    """A window of an image: its core, and the core with a margin.

    Attributes
    ----------
    core_rows, core_columns : tuple of int
        Rows and columns [start, stop) of the core.
    rows, columns : tuple of int
        Rows and columns [start, stop) of the whole window.
    """

    core_rows: tuple[int, int]
    core_columns: tuple[int, int]
    rows: tuple[int, int]
    columns: tuple[int, int]

    def corners(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the corners of the core.

        Returns
        -------
        x, y : ndarray
            Pixel positions, shape (4,).
        """
        (bottom, top), (left, right) = self.core_rows, self.core_columns
        return np.array([left, right, right, left]) - 0.5, np.array([bottom, bottom, top, top]) - 0.5

    def counts(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return which pixels lie in the core.

        Parameters
        ----------
        x, y : ndarray
            Columns and rows, counted from the first pixel of the window, shape (N,).

        Returns
        -------
        ndarray of bool
            Shape (N,).
        """
        x, y = x + self.columns[0], y + self.rows[0]
        (bottom, top), (left, right) = self.core_rows, self.core_columns
        return np.asarray((x >= left) & (x < right) & (y >= bottom) & (y < top))


def windows(image: Image, wanted: Callable[[Window], bool]) -> Iterator[tuple[Window, np.ndarray, np.ndarray]]:
    """Yield the windows of an image; rows are read once for a line of windows.

    The layout of the windows depends on the image alone. A small image is one window.

    Parameters
    ----------
    image : Image
    wanted : callable
        Window -> whether it is needed.

    Yields
    ------
    window : Window
    pixels, inverse_variance : ndarray
        float32, in the shape of the window.
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
