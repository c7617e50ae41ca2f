"""The cache of files that were fetched or made: shared by jobs, runs and nodes, and limited in size.

A file appears under its name when it is complete. Everything else lies in a hidden folder: partial files, locks, and a
list of the files. A file's modification time records its last use.
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
"""Folder in the cache for everything but its complete files."""
NAME_PART = re.compile(r"[^\x00-\x1f\x7f/\\.][^\x00-\x1f\x7f/\\]{0,199}")
"""One component of a file's name: neither hidden nor a step to the parent folder."""
USE_RESOLUTION = 600.0
"""Time (s) within which repeated uses of a file are recorded once."""
MAX_PARTIAL_AGE = 7 * 86400.0
"""Age (s) at which a partial file is deleted that no job has continued."""


class Cache:
    """A folder of files.

    Parameters
    ----------
    folder : Path
    size : float
        Limit on the total size of its files (bytes).
    """

    def __init__(self, folder: Path, size: float) -> None:
        self.folder = folder
        self.hidden = folder / HIDDEN_FOLDER
        self._parts = self.hidden / "parts"
        self._locks = self.hidden / "locks"
        self._ledger = Ledger(folder, self.hidden, size)

    def has(self, name: str) -> bool:
        """Return whether a file exists, and record its use."""
        path = self.folder / name
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        if status.st_mtime < time.time() - USE_RESOLUTION:
            # The cache may belong to another user, or be read-only.
            with contextlib.suppress(OSError):
                os.utime(path)
        return True

    @contextlib.contextmanager
    def missing(self, name: str) -> Iterator[bool]:
        """Hold the lock for fetching a file, alone among all jobs, and yield whether it is still missing.

        Raises
        ------
        InputError
            If `name` could refer to a file outside the cache, or a hidden one.
        """
        if not all(NAME_PART.fullmatch(part) for part in name.split("/")):
            raise InputError(f"{name!r} is not the name of a file in the cache; expected folder/file without '..'")
        self._locks.mkdir(parents=True, exist_ok=True)
        with locked(self._locks / f"{_digest(name)}.lock", name, remove=True):
            yield not self.has(name)

    def temporary(self, name: str) -> Path:
        """Return the path to which a file is written until it is complete; only the holder of :meth:`missing` may use it.

        The path keeps the suffix of the name, for programs that depend on it.
        """
        self._parts.mkdir(parents=True, exist_ok=True)
        return self._parts / f"{_digest(name)}-{name.rsplit('/', 1)[-1]}"

    def place(self, name: str) -> None:
        """Move the temporary file to its name, and delete old files if the cache has become too large."""
        temporary, path = self.temporary(name), self.folder / name
        with temporary.open("rb") as file:
            # After a power failure, a file under this name must not lack its last blocks.
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
