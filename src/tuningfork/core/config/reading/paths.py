"""The files and folders that a configuration names, checked before anything opens them.

To open a pipe waits for ever, to read a device never ends, and many readers end in a traceback at a folder: so every key
that is a path says what it must be the path of (:func:`tuningfork.core.config.base.option`), and is checked here.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuningfork.core.config.base import Section, extra_of
from tuningfork.core.config.reading.path_hints import about_path
from tuningfork.core.config.root import Configuration
from tuningfork.core.errors import ConfigurationError

EXPECTED = {"file": "a file", "folder": "a folder", "table": "a file, or a folder of files", "output": "a folder"}
"""What an option is the path of -> in words."""
MAX_SHOWN = 200
"""Longest path that a message shows whole."""


@dataclass(frozen=True)
class PathFault:
    """A path that cannot be used.

    Attributes
    ----------
    message : str
    missing : bool
        Whether there is nothing of that name, which may still come, rather than something that cannot be used.
    """

    message: str
    missing: bool = False


def require_paths(configuration: Configuration) -> None:
    """Check all paths of a configuration.

    Raises
    ------
    ConfigurationError
        With a line for each path that is missing, is not a file or folder as it must be, or cannot be read.
    """
    if faults := path_faults(configuration):
        raise ConfigurationError("\n".join(fault.message for fault in faults))


def path_faults(configuration: Configuration) -> list[PathFault]:
    """Return what is wrong with the paths of a configuration; those of surveys that are not chosen do not count."""
    other = {name for name in type(configuration.survey).model_fields if name != configuration.survey.name}
    unused = tuple(f"survey.{name}." for name in other)
    found = []
    for key, path, extra in _paths(configuration, ""):
        fault = None if key.startswith(unused) else _fault(path, str(extra["path"]))
        if fault:
            words = f"; expected {', '.join(extra['words'])} or the path of a file" if extra.get("words") else ""
            shown = path if len(path) <= MAX_SHOWN else f"{path[:MAX_SHOWN]}..."
            start = "" if words or not fault.missing or Path(path).is_absolute() else f" in {Path.cwd()}"
            found.append(PathFault(f"{key}: {shown}: {fault.message}{start}{words}", fault.missing))
    return found


def _paths(section: Section, above: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield key, path and declaration of every path of a section."""
    for name, field in type(section).model_fields.items():
        value, extra = getattr(section, name), extra_of(field)
        if isinstance(value, Section):
            yield from _paths(value, f"{above}{name}.")
        elif extra.get("path") and value is not None and value not in extra.get("words", ()):
            yield f"{above}{name}", value, extra


def _fault(path: str, kind: str) -> PathFault | None:
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        if kind == "output":
            return _fault_of_parent(Path(path))
        return PathFault(f"no such {'folder' if kind == 'folder' else 'file'}{about_path(path)}", missing=True)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        return PathFault(f"cannot be read ({reason}); expected {EXPECTED[kind]}")
    is_folder = stat.S_ISDIR(mode)
    if not (is_folder if kind in {"folder", "output"} else stat.S_ISREG(mode) or (is_folder and kind == "table")):
        found = "a folder" if is_folder else "a file" if stat.S_ISREG(mode) else "a pipe, a device or the like"
        return PathFault(f"this is {found}; expected {EXPECTED[kind]}")
    needed = os.R_OK | (os.X_OK if is_folder else 0) | (os.W_OK if kind == "output" else 0)
    if not os.access(path, needed):
        verb = "written to" if kind == "output" else "read"
        return PathFault(f"cannot be {verb} (permission denied); change its permissions")
    return None


def _fault_of_parent(path: Path) -> PathFault | None:
    """Return why a folder that is not there yet cannot be made."""
    above = next((parent for parent in path.absolute().parents if parent.exists()), Path("/"))
    if above.is_dir() and os.access(above, os.W_OK | os.X_OK):
        return None
    return PathFault(f"cannot be made in {above}, which is no folder or read-only; choose another")
