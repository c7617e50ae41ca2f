"""Open FITS files of unknown origin: all sizes are checked, against the file and against limits, before memory is taken.

A plain file is mapped into memory; a packed one is unpacked no further than its headers say it reaches.
"""

import bz2
import contextlib
import gzip
import io
import lzma
import math
import mmap
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from astropy.io import fits

from tuningfork.surveys.transfer.fits_walk import BITS, FITS_BLOCK, FITS_CARD, MAX_HEADER_BYTES, bytes_of_data
from tuningfork.surveys.transfer.verify import kind_of_file

Packed: TypeAlias = gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile
MAX_PIXELS = 2**29
"""Most pixels of an image or of a plane of a cube (23,170 x 23,170)."""
MAX_UNPACKED_BYTES = 2**31
"""Most bytes of a packed file after it is unpacked."""
MAX_AXES = 9
"""Most axes of an image."""
UNPACKERS: dict[bytes, Callable[[BinaryIO], Packed]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
}
"""First bytes of a packed file -> what unpacks it."""
WORD = re.compile(
    rb"(EXTNAME |IMAGETYP|HDUNAME |BANDS?   ?|FILTER  |TELESCOP|BUNIT   |RADESYS |MAGSYS  |PHOTSYS |CTYPE\d  |CUNIT\d  )"
    rb"= *(?![TF] *(?:/|$))[A-Za-z]"
)
"""A card whose value should be text in quotes and is a bare word."""
Until: TypeAlias = Callable[[fits.Header], bool]


