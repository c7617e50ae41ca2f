"""The .npy file of a shard's stamps while it is written.

Stamps are written with `pwrite` into space that is reserved at once: a memory map of a new file costs a page fault
for every 4 kB, which took four times as long, and its pages count as memory of the job.
"""

import contextlib
import ctypes
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tuningfork.core.errors import TuningforkError
from tuningfork.core.files import replacing

TYPE = np.dtype(np.float32)
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


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
        self._plane = shape[3] * shape[4] * TYPE.itemsize
        self._stride = shape[2] * self._plane

    def _place(self, source: int, band: int) -> int:
        return self._offset + source * self.shape[1] * self._stride + band * self._plane

    def write(self, source: int, band: int, stamp: np.ndarray) -> None:
        """Write one band of a stamp: float32 (P, S, S), contiguous."""
        place = self._place(source, band)
        # With one band the planes follow each other in the file, and one long write takes less than two.
        for piece in [stamp] if self.shape[2] == 1 else stamp:
            if os.pwrite(self._descriptor, piece.data, place) != piece.nbytes:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            place += self._stride

    def read(self, source: int, band: int) -> np.ndarray:
        """Return one band of a stamp, (P, S, S)."""
        stamp = np.empty((self.shape[1], *self.shape[3:]), TYPE)
        for number, plane in enumerate(stamp):
            os.preadv(self._descriptor, [plane.data], self._place(source, band) + number * self._stride)
        return stamp


@contextlib.contextmanager
def new_stamps(path: str | Path, shape: tuple[int, int, int, int, int]) -> Iterator[StampStore]:
    """Yield a store that becomes the .npy file `path` when the block succeeds.

    Raises
    ------
    TuningforkError
        The disk has no room for the file.
    """
    size = int(np.prod(shape, dtype=np.int64)) * TYPE.itemsize
    with replacing(path) as temporary, temporary.open("w+b") as file:
        header: dict[str, Any] = {"descr": TYPE.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        file.flush()
        offset = file.tell()
        try:
            _reserve(file.fileno(), offset + size)
            yield StampStore(file.fileno(), shape, offset)
        except OSError as error:
            if error.errno not in NO_ROOM:
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
    if fallocate(descriptor, 0, 0, size) != 0 and ctypes.get_errno() in NO_ROOM:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
