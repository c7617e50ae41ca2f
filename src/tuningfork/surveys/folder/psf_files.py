"""Images of the PSF in a user's folder: extensions of the image's file, files beside it, files that the table names."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from astropy.io import fits

from tuningfork.core.errors import InputError
from tuningfork.surveys.folder.psfex import PsfEx
from tuningfork.surveys.star_images import StarImage

EXTENSION = re.compile(r"psf(?:[-_ ](.+))?", re.IGNORECASE)
"""EXTNAME of an image of the PSF: PSF, or PSF_R for one band."""
OVERSAMPLING_KEYS = ("OVERSAMP", "DET_SAMP", "OVERSAMPLE")
"""Keywords by which programs that compute PSFs say that their pixels are finer than the detector's."""
PSFEX_ENDING = ".psf"
FILE_ERRORS = (OSError, ValueError, TypeError, KeyError, IndexError, EOFError)
"""Exceptions that astropy raises for files that are damaged or of another format."""
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
    named: dict[str, Any] = {}
    for hdu in hdus:
        match = EXTENSION.fullmatch(str(hdu.header.get("EXTNAME", "")).strip())
        if match and not hdu.is_image and "PSF_MASK" in hdu.columns.names:
            return PsfEx.of(hdu)
        if match and hdu.is_image:
            named.setdefault((match[1] or "").lower(), hdu)
    hdu = named.get(band.lower(), named.get(""))
    return None if hdu is None else _psf_of(hdu, band, bands)


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
    try:
        with fits.open(path, memmap=False) as hdus:
            found = psf_of_extensions(hdus, band, bands)
            images = [hdu for hdu in hdus if hdu.is_image and hdu.data is not None]
            if found is None and not images:
                raise InputError("it holds no image and no model of PSFEx")
            return found or _psf_of(images[0], band, bands)
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
    pixels = np.asarray(hdu.data, dtype=float)
    while pixels.ndim > 2 and len(pixels) == 1:
        pixels = pixels[0]
    if pixels.ndim == 3:
        if len(pixels) != len(bands):
            raise InputError(f"it has {len(pixels)} planes; expected one, or one for each of the bands {bands}")
        pixels = pixels[bands.index(band)]
    return StarImage.of(pixels)
