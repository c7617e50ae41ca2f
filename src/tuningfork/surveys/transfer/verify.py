"""Is a file what it should be?"""

import bz2
import gzip
import zlib
from pathlib import Path
from typing import IO, TypeAlias

from tuningfork.surveys.transfer.attempts import AttemptError

Content: TypeAlias = IO[bytes] | gzip.GzipFile | bz2.BZ2File
MAX_UNPACKED = 16 * 2**30
"""Largest size of a compressed file's content that is accepted."""
CHUNK = 2**20
FITS_BLOCK = 2880


def verify_fits(path: Path) -> None:
    """Check that a file is FITS, plain or compressed, and whole: every block is there and unpacks.

    Raises
    ------
    AttemptError
        It is not; the message says what it is instead.
    """
    with path.open("rb") as file:
        head = file.read(512)
    try:
        with _unpacked(path, head) as content:
            _check_blocks(content, head)
    except (EOFError, zlib.error, gzip.BadGzipFile, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise AttemptError(f"the compressed file is damaged or cut short ({error})") from None


def _unpacked(path: Path, head: bytes) -> Content:
    if head.startswith(b"BZh"):
        return bz2.BZ2File(path)
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(path)
    return path.open("rb")


def _check_blocks(content: Content, head: bytes) -> None:
    begin = content.read(CHUNK)
    if not begin.startswith(b"SIMPLE  ="):
        kind = "an HTML page" if b"<html" in head.lower() or b"<!doctype" in head.lower() else "something else"
        raise AttemptError(f"expected a FITS file, got {kind}" if head else "expected a FITS file, got nothing")
    length = len(begin)
    while chunk := content.read(CHUNK):
        length += len(chunk)
        if length > MAX_UNPACKED:
            raise AttemptError(f"unpacks to more than the limit of {MAX_UNPACKED} bytes", final=True)
    if length % FITS_BLOCK:
        raise AttemptError(f"the FITS file is cut short ({length} bytes are no whole number of blocks)")
