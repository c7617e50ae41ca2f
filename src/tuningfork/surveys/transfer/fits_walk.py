"""A single pass through a FITS file that checks its structure and its checksums.

See the FITS Standard 4.0, sections 3, 4.4.1 and 4.4.2.7; the checksum is described by Seaman, Pence & Rots (2012). The
memory used is one buffer, however large the file.
"""

import math
import re
from typing import Protocol

import numpy as np

from tuningfork.surveys.transfer.attempts import AttemptError

FITS_BLOCK = 2880
"""Bytes of a block, the unit of the length of headers and data."""
FITS_CARD = 80
"""Bytes of a header card."""
BITS = {8, 16, 32, 64, -32, -64}
"""Values of BITPIX."""
BUFFER_BYTES = 1024 * FITS_BLOCK
MAX_HEADER_BYTES = 4000 * FITS_BLOCK
"""Size of the longest header that is accepted."""
MAX_CONTENT_BYTES = 16 * 2**30
"""Size of the largest content that is accepted, after decompression."""
ALL_ONES = 0xFFFFFFFF
HEADER_KEYS = re.compile(rb"SIMPLE  |XTENSION|BITPIX  |NAXIS\d{0,3} *|PCOUNT  |GCOUNT  |GROUPS  |DATASUM |CHECKSUM")


class Readable(Protocol):
    """A binary file that can be read into a buffer."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Read into `buffer` and return the number of bytes read, 0 at the end."""
        ...


