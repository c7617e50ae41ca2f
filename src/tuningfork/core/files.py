"""Files that appear whole or not at all."""

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from tuningfork.core.errors import InputError


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it into place if the block succeeds.

    The temporary name keeps the ending of `path`, so that writers that look at it behave the same,
    and is unique, so that two jobs that write the same file cannot mix their bytes.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.stem}.{os.getpid()}-{secrets.token_hex(4)}{path.suffix}"
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def as_text(path: str | Path) -> str:
    """Return a name or path as text; bytes that are not UTF-8 are written as escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` to `path` as indented JSON, atomically; NaN is refused because JSON has none."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Return the content of the JSON file `path`."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def require_writable(path: str | Path) -> None:
    """Check, before long work, that a file can be written; the folders above it need not exist yet.

    Raises
    ------
    InputError
        The name is that of a folder, or its folder cannot be written to.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: cannot be written, since it is a folder; choose another name")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise InputError(f"{path}: cannot be written, since {folder} is no folder; choose another name")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(
            f"{path}: cannot be written, since {folder} is read-only; change its permissions or choose another"
        )


@contextlib.contextmanager
def new_array(path: str | Path, shape: tuple[int, ...], dtype: Any) -> Iterator[np.ndarray]:
    """Yield a memory-mapped array that becomes the .npy file `path` when the block succeeds.

    Pages that have been written can leave the memory, so a shard may be larger than the machine's memory.

    Parameters
    ----------
    path : path
    shape : tuple of int
    dtype
        Anything that NumPy takes for a type.

    Yields
    ------
    ndarray
        Of that shape and type, to be filled.
    """
    with replacing(path) as temporary:
        if 0 in shape:
            empty = np.empty(shape, dtype)
            yield empty
            np.save(temporary, empty)
        else:
            array = np.lib.format.open_memmap(temporary, mode="w+", dtype=dtype, shape=shape)
            yield array
            array.flush()


def map_array(path: str | Path) -> np.ndarray:
    """Return the array in a .npy file, or raise ValueError, without the name of the file, whatever is wrong with it.

    Parameters
    ----------
    path : path

    Returns
    -------
    ndarray
        A read-only memory map; an empty array is read plainly.
    """
    try:
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except ValueError:
            array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, TypeError, OverflowError, MemoryError, BadZipFile) as error:
        raise ValueError(error.strerror if isinstance(error, OSError) and error.strerror else str(error)) from None
    if not isinstance(array, np.ndarray):
        raise ValueError("an archive of several arrays")
    return array


def open_array(path: str | Path, remedy: str = "delete it and run again") -> np.ndarray:
    """Return the array in a .npy file, as :func:`map_array` does.

    Parameters
    ----------
    path : path
    remedy : str
        What the user can do if it cannot be read, for the message.

    Returns
    -------
    ndarray

    Raises
    ------
    InputError
        The file is missing, damaged, or no .npy file.
    """
    try:
        return map_array(path)
    except ValueError as error:
        raise InputError(f"{path}: cannot be read ({error}); {remedy}") from None
