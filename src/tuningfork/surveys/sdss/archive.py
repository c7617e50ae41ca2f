"""Names and addresses of the SDSS Science Archive Server, and the positions of its fields on the sky.

The addresses follow the data model (https://data.sdss.org/datamodel/) and the imaging pages of the data releases.
"""

import re
from dataclasses import dataclass

import numpy as np
from astroquery.sdss import SDSS

from tuningfork.core.errors import InputError

SDSS_BANDS = "ugriz"
FRAME_WIDTH, FRAME_HEIGHT = 2048, 1489
"""Width of every frame, across the scan (px)."""
PIXEL_SCALE = 0.396
"""Width of a pixel (arcsec)."""
FIELD_NAME = re.compile(r"(\d{1,4})-(\d{6})-([1-6])-(\d{4})")
"""Name of a tile: rerun, run, camcol and field."""
RESOLVE_VERSIONS = {True: "2010-05-23", False: "2013-07-29"}
"""Version of the resolve files up to Data Release 12 (True), and later (False)."""


@dataclass(frozen=True, order=True)
class FieldName:
    """A field of the imaging survey; `str` gives the name of its tile, such as 301-006377-4-0399.

    Attributes
    ----------
    rerun, run, camcol, field : int
    """

    rerun: int
    run: int
    camcol: int
    field: int

    def __str__(self) -> str:
        return f"{self.rerun}-{self.run:06d}-{self.camcol}-{self.field:04d}"

    @classmethod
    def parse(cls, name: str) -> "FieldName":
        """Return the field with this tile name.

        Raises
        ------
        InputError
            If the name is not that of a field.
        """
        match = FIELD_NAME.fullmatch(name)
        if match is None:
            raise InputError(f"SDSS tile {name!r}: expected rerun-run-camcol-field such as 301-006377-4-0399")
        return cls(*map(int, match.groups()))


@dataclass(frozen=True)
class Archive:
    """Addresses of the files of a data release: each method returns the address and the name in the cache.

    Attributes
    ----------
    url : str
        Address of the Science Archive Server.
    release : int
        Data release, 8 to 17.
    """

    url: str
    release: int

    @property
    def folder(self) -> str:
        """Folder of the cache."""
        return f"sdss-dr{self.release}"

    @property
    def _project(self) -> str:
        if self.release == 8:
            return "groups/boss"
        return "eboss" if self.release > 12 else "boss"

    @property
    def _root(self) -> str:
        return f"{self.url.rstrip('/')}/dr{self.release}/{self._project}"

    def frame(self, field: FieldName, band: str) -> tuple[str, str]:
        """Return address and name of the corrected frame in one band."""
        url: str = SDSS.IMAGING_URL_SUFFIX.format(
            base=self.url.rstrip("/"), dr=self.release, instrument=self._project, band=band, **vars(field)
        )
        return url, self._cached(url)

    def psf(self, field: FieldName) -> tuple[str, str]:
        """Return address and name of the psField file: the PSF in all bands."""
        name = f"psField-{field.run:06d}-{field.camcol}-{field.field:04d}.fit"
        url = f"{self._root}/photo/redux/{field.rerun}/{field.run}/objcs/{field.camcol}/{name}"
        return url, self._cached(url)

    def mask(self, field: FieldName, band: str) -> tuple[str, str]:
        """Return address and name of the fpM file: the mask of the frame in one band."""
        name = f"fpM-{field.run:06d}-{band}{field.camcol}-{field.field:04d}.fit.gz"
        url = f"{self._root}/photo/redux/{field.rerun}/{field.run}/objcs/{field.camcol}/{name}"
        return url, self._cached(url)

    def objects(self, field: FieldName) -> tuple[str, str]:
        """Return address and name of the photoObj file: the catalogue of the field."""
        name = f"photoObj-{field.run:06d}-{field.camcol}-{field.field:04d}.fits"
        url = f"{self._root}/photoObj/{field.rerun}/{field.run}/{field.camcol}/{name}"
        return url, self._cached(url)

    def window(self, name: str) -> tuple[str, str]:
        """Return address and name of a file of the window function, such as window_flist.fits."""
        url = f"{self._root}/resolve/{RESOLVE_VERSIONS[self.release <= 12]}/{name}"
        return url, self._cached(url)

    def _cached(self, url: str) -> str:
        return f"{self.folder}/{url.rsplit('/', 1)[1]}"


def corners(ra: float, dec: float, node: float, incl: float) -> tuple[tuple[float, float], ...]:
    """Return the corners (deg) of a field, in order around it.

    The rows of a field run across the great circle along which the telescope scanned, its columns along it.

    Parameters
    ----------
    ra, dec : float
        Centre of the field (deg).
    node, incl : float
        Node and inclination of the great circle (deg); NaN if unknown.

    Returns
    -------
    tuple of (ra, dec)
        Four corners (deg); none if a parameter is unknown.
    """
    if not np.isfinite([ra, dec, node, incl]).all():
        return ()
    mu, nu = great_circle(np.array(ra), np.array(dec), node, incl)
    along = FRAME_HEIGHT / 2 * PIXEL_SCALE / 3600 / np.cos(np.deg2rad(nu))
    across = FRAME_WIDTH / 2 * PIXEL_SCALE / 3600
    corner_positions = equatorial(
        mu + along * np.array([-1, -1, 1, 1]), nu + across * np.array([-1, 1, 1, -1]), node, incl
    )
    return tuple((float(x), float(y)) for x, y in zip(*corner_positions, strict=True))


def great_circle(ra: np.ndarray, dec: np.ndarray, node: float, incl: float) -> tuple[np.ndarray, np.ndarray]:
    """Convert equatorial to great-circle coordinates (Stoughton et al. 2002).

    Parameters
    ----------
    ra, dec : ndarray
        Right ascension and declination (deg), shape (N,).
    node, incl : float
        Node and inclination of the great circle (deg).

    Returns
    -------
    mu, nu : ndarray
        Longitude and latitude with respect to the great circle (deg), shape (N,).
    """
    return _turned(ra, dec, node, -incl)


def equatorial(mu: np.ndarray, nu: np.ndarray, node: float, incl: float) -> tuple[np.ndarray, np.ndarray]:
    """Convert great-circle to equatorial coordinates; the inverse of :func:`great_circle`.

    Parameters
    ----------
    mu, nu : ndarray
        Longitude and latitude with respect to a great circle (deg), shape (N,).
    node, incl : float
        Node and inclination of the great circle (deg).

    Returns
    -------
    ra, dec : ndarray
        Right ascension and declination (deg), shape (N,).
    """
    return _turned(mu, nu, node, incl)


def _turned(lon: np.ndarray, lat: np.ndarray, node: float, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Rotate the sphere by `angle` (deg) about the axis through longitude `node` on the equator."""
    away, up, tilt = np.deg2rad(lon - node), np.deg2rad(lat), np.deg2rad(angle)
    x, y, z = np.cos(away) * np.cos(up), np.sin(away) * np.cos(up), np.sin(up)
    turned = np.rad2deg(np.arctan2(y * np.cos(tilt) - z * np.sin(tilt), x)) + node
    height = np.rad2deg(np.arcsin(np.clip(y * np.sin(tilt) + z * np.cos(tilt), -1, 1)))
    return turned % 360, height
