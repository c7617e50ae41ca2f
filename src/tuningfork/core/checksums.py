"""Checksums of the rows of large arrays, which tie a row of a table to its pixels.

A plane, the last two axes of an array, is cut into `PIECES` of equal length. The words of each are folded by exclusive-or
into one, and the words of all pieces give a CRC32: this is ten times as fast as a CRC32 of all pixels. The checksum of a
row is the CRC32 of those of its planes, in the order in which they are stored. It tells rows and files that have been
swapped; it does not guard against deliberate changes.
"""

import math
import mmap
import zlib

import numpy as np

PIECES = 16
"""Pieces of a plane that are folded each on its own, so that a plane turned upside down has another checksum."""
FOLDED_BYTES = 8 * PIECES
"""Length of a folded plane: a word of 8 bytes per piece."""
SAMPLED_ROWS = 66
"""Rows of an array that are compared with its table: the first, the last, and others evenly spaced between them."""


def plane_checksums(planes: np.ndarray) -> list[int]:
    """Return the checksum of every plane.

    Parameters
    ----------
    planes : ndarray
        (..., H, W), contiguous in memory.

    Returns
    -------
    list of int
        One below 2**32 per plane, in the order of storage.
    """
    number, length = math.prod(planes.shape[:-2]), math.prod(planes.shape[-2:]) * planes.itemsize
    content = planes.reshape(-1).view(np.uint8).reshape(number, length)
    end = length - length % FOLDED_BYTES
    folded = np.bitwise_xor.reduce(content[:, :end].view(np.uint64).reshape(number, PIECES, -1), axis=-1).tobytes()
    starts = range(0, number * FOLDED_BYTES, FOLDED_BYTES)
    checksums = [zlib.crc32(folded[start : start + FOLDED_BYTES]) for start in starts]
    if end == length:
        return checksums
    return [zlib.crc32(rest.tobytes(), value) for rest, value in zip(content[:, end:], checksums, strict=True)]


def joined_checksum(planes: np.ndarray) -> int:
    """Return the checksum of a row from those of its planes.

    Parameters
    ----------
    planes : ndarray
        uint32, of any shape: one checksum per plane, in the order of storage.

    Returns
    -------
    int
        Below 2**32.
    """
    return zlib.crc32(np.asarray(planes, dtype="<u4").tobytes())


def row_checksums(array: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
    """Return the checksum of every row of an array, or of some.

    Parameters
    ----------
    array : ndarray
        (N, ...), in memory or memory-mapped. A row of one axis counts as a plane of one line.
    rows : ndarray of int, optional
        Which rows, (K,); without it all.

    Returns
    -------
    ndarray
        uint32 (N,) or (K,).
    """
    chosen = range(len(array)) if rows is None else rows.tolist()
    return np.array([_row_checksum(_read_row(array, row)) for row in chosen], dtype=np.uint32)


def first_mismatch(array: np.ndarray, checksums: np.ndarray) -> int | None:
    """Return the first of `SAMPLED_ROWS` rows whose pixels are not those of the table, or None if all agree.

    Parameters
    ----------
    array : ndarray
        (M, ...), with at least N rows.
    checksums : ndarray
        (N,) what the table says; NaN where it says nothing.

    Returns
    -------
    int or None
        The row.
    """
    number = len(checksums)
    rows = np.unique(np.linspace(0, number - 1, min(SAMPLED_ROWS, number)).astype(int))
    rows = rows[np.isfinite(checksums[rows])]
    wrong = rows[row_checksums(array, rows) != checksums[rows].astype(np.uint32)]
    return int(wrong[0]) if wrong.size else None


def _read_row(array: np.ndarray, row: int) -> np.ndarray:
    """Return one row, contiguous; a plain read keeps the pages of a memory map out of the process."""
    # A slice of a memory map keeps the offset of the whole; only the whole has the map itself as its base.
    if not isinstance(array, np.memmap) or array.filename is None or not isinstance(array.base, mmap.mmap):
        return np.ascontiguousarray(array[row])
    length = math.prod(array.shape[1:])
    offset = array.offset + row * length * array.itemsize
    return np.fromfile(array.filename, array.dtype, length, offset=offset).reshape(array.shape[1:])


def _row_checksum(row: np.ndarray) -> int:
    planes = row if row.ndim > 1 else row.reshape(1, -1)
    return joined_checksum(np.array(plane_checksums(planes), dtype=np.uint32))
