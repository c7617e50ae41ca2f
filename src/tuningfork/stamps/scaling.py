"""The width of the pixels of each source's stamp, in pixels of its tile."""

import numpy as np

from tuningfork.core.config.stages import Stamps
from tuningfork.core.stamp_scale import FOLLOWS_RADIUS, LARGEST_WINDOW, stamp_steps
from tuningfork.sky.coordinates import directions
from tuningfork.stamps.positions import Located
from tuningfork.stamps.rescale import window_size
from tuningfork.stamps.sizes.on_tile import half_light_radii
from tuningfork.surveys.base import Image

FIRST_WINDOW = 2
"""Width of the first window in which a radius is measured, in stamps on the pixels of the tile."""


class Scaling:
    """The scale of the stamps that the user has chosen, and the radii that it follows.

    Parameters
    ----------
    settings : Stamps
    listed : ndarray
        Half-light radii of the source list (arcsec), (N,), NaN if unknown.
    """

    def __init__(self, settings: Stamps, listed: np.ndarray) -> None:
        self.settings = settings
        self._radius = np.array(listed, dtype=float)
        with np.errstate(invalid="ignore"):
            lacking = ~((self._radius > 0) & np.isfinite(self._radius))
        self._unlisted = lacking & (settings.scale in FOLLOWS_RADIUS)
        self._depth = np.full(len(lacking), -np.inf)

    def measure(self, image: Image, located: Located) -> None:
        """Measure the radii that the scale needs and the list lacks, of the sources that lie deeper in a tile than before.

        Parameters
        ----------
        image : Image
            A band of the tile.
        located : Located
            Sources in it.

        Raises
        ------
        InputError
            The image turns out to be damaged.
        """
        scale = directions(located.matrix)[0]
        depth = located.margin * scale
        deeper = (depth > 0) & (depth > self._depth[located.sources]) & self._unlisted[located.sources]
        if not deeper.any():
            return
        chosen = located.at(deeper)
        radius = half_light_radii(image, chosen, FIRST_WINDOW * self.settings.size)
        self._radius[chosen.sources], self._depth[chosen.sources] = radius * scale[deeper], depth[deeper]

    def forget(self, sources: np.ndarray) -> None:
        """Forget what was measured of some sources.

        Parameters
        ----------
        sources : ndarray of int
            Their indices.
        """
        sources = sources[self._unlisted[sources]]
        self._radius[sources], self._depth[sources] = np.nan, -np.inf

    def may_grow(self, located: Located) -> np.ndarray:
        """Return which sources may turn out so large on another tile that their stamps reach this one.

        Parameters
        ----------
        located : Located
            M sources near a tile.

        Returns
        -------
        ndarray of bool
            (M,).
        """
        return np.asarray(self._unlisted[located.sources] & (located.margin > -LARGEST_WINDOW / 2))

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
        return stamp_steps(self.settings, scale, self._radius[sources])

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
        span = np.full(len(step), self.settings.size)
        for row in np.flatnonzero(step != 1).tolist():
            span[row] = window_size(self.settings.size, float(step[row]))
        return span
