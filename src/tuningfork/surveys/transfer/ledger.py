"""The list of the files that the cache has placed, and their total size, so that it need not look at each file every time.

Only files in this list are ever deleted: the cache's folder may contain other things.
"""

import json
import logging
import os
import time
from pathlib import Path

from tuningfork.surveys.transfer.locks import Lock, locked

logger = logging.getLogger(__name__)

KEPT_SHARE = 0.9
"""Share of the allowed size to which an oversized cache is reduced: listing all files is slow."""
MAX_COUNT_AGE = 86400.0
"""Age (s) of the total at which the files are counted again, because users delete files too."""

MAX_TIDY_ROUNDS = 3
"""Largest number of counts in a row while other jobs place new files."""


class Ledger:
    """The list of the files in a folder that the cache has placed.

    Parameters
    ----------
    folder : Path
        Folder of the files.
    ledger_folder : Path
        Folder of the ledger itself.
    size : float
        Limit on the total size of the files (bytes).
    """

    def __init__(self, folder: Path, ledger_folder: Path, size: float) -> None:
        self._folder, self._ledger_folder, self._size = folder, ledger_folder, size
        self._names = ledger_folder / "files.txt"
        self._sum = ledger_folder / "size.json"
        self._lock = ledger_folder / "ledger.lock"

    def place(self, temporary: Path, name: str) -> bool:
        """Move a file to its name and list it; return whether :meth:`tidy` should be called afterwards."""
        size = temporary.stat().st_size
        with locked(self._lock):
            # The list is written first: a file that is not in it would never be deleted.
            with self._names.open("a", encoding="utf-8") as names:
                names.write(f"{name}\n")
            temporary.replace(self._folder / name)
            total, counted = self._read()
            self._write(total + size, counted)
        return self._due(total + size, counted)

    def _due(self, total: int, counted: float) -> bool:
        return total > self._size or counted < time.time() - MAX_COUNT_AGE

    def tidy(self) -> None:
        """Count the files and, if they are too large, delete those that have not been used for longest.

        If another job is doing so, nothing is done; that job checks again when it has finished.
        """
        tidy_lock = Lock(self._ledger_folder / "tidy.lock")
        for _ in range(MAX_TIDY_ROUNDS):
            if not self._due(*self._read()) or not tidy_lock.take():
                return
            try:
                self._tidy()
            finally:
                tidy_lock.release()

    def _tidy(self) -> None:
        with locked(self._lock):
            known = self._names.read_bytes()
            before, _ = self._read()
        files = self._look(known.decode("utf-8").split("\n")[:-1])
        total = self._drop(files)
        kept = "".join(f"{name}\n" for _, _, name in files)
        with locked(self._lock):
            # Files that other jobs have placed meanwhile stay in the list.
            self._names.write_bytes(kept.encode() + self._names.read_bytes()[len(known) :])
            self._write(total + self._read()[0] - before, time.time())

    def _look(self, names: list[str]) -> list[tuple[float, int, str]]:
        """Return last use, size and name of the existing files, the most recently used first."""
        files = []
        for name in set(names):
            try:
                status = os.stat(f"{self._folder}/{name}")  # noqa: PTH116 - there may be a million of them
            except (FileNotFoundError, NotADirectoryError):
                continue
            files.append((status.st_mtime, status.st_size, name))
        return sorted(files, reverse=True)

    def _drop(self, files: list[tuple[float, int, str]]) -> int:
        """Delete files from the end of the list, and remove them from it, until there is room; return the remaining size."""
        total, dropped, last_use = sum(size for _, size, _ in files), 0, 0.0
        enough = KEPT_SHARE * self._size if total > self._size else total
        while total > enough and len(files) > 1:
            last_use, size, name = files.pop()
            (self._folder / name).unlink(missing_ok=True)
            total, dropped = total - size, dropped + 1
        if dropped:
            logger.info(
                "cache %s: deleted %d files, the last of which was used %.1f h ago; if that is too recent, raise "
                "transfer.cache_size",
                self._folder,
                dropped,
                (time.time() - last_use) / 3600,
            )
        return total

    def _read(self) -> tuple[int, float]:
        """Return the total size of the files and the time when they were counted; an incomplete file asks for a new count."""
        try:
            values = json.loads(self._sum.read_text())
            return int(values["bytes"]), float(values["counted"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0, 0.0

    def _write(self, total: int, counted: float) -> None:
        self._sum.write_text(json.dumps({"bytes": total, "counted": counted}))
