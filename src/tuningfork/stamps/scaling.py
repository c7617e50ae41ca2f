"""How wide the pixels of each source's stamp are, in pixels of its tile."""

from dataclasses import dataclass

import numpy as np

from tuningfork.core.config.stages import Stamps
from tuningfork.stamps.cut import COPY
from tuningfork.stamps.scale import window_size

FINEST = 1 / 8
"""Least width of a pixel of a stamp in pixels of the tile."""
WIDEST = 4096
"""Most pixels of a tile across one stamp."""


@dataclass(frozen=True)
class Scaling:
    """The scale that the user wants.

    Attributes
    ----------
    settings : Stamps
    radius : ndarray
        Half-light radii of the sources (arcsec), (N,), NaN if unknown.
    """

    settings: Stamps
    radius: np.ndarray

    def steps(self, sources: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Return the width of the stamps' pixels in pixels of a tile, (M,).

        Exactly 1 where the two differ by less than is worth an interpolation, and for a source without a radius when
        the scale is to follow it.

        Parameters
        ----------
        sources : ndarray of int
        scale : ndarray
            Width of the tile's pixels at each of them (arcsec), (M,).
        """
        size = self.settings.size
        if self.settings.scale == "native":
            return np.ones(len(sources))
        if self.settings.scale == "fixed":
            wanted = np.full(len(sources), self.settings.pixel_scale)
        else:
            radius = self.radius[sources]
            wanted = np.where(radius > 0, self.settings.radii * radius / size, scale)
        step = np.clip(wanted / scale, FINEST, WIDEST / size)
        return np.where(np.abs(step - 1) * size / 2 < COPY, 1.0, step)

    def spans(self, step: np.ndarray) -> np.ndarray:
        """Return how many pixels of a tile a stamp with pixels of `step` (M,) is made of, across."""
        size = self.settings.size
        if self.settings.scale == "native":
            return np.full(len(step), size)
        return np.array([window_size(size, value) for value in step.tolist()], dtype=int)
