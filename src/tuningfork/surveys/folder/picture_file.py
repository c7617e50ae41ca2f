"""Read the pixels of a JPEG or PNG picture, for the survey `folder` and for `tuningfork measure-folder` alike."""

import stat
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from tuningfork.core.errors import InputError

PICTURE_FORMATS = ("JPEG", "PNG")
MAX_FILE_BYTES = 200_000_000
"""Largest file that is opened (bytes)."""
WHITE = 255.0
DEPTHS = (8, 10, 12, 14, 16)
"""Bits of cameras whose values are stored in 16 bits."""
PNG_SIGNATURE = b"\x89PNG"
PNG_DEPTH, PNG_COLOUR_TYPE = 24, 25
"""Bytes of a PNG file with the bits of a value and the type of colour."""
READ_WITH_8_BITS = {2: "colours", 4: "grey with transparency", 6: "colours"}
"""Types of colour of which the reader keeps the upper 8 of 16 bits."""
MIN_UPPER_BYTE = 64
"""Least maximum of the upper bytes of 16-bit values: below it, little is left without the lower ones."""


def read_picture_file(path: Path, max_pixels: int, min_side: int = 1) -> tuple[np.ndarray, float]:
    """Read a picture as it is meant to be seen: turned as its EXIF says, and transparent pixels black.

    Sizes are checked before pixels take memory.

    Parameters
    ----------
    path : Path
    max_pixels : int
        Most pixels of a picture.
    min_side : int
        Least width and height (px).

    Returns
    -------
    values : ndarray
        float32 (H, W) if the picture is grey, else (H, W, 3) for red, green and blue; row 0 at the bottom.
    white : float
        The value of white. In grey pictures of 16 bits it is the largest number of the fewest bits (8, 10, 12, 14 or
        16) that hold all values, because cameras of 12 bits store their values like that.

    Raises
    ------
    InputError
        It is not a JPEG or PNG, is too large or too small, or needs more bits than can be read.
    OSError, ValueError, SyntaxError, ...
        The file is damaged; what a decoder raises has no common type.
    """
    with _opened(path, max_pixels) as picture:
        width, height = picture.size
        if min(width, height) < min_side:
            raise InputError(f"{width} x {height} pixels; at least {min_side} x {min_side} are needed")
        picture.load()
        upright = ImageOps.exif_transpose(picture)
    values, white = _values(upright)
    kind = _read_with_8_of_16_bits(path)
    if kind and values.max() < MIN_UPPER_BYTE:
        raise InputError(
            f"{kind} of 16 bits that reach only {int(values.max()) + 1} of 256 steps of the upper 8, the only ones that "
            "are read; store 8 bits, grey PNG files of 16 bits without transparency, or FITS files"
        )
    return np.ascontiguousarray(values[::-1]), white


def require_picture(path: Path, max_pixels: int) -> None:
    """Check, without reading the pixels, that a file is a picture of a size that is read.

    Raises
    ------
    InputError
        If it is not.
    """
    _opened(path, max_pixels).close()


def _opened(path: Path, max_pixels: int) -> Image.Image:
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise InputError("not a regular file")
    if facts.st_size > MAX_FILE_BYTES:
        raise InputError(f"a file of {facts.st_size / 1e6:.0f} MB; at most {MAX_FILE_BYTES / 1e6:.0f} MB are read")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            picture = Image.open(path, formats=PICTURE_FORMATS)
        except Image.UnidentifiedImageError:
            raise InputError("not a JPEG or PNG picture") from None
        except Image.DecompressionBombError:
            raise InputError(f"too many pixels; at most {max_pixels / 1e6:.0f} million are read") from None
    if picture.width * picture.height > max_pixels:
        picture.close()
        raise InputError(f"{picture.width} x {picture.height} pixels; at most {max_pixels / 1e6:.0f} million are read")
    return picture


def _values(picture: Image.Image) -> tuple[np.ndarray, float]:
    grey = picture.mode in {"1", "L", "LA", "La"}
    if picture.mode.startswith(("I", "F")):
        values = np.asarray(picture, dtype=np.float32)
        most = float(values.max(initial=0))
        return values, next((2.0**bits - 1 for bits in DEPTHS if most < 2**bits), 2.0 ** DEPTHS[-1] - 1)
    if picture.has_transparency_data:
        seen = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", seen.size, (0, 0, 0, 255)), seen)
    return np.asarray(picture.convert("RGB").convert("L") if grey else picture.convert("RGB"), dtype=np.float32), WHITE


def _read_with_8_of_16_bits(path: Path) -> str:
    """Return what a PNG file holds if only the upper 8 of its 16 bits are read, else nothing."""
    with path.open("rb") as file:
        head = file.read(PNG_COLOUR_TYPE + 1)
    if not head.startswith(PNG_SIGNATURE) or len(head) <= PNG_COLOUR_TYPE or head[PNG_DEPTH] != 16:
        return ""
    return READ_WITH_8_BITS.get(head[PNG_COLOUR_TYPE], "")
