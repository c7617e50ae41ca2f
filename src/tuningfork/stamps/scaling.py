"""The width of the pixels of each source's stamp, in pixels of its tile."""

from dataclasses import dataclass

import numpy as np

from tuningfork.core.config.stages import Stamps
from tuningfork.core.stamp_scale import stamp_steps
from tuningfork.stamps.rescale import window_size


@dataclass(frozen=True)
class Scaling:
    """The scale of the stamps that the user has chosen.

    Attributes
    ----------
    settings : Stamps
    radius : ndarray
        Half-light radii of the sources (arcsec), (N,), NaN if unknown.
    """

    settings: Stamps
    radius: np.ndarray

    def steps(self, sources: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Return the width of the stamps' pixels in pixels of a tile; see :func:`tuningfork.core.stamp_scale.stamp_steps`.

        Parameters
        ----------
        sources : ndarray of int
            Indices of the sources, (M,).
        scale : ndarray
            Width of the tile's pixels at each of them (arcsec), (M,).

        Returns
        -------
        ndarray
            (M,).
        """
        return stamp_steps(self.settings, scale, self.radius[sources])

    def spans(self, step: np.ndarray) -> np.ndarray:
        """Return how many pixels of a tile are needed across each stamp.

        Parameters
        ----------
        step : ndarray
            Width of the stamps' pixels in pixels of the tile, (M,).

        Returns
        -------
        ndarray of int
            (M,).
        """
        size = self.settings.size
        if self.settings.scale == "native":
            return np.full(len(step), size)
        return np.array([window_size(size, value) for value in step.tolist()], dtype=int)
