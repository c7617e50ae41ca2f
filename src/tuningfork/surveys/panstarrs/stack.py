"""Reading of a stack image of Pan-STARRS1.

Image, variance and mask are separate files, compressed by fpack. The pixels of image and variance are integers with
BSCALE, BZERO and BLANK. If the header has BSOFTEN, the resulting values are compressed by an inverse hyperbolic sine
(:mod:`tuningfork.surveys.asinh`). The zero point is 25 + 2.5 log10(EXPTIME), so that counts per second have the same zero
point everywhere.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fitsio
import numpy as np
from astropy.wcs import WCS

from tuningfork.core.errors import InputError
from tuningfork.surveys.asinh import OFFSET, SOFTENING, linear
from tuningfork.surveys.base import Image, everywhere

STACK_ZERO_POINT = 25.0
"""AB magnitude of one count per second."""
MAX_STACK_PIXELS = 2**27
"""Pixels of the largest image that is accepted; sky cells have about 6300 x 6300."""
UNUSABLE_BITS = 0x217E
"""Bits of the mask for pixels without valid signal: FLAT, DARK, BLANK, CTE, SAT, LOW (0x02 to 0x40), CR (0x100) and
CONV.BAD (0x2000). The others mark ghosts, spikes, streaks and suspect pixels, which have signal."""
SATURATED_BIT = 0x20
"""Bit SAT of the mask: saturated or not linear."""


def open_stack(image: Path, variance: Path, mask: Path, band: str, psf_fwhm: float) -> Image:
    """Open a stack image, in counts per second.

    Parameters
    ----------
    image, variance, mask : Path
    band : str
        The band that the files should be of.
    psf_fwhm : float
        Full width at half maximum of the PSF (arcsec).

    Returns
    -------
    Image

    Raises
    ------
    InputError
        If a file cannot be read, is of another band or shape, or lacks what the format requires.
    """
    pixels, variances, bits = StackPlane(image), StackPlane(variance), StackPlane(mask)
    band_of_file = str(pixels.header.get("FPA.FILTER") or pixels.header.get("HIERARCH FPA.FILTER") or band)
    if band_of_file.strip("' ")[:1] != band:
        raise InputError(f"{image}: expected the band {band}, found {band_of_file!r}; delete it and run again")
    for plane in (variances, bits):
        if plane.shape != pixels.shape:
            raise InputError(f"{plane.path}: its shape {plane.shape} is not that of {image}, {pixels.shape}")
    exposure = pixels.number("EXPTIME")
    if not exposure > 0:
        raise InputError(f"{image}: EXPTIME is {exposure}, expected a positive number; delete it and run again")

    def rows(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        flux = pixels.linear(start, stop) / np.float32(exposure)
        noise_variance = variances.linear(start, stop) / np.float32(exposure) ** 2
        usable = ~_masked(bits, start, stop, UNUSABLE_BITS)
        good = np.isfinite(flux) & np.isfinite(noise_variance) & (noise_variance > 0) & usable
        weight = np.divide(1, noise_variance, out=np.zeros_like(noise_variance), where=good)
        return np.where(good, flux, np.float32(0)), weight

    def saturated(start: int, stop: int) -> np.ndarray:
        return _masked(bits, start, stop, SATURATED_BIT)

    return Image(pixels.shape, rows, pixels.wcs(), everywhere(psf_fwhm), STACK_ZERO_POINT, saturated)


class StackPlane:
    """The image of a file, plain or compressed, read a few rows at a time.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InputError
        If the file cannot be read, or has no two-dimensional image.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            file = fitsio.FITS(str(path))
            image = next((hdu for hdu in file if hdu.has_data() and _dimensions(hdu) == 2), None)
        except (OSError, ValueError) as error:
            raise self.fault(error) from None
        if image is None:
            raise self.fault("it has no two-dimensional image")
        self._image = image
        self._image.ignore_scaling = True
        self.header: Mapping[str, Any] = image.read_header()
        height, width = image.get_dims()
        self.shape = int(height), int(width)
        if height * width > MAX_STACK_PIXELS:
            raise self.fault(f"it has {width} x {height} pixels; the limit is {MAX_STACK_PIXELS}")
        self._soft = self.number(SOFTENING) if SOFTENING in self.header else None
        self._offset = self.number(OFFSET) if self._soft is not None else 0.0

    def fault(self, reason: object) -> InputError:
        """Return the error that names this file."""
        return InputError(f"{self.path}: not a stack image of Pan-STARRS1 ({reason}); delete it and run again")

    def number(self, key: str) -> float:
        """Return a number from the header.

        Raises
        ------
        InputError
            If the header has no such number.
        """
        try:
            return float(self.header[key])
        except (KeyError, TypeError, ValueError):
            raise self.fault(f"the header has no number {key}") from None

    def raw(self, start: int, stop: int) -> np.ndarray:
        """Return rows as they are stored.

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
            If the file is damaged.
        """
        try:
            return np.asarray(self._image[start:stop, :])
        except (OSError, ValueError) as error:
            raise self.fault(error) from None

    def linear(self, start: int, stop: int) -> np.ndarray:
        """Return rows in linear units.

        Parameters
        ----------
        start, stop : int
            Rows [start, stop).

        Returns
        -------
        ndarray
            float32 (stop - start, W); NaN where there is no value.

        Raises
        ------
        InputError
            If the file is damaged.
        """
        stored = self.raw(start, stop)
        values = stored.astype(np.float32)
        if stored.dtype.kind in "iu":
            values = values * np.float32(self.header.get("BSCALE", 1)) + np.float32(self.header.get("BZERO", 0))
            # cfitsio ignores BLANK in compressed images.
            for key in ("BLANK", "ZBLANK"):
                if key in self.header:
                    values[stored == int(self.number(key))] = np.nan
        return values if self._soft is None else linear(values, self._soft, self._offset)

    def wcs(self) -> WCS:
        """Return the projection; the headers have the old form of the PC matrix and no reference system."""
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
            raise self.fault("it has no celestial coordinates")
        return wcs

    def _matrix(self, key: str, diagonal: bool) -> float:
        return self.number(key) if key in self.header else float(diagonal)


def _masked(mask: StackPlane, start: int, stop: int, bits: int) -> np.ndarray:
    # Unsigned numbers are stored with an offset of 32768, which does not affect the bits that are asked for.
    return np.asarray(mask.raw(start, stop).astype(np.int32) & bits != 0)


def _dimensions(hdu: Any) -> int:
    return len(hdu.get_dims()) if hasattr(hdu, "get_dims") else 0
