"""Shards: HEALPix pixels (NESTED scheme), which depend on the sky alone and never on the run."""

import re
from dataclasses import dataclass

import astropy.units as u
import cdshealpix.nested as healpix
import numpy as np
from astropy.coordinates import Latitude, Longitude

from tuningfork.core.errors import InputError
from tuningfork.sky.coordinates import distance, wrapped

MAX_RADIUS_OF_ORDER_0 = 62.0
"""Upper limit on the radius of a shard of order 0 (deg); the limit halves with each order."""
SHARD_NAME = re.compile(r"(\d{1,2})-(\d{1,18})")


@dataclass(frozen=True, order=True)
class Shard:
    """One HEALPix pixel.

    Attributes
    ----------
    order : int
        HEALPix order.
    pixel : int
        Pixel number in the NESTED scheme.
    """

    order: int
    pixel: int

    @property
    def name(self) -> str:
        """The name `order-pixel`, as in file names."""
        return f"{self.order}-{self.pixel}"

    @classmethod
    def parse(cls, name: str) -> "Shard":
        """Return the shard called `name`.

        Raises
        ------
        InputError
            If `name` is not `order-pixel` with a pixel of that order.
        """
        match = SHARD_NAME.fullmatch(name)
        if match:
            order, pixel = int(match[1]), int(match[2])
            if order <= 29 and pixel < 12 * 4**order:
                return cls(order, pixel)
        raise InputError(f"shard {name!r}: expected order-pixel with pixel below 12 x 4^order, such as 8-391000")

    @property
    def centre(self) -> tuple[float, float]:
        """Right ascension and declination of the centre (deg)."""
        ra, dec = centres(np.array([self.pixel]), self.order)
        return float(ra[0]), float(dec[0])

    def boundary(self, steps: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Return points along the edge of the shard.

        Parameters
        ----------
        steps : int
            Points per side.

        Returns
        -------
        ra, dec : ndarray
            Positions (deg), shape (4 * steps,).
        """
        lon, lat = healpix.vertices(np.array([self.pixel], dtype=np.uint64), np.uint8(self.order), step=steps)
        return np.asarray(lon.deg[0]), np.asarray(lat.deg[0])

    @property
    def radius(self) -> float:
        """Radius (deg) of the smallest circle around the centre that contains the shard."""
        return float(np.max(distance(*self.boundary(steps=16), *self.centre)))

    def contains(self, ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
        """Return which positions lie in the shard.

        Parameters
        ----------
        ra, dec : ndarray
            Positions (deg), shape (N,).

        Returns
        -------
        ndarray of bool
            Shape (N,); false for missing positions.
        """
        good = valid_position(ra, dec)
        inside = np.zeros(np.shape(ra), dtype=bool)
        inside[good] = pixels(np.asarray(ra)[good], np.asarray(dec)[good], self.order) == self.pixel
        return inside


def valid_position(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """Return which positions are finite and within the range of the coordinates.

    Parameters
    ----------
    ra, dec : ndarray
        Positions (deg), any shape. Right ascensions from -360 to 720 are accepted.

    Returns
    -------
    ndarray of bool
        In the shape of the positions.
    """
    ra, dec = np.asarray(ra, dtype=float), np.asarray(dec, dtype=float)
    with np.errstate(invalid="ignore"):
        return np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90) & (ra >= -360) & (ra <= 720)


def pixels(ra: np.ndarray, dec: np.ndarray, order: int) -> np.ndarray:
    """Return the HEALPix pixel that contains each position.

    Parameters
    ----------
    ra, dec : ndarray
        Positions (deg), shape (N,).
    order : int
        HEALPix order.

    Returns
    -------
    ndarray of int64
        Pixel numbers in the NESTED scheme, shape (N,).
    """
    # HEALPix may put -0.0, 0.0 and 360.0 into different pixels: a source is found again only in a canonical form.
    lon, lat = Longitude(wrapped(ra), u.deg), Latitude(np.asarray(dec, dtype=float), u.deg)
    return np.asarray(healpix.lonlat_to_healpix(lon, lat, np.uint8(order)), dtype=np.int64)


def centres(numbers: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the centres of HEALPix pixels.

    Parameters
    ----------
    numbers : ndarray of int
        Pixel numbers in the NESTED scheme, shape (N,).
    order : int
        HEALPix order.

    Returns
    -------
    ra, dec : ndarray
        Positions (deg), shape (N,).
    """
    lon, lat = healpix.healpix_to_lonlat(np.asarray(numbers, dtype=np.uint64), np.uint8(order))
    return np.asarray(lon.deg), np.asarray(lat.deg)


def shards_of_positions(ra: np.ndarray, dec: np.ndarray, order: int) -> list[Shard]:
    """Return the shards that contain at least one position.

    Parameters
    ----------
    ra, dec : ndarray
        Positions (deg), shape (N,); invalid ones are ignored.
    order : int
        HEALPix order of the shards.

    Returns
    -------
    list of Shard
        In order of pixel number.
    """
    good = valid_position(ra, dec)
    numbers = np.unique(pixels(np.asarray(ra)[good], np.asarray(dec)[good], order))
    return [Shard(order, int(pixel)) for pixel in numbers]
