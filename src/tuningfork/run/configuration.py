"""What a configuration file changes."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def describe_configuration(path: Path) -> str:
    """Check a configuration file and return how it differs from the default, one key per line.

    Raises
    ------
    ConfigurationError
        A key or a value is wrong.
    """
    from tuningfork.core.config import Configuration, load

    default = _flat(Configuration().model_dump())
    chosen = _flat(load(path).model_dump())
    difference = [line for line in difflib.ndiff(default, chosen) if line[0] in "+-"]
    return "\n".join([f"{path} is valid" + (":" if difference else " and equals the default"), *difference])


def _flat(values: Mapping[str, Any], above: str = "") -> list[str]:
    lines: list[str] = []
    for key, value in values.items():
        path = f"{above}{key}"
        lines += _flat(value, f"{path}.") if isinstance(value, dict) else [f"{path}: {value}"]
    return lines
