"""What a key may be, in words."""

import types
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tuningfork.core.config.base import extra_of

NOUNS = {int: ("an integer", "integers"), float: ("a number", "numbers"), str: ("text", "texts")}
"""Type -> one, several."""


def allowed(field: FieldInfo) -> str:
    """Return what a key may be, such as `an integer from 32 to 512 (pixel)`."""
    unit = extra_of(field).get("unit")
    limits = {
        name: value
        for entry in field.metadata
        for name in ("ge", "gt", "le", "lt", "min_length", "max_length")
        if (value := getattr(entry, name, None)) is not None
    }
    if any(getattr(entry, "pattern", None) for entry in field.metadata):
        return "an address that begins with http:// or https://"
    null = " or null" if type(None) in get_args(field.annotation) else ""
    return f"{_noun(field.annotation)[0]}{_range(limits)}{f' ({unit})' if unit else ''}{null}"


def _noun(annotation: Any) -> tuple[str, str]:
    """Return the words for one and for several values of a type."""
    arguments = [part for part in get_args(annotation) if part is not type(None)]
    origin = get_origin(annotation)
    if annotation is bool:
        return "true or false", "true or false"
    if annotation in NOUNS:
        return NOUNS[annotation]
    if origin is Literal:
        choice = f"one of {', '.join(map(str, arguments))}"
        return choice, choice
    if origin in (Union, types.UnionType) and len(arguments) == 1:
        return _noun(arguments[0])
    if origin is list:
        several = _noun(arguments[0])[1]
        return f"a list of {several}", f"lists of {several}"
    if origin is dict:
        return "keys and values, {ours: theirs}", "keys and values"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"keys of its own ({', '.join(annotation.model_fields)})", "keys of their own"
    return "another value", "other values"


def _range(limits: dict[str, Any]) -> str:
    shown = {name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in limits.items()}
    below, above = shown.get("ge"), shown.get("le")
    parts = []
    if below and above:
        parts.append(f"from {below} to {above}")
    elif below or above:
        parts.append(f"of at least {below}" if below else f"of at most {above}")
    if "gt" in limits:
        parts.append(f"above {shown['gt']}")
    if "lt" in limits:
        parts.append(f"below {shown['lt']}")
    least, most = limits.get("min_length", 0), limits.get("max_length")
    if most is not None:
        parts.append(f"with {least} to {most} entries or characters")
    elif least > 1:
        parts.append(f"with {least} entries or more")
    elif least:
        parts.append("that is not empty")
    return "".join(f" {part}" for part in parts)
