"""Read a configuration and report its errors."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from tuningfork.core.config.root import Configuration
from tuningfork.core.errors import ConfigurationError


def validate(values: Mapping[str, Any]) -> Configuration:
    """Return the checked configuration.

    Parameters
    ----------
    values : mapping
        The content of a configuration file; missing keys get their default.

    Returns
    -------
    Configuration

    Raises
    ------
    ConfigurationError
        With one line per error: the path of the key, the value, what is allowed.
    """
    try:
        return Configuration.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigurationError("\n".join(_explain(fault) for fault in error.errors())) from None


def load(path: str | Path) -> Configuration:
    """Return the checked configuration of a YAML file.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Configuration

    Raises
    ------
    ConfigurationError
        The file is missing, is not YAML, or has a wrong key or value.
    """
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: no such configuration file") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path}: not a readable YAML file ({' '.join(str(error).split())})") from None
    if values is None:
        values = {}
    if not isinstance(values, Mapping):
        raise ConfigurationError(f"{path}: expected keys and values, found {type(values).__name__}")
    return validate(values)


def _explain(fault: Mapping[str, Any]) -> str:
    keys, model, last = _walk([str(part) for part in fault["loc"]])
    path = ".".join(keys)
    kinds = _kinds(last)
    match fault["type"]:
        case "extra_forbidden":
            return f"{path}: unknown key{_suggestion(keys[-1], model)}"
        case "missing":
            return f"{path}: this key is needed"
        case "union_tag_not_found":
            return f"{path}.kind: this key is needed; it is one of {', '.join(kinds)}"
        case "union_tag_invalid":
            return f"{path}.kind: {fault['input']['kind']!r} is not allowed: it is one of {', '.join(kinds)}"
        case "model_attributes_type" if kinds:
            return f"{path}: {fault['input']!r} is not allowed: it has keys of its own, kind ({', '.join(kinds)}) and others"
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "value_error":
        return f"{path}: {message}" if path else message
    return f"{path}: {fault['input']!r} is not allowed: {message[0].lower()}{message[1:]}"


def _walk(location: list[str]) -> tuple[list[str], type[BaseModel] | None, Any]:
    """Return the keys as they stand in the user's file, the section that should hold the last one, and its type.

    For a section that comes in several kinds, pydantic includes the chosen kind in the location as if it were a key.
    """
    keys: list[str] = []
    model: type[BaseModel] | None = Configuration
    last: Any = None
    for part in location:
        kinds = _kinds(last)
        if part in kinds:
            model, last = kinds[part], None
            continue
        if last is not None:
            model = _section(last)
        keys.append(part)
        last = model.model_fields[part].annotation if model and part in model.model_fields else object
    return keys, model, last


def _kinds(annotation: Any) -> dict[str, type[BaseModel]]:
    """Return kind -> section, for a key whose value is one of several kinds of section."""
    members = [part for part in get_args(annotation) if isinstance(part, type) and issubclass(part, BaseModel)]
    return {member.model_fields["kind"].default: member for member in members if "kind" in member.model_fields}


def _section(annotation: Any) -> type[BaseModel] | None:
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _suggestion(key: str, model: type[BaseModel] | None) -> str:
    """Return a hint for an unknown key: the most similar known key of the section, or all of them."""
    known = sorted(model.model_fields) if model else []
    near = difflib.get_close_matches(key, known, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; known here: {', '.join(known)}" if known else ""
