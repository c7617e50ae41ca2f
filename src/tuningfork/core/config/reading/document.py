"""Read the text of a configuration, and remember where each value stands."""

import contextlib
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tuningfork.core.config.reading.nodes import MAX_NAME, Builder, Expansion, Keys, Place, refuse
from tuningfork.core.errors import ConfigurationError

MAX_BYTES = 2**20
"""Size of the largest configuration that is read."""
NOT_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
"""Characters that YAML does not allow."""
KEY = re.compile(r"[a-z0-9_.]*")
"""The key with which a message may begin."""


@dataclass(frozen=True)
class Document:
    """Keys and values, with their places.

    Attributes
    ----------
    values : dict
    places : dict
        Path of keys -> place; places in lists are keys as well.
    """

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[Keys, Place] = field(default_factory=dict)

    def updated(self, other: "Document") -> "Document":
        """Return this document with the values of another laid over it; sections are merged key by key."""
        return Document(_merged(self.values, other.values), self.places | other.places)

    @contextlib.contextmanager
    def naming_places(self) -> Iterator[None]:
        """Within the block, put file and line before a ConfigurationError whose message begins with a key."""
        try:
            yield
        except ConfigurationError as error:
            lines = [f"{self._place(line)}{line}" for line in str(error).splitlines()]
            raise type(error)("\n".join(lines)) from None

    def _place(self, message: str) -> str:
        keys = tuple(KEY.match(message)[0].split("."))  # type: ignore[index]
        for length in range(len(keys), 0, -1):
            if place := self.places.get(keys[:length]):
                return f"{place}: "
        return ""


def read_document(path: str | Path) -> Document:
    """Read a file of keys and values in YAML or JSON.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Document

    Raises
    ------
    ConfigurationError
        The file is missing, not a regular file, too large or not text, or :func:`parse_document` refuses its text.
    """
    name = str(path)
    if name.startswith(f"{Path.cwd()}/"):
        name = name[len(f"{Path.cwd()}/") :]
    shown = name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}..."
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            kind = "a folder" if Path(path).is_dir() else "no regular file"
            raise ConfigurationError(f"{shown}: {kind}; expected a configuration file (.yaml)")
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigurationError(f"{shown}: no such configuration file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(f"{shown}: cannot be read ({reason})") from None
    if len(content) > MAX_BYTES:
        raise ConfigurationError(f"{shown}: larger than {MAX_BYTES} bytes, the limit for a configuration")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(
            f"{shown}, line {line}: not a readable YAML file (the byte {content[error.start]:#04x} is no UTF-8 text); "
            "save it as UTF-8"
        ) from None
    return parse_document(text, shown)


def parse_document(text: str, source: str) -> Document:
    """Read keys and values from text in YAML or JSON.

    Parameters
    ----------
    text : str
    source : str
        Name of the file, for messages.

    Returns
    -------
    Document

    Raises
    ------
    ConfigurationError
        The text is not YAML, or has no keys; a key stands twice; a value could be read in two ways; or there are too many
        values or levels.
    """
    places: dict[Keys, Place] = {}
    value = parse_value(text, source, (), places)
    if value is None:
        return Document()
    if not isinstance(value, dict):
        raise ConfigurationError(f"{source}: expected keys and values, found {_kind(value)}")
    return Document(value, places)


def parse_value(text: str, source: str, above: Keys, places: dict[Keys, Place]) -> Any:
    """Read a value from text in YAML or JSON.

    Parameters
    ----------
    text : str
    source : str
        Name of the file, for messages.
    above : tuple of str
        Key that has the value; empty for a whole file.
    places : dict
        Gets the places of all values.

    Returns
    -------
    dict, list, str, int, float, bool or None

    Raises
    ------
    ConfigurationError
        See :func:`parse_document`.
    """
    if wrong := NOT_TEXT.search(text):
        refuse(source, text.count("\n", 0, wrong.start()) + 1, f"the control character U+{ord(wrong[0]):04X}")
    try:
        node = Builder(text, source, above).document()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{source}, line {mark.line + 1}" if mark else source
        reason = " ".join(str(getattr(error, "problem", None) or error).split())[:200]
        raise ConfigurationError(f"{place}: not a readable YAML file ({reason})") from None
    return None if node is None else Expansion(source, places).value(node, above)


def _kind(value: Any) -> str:
    return "a list" if isinstance(value, list) else "a single value"


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        earlier = merged.get(key)
        both = isinstance(earlier, dict) and isinstance(value, dict)
        merged[key] = _merged(earlier, value) if both else value  # type: ignore[arg-type]
    return merged
