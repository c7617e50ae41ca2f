"""What the tests of transfers share."""

import contextlib
import multiprocessing
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tuningfork.core.config.transfer import Transfer

FORK = multiprocessing.get_context("fork")


def anything(path: Path) -> None:
    """Accept any file."""


def settings(folder: Path, **values: object) -> Transfer:
    """Return settings for a quick test, with a cache in `folder`."""
    quick = {"timeout": 5.0, "retries": 3, "backoff": 0.001, "rate": 10_000.0}
    return Transfer(cache=str(folder / "cache"), **(quick | values))


def in_processes(target: Callable[..., None], *rows: tuple[object, ...]) -> None:
    """Call `target` with each row of arguments in a process of its own, all at once."""
    processes = [FORK.Process(target=target, args=row) for row in rows]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a small file system at `folder`; where that is not possible the test is skipped."""
    if os.geteuid() != 0:
        pytest.skip("a small file system can only be mounted by root")
    folder.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no small file system here: {mounted.stderr.decode()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
