"""One band of a brick of the Legacy Surveys: image, inverse variance, PSF size and mask, decompressed a few rows at a time.

The coadds are tile-compressed FITS (Pence et al. 2010) with tiles of 100 x 100 pixels, so that rows are decompressed by
the hundred.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import fitsio
import numpy as np
from astropy.wcs import WCS

from tuningfork.core.errors import InputError
from tuningfork.surveys.base import IMAGE, Image

INVVAR, PSFSIZE, MASKBITS = "invvar", "psfsize", "maskbits"
ROLES = (IMAGE, INVVAR, PSFSIZE, MASKBITS)
SATURATED_BITS = {"g": 1 << 2, "r": 1 << 3, "z": 1 << 4, "i": 1 << 14}
"""Bit SATUR of each band in MASKBITS (https://www.legacysurvey.org/dr10/bitmasks/): saturated in an exposure. The coadd
then shows the wings of the bleed trail and the few short exposures."""
ALLMASK_BITS = {"g": 1 << 5, "r": 1 << 6, "z": 1 << 7, "i": 1 << 15}
"""Bit ALLMASK of each band: bad in every exposure.

SATUR and ALLMASK make a pixel of the band unusable; the other bits do not affect it: NPRIMARY says that another brick
is primary; BAILOUT and SUB_BLOB, how sources were fitted; WISEM1 and WISEM2 refer to another telescope; GALAXY and
CLUSTER to the object; BRIGHT and MEDIUM to a nearby star, in whose halo a galaxy can still be measured."""
WCS_KEYS = ("CTYPE1", "CTYPE2", "CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2", "CD1_1", "CD1_2", "CD2_1", "CD2_2")
MAX_IMAGE_WIDTH = 1 << 15
"""Largest width or height (px) that is accepted."""


class PackedImage:
    """The first image of a FITS file, plain or tile-compressed, read by rows; each row of tiles is decompressed once.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    shape : tuple of int
        Height and width.
    step : int
        Rows that are decompressed together.
    header : mapping

    Raises
    ------
    InputError
        If the file cannot be read or has no image.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = fitsio.FITS(str(path))
            self._image = next(
                (part for part in self._file if part.get_exttype() == "IMAGE_HDU" and len(part.get_dims()) == 2), None
            )
            self.header = self._image.read_header() if self._image else {}
        except (OSError, ValueError, RuntimeError) as error:
            raise self._unreadable(error) from None
        if self._image is None:
            raise InputError(f"{path}: expected a two-dimensional image; delete it and run again")
        height, width = (int(length) for length in self._image.get_dims())
        if max(height, width) > MAX_IMAGE_WIDTH:
            raise InputError(f"{path}: it has {width} x {height} pixels; the limit is {MAX_IMAGE_WIDTH} per side")
        self.shape = height, width
        self.step = int(self.header.get("ZTILE2", 1))
        self._first, self._kept = 0, np.empty((0, width))

    def _unreadable(self, error: Exception) -> InputError:
        return InputError(
            f"{self._path}: not a readable FITS image ({' '.join(str(error).split())}); delete it and run again"
        )

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Return rows of the image.

        Parameters
        ----------
        start, stop : int
            Rows [start, stop).

        Returns
        -------
        ndarray
            Shape (stop - start, W), in the type of the file; the caller may change it.

        Raises
        ------
        InputError
            If the file is damaged.
        """
        stop = min(stop, self.shape[0])
        parts = []
        if self._first <= start < self._first + len(self._kept):
            parts.append(self._kept[start - self._first : stop - self._first])
            start = self._first + len(self._kept)
        if start < stop:
            first = start - start % self.step
            block = self._read(first, min(-(-stop // self.step) * self.step, self.shape[0]))
            self._first = (stop - 1) // self.step * self.step
            self._kept = block[self._first - first :].copy()
            parts.append(block[start - first : stop - first])
        return np.concatenate(parts) if parts else np.empty((0, self.shape[1]))

    def _read(self, start: int, stop: int) -> np.ndarray:
        try:
            return np.asarray(self._image[start:stop, :])  # type: ignore[index]
        except (OSError, ValueError, RuntimeError) as error:
            raise self._unreadable(error) from None

    def at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the values of the nearest pixels, reading one row of tiles at a time.

        Parameters
        ----------
        x, y : ndarray
            Pixel positions, shape (N,).

        Returns
        -------
        ndarray
            Shape (N,); NaN outside the image.
        """
        height, width = self.shape
        inside = (np.abs(x - (width - 1) / 2) <= width / 2) & (np.abs(y - (height - 1) / 2) <= height / 2)
        values = np.full(np.shape(x), np.nan)
        columns = np.clip(np.rint(np.where(inside, x, 0)), 0, width - 1).astype(int)
        rows = np.clip(np.rint(np.where(inside, y, 0)), 0, height - 1).astype(int)
        for band in np.unique(rows[inside] // self.step):
            in_band = inside & (rows // self.step == band)
            block = self.rows(int(band) * self.step, (int(band) + 1) * self.step)
            values[in_band] = block[rows[in_band] - band * self.step, columns[in_band]]
        return values


def open_brick(files: Mapping[str, Path], brick: str, band: str, zero_point: float) -> Image:
    """Open one band of a brick.

    Parameters
    ----------
    files : mapping
        Role (one of `ROLES`) -> path.
    brick : str
        Name of the brick, which is compared with that in the header.
    band : str
    zero_point : float
        AB magnitude of one flux unit, if the header does not state it.

    Returns
    -------
    Image

    Raises
    ------
    InputError
        If a file is missing, cannot be read, belongs to another brick or has another shape than the image.
    """
    lacking = [role for role in ROLES if role not in files]
    if lacking:
        raise InputError(f"brick {brick}, band {band}: no {lacking[0]} file; fetch the tiles again")
    packed = {role: PackedImage(files[role]) for role in ROLES}
    image = packed[IMAGE]
    for role, part in packed.items():
        if part.shape != image.shape:
            raise InputError(f"{files[role]}: {part.shape}, but the image has {image.shape} pixels; delete both")
        named = str(part.header.get("BRICKNAM", brick)).strip()
        if named != brick:
            raise InputError(f"{files[role]}: expected brick {brick}, found {named}; delete it and run again")
    unusable = SATURATED_BITS[band] | ALLMASK_BITS[band]
    return Image(
        image.shape,
        _reader(image, packed[INVVAR], packed[MASKBITS], unusable),
        _wcs(image, files[IMAGE]),
        _psf(packed[PSFSIZE]),
        float(image.header.get("MAGZERO", zero_point)),
        lambda start, stop: _has(packed[MASKBITS].rows(start, stop), SATURATED_BITS[band]),
    )


def _wcs(image: PackedImage, path: Path) -> WCS:
    missing = [key for key in WCS_KEYS if key not in image.header]
    if missing:
        raise InputError(f"{path}: the header has no {missing[0]}; delete the file and run again")
    return WCS({key: image.header[key] for key in WCS_KEYS})


def _reader(
    image: PackedImage, weight: PackedImage, bits: PackedImage, unusable: int
) -> Callable[[int, int], tuple[np.ndarray, np.ndarray]]:
    def rows(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        pixels = image.rows(start, stop).astype(np.float32, copy=False)
        inverse = weight.rows(start, stop).astype(np.float32, copy=False)
        good = ~_has(bits.rows(start, stop), unusable)
        good &= np.isfinite(pixels) & np.isfinite(inverse) & (inverse > 0)
        inverse[~good] = 0
        pixels[~np.isfinite(pixels)] = 0
        return pixels, inverse

    return rows


def _has(bits: np.ndarray, some: int) -> np.ndarray:
    return np.asarray(bits.astype(np.int32, copy=False) & some != 0)


def _psf(sizes: PackedImage) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    def psf_fwhm(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        fwhm = sizes.at(np.asarray(x, dtype=float), np.asarray(y, dtype=float))
        # The size is zero where no exposure contributes.
        return np.where(fwhm > 0, fwhm, np.nan)

    return psf_fwhm
