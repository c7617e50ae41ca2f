"""The stamp store: a table with one row per stamp, and a .npy file with their pixels.

Stamps are written with `pwrite` into space that is reserved in one call. A memory map of a new file costs a page fault
for every 4 kB, which took four times as long, and its pages count as memory of the job.

The table has a checksum of the pixels of each row. `open_store` compares some of them with the file, so that a file
whose rows were swapped, or that belongs to another table, is refused.
"""

import contextlib
import ctypes
import errno
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tuningfork.core.checksums import first_mismatch, joined_checksum, plane_checksums
from tuningfork.core.errors import InputError, TuningforkError
from tuningfork.core.files import open_array, replacing
from tuningfork.core.tables import detail_of, numpy_column, read_table

PIXEL_TYPE = np.dtype(np.float32)
DISK_FULL_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
STAMP_DIMENSIONS = 5
LABELLER_COLUMN = "labeller"
"""Column of the labels, whose array may have more stamps than the table has rows."""
CHECKSUM_COLUMN = "pixels_checksum"
"""Column of a table with the checksum of each row of its array, see :mod:`tuningfork.core.checksums`."""


@dataclass(frozen=True)
class StampFiles:
    """The two files of a stamp store.

    Attributes
    ----------
    table : Path
        Parquet, one row per stamp.
    pixels : Path
        .npy, float32 (N, 2, B, S, S): flux and inverse variance in every band.
    """

    table: Path
    pixels: Path


def paired(tables: Sequence[Path], pixels: Sequence[Path]) -> list[StampFiles]:
    """Return the stores whose tables and pixels are given in the same order.

    Raises
    ------
    InputError
        There are not as many tables as files of pixels.
    """
    if len(tables) != len(pixels):
        raise InputError(
            f"{len(tables)} tables of stamps but {len(pixels)} files of pixels; give one of each per store"
        )
    return [StampFiles(*pair) for pair in zip(tables, pixels, strict=True)]


def survey_of(table_path: str | Path) -> tuple[list[str], str]:
    """Return the bands and the reference band of a table of stamps.

    Raises
    ------
    InputError
        The table is missing or does not name its bands.
    """
    try:
        return detail_of(table_path, "bands"), detail_of(table_path, "reference_band")
    except FileNotFoundError:
        raise InputError(f"{table_path}: no such file") from None
    except (KeyError, ValueError, OSError) as error:
        raise InputError(f"{table_path}: not a table of stamps ({error}); delete it and run again") from None


def open_store(files: StampFiles, bands: Sequence[str], reference_band: str) -> tuple[pa.Table, np.ndarray]:
    """Return a table of stamps (of a shard, or a training part) and its memory-mapped pixels.

    Parameters
    ----------
    files : StampFiles
    bands : sequence of str
        The bands of the table, or one of them; the planes of the others are not read.
    reference_band : str

    Returns
    -------
    table : pyarrow.Table
    stamps : ndarray
        (N, 2, B, S, S) with the planes of `bands` alone.

    Raises
    ------
    InputError
        A file cannot be read, or the stamps lack a band, have another reference band, are not as many as the
        rows of the table, or are not those of the table.
    """
    table = read_table(files.table)
    stored_bands, reference = survey_of(files.table)
    known = list(bands) == stored_bands or (len(bands) == 1 and bands[0] in stored_bands)
    if reference != reference_band or not known:
        raise InputError(
            f"{files.table}: stamps in the bands {stored_bands} (reference {reference}), but the network was trained on "
            f"{list(bands)} (reference {reference_band}); train on this survey"
        )
    # Labels keep spare room, and the stamp of a label is there before its row.
    spare = LABELLER_COLUMN in table.column_names
    remedy = "restore both" if spare else "delete both and run again"
    stamps = open_array(files.pixels, "restore it" if spare else "delete it and run again")
    if stamps.ndim != STAMP_DIMENSIONS or stamps.shape[2] != len(stored_bands):
        raise InputError(
            f"{files.pixels}: an array of the shape {stamps.shape} for stamps in {len(stored_bands)} bands; {remedy}"
        )
    if len(stamps) < table.num_rows or (len(stamps) > table.num_rows and not spare):
        raise InputError(f"{files.pixels}: {len(stamps)} stamps for {table.num_rows} rows of {files.table}; {remedy}")
    require_checksums(table, stamps, files)
    return table, in_bands(stamps, stored_bands, bands)


def require_checksums(table: pa.Table, array: np.ndarray, files: StampFiles) -> None:
    """Check that the rows of an array are those of its table, on a sample of the rows.

    A table without the column `CHECKSUM_COLUMN` is accepted.

    Parameters
    ----------
    table : pyarrow.Table
        N rows.
    array : ndarray
        (M, ...), with at least N rows.
    files : StampFiles
        Where the two come from, for the message.

    Raises
    ------
    InputError
        They differ.
    """
    if CHECKSUM_COLUMN not in table.column_names:
        return
    row = first_mismatch(array, numpy_column(table, CHECKSUM_COLUMN))
    if row is not None:
        raise InputError(
            f"{files.pixels}: its row {row} is not the one that {files.table} describes (the checksums differ); "
            "restore the two, or delete them and run again"
        )


