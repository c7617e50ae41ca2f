"""Verification of fetched files."""

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
"""Bytes from which the type of a file is recognised."""


def verify_fits(path: Path, sums: bool = True) -> None:
    """Check that a file is FITS, plain or compressed, complete, and undamaged as far as its checksums can tell.

    Parameters
    ----------
    path : Path
        FITS, fpacked FITS, or either compressed by gzip or bzip2.
    sums : bool
        Whether DATASUM and CHECKSUM must be right; false for surveys that have left outdated ones in changed files. In
        gzip and bzip2 files they are not checked: these have checksums of their own, which are always up to date.

    Raises
    ------
    AttemptError
        If it is not; the message says what it is instead.
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
        raise AttemptError(f"the compressed file is damaged or truncated ({error})") from None


class PublishedChecksum:
    """The SHA-256 that a survey publishes for a file.

    Parameters
    ----------
    sha256 : str
        Hexadecimal.
    """

    def __init__(self, sha256: str) -> None:
        self._sha256 = sha256.lower()
        self._refused: set[str] = set()

    def check(self, path: Path) -> None:
        """Check a file that is valid in itself.

        Raises
        ------
        AttemptError
            If it has another checksum. If the same wrong checksum occurs twice, it is not a transfer error, and final.
        """
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest == self._sha256:
            return
        repeated = digest in self._refused
        self._refused.add(digest)
        raise AttemptError(
            f"SHA-256 {digest[:16]}... where {self._sha256[:16]}... is published{', twice' if repeated else ''}",
            final=repeated,
            advice="the file or the list of checksums is damaged; delete the list from the cache and run again",
        )


def kind_of_file(head: bytes) -> str:
    """Describe in words the type of a file that begins with `head`."""
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
