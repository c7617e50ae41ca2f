"""Reading of MER mosaics, which have 19,200 x 19,200 pixels, a few rows at a time."""

from functools import partial
from pathlib import Path
from typing import Any

import fitsio
import numpy as np
from astropy.io import fits
from astropy.wcs import WCS, WcsError
from scipy.spatial import cKDTree

from tuningfork.core.errors import InputError
from tuningfork.surveys.base import Image

INVALID_BIT = 1
"""Bit of a flag map for pixels "which shall not be used for anything" (Euclid Data Product Description, VIS and NIR
flag maps); the other bits give the reason, or describe usable pixels."""
SATURATED_BITS = {"VIS": 1 << 3}
"""Bit SAT of a flag map, by band: near or above the blooming threshold (VIS flag maps)."""
NO_COVERAGE_NOISE = 1e6
"""Noise maps have values near 1e16 where nothing was observed; real noise is below 10."""
MAX_MOSAIC_WIDTH = 100_000
"""Largest width and height (px) that is accepted."""


class MosaicPlane:
    """The first image of a FITS file, of which a few rows at a time are read.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    path : Path
    header : astropy.io.fits.Header
    shape : tuple of int
        Height and width.

    Raises
    ------
    InputError
        If the file cannot be read, or has no two-dimensional image.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            planes = enumerate(fitsio.FITS(str(path)))
            number, self._image = next((k, hdu) for k, hdu in planes if hdu.has_data() and _is_plane(hdu))
            self.header = fits.getheader(path, number)
        except (OSError, StopIteration, ValueError) as error:
            reason = " ".join(str(error).split()) or "it holds none"
            raise InputError(f"{path}: not an image in FITS ({reason}); delete it and run again") from None
        height, width = (int(length) for length in self._image.get_dims())
        self.shape = height, width
        if max(self.shape) > MAX_MOSAIC_WIDTH:
            raise InputError(f"{path}: expected a mosaic, found an image of {width} x {height} pixels")

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Return rows of the image.

        Parameters
        ----------
        start, stop : int
            Rows [start, stop).

        Returns
        -------
        ndarray
            Shape (stop - start, W), in the type of the file.

        Raises
        ------
        InputError
            If the file is damaged or truncated.
        """
        try:
            return np.asarray(self._image[start:stop, :])
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{self.path}: its pixels cannot be read ({reason}); delete it and run again") from None


def _is_plane(hdu: Any) -> bool:
    return hdu.get_exttype() == "IMAGE_HDU" and len(hdu.get_dims()) == 2


def open_mosaic(
    image: Path,
    noise: Path,
    mask: Path | None,
    psf: Path | None,
    flux_unit: float,
    fwhm: float,
    saturated_bit: int | None = None,
) -> Image:
    """Open one band of a tile.

    Parameters
    ----------
    image, noise : Path
        The background-subtracted mosaic, and the map of the standard deviation of its noise.
    mask, psf : Path or None
        The flag map, and the table of PSF widths (:mod:`tuningfork.surveys.euclid.psf`).
    flux_unit : float
        AB magnitude of the desired flux unit; each filter's mosaic has its own, given in its header (MAGZERO).
    fwhm : float
        PSF width (arcsec) to use if the tile has no table.
    saturated_bit : int, optional
        The bit of the flag map that marks saturated pixels, one of `SATURATED_BITS`; None if none is known to.

    Returns
    -------
    Image

    Raises
    ------
    InputError
        If a file is not what it should be.
    """
    pixels, sigma = MosaicPlane(image), MosaicPlane(noise)
    flags = MosaicPlane(mask) if mask else None
    for plane in (sigma, flags):
        if plane is not None and plane.shape != pixels.shape:
            raise InputError(
                f"{plane.path}: {plane.shape[1]} x {plane.shape[0]} pixels, its mosaic {image.name} has "
                f"{pixels.shape[1]} x {pixels.shape[0]}; delete both and run again"
            )
    unusable = INVALID_BIT | (saturated_bit or 0)
    factor = np.float32(10 ** (-0.4 * (_zero_point(pixels) - flux_unit)))

    def rows(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        flux = pixels.rows(start, stop).astype(np.float32) * factor
        error = sigma.rows(start, stop).astype(np.float32)
        good = np.isfinite(flux) & (error > 0) & (error < NO_COVERAGE_NOISE)
        if flags is not None:
            good &= flags.rows(start, stop) & unusable == 0
        weight = np.zeros_like(flux)
        np.divide(1, (error * factor) ** 2, out=weight, where=good)
        flux[~good] = 0
        return flux, weight

    saturated = None
    if flags is not None and saturated_bit is not None:
        saturated = partial(_marked, flags, saturated_bit)
    return Image(pixels.shape, rows, _wcs(pixels), _PsfWidths.read(psf, fwhm), flux_unit, saturated)


def _marked(flags: MosaicPlane, bit: int, start: int, stop: int) -> np.ndarray:
    return np.asarray(flags.rows(start, stop) & bit != 0)


def _zero_point(plane: MosaicPlane) -> float:
    value = plane.header.get("MAGZERO")
    if not isinstance(value, int | float) or not 0 < value < 50:
        raise InputError(
            f"{plane.path}: its zero point MAGZERO is {value!r}; expected a magnitude; delete it and run again"
        )
    return float(value)


def _wcs(plane: MosaicPlane) -> WCS:
    try:
        wcs = WCS(plane.header)
        good = wcs.has_celestial and wcs.naxis == 2
    except (WcsError, ValueError, KeyError, TypeError):
        good = False
    if not good:
        raise InputError(f"{plane.path}: its header has no usable celestial coordinates; delete it and run again")
    return wcs


class _PsfWidths:
    """PSF width as a function of position: that of the nearest model."""

    def __init__(self, positions: np.ndarray, widths: np.ndarray, otherwise: float) -> None:
        self._tree = cKDTree(positions) if len(positions) else None
        self._widths = widths
        self._otherwise = otherwise

    @classmethod
    def read(cls, path: Path | None, otherwise: float) -> "_PsfWidths":
        if path is None:
            return cls(np.empty((0, 2)), np.empty(0), otherwise)
        try:
            with fits.open(path, memmap=False) as hdus:
                table = np.asarray(hdus[1].data)
            x, y, fwhm = (np.asarray(table[name], dtype=float) for name in ("x", "y", "FWHM"))
        except (OSError, IndexError, KeyError, ValueError) as error:
            raise InputError(f"{path}: not a table of PSF widths ({error}); delete it and run again") from None
        good = np.isfinite(x) & np.isfinite(y) & (fwhm > 0) & (fwhm < 10)
        return cls(np.stack([x[good] - 1, y[good] - 1], axis=1), fwhm[good], otherwise)

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        known = np.isfinite(x) & np.isfinite(y)
        result = np.where(known, self._otherwise, np.nan)
        if self._tree is not None and known.any():
            _, nearest = self._tree.query(np.stack([x[known], y[known]], axis=1))
            result[known] = self._widths[nearest]
        return result
