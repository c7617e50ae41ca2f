"""Read a stack image of Pan-STARRS1.

Image, variance and mask are files of their own, packed by fpack. The pixels of image and variance are whole numbers
with BSCALE, BZERO and BLANK; the values that these give are compressed by an inverse hyperbolic sine,
v = (2.5 / ln 10) asinh((L - BOFFSET) / (2 BSOFTEN)), wherever the header has BSOFTEN (Waters et al. 2020,
ApJS 251, 4). The zero point is 25 + 2.5 log10(EXPTIME), so that counts a second have one zero point everywhere.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fitsio
import numpy as np
from astropy.wcs import WCS

from tuningfork.core.errors import InputError
from tuningfork.surveys.base import Image, everywhere

STACK_ZERO_POINT = 25.0
"""AB magnitude of one count a second."""
MAX_STACK_PIXELS = 2**27
"""Pixels of the largest image that is accepted; sky cells have about 6300 x 6300."""
UNUSABLE_BITS = 0x217E
"""Bits of the mask for pixels without valid signal: FLAT, DARK, BLANK, CTE, SAT, LOW (0x02 to 0x40), CR (0x100) and
CONV.BAD (0x2000). The others mark ghosts, spikes, streaks and suspicions, where there is signal."""
MAX_SINH_ARGUMENT = 80.0
"""Largest argument of the hyperbolic sine, which float32 still holds; no true pixel is so bright."""


def open_stack(image: Path, variance: Path, mask: Path, band: str, psf_fwhm: float) -> Image:
    """Open a stack image, in counts a second.

    Parameters
    ----------
    image, variance, mask : Path
    band : str
        The band that it should be of.
    psf_fwhm : float
        Full width at half maximum of the PSF (arcsec).

    Raises
    ------
    InputError
        A file cannot be read, is of another band or of another shape, or lacks what the format demands.
    """
    pixels, variances, bits = StackPlane(image), StackPlane(variance), StackPlane(mask)
    found = str(pixels.header.get("FPA.FILTER") or pixels.header.get("HIERARCH FPA.FILTER") or band)
    if found.strip("' ")[:1] != band:
        raise InputError(f"{image}: expected the band {band}, found {found!r}; delete it and run again")
    for plane in (variances, bits):
        if plane.shape != pixels.shape:
            raise InputError(f"{plane.path}: its shape {plane.shape} is not that of {image}, {pixels.shape}")
    exposure = pixels.number("EXPTIME")
    if not exposure > 0:
        raise InputError(f"{image}: EXPTIME is {exposure}, expected a positive number; delete it and run again")

    def rows(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        flux = pixels.linear(start, stop) / np.float32(exposure)
        spread = variances.linear(start, stop) / np.float32(exposure) ** 2
        # The offset of 32768 by which unsigned numbers are stored changes none of these bits.
        usable = bits.raw(start, stop).astype(np.int32) & UNUSABLE_BITS == 0
        good = np.isfinite(flux) & np.isfinite(spread) & (spread > 0) & usable
        weight = np.divide(1, spread, out=np.zeros_like(spread), where=good)
        return np.where(good, flux, np.float32(0)), weight

    return Image(pixels.shape, rows, pixels.wcs(), everywhere(psf_fwhm), STACK_ZERO_POINT)


class StackPlane:
    """The image of a file, plain or packed, read a few rows at a time.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InputError
        The file cannot be read, or holds no image of two dimensions.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            file = fitsio.FITS(str(path))
            found = next((hdu for hdu in file if hdu.has_data() and _dimensions(hdu) == 2), None)
        except (OSError, ValueError) as error:
            raise self.fault(error) from None
        if found is None:
            raise self.fault("no image of two dimensions")
        self._image = found
        self._image.ignore_scaling = True
        self.header: Mapping[str, Any] = found.read_header()
        height, width = found.get_dims()
        self.shape = int(height), int(width)
        if height * width > MAX_STACK_PIXELS:
            raise self.fault(f"{width} x {height} pixels are more than are accepted")
        self._soft = self.number("BSOFTEN") if "BSOFTEN" in self.header else None
        self._offset = self.number("BOFFSET") if self._soft is not None else 0.0

    def fault(self, reason: object) -> InputError:
        """Return the error that names this file."""
        return InputError(f"{self.path}: not a stack image of Pan-STARRS1 ({reason}); delete it and run again")

    def number(self, key: str) -> float:
        """Return a number of the header."""
        try:
            return float(self.header[key])
        except (KeyError, TypeError, ValueError):
            raise self.fault(f"the header has no number {key}") from None

    def raw(self, start: int, stop: int) -> np.ndarray:
        """Return rows (stop - start, W) as they are stored."""
        try:
            return np.asarray(self._image[start:stop, :])
        except (OSError, ValueError) as error:
            raise self.fault(error) from None

    def linear(self, start: int, stop: int) -> np.ndarray:
        """Return rows (stop - start, W) in linear units, float32, NaN where there is no value."""
        stored = self.raw(start, stop)
        values = stored.astype(np.float32)
        if stored.dtype.kind in "iu":
            values = values * np.float32(self.header.get("BSCALE", 1)) + np.float32(self.header.get("BZERO", 0))
            # cfitsio does not look for BLANK in packed images.
            for key in ("BLANK", "ZBLANK"):
                if key in self.header:
                    values[stored == int(self.number(key))] = np.nan
        if self._soft is None:
            return values
        steep = np.clip(values * np.float32(np.log(10) / 2.5), -MAX_SINH_ARGUMENT, MAX_SINH_ARGUMENT)
        return np.sinh(steep) * np.float32(2 * self._soft) + np.float32(self._offset)

    def wcs(self) -> WCS:
        """Return the projection; the headers have the old form of the PC matrix and name no reference system."""
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = [str(self.header.get(f"CTYPE{axis}", "")) for axis in (1, 2)]
        wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = (
            [self.number(f"{key}{axis}") for axis in (1, 2)] for key in ("CRVAL", "CRPIX", "CDELT")
        )
        pairs = [[(i, j) for j in (1, 2)] for i in (1, 2)]
        old = "PC001001" in self.header
        wcs.wcs.pc = [
            [self._matrix(f"PC{i:03d}{j:03d}" if old else f"PC{i}_{j}", i == j) for i, j in row] for row in pairs
        ]
        wcs.wcs.radesys = "ICRS"
        try:
            wcs.wcs.set()
        except ValueError as error:
            raise self.fault(" ".join(str(error).split())) from None
        if not wcs.has_celestial:
            raise self.fault("no coordinates of the sky")
        return wcs

    def _matrix(self, key: str, diagonal: bool) -> float:
        return self.number(key) if key in self.header else float(diagonal)


def _dimensions(hdu: Any) -> int:
    return len(hdu.get_dims()) if hasattr(hdu, "get_dims") else 0