@contextlib.contextmanager
def open_fits(path: Path, until: Until | None = None) -> Iterator[fits.HDUList]:
    """Open a FITS file, plain or packed by gzip, bzip2 or xz.

    Words without quotes are accepted in the keywords that name things (EXTNAME, FILTER, ...). The images are as they are in
    the file: :func:`values_of` applies BSCALE, BZERO and BLANK.

    Parameters
    ----------
    path : Path
    until : callable, optional
        Header -> whether the caller needs nothing but this header and what comes before it. The file is then not
        checked further, and may be truncated.

    Yields
    ------
    astropy.io.fits.HDUList
        Open for reading.

    Raises
    ------
    OSError, ValueError, EOFError, zlib.error, lzma.LZMAError, VerifyError
        If it is no FITS file, is damaged or truncated, or says that it is larger than it is or than the limits.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("it is no regular file")
    with path.open("rb") as file:
        content = _Content(file)
        try:
            _check(content, until)
            with fits.open(content.buffer, memmap=False, do_not_scale_image_data=True, lazy_load_hdus=True) as hdus:
                yield hdus
        finally:
            content.close()


def values_of(hdu: Any, index: tuple[Any, ...] = ()) -> np.ndarray:
    """Return the values of an image in a file that :func:`open_fits` has opened.

    BLANK is compared with the numbers in the file, as FITS 4.0 (section 4.4.2.5) has it, in unsigned integers and when it
    is zero, too; astropy 8 leaves both out.

    Parameters
    ----------
    hdu : HDU
    index : tuple, optional
        Part of the image; without it, all.

    Returns
    -------
    ndarray
        In the machine's byte order. Integers stay integers where the header has no scale and no BLANK, and where the zero of
        the scale only makes them unsigned; else they become floats, and blank pixels NaN.
    """
    raw = np.asarray(hdu.section[index] if index else hdu.data)
    raw = raw.astype(raw.dtype.newbyteorder("="))
    scale, zero, blank = float(hdu.header.get("BSCALE", 1)), float(hdu.header.get("BZERO", 0)), hdu.header.get("BLANK")
    blank = blank if raw.dtype.kind in "iu" and type(blank) is int else None
    if (scale, zero, blank) == (1, 0, None):
        return raw
    if raw.dtype.kind == "i" and (scale, zero, blank) == (1, 2.0 ** (8 * raw.itemsize - 1), None):
        unsigned = raw.view(f"u{raw.itemsize}")
        return unsigned ^ unsigned.dtype.type(2 ** (8 * raw.itemsize - 1))
    values: np.ndarray = raw.astype(np.float64 if raw.itemsize > 2 else np.float32)
    if scale != 1:
        values *= scale
    if zero != 0:
        values += zero
    if blank is not None:
        values[raw == blank] = np.nan
    return values


class _Map(mmap.mmap):
    """A file mapped into memory, which can be asked, like any file, for a place beyond its end."""

    def seek(self, position: int, whence: Any = 0) -> int:  # type: ignore[override]
        """Go to a byte."""
        super().seek(min(position, len(self)) if whence == 0 else position, whence)
        return self.tell()


class _Content:
    """The content of a file, of which a packed one is unpacked piece by piece.

    Parameters
    ----------
    file : binary file
        Open at its beginning.
    """

    def __init__(self, file: BinaryIO) -> None:
        head = file.read(FITS_BLOCK)
        if not head:
            raise ValueError("it is empty")
        unpacker = next((unpack for magic, unpack in UNPACKERS.items() if head.startswith(magic)), None)
        self.buffer: io.BytesIO | mmap.mmap
        file.seek(0)
        self._packed = unpacker(file) if unpacker else None
        if self._packed is None:
            # Changes of the map stay in memory.
            self.buffer = _Map(file.fileno(), 0, access=mmap.ACCESS_COPY)
            self._size = len(self.buffer)
        else:
            self.buffer, self._size = io.BytesIO(), 0
        head = head if self._packed is None else self.bytes_at(0, FITS_BLOCK)
        if not head.startswith(b"SIMPLE  ="):
            raise ValueError(f"expected a FITS file, found {kind_of_file(head)}")

    def reaches(self, end: int) -> bool:
        """Return whether the content is at least `end` bytes long."""
        if self._packed is None or end <= self._size:
            return end <= self._size
        if end > MAX_UNPACKED_BYTES:
            raise ValueError(
                f"more than {MAX_UNPACKED_BYTES / 2**30:.0f} GiB after unpacking; unpack the file yourself, or cut it up"
            )
        self.buffer.seek(self._size)
        while self._size < end:
            piece = self._packed.read(min(end - self._size, 2**22))
            if not piece:
                return False
            self.buffer.write(piece)
            self._size += len(piece)
        return True

    def bytes_at(self, start: int, length: int) -> bytes:
        """Return `length` bytes, or fewer at the end."""
        self.reaches(start + length)
        self.buffer.seek(start)
        return self.buffer.read(length)

    def put(self, start: int, piece: bytes) -> None:
        """Change bytes, in memory alone."""
        self.buffer.seek(start)
        self.buffer.write(piece)

    def close(self) -> None:
        """Release the memory."""
        if self._packed is not None:
            self._packed.close()
        self.buffer.close()


def _check(content: _Content, until: Until | None) -> None:
    """Check the headers of a file one after the other, and that it has the data which they announce."""
    start, number = 0, 0
    while content.bytes_at(start, 8) == (b"XTENSION" if number else b"SIMPLE  "):
        header, start = _header(content, start, number)
        length = _data_bytes(header)
        _check_image(header)
        if until is not None and until(header):
            break
        if not content.reaches(start + length):
            raise ValueError(f"truncated: HDU {number} needs {length} bytes of data, which the file does not have")
        start += -(-length // FITS_BLOCK) * FITS_BLOCK
        number += 1
    content.buffer.seek(0)


def _header(content: _Content, start: int, number: int) -> tuple[fits.Header, int]:
    """Return the header that begins at a byte, and the byte where its data begin; words get their quotes."""
    blocks: list[bytes] = []
    while len(blocks) * FITS_BLOCK < MAX_HEADER_BYTES:
        here = start + len(blocks) * FITS_BLOCK
        block = content.bytes_at(here, FITS_BLOCK)
        if len(block) < FITS_BLOCK:
            break
        for place in range(0, FITS_BLOCK, FITS_CARD):
            card = block[place : place + FITS_CARD]
            if WORD.match(card):
                block = block[:place] + _quoted(card) + block[place + FITS_CARD :]
                content.put(here + place, block[place : place + FITS_CARD])
            if card.rstrip() == b"END":
                return fits.Header.fromstring(b"".join([*blocks, block])), here + FITS_BLOCK
        blocks.append(block)
    raise ValueError(f"truncated or damaged: the header of HDU {number} has no end")


def _quoted(card: bytes) -> bytes:
    fixed = fits.Card.fromstring(card)
    fixed.verify("silentfix")
    text = str(fixed).encode("ascii", "replace")
    return text if len(text) == FITS_CARD else card


def _data_bytes(header: fits.Header) -> int:
    """Return the number of bytes of data, without padding, that a header announces."""
    axes, bits = _axes(header, "NAXIS"), header.get("BITPIX")
    extra, groups = header.get("PCOUNT", 0), header.get("GCOUNT", 1)
    if type(bits) is not int or bits not in BITS:
        raise ValueError(f"BITPIX is {bits}; expected one of 8, 16, 32, 64, -32, -64")
    if not all(type(value) is int and value >= 0 for value in (extra, groups)):
        raise ValueError(f"PCOUNT is {extra} and GCOUNT {groups}; expected numbers from 0 on")
    return bytes_of_data(bits, axes, extra, groups, header.get("GROUPS") is True) if axes else 0


def _axes(header: fits.Header, key: str) -> list[int]:
    """Return the lengths that a header states in NAXIS1, NAXIS2, ... or ZNAXIS1, ..."""
    count = header.get(key)
    if type(count) is not int or not 0 <= count <= MAX_AXES:
        raise ValueError(f"{key} is {count}; expected a number from 0 to {MAX_AXES}")
    lengths = [header.get(f"{key}{axis}") for axis in range(1, count + 1)]
    for axis, length in enumerate(lengths, 1):
        if type(length) is not int or length < 0:
            raise ValueError(f"{key}{axis} is {length}; expected a number from 0 on")
    return lengths


def _check_image(header: fits.Header) -> None:
    """Check what a header says about the size of an image, apart from the length of its data."""
    packed = header.get("ZIMAGE") is True
    if packed or str(header.get("XTENSION", "IMAGE")).strip() == "IMAGE":
        axes = _axes(header, "ZNAXIS" if packed else "NAXIS")
        if math.prod([length for length in axes if length > 1][:2]) > MAX_PIXELS:
            raise ValueError(
                f"an image of {' x '.join(map(str, axes))} pixels; at most {MAX_PIXELS / 1e6:.0f} million are read: cut it up"
            )
        if packed:
            _check_tiles(header, axes)


def _check_tiles(header: fits.Header, axes: list[int]) -> None:
    """Check that the tiles of a compressed image cover it, each in a row of the table."""
    bits = header.get("ZBITPIX")
    if type(bits) is not int or bits not in BITS:
        raise ValueError(f"ZBITPIX is {bits}; expected one of 8, 16, 32, 64, -32, -64")
    tiles = [header.get(f"ZTILE{axis}", length if axis == 1 else 1) for axis, length in enumerate(axes, 1)]
    if not all(type(tile) is int and tile > 0 for tile in tiles):
        raise ValueError(f"ZTILE1, ... are {tiles}; expected numbers of pixels")
    rows, stated = math.prod(-(-length // tile) for length, tile in zip(axes, tiles, strict=True)), header.get("NAXIS2")
    if rows != stated:
        raise ValueError(
            f"the compressed image {axes} has {rows} tiles of {tiles} pixels, and {stated} rows; expected as many"
        )
    if math.prod(map(min, tiles, axes)) > MAX_PIXELS:
        raise ValueError(f"ZTILE1, ... are {tiles}; expected at most {MAX_PIXELS / 1e6:.0f} million pixels in a tile")