def in_bands(stamps: np.ndarray, bands: Sequence[str], chosen: Sequence[str]) -> np.ndarray:
    """Return a view of stamps with all of their bands or with one.

    Parameters
    ----------
    stamps : ndarray
        (N, 2, B, S, S).
    bands : sequence of str
        Their B bands.
    chosen : sequence of str
        `bands`, or one of them.

    Returns
    -------
    ndarray
        (N, 2, B, S, S) or (N, 2, 1, S, S).
    """
    if list(chosen) == list(bands):
        return stamps
    band = list(bands).index(chosen[0])
    return stamps[:, :, band : band + 1]


class StampStore:
    """Planes of stamps in an open file; what has not been written is zero.

    Parameters
    ----------
    descriptor : int
        Of a file that is open for reading and writing and has its header.
    shape : tuple of int
        (N, P, B, S, S): sources, planes (flux and inverse variance, or flux alone), bands, pixels.
    offset : int
        Length of the header (byte).
    """

    def __init__(self, descriptor: int, shape: tuple[int, int, int, int, int], offset: int) -> None:
        self.shape = shape
        self._descriptor = descriptor
        self._offset = offset
        self._plane = shape[3] * shape[4] * PIXEL_TYPE.itemsize
        self._stride = shape[2] * self._plane
        empty = plane_checksums(np.zeros((1, *shape[3:]), PIXEL_TYPE))[0]
        self._checksums = np.full(shape[:3], empty, np.uint32)

    def _position(self, source: int, band: int) -> int:
        """Return where in the file the first plane of one band of a stamp begins (byte)."""
        return self._offset + source * self.shape[1] * self._stride + band * self._plane

    def write(self, source: int, band: int, stamp: np.ndarray) -> None:
        """Write one band of a stamp.

        Parameters
        ----------
        source, band : int
            Their places in the store.
        stamp : ndarray
            float32 (P, S, S), contiguous.

        Raises
        ------
        OSError
            The disk is full.
        """
        self._checksums[source, :, band] = plane_checksums(stamp)
        position = self._position(source, band)
        # With one band the planes follow each other in the file, and one long write takes less than two.
        for piece in [stamp] if self.shape[2] == 1 else stamp:
            if os.pwrite(self._descriptor, piece.data, position) != piece.nbytes:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            position += self._stride

    def read(self, source: int, band: int) -> np.ndarray:
        """Return one band of a stamp.

        Parameters
        ----------
        source, band : int
            Their places in the store.

        Returns
        -------
        ndarray
            float32 (P, S, S).
        """
        stamp = np.empty((self.shape[1], *self.shape[3:]), PIXEL_TYPE)
        for number, plane in enumerate(stamp):
            os.preadv(self._descriptor, [plane.data], self._position(source, band) + number * self._stride)
        return stamp

    def checksums(self) -> np.ndarray:
        """Return the checksum of the pixels of each source.

        Returns
        -------
        ndarray
            uint32 (N,), those that :func:`tuningfork.core.checksums.row_checksums` gives for the finished file.
        """
        return np.array([joined_checksum(planes) for planes in self._checksums], dtype=np.uint32)


@contextlib.contextmanager
def new_stamps(path: str | Path, shape: tuple[int, int, int, int, int]) -> Iterator[StampStore]:
    """Yield a store that becomes the .npy file `path` when the block succeeds.

    Raises
    ------
    TuningforkError
        The disk has no room for the file.
    """
    size = int(np.prod(shape, dtype=np.int64)) * PIXEL_TYPE.itemsize
    with replacing(path) as temporary, temporary.open("w+b") as file:
        header: dict[str, Any] = {"descr": PIXEL_TYPE.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        file.flush()
        offset = file.tell()
        try:
            _reserve(file.fileno(), offset + size)
            yield StampStore(file.fileno(), shape, offset)
        except OSError as error:
            if error.errno not in DISK_FULL_ERRORS:
                raise
            raise TuningforkError(
                f"{path}: no room for {shape[0]} stamps ({size / 1e9:.1f} GB): {error.strerror}; "
                "free some space or take a higher sky.shard_order"
            ) from None


def _reserve(descriptor: int, size: int) -> None:
    """Give a file its full length, and its place on the disk where the file system can reserve it.

    Not `os.posix_fallocate`: where the file system cannot, that writes into every block.
    """
    os.ftruncate(descriptor, size)
    fallocate = getattr(ctypes.CDLL(None, use_errno=True), "fallocate64", None)
    if fallocate is None:
        return
    fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    if fallocate(descriptor, 0, 0, size) != 0 and ctypes.get_errno() in DISK_FULL_ERRORS:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
