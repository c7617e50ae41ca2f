"""Shards: HEALPix pixels (NESTED), fixed by the sky and never by the run."""

import re
from dataclasses import dataclass

import astropy.units as u
import cdshealpix.nested as healpix
import numpy as np
from astropy.coordinates import Latitude, Longitude

from tuningfork.core.errors import InputError
from tuningfork.sky.coordinates import distance

MAX_RADIUS_OF_ORDER_0 = 62.0
"""No shard's radius (deg) is larger than this divided by 2^order."""
SHARD_NAME = re.compile(r"(\d{1,2})-(\d{1,18})")


@dataclass(frozen=True, order=True)
class Shard:
    """One HEALPix pixel.

    Attributes
    ----------
    order : int
    pixel : int
        Number in the NESTED scheme.
    """

    order: int
    pixel: int

    @property
    def name(self) -> str:
        """`order-pixel`, as in file names."""
        return f"{self.order}-{self.pixel}"

    @classmethod
    def parse(cls, name: str) -> "Shard":
        """Return the shard called `name`.

        Raises
        ------
        InputError
            `name` is not `order-pixel` with a pixel of that order.
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
        """Return right ascension and declination (deg) of 4 x `steps` points along the edge."""
        lon, lat = healpix.vertices(np.array([self.pixel], dtype=np.uint64), np.uint8(self.order), step=steps)
        return np.asarray(lon.deg[0]), np.asarray(lat.deg[0])

    @property
    def radius(self) -> float:
        """Radius (deg) of the circle around the centre that holds the shard."""
        return float(np.max(distance(*self.boundary(steps=16), *self.centre)))

    def contains(self, ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
        """Return which positions (deg, shape (N,)) lie in the shard; missing positions do not."""
        good = valid_position(ra, dec)
        inside = np.zeros(np.shape(ra), dtype=bool)
        inside[good] = pixels(np.asarray(ra)[good], np.asarray(dec)[good], self.order) == self.pixel
        return inside


def valid_position(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """Return which positions (deg) are finite and possible."""
    ra, dec = np.asarray(ra, dtype=float), np.asarray(dec, dtype=float)
    with np.errstate(invalid="ignore"):
        return np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90) & (ra >= -360) & (ra <= 720)


def pixels(ra: np.ndarray, dec: np.ndarray, order: int) -> np.ndarray:
    """Return the NESTED pixel number (int64) of each position (deg) at `order`."""
    lon, lat = Longitude(np.asarray(ra, dtype=float), u.deg), Latitude(np.asarray(dec, dtype=float), u.deg)
    return np.asarray(healpix.lonlat_to_healpix(lon, lat, np.uint8(order)), dtype=np.int64)


def centres(numbers: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Return right ascension and declination (deg) of the centres of pixels of `order`."""
    lon, lat = healpix.healpix_to_lonlat(np.asarray(numbers, dtype=np.uint64), np.uint8(order))
    return np.asarray(lon.deg), np.asarray(lat.deg)


def shards_of_positions(ra: np.ndarray, dec: np.ndarray, order: int) -> list[Shard]:
    """Return the shards in which the valid positions (deg) lie, in order of their number."""
    good = valid_position(ra, dec)
    found = np.unique(pixels(np.asarray(ra)[good], np.asarray(dec)[good], order))
    return [Shard(order, int(pixel)) for pixel in found]
