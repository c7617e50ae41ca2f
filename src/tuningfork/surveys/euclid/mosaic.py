"""Reading MER mosaics: 19,200 x 19,200 pixels, of which a job needs a few rows at a time."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS, WcsError
from scipy.spatial import cKDTree

from tuningfork.core.errors import InputError
from tuningfork.surveys.base import Image

INVALID_BIT = 1
"""Bit of a flag map for pixels "which shall not be used for anything" (Euclid Data Product Description, VIS and NIR
flag maps); the other bits say why, or describe pixels that can be used."""
NO_COVERAGE_NOISE = 1e6
"""Noise maps have values near 1e16 where nothing was observed; real noise is below 10."""
TYPES = {8: ">u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
"""BITPIX -> how FITS stores a pixel."""
MAX_MOSAIC_WIDTH = 100_000
"""Width and height (pixel) beyond which a file is not taken for a mosaic."""


@dataclass(frozen=True)
class MosaicPlane:
    """The uncompressed pixels of an image in a FITS file.

    Rows are read from the file itself: nothing but these rows is in memory, and a file that the bounded cache has
    dropped meanwhile is an error that says so, not the end of the process, as it would be with a memory map.

    Attributes
    ----------
    path : Path
    header : astropy.io.fits.Header
    offset : int
        Where the pixels begin in the file.
    dtype : numpy.dtype
        As stored.
    shape : tuple of int
        Height and width.
    """

    path: Path
    header: fits.Header
    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, int]

    @classmethod
    def open(cls, path: Path) -> "MosaicPlane":
        """Find the first image of a file.

        Raises
        ------
        InputError
            It has none that can be read by rows.
        """
        try:
            with fits.open(path, memmap=True, disable_image_compression=True) as hdus:
                found = next(hdu for hdu in hdus if hdu.is_image and hdu.header["NAXIS"] == 2)
                header, offset = found.header.copy(), int(found.fileinfo()["datLoc"])
            dtype = np.dtype(TYPES[int(header["BITPIX"])])
            shape = (int(header["NAXIS2"]), int(header["NAXIS1"]))
        except (OSError, StopIteration, KeyError, ValueError, TypeError) as error:
            raise InputError(f"{path}: no image in FITS ({error!r}); delete it and run again") from None
        if min(shape) <= 0 or max(shape) > MAX_MOSAIC_WIDTH or header.get("BSCALE", 1) != 1:
            raise InputError(f"{path}: expected a mosaic, found an image of {shape[1]} x {shape[0]} scaled pixels")
        return cls(path, header, offset, dtype, shape)

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Return rows `start` to `stop` in the machine's byte order.

        Raises
        ------
        InputError
            The file is gone or shorter than its header says.
        """
        width = self.shape[1]
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset + start * width * self.dtype.itemsize)
                values = np.fromfile(file, self.dtype, (stop - start) * width)
        except OSError as error:
            raise InputError(f"{self.path}: {error}; delete it and run again") from None
        if len(values) < (stop - start) * width:
            raise InputError(f"{self.path}: the file ends within its pixels; delete it and run again")
        if not values.dtype.isnative:
            values = values.byteswap(inplace=True).view(self.dtype.newbyteorder("="))
        values = values.reshape(-1, width)
        zero = self.header.get("BZERO", 0)
        return values + np.int64(zero) if zero else values


def open_mosaic(image: Path, noise: Path, mask: Path | None, psf: Path | None, flux_unit: float, fwhm: float) -> Image:
    """Open one band of a tile.

    Parameters
    ----------
    image, noise : Path
        The background-subtracted mosaic and its map of the noise's standard deviation.
    mask, psf : Path or None
        The map of flags, and the table of PSF widths (:mod:`tuningfork.surveys.euclid.psf`).
    flux_unit : float
        AB magnitude of the flux unit wanted: each filter's mosaic has its own, which its header tells (MAGZERO).
    fwhm : float
        Width of the PSF (arcsec) where the tile has no table of it.

    Raises
    ------
    InputError
        A file is not what it should be.
    """
    pixels, sigma = MosaicPlane.open(image), MosaicPlane.open(noise)
    flags = MosaicPlane.open(mask) if mask else None
    for plane in (sigma, flags):
        if plane is not None and plane.shape != pixels.shape:
            raise InputError(
                f"{plane.path}: {plane.shape[1]} x {plane.shape[0]} pixels, its mosaic {image.name} has "
                f"{pixels.shape[1]} x {pixels.shape[0]}; delete both and run again"
            )
    factor = np.float32(10 ** (-0.4 * (_zero_point(pixels) - flux_unit)))

    def rows(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        flux = pixels.rows(start, stop).astype(np.float32) * factor
        error = sigma.rows(start, stop).astype(np.float32)
        good = np.isfinite(flux) & (error > 0) & (error < NO_COVERAGE_NOISE)
        if flags is not None:
            good &= flags.rows(start, stop) & INVALID_BIT == 0
        weight = np.zeros_like(flux)
        np.divide(1, (error * factor) ** 2, out=weight, where=good)
        flux[~good] = 0
        return flux, weight

    return Image(pixels.shape, rows, _wcs(pixels), _PsfWidths.read(psf, fwhm), flux_unit)


def _zero_point(plane: MosaicPlane) -> float:
    value = plane.header.get("MAGZERO")
    if not isinstance(value, int | float) or not 0 < value < 50:
        raise InputError(
            f"{plane.path}: its zero point MAGZERO is {value!r}, expected a magnitude; delete it and run again"
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
    """Width of the PSF as a function of the position: that of the nearest model."""

    def __init__(self, places: np.ndarray, widths: np.ndarray, otherwise: float) -> None:
        self._tree = cKDTree(places) if len(places) else None
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
            raise InputError(f"{path}: no table of PSF widths ({error}); delete it and run again") from None
        good = np.isfinite(x) & np.isfinite(y) & (fwhm > 0) & (fwhm < 10)
        return cls(np.stack([x[good] - 1, y[good] - 1], axis=1), fwhm[good], otherwise)

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        known = np.isfinite(x) & np.isfinite(y)
        result = np.where(known, self._otherwise, np.nan)
        if self._tree is not None and known.any():
            _, nearest = self._tree.query(np.stack([x[known], y[known]], axis=1))
            result[known] = self._widths[nearest]
        return result
