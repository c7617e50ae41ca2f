"""Locks between the threads of a process, the processes of a node, and the nodes of a cluster.

The lock of a file ends with the process that holds it, however the process ends. On network file systems a lock belongs
to a whole process, so that two threads would both get it; a second lock, in memory, separates the threads.
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
"""Pauses (s) between attempts to take a lock that another job holds; they grow from the first to the second."""
LOGGED_WAIT = 30.0
"""Waiting time (s) after which a message is logged."""

_held: set[Path] = set()
_guard = threading.Lock()


def _forget() -> None:
    """Clear the locks of a forked process: they stay with its parent."""
    global _guard
    _guard = threading.Lock()
    _held.clear()


os.register_at_fork(after_in_child=_forget)


class Lock:
    """The lock of a path whose folder exists; see :func:`locked`.

    Parameters
    ----------
    path : Path
        The file to lock; it is empty.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._file: FileLock | None = None

    def take(self) -> bool:
        """Try to take the lock and return whether that succeeded.

        Raises
        ------
        ConfigurationError
            If the file system has no locks, which is not the fault of a tile.
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
                    f"{self.path}: the file system does not support locks ({error.strerror}), without which jobs "
                    "cannot share it; mount it with locks (Lustre: flock), or set transfer.cache to a folder elsewhere"
                ) from None
            raise
        return file

    def release(self, remove: bool = False) -> None:
        """Release the lock; `remove` deletes its file, which waiting jobs notice."""
        if self._file is None:
            return
        file, self._file = self._file, None
        if remove:
            self.path.unlink(missing_ok=True)
        file.release()
        with _guard:
            _held.discard(self.path)


def pauses() -> Iterator[float]:
    """Yield the pauses (s) between checks of something that another job will change."""
    pause = FIRST_LOCK_PAUSE
    while True:
        yield pause * random.uniform(0.5, 1.5)
        pause = min(1.5 * pause, MAX_LOCK_PAUSE)


@contextlib.contextmanager
def locked(path: Path, what: str = "", remove: bool = False) -> Iterator[None]:
    """Hold the lock of `path` during a block, after waiting for it as long as necessary.

    Parameters
    ----------
    path : Path
    what : str
        What is locked, for the log.
    remove : bool
        Whether to delete the file at the end.

    Yields
    ------
    None

    Raises
    ------
    ConfigurationError
        If the file system has no locks.
    """
    lock, pause, start, logged = Lock(path), pauses(), time.monotonic(), False
    while not lock.take():
        time.sleep(next(pause))
        if not logged and time.monotonic() - start > LOGGED_WAIT:
            logger.info("%s: waiting for another job that uses it", what or path)
            logged = True
    try:
        yield
    finally:
        lock.release(remove)
