"""Is a file what it should be?"""

import bz2
import gzip
import hashlib
import io
import re
import zlib
from pathlib import Path
from typing import TypeAlias

from tuningfork.surveys.transfer.attempts import AttemptError
from tuningfork.surveys.transfer.fits_walk import FitsWalk

Content: TypeAlias = io.FileIO | gzip.GzipFile | bz2.BZ2File
HEAD_BYTES = 2048
"""Bytes by which a file's kind is told."""


def verify_fits(path: Path, sums: bool = True) -> None:
    """Check that a file is FITS, plain or compressed, whole, and undamaged as far as its checksums can tell.

    Parameters
    ----------
    path : Path
        FITS, fpacked FITS, or either in gzip or bzip2.
    sums : bool
        Whether DATASUM and CHECKSUM must be right; for surveys that have left old ones in changed files, not. In
        gzip and bzip2 they are never looked at: these have checksums of their own, which are always up to date.

    Raises
    ------
    AttemptError
        It is not; the message says what it is instead.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    try:
        with _unpacked(path, head) as content:
            if not content.read(9) == b"SIMPLE  =":
                raise AttemptError(f"expected a FITS file, got {kind_of_file(head)}")
            content.seek(0)
            FitsWalk(content).check(sums and isinstance(content, io.FileIO))
    except (EOFError, zlib.error, gzip.BadGzipFile, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise AttemptError(f"the compressed file is damaged or cut short ({error})") from None


class PublishedChecksum:
    """The SHA-256 that a survey publishes of a file.

    Parameters
    ----------
    sha256 : str
        Hexadecimal.
    """

    def __init__(self, sha256: str) -> None:
        self._sha256 = sha256.lower()
        self._refused: set[str] = set()

    def check(self, path: Path) -> None:
        """Check a file that is right in itself.

        Raises
        ------
        AttemptError
            It has another checksum; the same one a second time is no accident of the transfer, and final.
        """
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found == self._sha256:
            return
        again = found in self._refused
        self._refused.add(found)
        raise AttemptError(
            f"SHA-256 {found[:16]}... where {self._sha256[:16]}... is published{', twice' if again else ''}",
            final=again,
            advice="the file or the list of checksums is damaged; delete the list from the cache and run again",
        )


def kind_of_file(head: bytes) -> str:
    """Say in words what a file is that begins with `head`."""
    start = head.lstrip().lower()
    if not start:
        return "nothing" if not head else "blanks"
    if b"<html" in start or b"<!doctype html" in start:
        title = re.search(rb"<title[^>]*>([^<]{1,80})", head, re.IGNORECASE)
        name = f" ({' '.join(title[1].decode(errors='replace').split())})" if title else ""
        return f"an HTML page{name}"
    if start.startswith((b"<?xml", b"<votable")):
        return "an XML document"
    if start.startswith((b"{", b"[")):
        return "a JSON document"
    return "something else"


def _unpacked(path: Path, head: bytes) -> Content:
    if head.startswith(b"BZh"):
        return bz2.BZ2File(path)
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(path)
    return path.open("rb", buffering=0)
