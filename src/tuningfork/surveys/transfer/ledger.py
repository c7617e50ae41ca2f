"""Which files the cache has placed, and how large they are together, without looking at each of them every time.

Only files of this list are ever dropped: the folder of the cache may hold other things.
"""

import json
import logging
import os
import time
from pathlib import Path

from tuningfork.surveys.transfer.locks import Lock, locked

logger = logging.getLogger(__name__)

KEPT_SHARE = 0.9
"""Share of the allowed size to which the cache is brought down when it is larger: looking at all files is slow."""
MAX_COUNT_AGE = 86400.0
"""Age (s) of the sum at which the files are looked at again: users delete files too."""

MAX_TIDY_ROUNDS = 3
"""How often at most the files are looked at in a row, while other jobs place new ones."""


class Ledger:
    """The list of the files in a folder that were placed by the cache.

    Parameters
    ----------
    folder : Path
        Folder of the files.
    own : Path
        Folder of the ledger itself.
    size : float
        Bytes that the files may have together.
    """

    def __init__(self, folder: Path, own: Path, size: float) -> None:
        self._folder, self._own, self._size = folder, own, size
        self._names = own / "files.txt"
        self._sum = own / "size.json"
        self._lock = own / "ledger.lock"

    def place(self, temporary: Path, name: str) -> bool:
        """Give a file its name and enter it; return whether :meth:`tidy` should be called afterwards."""
        size = temporary.stat().st_size
        with locked(self._lock):
            # First the list: a file that is not on it would never be dropped.
            with self._names.open("a", encoding="utf-8") as names:
                names.write(f"{name}\n")
            temporary.replace(self._folder / name)
            total, counted = self._read()
            self._write(total + size, counted)
        return self._due(total + size, counted)

    def _due(self, total: int, counted: float) -> bool:
        return total > self._size or counted < time.time() - MAX_COUNT_AGE

    def tidy(self) -> None:
        """Count the files, and drop those that were not used for longest if they are too large together.

        If another job is at it, it is left alone; it looks again when it has finished.
        """
        alone = Lock(self._own / "tidy.lock")
        for _ in range(MAX_TIDY_ROUNDS):
            if not self._due(*self._read()) or not alone.take():
                return
            try:
                self._tidy()
            finally:
                alone.release()

    def _tidy(self) -> None:
        with locked(self._lock):
            known = self._names.read_bytes()
            before, _ = self._read()
        files = self._look(known.decode("utf-8").split("\n")[:-1])
        total = self._drop(files)
        kept = "".join(f"{name}\n" for _, _, name in files)
        with locked(self._lock):
            # What others have placed meanwhile stays entered.
            self._names.write_bytes(kept.encode() + self._names.read_bytes()[len(known) :])
            self._write(total + self._read()[0] - before, time.time())

    def _look(self, names: list[str]) -> list[tuple[float, int, str]]:
        """Return last use, size and name of the files that are there, the one that was not used for longest last."""
        files = []
        for name in set(names):
            try:
                status = os.stat(f"{self._folder}/{name}")  # noqa: PTH116 - there may be a million of them
            except (FileNotFoundError, NotADirectoryError):
                continue
            files.append((status.st_mtime, status.st_size, name))
        return sorted(files, reverse=True)

    def _drop(self, files: list[tuple[float, int, str]]) -> int:
        """Delete, and take from the list, files from its end until there is room; return the size of the rest."""
        total, dropped, used = sum(size for _, size, _ in files), 0, 0.0
        enough = KEPT_SHARE * self._size if total > self._size else total
        while total > enough and len(files) > 1:
            used, size, name = files.pop()
            (self._folder / name).unlink(missing_ok=True)
            total, dropped = total - size, dropped + 1
        if dropped:
            logger.info(
                "cache %s: dropped %d files, the last of which was used %.1f h ago; if that is too short, raise "
                "transfer.cache_size",
                self._folder,
                dropped,
                (time.time() - used) / 3600,
            )
        return total

    def _read(self) -> tuple[int, float]:
        """Return the bytes of all files and the time when they were looked at; a torn sum asks for that."""
        try:
            values = json.loads(self._sum.read_text())
            return int(values["bytes"]), float(values["counted"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0, 0.0

    def _write(self, total: int, counted: float) -> None:
        self._sum.write_text(json.dumps({"bytes": total, "counted": counted}))