class FitsWalk:
    """One pass through the content of a FITS file.

    Parameters
    ----------
    content : binary file
        The file, decompressed.
    """

    def __init__(self, content: Readable) -> None:
        self._content = content
        self._buffer = memoryview(bytearray(BUFFER_BYTES))
        self._read_so_far = 0

    def check(self, sums: bool = True) -> int:
        """Read the file to its end and return the number of its HDUs.

        Parameters
        ----------
        sums : bool
            Whether DATASUM and CHECKSUM must be right if they are given.

        Returns
        -------
        int

        Raises
        ------
        AttemptError
            If the file is truncated, too long or damaged, or is not FITS.
        """
        number = 0
        block = self._take(FITS_BLOCK)
        while len(block):
            if number and bytes(block[:8]) != b"XTENSION":
                self._check_padding(block, number)
                break
            self._hdu(block, number, sums)
            number += 1
            block = self._take(FITS_BLOCK)
        return number

    def _hdu(self, block: memoryview, number: int, sums: bool) -> None:
        cards, total = self._header(block, number)
        length = _data_length(cards, number)
        if length > MAX_CONTENT_BYTES:
            raise AttemptError(f"HDU {number} claims {length} bytes; the limit is {MAX_CONTENT_BYTES}")
        data = self._data(length, number, sums)
        if not sums:
            return
        stated = cards.get("DATASUM", "").strip("' ")
        if stated.isdigit() and int(stated) != data:
            raise AttemptError(f"the data of HDU {number} are damaged (DATASUM {stated}, found {data})")
        stated = cards.get("CHECKSUM", "").strip("' ")
        if stated.strip("0") and add(total, data) != ALL_ONES:
            raise AttemptError(f"HDU {number} is damaged (CHECKSUM)")

    def _header(self, block: memoryview, number: int) -> tuple[dict[str, str], int]:
        """Return the relevant cards and the checksum of the header that begins with `block`."""
        cards: dict[str, str] = {}
        total = length = 0
        while len(block) == FITS_BLOCK and length < MAX_HEADER_BYTES:
            total = add(total, ones_sum(block))
            length += FITS_BLOCK
            text = bytes(block)
            for position in range(0, FITS_BLOCK, FITS_CARD):
                card = text[position : position + FITS_CARD]
                if card.rstrip() == b"END":
                    return cards, total
                if HEADER_KEYS.fullmatch(card[:8]) and card[8:9] == b"=":
                    cards.setdefault(card[:8].decode().strip(), card[10:].decode("latin-1").split("/")[0].strip())
            block = self._take(FITS_BLOCK)
        raise AttemptError(f"the FITS file is truncated or damaged: the header of HDU {number} has no end")

    def _data(self, length: int, number: int, sums: bool) -> int:
        """Read `length` bytes of data and their padding, and return their checksum."""
        total, left = 0, -(-length // FITS_BLOCK) * FITS_BLOCK
        while left:
            piece = self._take(min(left, BUFFER_BYTES))
            if len(piece) < min(left, BUFFER_BYTES):
                raise AttemptError(
                    f"the FITS file is truncated: {left - len(piece)} bytes are missing in HDU {number}, after byte "
                    f"{self._read_so_far}"
                )
            if sums:
                total = add(total, ones_sum(piece))
            left -= len(piece)
        return total

    def _check_padding(self, block: memoryview, number: int) -> None:
        """Check that only whole blocks of zeros or blanks follow the last HDU."""
        while len(block):
            if len(block) < FITS_BLOCK or bytes(block).strip(b"\0 "):
                raise AttemptError(
                    f"the FITS file is too long or damaged: bytes that are not an HDU follow the last of {number}"
                )
            block = self._take(FITS_BLOCK)

    def _take(self, length: int) -> memoryview:
        """Return the next `length` bytes, or fewer at the end; they are valid until the next call."""
        received = 0
        while received < length:
            count = self._content.readinto(self._buffer[received:length])
            if not count:
                break
            received += count
        self._read_so_far += received
        if self._read_so_far > MAX_CONTENT_BYTES:
            raise AttemptError(f"the content is larger than the limit of {MAX_CONTENT_BYTES} bytes", final=True)
        return self._buffer[:received]


def _data_length(cards: dict[str, str], number: int) -> int:
    """Return the number of bytes of data, without padding, that a header announces."""
    try:
        if (cards["SIMPLE"] != "T") if number == 0 else not cards["XTENSION"]:
            raise ValueError
        bits, count = int(cards["BITPIX"]), int(cards["NAXIS"])
        axes = [int(cards[f"NAXIS{axis}"]) for axis in range(1, count + 1)]
        extra, groups = int(cards.get("PCOUNT", 0)), int(cards.get("GCOUNT", 1))
    except (KeyError, ValueError):
        raise AttemptError(f"the header of HDU {number} is damaged: it does not describe its data") from None
    if bits not in BITS or min([*axes, extra, groups]) < 0 or count > 999:
        raise AttemptError(f"the header of HDU {number} is damaged: it describes impossible data")
    return bytes_of_data(bits, axes, extra, groups, cards.get("GROUPS") == "T")


def bytes_of_data(bits: int, axes: list[int], extra: int, groups: int, random_groups: bool) -> int:
    """Return the number of bytes of data, without padding, in an HDU (FITS Standard 4.0, sections 4.4.1.2 and 6).

    Parameters
    ----------
    bits : int
        BITPIX
    axes : list of int
        NAXIS1, NAXIS2, ...
    extra, groups : int
        PCOUNT and GCOUNT.
    random_groups : bool
        Whether GROUPS is true.

    Returns
    -------
    int
    """
    if random_groups and axes and axes[0] == 0:
        axes = axes[1:]
    return abs(bits) // 8 * groups * (extra + (math.prod(axes) if axes else 0))


def ones_sum(data: memoryview | bytes) -> int:
    """Return the ones' complement sum of big-endian 32-bit words; the length of `data` is a multiple of four."""
    total = int(np.frombuffer(data, dtype=">u4").sum(dtype=np.uint64))
    return add(total & ALL_ONES, total >> 32)


def add(first: int, second: int) -> int:
    """Return the ones' complement sum of two 32-bit numbers."""
    total = first + second
    while total >> 32:
        total = (total & ALL_ONES) + (total >> 32)
    return total
