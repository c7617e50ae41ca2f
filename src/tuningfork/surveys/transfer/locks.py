"""Locks between the threads of a process, the processes of a node, and the nodes of a cluster.

The lock of a file ends with the process that holds it, however it ends. On network file systems it belongs to a whole
process, so that two threads would both get it: a second, in-memory lock keeps the threads apart.
"""

import contextlib
import errno
import logging
import os
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from tuningfork.core.errors import ConfigurationError

logger = logging.getLogger(__name__)

FIRST_LOCK_PAUSE, MAX_LOCK_PAUSE = 0.005, 1.0
"""Pauses (s) between looks at a lock that another holds; they grow."""
LOGGED_WAIT = 30.0
"""Time (s) of waiting after which it is logged."""

_held: set[Path] = set()
_guard = threading.Lock()


def _forget() -> None:
    """Start without locks in a forked process: they stay with its parent."""
    global _guard
    _guard = threading.Lock()
    _held.clear()


os.register_at_fork(after_in_child=_forget)


class Lock:
    """The lock of one path, whose folder exists; see :func:`locked`.

    Parameters
    ----------
    path : Path
        The file to lock; it holds nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._file: FileLock | None = None

    def take(self) -> bool:
        """Try to get the lock and say whether that succeeded.

        Raises
        ------
        ConfigurationError
            The file system has no locks; no tile is to blame for that.
        """
        with _guard:
            if self.path in _held:
                return False
            _held.add(self.path)
        try:
            self._file = self._acquired()
        finally:
            if self._file is None:
                with _guard:
                    _held.discard(self.path)
        return self._file is not None

    def _acquired(self) -> FileLock | None:
        file = FileLock(self.path, thread_local=False, blocking=False, fallback_to_soft=False)
        try:
            file.acquire()
        except Timeout:
            return None
        except OSError as error:
            if error.errno == errno.ESTALE:
                # Another node has just released it and deleted its file.
                return None
            if error.errno in {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}:
                raise ConfigurationError(
                    f"{self.path}: the file system keeps no locks ({error.strerror}), without which jobs cannot share "
                    "it; mount it with locks (Lustre: flock), or set transfer.cache to a folder elsewhere"
                ) from None
            raise
        return file

    def release(self, remove: bool = False) -> None:
        """Give the lock back; `remove` deletes its file, which those who wait for it notice."""
        if self._file is None:
            return
        file, self._file = self._file, None
        if remove:
            self.path.unlink(missing_ok=True)
        file.release()
        with _guard:
            _held.discard(self.path)


def pauses() -> Iterator[float]:
    """Yield the pauses (s) between looks at something that another job will change."""
    pause = FIRST_LOCK_PAUSE
    while True:
        yield pause * random.uniform(0.5, 1.5)
        pause = min(1.5 * pause, MAX_LOCK_PAUSE)


@contextlib.contextmanager
def locked(path: Path, what: str = "", remove: bool = False) -> Iterator[None]:
    """Hold the lock of `path` during a block; wait for it as long as it takes.

    Parameters
    ----------
    path : Path
    what : str
        What is locked, for the log.
    remove : bool
        Whether to delete the file at the end.
    """
    lock, pause, began, said = Lock(path), pauses(), time.monotonic(), False
    while not lock.take():
        time.sleep(next(pause))
        if not said and time.monotonic() - began > LOGGED_WAIT:
            logger.info("%s: another job is at it; waiting", what or path)
            said = True
    try:
        yield
    finally:
        lock.release(remove)
