"""Read a configuration and say clearly what is wrong with it."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from tuningfork.core.config.root import Configuration
from tuningfork.core.errors import ConfigurationError

UNIONS = {"footprint", "catalogue"}
"""Keys whose value is one of several kinds of section."""
KINDS = {"box", "cone", "polygon", "moc", "tiles", "table", "survey", "vizier", "hats", "detection"}


def validate(values: Mapping[str, Any]) -> Configuration:
    """Return the checked configuration.

    Parameters
    ----------
    values : mapping
        The content of a configuration file; what it leaves out has its default.

    Raises
    ------
    ConfigurationError
        One line a fault: the key's path, the value, what is allowed.
    """
    try:
        return Configuration.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigurationError("\n".join(_explain(fault) for fault in error.errors())) from None


def load(path: str | Path) -> Configuration:
    """Return the checked configuration of the YAML file `path`.

    Raises
    ------
    ConfigurationError
        The file is missing, is not YAML, or has a wrong value.
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
    # pydantic names the member of a union in the location; a user's file has no such key.
    parts = [str(part) for part in fault["loc"]]
    path = ".".join(
        part
        for place, part in enumerate(parts)
        if not (place and parts[place - 1] in UNIONS and place + 1 < len(parts) and part in KINDS)
    )
    if fault["type"] == "extra_forbidden":
        return f"{path}: unknown key{_suggestion(fault['loc'])}"
    if fault["type"] == "missing":
        return f"{path}: this key is needed"
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "value_error":
        return f"{path}: {message}" if path else message
    return f"{path}: {fault['input']!r} is not allowed: {message[0].lower()}{message[1:]}"


def _suggestion(location: tuple[str | int, ...]) -> str:
    """Name the known key nearest to the unknown last part of `location`, or all of them."""
    model: type[BaseModel] | None = Configuration
    for part in location[:-1]:
        model = _submodel(model, str(part))
    known = sorted(model.model_fields) if model else []
    near = difflib.get_close_matches(str(location[-1]), known, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; known here: {', '.join(known)}" if known else ""


def _submodel(model: type[BaseModel] | None, part: str) -> type[BaseModel] | None:
    """Return the model behind the key `part` of `model`; a kind of a union names the union's member itself."""
    if model is None:
        return None
    if part not in model.model_fields:
        return model
    annotation = model.model_fields[part].annotation
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None
