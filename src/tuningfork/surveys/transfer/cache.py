"""The files that have been fetched or made, shared by jobs, runs and nodes, and bounded in size.

A file appears under its name when it is whole. Everything else lies in a hidden folder: parts of files, locks, and a
list of the files. Which file was used last is told by its time of modification.
"""

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from tuningfork.core.errors import InputError
from tuningfork.surveys.transfer.ledger import Ledger
from tuningfork.surveys.transfer.locks import locked

HIDDEN_FOLDER = ".transfer"
NAME_PART = re.compile(r"[^\x00-\x1f\x7f/\\.][^\x00-\x1f\x7f/\\]{0,199}")
"""One part of a file's name: neither hidden nor a way up."""
USE_RESOLUTION = 600.0
"""Uses within this time (s) of each other are noted once."""
MAX_PARTIAL_AGE = 7 * 86400.0
"""Age (s) at which a part of a file is dropped that nobody has continued."""


class Cache:
    """A folder of files.

    Parameters
    ----------
    folder : Path
    size : float
        Bytes that its files may have together.
    """

    def __init__(self, folder: Path, size: float) -> None:
        self.folder = folder
        self.hidden = folder / HIDDEN_FOLDER
        self._parts = self.hidden / "parts"
        self._locks = self.hidden / "locks"
        self._ledger = Ledger(folder, self.hidden, size)

    def has(self, name: str) -> bool:
        """Say whether the file is there; it then counts as used now."""
        path = self.folder / name
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        if status.st_mtime < time.time() - USE_RESOLUTION:
            # A cache may belong to somebody else, or be read-only.
            with contextlib.suppress(OSError):
                os.utime(path)
        return True

    @contextlib.contextmanager
    def missing(self, name: str) -> Iterator[bool]:
        """Hold the right to bring the file, alone among all jobs; yield whether it is still missing.

        Raises
        ------
        InputError
            `name` could mean a file outside of the cache, or a hidden one.
        """
        if not all(NAME_PART.fullmatch(part) for part in name.split("/")):
            raise InputError(f"{name!r} is no name of a file in the cache; expected folder/file without '..'")
        self._locks.mkdir(parents=True, exist_ok=True)
        with locked(self._locks / f"{_digest(name)}.lock", name, remove=True):
            yield not self.has(name)

    def temporary(self, name: str) -> Path:
        """Return where the file is written before it is whole; only the holder of :meth:`missing` may use it.

        The name keeps its ending, for programs that look at it.
        """
        self._parts.mkdir(parents=True, exist_ok=True)
        return self._parts / f"{_digest(name)}-{name.rsplit('/', 1)[-1]}"

    def place(self, name: str) -> None:
        """Give the temporary file its name, and make room if the cache has become too large."""
        temporary, path = self.temporary(name), self.folder / name
        with temporary.open("rb") as file:
            # After a power failure the name must not stand for a file without its last blocks.
            os.fsync(file.fileno())
        path.parent.mkdir(parents=True, exist_ok=True)
        os.utime(temporary)
        if self._ledger.place(temporary, name):
            self._ledger.tidy()
            self._drop_stale_parts()

    def _drop_stale_parts(self) -> None:
        for path in self._parts.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - MAX_PARTIAL_AGE:
                    path.unlink()


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:24]
