"""Read the pictures of a folder one after the other, whatever the files contain."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tuningfork.core.errors import InputError
from tuningfork.core.files import as_text
from tuningfork.stamps.picture.psf import psf_width
from tuningfork.stamps.picture.stamp import PictureStamp, sky_brightness, stamp_of
from tuningfork.stamps.picture.stretch import is_coloured, size_factor, unstretch, usual_stretch
from tuningfork.surveys.folder.picture_file import read_picture_file

MAX_PICTURE_PIXELS = 25_000_000
"""Most pixels of a picture."""
MIN_PICTURE_SIDE = 8
"""Least width and height (px)."""
MEASURED_SIDE = 1024
"""A picture is averaged over whole pixels to at most about this height or width before it is measured."""


@dataclass(frozen=True)
class Reading:
    """The result of reading one file.

    Attributes
    ----------
    file : str
        Its name.
    reason : str
        Why it is not a picture that can be measured; empty if it is.
    width, height : int
        Of the picture (px); 0 if not known.
    stamp : PictureStamp or None
        In pixels of the picture averaged over `binned` x `binned`.
    psf_fwhm : float
        Full width at half maximum of the PSF (px of the picture).
    binned : int
    stretch : float
        Q with which the picture was read.
    size_factor : float
        True radius with 90 % of the light over that of the stamp.
    """

    file: str
    reason: str = ""
    width: int = 0
    height: int = 0
    stamp: PictureStamp | None = None
    psf_fwhm: float = np.nan
    binned: int = 1
    stretch: float = np.nan
    size_factor: float = 1.0


def files_of(folder: Path, besides: tuple[Path, ...] = ()) -> list[Path]:
    """Return all files of a folder, by name; sub-folders are not entered.

    Parameters
    ----------
    folder : Path
    besides : tuple of Path
        Output files, which are left out.

    Returns
    -------
    list of Path

    Raises
    ------
    InputError
        It is not a readable folder, or holds no file.
    """
    try:
        left_out = {path.resolve() for path in besides}
        files = [path for path in folder.iterdir() if not path.is_dir() and path.resolve() not in left_out]
    except OSError as error:
        raise InputError(
            f"{folder}: not a folder that can be read ({error.strerror}); give the pictures' folder"
        ) from None
    if not files:
        raise InputError(f"{folder}: no files in it; give the folder that holds the pictures themselves")
    return sorted(files, key=lambda path: os.fsencode(path.name))


def read_picture(path: Path, stretch: float | None = None, psf_fwhm: float | None = None) -> Reading:
    """Read a file. If it cannot be used, the result gives the reason, and no error is raised.

    Parameters
    ----------
    path : Path
    stretch : float, optional
        Q of the picture, 0 for linear ones; without it, what such pictures usually have
        (:func:`tuningfork.stamps.picture.stretch.usual_stretch`).
    psf_fwhm : float, optional
        Full width at half maximum of the PSF (px); without it, it is estimated.

    Returns
    -------
    Reading
    """
    name = as_text(path.name)
    try:
        brightness, coloured = brightness_of(path)
    except InputError as error:
        return Reading(name, str(error))
    except Exception as error:  # what a decoder raises on a damaged file has no common type
        return Reading(name, f"damaged: {' '.join(str(error).split()) or type(error).__name__}")
    height, width = brightness.shape
    factor = 1.0
    if stretch is None:
        sky = sky_brightness(brightness)
        stretch, factor = usual_stretch(sky, coloured), size_factor(sky, coloured)
    light, binned = unstretch(brightness, stretch), max(1, round(max(height, width) / MEASURED_SIDE))
    if binned > 1:
        brightness, light = _averaged(brightness, binned), _averaged(light, binned)
    stamp = stamp_of(light)
    fwhm = psf_fwhm if psf_fwhm else binned * psf_width(brightness, light, stamp)
    return Reading(name, "", width, height, stamp, fwhm, binned, stretch, factor)


def brightness_of(path: Path) -> tuple[np.ndarray, bool]:
    """Return the brightness of a picture, which is the mean of the three colours. Transparent pixels are black.

    Returns
    -------
    brightness : ndarray
        float32 (H, W) from 0 (black) to 1 (white), row 0 at the bottom.
    coloured : bool
        Whether the picture has colours.

    Raises
    ------
    InputError
        It is not a JPEG or PNG, or is too large or too small.
    OSError, ValueError, SyntaxError, ...
        The file is damaged.
    """
    values, white = read_picture_file(path, MAX_PICTURE_PIXELS, MIN_PICTURE_SIDE)
    brightness = values if values.ndim == 2 else values.mean(axis=-1, dtype=np.float32)
    return np.clip(brightness / np.float32(white), 0, 1), values.ndim == 3 and is_coloured(values)


def _averaged(values: np.ndarray, number: int) -> np.ndarray:
    """Return the means over number x number pixels; pixels left over at the edges are dropped evenly."""
    rows, columns = (length // number for length in values.shape)
    first_row, first_column = (
        (length - number * kept) // 2 for length, kept in zip(values.shape, (rows, columns), strict=True)
    )
    kept = values[first_row : first_row + rows * number, first_column : first_column + columns * number]
    return np.asarray(kept.reshape(rows, number, columns, number).mean(axis=(1, 3)))
