"""The pictures of a folder, read one after the other, whatever the files hold."""

import os
import stat
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from tuningfork.core.errors import InputError
from tuningfork.stamps.picture.psf import psf_width
from tuningfork.stamps.picture.stamp import PictureStamp, stamp_of, unstretch

FORMATS = ("JPEG", "PNG")
LARGEST_FILE = 200_000_000
"""Largest file that is opened (bytes)."""
LARGEST_PICTURE = 25_000_000
"""Most pixels of a picture."""
SMALLEST_SIDE = 8
"""Least width and height (px)."""
COMFORTABLE = 1024
"""A picture is averaged over whole pixels to at most about this height or width before it is measured."""
WHITE_OF_16_BITS = 65535.0


@dataclass(frozen=True)
class Reading:
    """What became of one file.

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
    """

    file: str
    reason: str = ""
    width: int = 0
    height: int = 0
    stamp: PictureStamp | None = None
    psf_fwhm: float = np.nan
    binned: int = 1


def files_of(folder: Path, besides: tuple[Path, ...] = ()) -> list[Path]:
    """Return everything in a folder that is not a folder, by name; sub-folders are not entered.

    Parameters
    ----------
    folder : Path
    besides : tuple of Path
        Files of ours, which are left out.

    Raises
    ------
    InputError
        It is no folder that can be read, or holds no file.
    """
    try:
        own = {path.resolve() for path in besides}
        found = [path for path in folder.iterdir() if not path.is_dir() and path.resolve() not in own]
    except OSError as error:
        raise InputError(
            f"{folder}: not a folder that can be read ({error.strerror}); give the pictures' folder"
        ) from None
    if not found:
        raise InputError(f"{folder}: no files in it; give the folder that holds the pictures themselves")
    return sorted(found, key=lambda path: os.fsencode(path.name))


def printable(path: Path) -> str:
    """Return the name of a file as text, with bytes that are no UTF-8 written as escapes."""
    return os.fsencode(path.name).decode("utf-8", "backslashreplace")


def read_picture(path: Path, stretch: float, psf_fwhm: float | None = None) -> Reading:
    """Return what a file holds; a file that cannot be used gives a reason, never an error.

    Parameters
    ----------
    path : Path
    stretch : float
        Q of the picture, 0 for linear ones.
    psf_fwhm : float, optional
        Full width at half maximum of the PSF (px); without it it is estimated.
    """
    name = printable(path)
    try:
        brightness = brightness_of(path)
    except InputError as error:
        return Reading(name, str(error))
    except Exception as error:  # what a decoder raises on a damaged file has no common type
        return Reading(name, f"damaged: {' '.join(str(error).split()) or type(error).__name__}")
    height, width = brightness.shape
    light, binned = unstretch(brightness, stretch), max(1, round(max(height, width) / COMFORTABLE))
    if binned > 1:
        brightness, light = _averaged(brightness, binned), _averaged(light, binned)
    stamp = stamp_of(light)
    fwhm = psf_fwhm if psf_fwhm else binned * psf_width(brightness, light, stamp)
    return Reading(name, "", width, height, stamp, fwhm, binned)


def brightness_of(path: Path) -> np.ndarray:
    """Return the brightness of a picture, float32 (H, W) from 0 (black) to 1 (white), row 0 at the bottom.

    The mean of the three colours. What is transparent is black.

    Raises
    ------
    InputError
        It is no JPEG or PNG, or too large or too small.
    OSError, ValueError, SyntaxError, ...
        The file is damaged.
    """
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise InputError("not a regular file")
    if facts.st_size > LARGEST_FILE:
        raise InputError(f"a file of {facts.st_size / 1e6:.0f} MB; at most {LARGEST_FILE / 1e6:.0f} MB are read")
    with warnings.catch_warnings():
        # Sizes are checked here, before pixels take memory.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            picture = Image.open(path, formats=FORMATS)
        except Image.UnidentifiedImageError:
            raise InputError("not a JPEG or PNG picture") from None
        except Image.DecompressionBombError:
            raise InputError(f"too many pixels; at most {LARGEST_PICTURE / 1e6:.0f} million are read") from None
    with picture:
        width, height = picture.size
        if width * height > LARGEST_PICTURE:
            raise InputError(f"{width} x {height} pixels; at most {LARGEST_PICTURE / 1e6:.0f} million are read")
        if min(width, height) < SMALLEST_SIDE:
            raise InputError(f"{width} x {height} pixels; at least {SMALLEST_SIDE} x {SMALLEST_SIDE} are needed")
        picture.load()
        upright = ImageOps.exif_transpose(picture)
    return np.ascontiguousarray(_mean_of_colours(upright)[::-1])


def _mean_of_colours(picture: Image.Image) -> np.ndarray:
    if picture.mode.startswith(("I", "F")):
        values = np.asarray(picture.convert("F") if picture.mode == "F" else picture, dtype=np.float32)
        return np.clip(values / WHITE_OF_16_BITS, 0, 1)
    if picture.has_transparency_data:
        seen = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", seen.size, (0, 0, 0, 255)), seen)
    pixels = np.asarray(picture.convert("RGB"))
    return np.asarray(pixels.mean(axis=-1, dtype=np.float32) / np.float32(255))


def _averaged(values: np.ndarray, number: int) -> np.ndarray:
    """Return the means over number x number pixels; what is left over at the far edges is dropped evenly."""
    rows, columns = (length // number for length in values.shape)
    first_row, first_column = (
        (length - number * kept) // 2 for length, kept in zip(values.shape, (rows, columns), strict=True)
    )
    kept = values[first_row : first_row + rows * number, first_column : first_column + columns * number]
    return np.asarray(kept.reshape(rows, number, columns, number).mean(axis=(1, 3)))
