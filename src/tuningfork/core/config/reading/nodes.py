"""From the events of a YAML parser to values with their places.

PyYAML's own constructor is not used: it reads numbers as YAML 1.1 does, keeps the second of two equal keys, and has no
limits.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from tuningfork.core.config.reading.scalars import plain_value
from tuningfork.core.errors import ConfigurationError

MAX_DEPTH = 20
"""Largest number of levels of sections and lists."""
MAX_VALUES = 100_000
"""Largest number of values, where each use of an anchor counts all that it stands for."""
MAX_NAME = 200
"""Longest name that a message shows whole."""
PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
TAGS = {None, "!", *(f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))}
Keys = tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """Where a value stands.

    Attributes
    ----------
    source : str
        The file, or the option of the command line.
    line : int
        Counted from 1; 0 if the source has no lines.
    text : str or None
        An unquoted word, as written.
    """

    source: str
    line: int
    text: str | None = None

    def __str__(self) -> str:
        """Return file and line, as an error message begins."""
        return f"{self.source}, line {self.line}" if self.line else self.source


@dataclass
class Node:
    """A value with its place; an anchor and its aliases share one."""

    value: Any
    line: int
    text: str | None = None
    key_lines: dict[str, int] = field(default_factory=dict)


def refuse(source: str, line: int, what: str) -> NoReturn:
    """Raise the error that something is not allowed.

    Parameters
    ----------
    source : str
    line : int
    what : str

    Raises
    ------
    ConfigurationError
        Always.
    """
    raise ConfigurationError(f"{source}, line {line}: {what} is not allowed in a configuration; leave it out")


class Builder:
    """Turns events of the parser into nodes; those of one anchor are shared.

    Parameters
    ----------
    text, source : str
    above : tuple of str
        Key that has the whole.
    """

    def __init__(self, text: str, source: str, above: Keys) -> None:
        self._events: Iterator[Any] = yaml.parse(text, Loader=PARSER)
        self._source = source
        self._keys = list(above)
        self._anchors: dict[str, Node] = {}

    def document(self) -> Node | None:
        """Return the only document, or None if there is nothing."""
        root = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    self._refuse(event, "a second document")
                root = self._node(next(self._events), 0)
        return root

    def _node(self, event: Any, depth: int) -> Node:
        line = _line(event)
        if isinstance(event, yaml.AliasEvent):
            anchor = str(event.anchor)
            if anchor not in self._anchors:
                self._refuse(event, f"*{anchor[:40]}, which stands for nothing above it,")
            return self._anchors[anchor]
        if depth > MAX_DEPTH:
            self._refuse(event, f"a value more than {MAX_DEPTH} levels deep")
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event, line)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = Node(self._sequence(depth), line)
        else:
            node = self._mapping(Node({}, line), depth)
        if event.tag not in TAGS:
            self._refuse(event, f"the tag {event.tag[:40]}")
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _scalar(self, event: Any, line: int) -> Node:
        if not event.implicit[0]:
            return Node(event.value, line)
        try:
            return Node(plain_value(event.value, self._coordinate()), line, event.value)
        except ConfigurationError as error:
            key = f"{'.'.join(self._keys)}: " if self._keys else ""
            raise ConfigurationError(f"{self._source}, line {line}: {key}{error}") from None

    def _coordinate(self) -> str:
        """Return the name of the key; of a corner of a polygon, that of its coordinate."""
        if len(self._keys) >= 3 and self._keys[-3] == "vertices":
            return {"0": "ra", "1": "dec"}.get(self._keys[-1], "")
        return self._keys[-1] if self._keys else ""

    def _sequence(self, depth: int) -> list[Node]:
        nodes: list[Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            self._keys.append(str(len(nodes)))
            nodes.append(self._node(event, depth + 1))
            self._keys.pop()
        return nodes

    def _mapping(self, node: Node, depth: int) -> Node:
        merged: list[Node] = []
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self._refuse(event, "a key that is not a word")
            key, line = event.value, _line(event)
            if not key.isprintable():
                self._refuse(event, f"{key[:40]!r}, a key with a character that cannot be seen,")
            self._keys.append(key)
            value = self._node(next(self._events), depth + 1)
            path = ".".join(self._keys)[:MAX_NAME]
            self._keys.pop()
            if key == "<<" and event.implicit[0]:
                merged.append(value)
            elif key in node.value:
                lines = f"lines {node.key_lines[key]} and {line}"
                raise ConfigurationError(f"{self._source}, {lines}: {path}: this key stands twice; keep one of the two")
            else:
                node.value[key], node.key_lines[key] = value, line
        for value in merged:
            self._merge(node, value)
        return node

    def _merge(self, node: Node, value: Node) -> None:
        for part in value.value if isinstance(value.value, list) else [value]:
            if not isinstance(part.value, dict):
                raise ConfigurationError(f"{self._source}, line {value.line}: << must be followed by a section (*name)")
            node.value = part.value | node.value
            node.key_lines = part.key_lines | node.key_lines

    def _refuse(self, event: Any, what: str) -> NoReturn:
        refuse(self._source, _line(event), what)


def _line(event: Any) -> int:
    """Return the line of an event, counted from 1."""
    return int(event.start_mark.line) + 1


class Expansion:
    """Turns nodes into plain values, and counts them.

    Parameters
    ----------
    source : str
    places : dict
        Gets the places of all values.
    """

    def __init__(self, source: str, places: dict[Keys, Place]) -> None:
        self._source = source
        self._places = places
        self._left = MAX_VALUES

    def value(self, node: Node, keys: Keys, line: int = 0) -> Any:
        """Return the value of a node.

        Parameters
        ----------
        node : Node
        keys : tuple of str
            Where it stands.
        line : int
            Line of its key; without it, that of the value.

        Returns
        -------
        dict, list, str, int, float, bool or None
        """
        self._left -= 1
        if self._left < 0:
            refuse(self._source, node.line, f"what is more than {MAX_VALUES} values in all")
        if len(keys) > MAX_DEPTH + 1:
            refuse(self._source, node.line, f"a value more than {MAX_DEPTH} levels deep")
        self._places[keys] = Place(self._source, line or node.line, node.text)
        if isinstance(node.value, dict):
            return {key: self.value(part, (*keys, key), node.key_lines[key]) for key, part in node.value.items()}
        if isinstance(node.value, list):
            return [self.value(part, (*keys, str(number))) for number, part in enumerate(node.value)]
        return node.value
