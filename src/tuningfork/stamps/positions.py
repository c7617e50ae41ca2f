"""Where sources lie in the images of a survey."""

from dataclasses import dataclass

import numpy as np
from astropy.wcs import WCS

from tuningfork.sky.coordinates import ARCSEC, directions, jacobian, unit_vectors
from tuningfork.sky.frames import pixel_positions, sky_positions
from tuningfork.surveys.base import Image, OwnImages, Tile
from tuningfork.surveys.near import in_box


@dataclass(frozen=True)
class Located:
    """Where some sources lie in an image.

    Attributes
    ----------
    sources : ndarray of int
        Which sources, (M,); all others are far from the image.
    x, y : ndarray
        Pixel positions (M,), finite.
    matrix : ndarray
        Jacobian of the sky there, (M, 2, 2), see :func:`tuningfork.sky.coordinates.jacobian`.
    shape : tuple of int
        Height and width of the image.
    """

    sources: np.ndarray
    x: np.ndarray
    y: np.ndarray
    matrix: np.ndarray
    shape: tuple[int, int]

    @property
    def position(self) -> np.ndarray:
        """Pixel positions (M, 2)."""
        return np.stack([self.x, self.y], axis=1)

    @property
    def margin(self) -> np.ndarray:
        """Distance (px) of the sources from the nearest edge, negative beyond it."""
        edges = [self.x, self.shape[1] - 1 - self.x, self.y, self.shape[0] - 1 - self.y]
        return np.asarray(np.min(edges, axis=0) + 0.5)

    def at(self, chosen: np.ndarray) -> "Located":
        """Return the same for some of the sources.

        Parameters
        ----------
        chosen : ndarray
            Indices of the sources in this object, or a mask over them.

        Returns
        -------
        Located
        """
        return Located(self.sources[chosen], self.x[chosen], self.y[chosen], self.matrix[chosen], self.shape)


class Positions:
    """The positions of all sources of a shard.

    Parameters
    ----------
    ra, dec : ndarray
        Positions (deg), (N,), NaN if unknown.
    own : OwnImages
        The sources with an image of their own; they are cut from no other.
    """

    def __init__(self, ra: np.ndarray, dec: np.ndarray, own: OwnImages) -> None:
        self.ra, self.dec = ra, dec
        self._unit = unit_vectors(ra, dec)
        self._number = {name: number for number, name in enumerate(dict.fromkeys(own.tiles)) if name is not None}
        self._own = np.array([self._number.get(name or "", -1) for name in own.tiles], dtype=np.int32)
        self._centred = np.array(own.centred, dtype=bool)

    @property
    def free(self) -> np.ndarray:
        """Which sources have no image of their own."""
        return self._own < 0

    def own_of(self, tile: str) -> np.ndarray:
        """Return which sources have a tile as an image of their own.

        Parameters
        ----------
        tile : str
            Name of the tile.

        Returns
        -------
        ndarray of bool
            (N,).
        """
        return np.asarray(self._own == self._number.get(tile, -2))

    def near(self, image: Image, tile: str) -> np.ndarray:
        """Return the sources that may lie on an image or near it.

        Parameters
        ----------
        image : Image
        tile : str
            Name of its tile.

        Returns
        -------
        ndarray of int
            Their indices.
        """
        own_tile = self.own_of(tile)
        centre_x, centre_y = _middle(image.shape)
        ra, dec = sky_positions(image.wcs, centre_x, centre_y)
        # A projection also maps the far side of the sky somewhere.
        reach = np.deg2rad(np.hypot(*image.shape) * pixel_scale(image.wcs, image.shape) / ARCSEC)
        with np.errstate(invalid="ignore"):
            close = self._unit @ unit_vectors(ra, dec)[0] >= np.cos(min(reach, np.pi))
        close &= image.on_sky
        return np.flatnonzero((close & ~self._centred & (own_tile | self.free)) | (own_tile & self._centred))

    def locate(self, image: Image, sources: np.ndarray) -> Located:
        """Return where sources lie in an image; sources that the projection cannot map are left out.

        Parameters
        ----------
        image : Image
        sources : ndarray of int
            Their indices.

        Returns
        -------
        Located
        """
        height, width = image.shape
        x, y = np.empty(len(sources)), np.empty(len(sources))
        free = ~self._centred[sources]
        x[~free], y[~free] = (width - 1) / 2, (height - 1) / 2
        if free.any():
            x[free], y[free] = pixel_positions(image.wcs, self.ra[sources[free]], self.dec[sources[free]])
        known = np.isfinite(x) & np.isfinite(y)
        sources, x, y = sources[known], x[known], y[known]
        matrix = jacobian(image.wcs, x, y) if sources.size else np.empty((0, 2, 2))
        known = np.asarray(np.isfinite(matrix).all(axis=(1, 2)))
        return Located(sources[known], x[known], y[known], matrix[known], (height, width))

    def unique_in(self, tile: Tile, sources: np.ndarray) -> np.ndarray:
        """Return for which sources the survey's rule says that a tile counts.

        Parameters
        ----------
        tile : Tile
        sources : ndarray of int
            Their indices, (M,).

        Returns
        -------
        ndarray of bool
            (M,).
        """
        if tile.unique is None:
            return np.zeros(len(sources), dtype=bool)
        return in_box(tile.unique, self.ra[sources], self.dec[sources])


def _middle(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([(shape[1] - 1) / 2]), np.array([(shape[0] - 1) / 2])


def pixel_scale(wcs: WCS, shape: tuple[int, int]) -> float:
    """Return the width of a pixel (arcsec) in the middle of an image of `shape`."""
    return float(directions(jacobian(wcs, *_middle(shape)))[0][0])
