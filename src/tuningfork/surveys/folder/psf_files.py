"""Images of the PSF in a user's folder: extensions of the image's file, files beside it, files that the table names."""

import lzma
import re
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from astropy.io.fits.verify import VerifyError

from tuningfork.core.errors import InputError
from tuningfork.surveys.folder.fits_file import open_fits, values_of
from tuningfork.surveys.folder.planes.bands import band_named, planes_of
from tuningfork.surveys.folder.psfex import PsfEx
from tuningfork.surveys.star_images import WIDTHS, StarImage

EXTENSION = re.compile(r"psf(?:[-_ ](.+))?", re.IGNORECASE)
"""EXTNAME of an image of the PSF: PSF, or PSF_R for one band."""
OVERSAMPLING_KEYS = ("OVERSAMP", "DET_SAMP", "OVERSAMPLE")
"""Keywords by which programs that compute PSFs say that their pixels are finer than the detector's."""
PSFEX_ENDING = ".psf"
FILE_ERRORS = (
    OSError, ValueError, TypeError, KeyError, IndexError, EOFError, VerifyError, zlib.error, struct.error,
    OverflowError, MemoryError, lzma.LZMAError,
)  # fmt: skip
"""Exceptions that astropy and Pillow raise for files that are damaged, truncated or of another format.

A header that states an absurd size ends in the last one.
"""
Psf = StarImage | PsfEx


def is_psf(hdu: Any) -> bool:
    """Return whether an HDU is an image of the PSF, by its EXTNAME."""
    return EXTENSION.fullmatch(str(hdu.header.get("EXTNAME", "")).strip()) is not None


def psf_of_extensions(hdus: Sequence[Any], band: str, bands: list[str]) -> Psf | None:
    """Return the PSF that the extensions of an image's file give for a band, or None if there is none.

    Parameters
    ----------
    hdus : sequence of HDU
        Of an open file.
    band : str
    bands : list of str
        All bands, in the order of the planes.

    Returns
    -------
    StarImage, PsfEx or None

    Raises
    ------
    InputError
        If the extension holds no image of a PSF.
    """
    found = [hdu for hdu in hdus if is_psf(hdu)]
    models = [hdu for hdu in found if not hdu.is_image and "PSF_MASK" in hdu.columns.names]
    images = [(_band_of(hdu, bands), hdu) for hdu in found if hdu.is_image]
    chosen = models or next(filter(None, ([hdu for mark, hdu in images if mark == m] for m in (band, ""))), [])
    if not chosen:
        return None
    if len(chosen) > 1:
        # PSFEx writes a model for each detector of a mosaic.
        raise InputError(
            f"{len(chosen)} extensions are the PSF of the band {band}; expected one: name them PSF_{band.upper()} and so "
            "on, or give each image a file with its PSF alone"
        )
    return PsfEx.of(chosen[0]) if models else _psf_of(chosen[0], band, _planes(chosen[0], hdus, bands))


def _band_of(hdu: Any, bands: list[str]) -> str:
    """Return the band of an image of the PSF by its EXTNAME or keyword; empty if it is for all bands."""
    match = EXTENSION.fullmatch(str(hdu.header.get("EXTNAME", "")).strip())
    if match and match[1]:
        return band_named(match[1], bands) or match[1]
    return band_named(str(hdu.header.get("BAND", "")), bands) or ""


def _planes(psf: Any, hdus: Sequence[Any], bands: list[str]) -> list[str]:
    """Return the bands of the planes of a PSF; without a word about them they are those of the image in its file."""
    if psf.header.get("NAXIS", 0) != 3:
        return bands
    number = int(psf.header["NAXIS3"])
    for hdu in (hdu for hdu in hdus if hdu.is_image and not is_psf(hdu) and hdu.header.get("NAXIS3") == number):
        bands = planes_of(hdu.header, number, bands)
    return planes_of(psf.header, number, bands)


def read_psf(path: Path, band: str, bands: list[str]) -> Psf:
    """Read the PSF of a band from a FITS file with an image or a cube of it, or from a file of PSFEx.

    Parameters
    ----------
    path : Path
    band : str
    bands : list of str
        All bands, in the order of the planes.

    Returns
    -------
    StarImage or PsfEx

    Raises
    ------
    InputError
        If the file cannot be read, or holds no image of a PSF.
    """
    if path.exists() and not path.is_file():
        raise InputError("it is no file")
    try:
        with open_fits(path) as hdus:
            found = psf_of_extensions(hdus, band, bands)
            images = [hdu for hdu in hdus if hdu.is_image and hdu.shape]
            if found is None and not images:
                raise InputError("it holds no image and no model of PSFEx")
            return found or _psf_of(images[0], band, _planes(images[0], (), bands))
    except FILE_ERRORS as error:
        raise InputError(f"not a readable FITS file ({' '.join(str(error).split())})") from None


def path_below(folder: Path, name: str) -> Path:
    """Return the path of a file that a table names, which must lie in the folder of the images or below it.

    Raises
    ------
    InputError
        If the name leads elsewhere.
    """
    pure = PurePosixPath(name.replace("\\", "/"))
    if pure.is_absolute() or ".." in pure.parts or ":" in name or "\0" in name:
        raise InputError(f"{name!r} is not a name below the folder of the images")
    return folder / pure


def _psf_of(hdu: Any, band: str, bands: list[str]) -> StarImage:
    """Return the image of the PSF in an HDU: of the band if it has a plane for each, else of all bands."""
    finer = [key for key in OVERSAMPLING_KEYS if float(hdu.header.get(key, 1) or 1) != 1]
    if finer:
        raise InputError(
            f"its keyword {finer[0]} is {hdu.header[finer[0]]}; expected the pixels of the image: bin it, or give a "
            "PSFEx file"
        )
    if max(hdu.shape[-2:], default=0) > WIDTHS[1]:
        raise InputError(f"its shape is {hdu.shape}; expected one image of {WIDTHS[0]} to {WIDTHS[1]} pixels a side")
    pixels = np.asarray(values_of(hdu), dtype=float)
    while pixels.ndim > 2 and len(pixels) == 1:
        pixels = pixels[0]
    if pixels.ndim == 3:
        if len(pixels) != len(bands) or band not in bands:
            raise InputError(f"it has {len(pixels)} planes; expected one, or one for each of the bands {bands}")
        pixels = pixels[bands.index(band)]
    return StarImage.of(pixels)
