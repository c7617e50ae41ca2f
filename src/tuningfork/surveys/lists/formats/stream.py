"""The bytes of a file, unpacked if it is compressed, with limits on what is taken into memory."""

import bz2
import codecs
import contextlib
import gzip
import io
import lzma
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from tuningfork.surveys.lists.formats.base import MAX_WHOLE_BYTES

PACKERS: dict[bytes, Any] = {b"\x1f\x8b": gzip, b"BZh": bz2, b"\xfd7zXZ\x00": lzma}
"""First bytes -> module that unpacks."""
HEAD_BYTES = 1 << 16
"""Bytes from which a format is recognised."""
BLOCK_BYTES = 1 << 20
MAX_LINE_BYTES = 1 << 24
"""Longest line of a table of text."""
PLAUSIBLE_RATIO, FREE_BYTES = 200, 1 << 28
"""A table of text grows by less than this factor when it is unpacked; below the number of bytes nothing is checked."""
WIDE = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
FOOTER = re.compile(rb"^(?:\(\d+ rows?(?: affected)?\)\s*)?\x1a?\s*\Z", re.MULTILINE)
"""Number of rows, as psql writes it behind a table, and the sign by which DOS ended files."""
FOOTER_BYTES = 100
PAGE = re.compile(rb"^\x0c(?=\r*$)", re.MULTILINE)
"""A line that only ends a page."""
COMMENT_LINE = re.compile(rb"^#[^\n]*", re.MULTILINE)


@contextlib.contextmanager
def unpacked(path: Path) -> Iterator[IO[bytes]]:
    """Yield the file, unpacked if its first bytes are those of gzip, bzip2 or xz, whatever its name."""
    with path.open("rb") as file:
        start = file.read(6)
    packer = next((module for magic, module in PACKERS.items() if start.startswith(magic)), None)
    with packer.open(path, "rb") if packer else path.open("rb") as file:
        yield file


def is_packed(path: Path) -> bool:
    """Return whether a file is compressed."""
    with path.open("rb") as file:
        return file.read(6).startswith(tuple(PACKERS))


def head_of(path: Path, size: int = HEAD_BYTES) -> bytes:
    """Return the first bytes of a file, unpacked, and in UTF-8 if they are in UTF-16."""
    with unpacked(path) as file:
        head = file.read(size)
    if head[:2] in WIDE:
        return head[: len(head) // 2 * 2].decode("utf-16", "ignore").encode()
    return head.removeprefix(codecs.BOM_UTF8)


def only_returns(head: bytes) -> bool:
    """Return whether the lines of a text end with carriage returns alone, judged by its first bytes in UTF-8."""
    return b"\r" in head[:HEAD_BYTES] and b"\n" not in head[:HEAD_BYTES]


def whole_bytes(path: Path) -> io.BytesIO:
    """Return the unpacked content of a file.

    Raises
    ------
    ValueError
        If it is larger than `MAX_WHOLE_BYTES`.
    """
    with unpacked(path) as file:
        content = file.read(MAX_WHOLE_BYTES + 1)
    require_whole(len(content))
    return io.BytesIO(content)


def require_whole(size: int) -> None:
    """Check that content of a size may be taken into memory."""
    if size > MAX_WHOLE_BYTES:
        raise ValueError(f"larger than {MAX_WHOLE_BYTES >> 30} GiB; unpack it, or save it as Parquet")


class Recoded:
    """A file of text as bytes in UTF-8 whose lines end with line feeds.

    Parameters
    ----------
    file : binary file
    encoding : str
    newline : str or None
        Line feeds for lines that end with them, None for all kinds of ends.
    """

    def __init__(self, file: Any, encoding: str, newline: str | None) -> None:
        self._text = io.TextIOWrapper(file, encoding, newline=newline)

    def read(self, size: int) -> bytes:
        """Return so many characters."""
        return self._text.read(size).encode()

    def readline(self, size: int) -> bytes:
        """Return the rest of a line, at most so many characters."""
        return self._text.readline(size).encode()


class Lines(io.RawIOBase):
    """The text of a table as bytes in UTF-8, read in blocks of whole lines, without what programs put behind the rows.

    Parameters
    ----------
    file : binary file
        Unpacked.
    packed_bytes : int or None
        Size of the compressed file, None if it is not compressed.
    comments : bool
        Whether lines that begin with # are comments; they become empty lines.
    returns : bool
        Whether lines end with carriage returns alone.

    Attributes
    ----------
    look : callable or None
        Is given each block, and raises a ValueError for what must not be read.
    """

    look: Callable[[bytes], None] | None = None

    def __init__(self, file: IO[bytes], packed_bytes: int | None, comments: bool, returns: bool = False) -> None:
        start = file.read(3)
        file.seek(0 if start[:2] in WIDE or start != codecs.BOM_UTF8 else 3)
        self._file: Any = file
        if start[:2] in WIDE or returns:
            self._file = Recoded(file, WIDE.get(start[:2], "utf-8"), None if returns else "\n")
        self._most = None if packed_bytes is None else PLAUSIBLE_RATIO * packed_bytes + FREE_BYTES
        self._comments = comments
        self._block = memoryview(b"")
        self._ahead = self._whole_lines()
        self._number = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, and return how many bytes were filled."""
        while not self._block and self._ahead:
            self._block = memoryview(self._next_block())
        count = min(len(buffer), len(self._block))
        buffer[:count] = self._block[:count]
        self._block = self._block[count:]
        return count

    def skip(self, count: int) -> None:
        """Leave out the first lines; call it before anything is read."""
        for _ in range(count):
            if not self._ahead:
                return
            end = self._ahead.find(b"\n") + 1
            self._ahead = self._ahead[end:] if end else b""
            self._ahead = self._ahead or self._whole_lines()

    def _whole_lines(self) -> bytes:
        block = self._file.read(BLOCK_BYTES)
        if block and not block.endswith(b"\n"):
            rest = self._file.readline(MAX_LINE_BYTES)
            if len(rest) >= MAX_LINE_BYTES:
                raise ValueError(f"it has a line of more than {MAX_LINE_BYTES >> 20} MiB")
            block += rest
        return block

    def _next_block(self) -> bytes:
        block, self._ahead = self._ahead, self._whole_lines()
        if b"\0" in block:
            raise ValueError("it holds NUL bytes, so it is no text")
        self._number += len(block)
        if self._most is not None and self._number > self._most:
            raise ValueError(
                f"it is {PLAUSIBLE_RATIO} times larger when unpacked, which tables are not; unpack it yourself"
            )
        if not self._ahead and (match := FOOTER.search(block, max(0, len(block) - FOOTER_BYTES))):
            block = block[: match.start()]
        if b"\x0c" in block:
            block = PAGE.sub(b"", block)
        if self._comments:
            block = COMMENT_LINE.sub(b"", block)
        if self.look is not None:
            self.look(block)
        return block
