"""All faults of a configuration, in lines that say where, what was found and what is allowed."""

import copy
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from tuningfork.core.config.base import ConflictError
from tuningfork.core.config.reading.allowed import allowed
from tuningfork.core.config.reading.nodes import Keys, Place

MAX_PASSES = 60
"""How often the values are checked again without the keys that are wrong."""
MAX_FAULTS = 40
"""Largest number of faults that are listed."""
MAX_SHOWN = 80
"""Longest value or key that a message shows whole."""
TRUE, FALSE = {"yes", "y", "on", "t", "true"}, {"no", "n", "off", "f", "false"}
NUMBER = re.compile(r"([-+]?[0-9][0-9_]*[.,]?[0-9]*(?:[eE][-+]?[0-9]+)?)\s*([a-zA-Z/%\"']*[0-9]?)")


@dataclass(frozen=True)
class Fault:
    """What is wrong with one key, or with several together.

    Attributes
    ----------
    keys : list of tuple of str
        The keys; none if they are not known.
    message : str
    """

    keys: list[Keys]
    message: str


@dataclass(frozen=True)
class _Key:
    """Keys as they stand in the user's file, the section that should hold the last one, its declaration and type."""

    keys: list[str]
    section: type[BaseModel] | None
    field: FieldInfo | None
    annotation: Any

    @property
    def path(self) -> str:
        return _cut(".".join(self.keys))


def all_faults(model: type[BaseModel], values: Mapping[str, Any], places: Mapping[Keys, Place]) -> list[str]:
    """Return a line for every fault of wrong values.

    A check that compares keys runs only where each of them is right on its own. So the values are checked again without
    the keys that are wrong, until no fault is left.

    Parameters
    ----------
    model : type
        The class of the whole configuration.
    values : mapping
    places : mapping
        Path of keys -> where it stands.

    Returns
    -------
    list of str
    """
    remaining = copy.deepcopy(dict(values))
    dropped: list[Keys] = []
    faults: list[Fault] = []
    for _ in range(MAX_PASSES):
        try:
            model.model_validate(remaining)
        except ValidationError as error:
            found = [_fault(model, entry, places) for entry in error.errors(include_url=False)]
        else:
            break
        faults += [fault for fault in found if not any(_related(key, old) for key in fault.keys for old in dropped)]
        removed = [key for fault in found for keys in fault.keys if (key := _remove(remaining, keys))]
        if not removed:
            break
        dropped += removed
    lines = [_placed(fault, places) for fault in faults]
    return [*lines[:MAX_FAULTS], *([f"and {len(lines) - MAX_FAULTS} more"] if len(lines) > MAX_FAULTS else [])]


def _placed(fault: Fault, places: Mapping[Keys, Place]) -> str:
    """Return the message with file and line of the key, or of the section that should have it."""
    for keys in fault.keys:
        for length in range(len(keys), 0, -1):
            if place := places.get(keys[:length]):
                return f"{place}: {fault.message}"
    return fault.message


def _related(key: Keys, other: Keys) -> bool:
    length = min(len(key), len(other))
    return key[:length] == other[:length]


def _remove(values: dict[str, Any], keys: Keys) -> Keys | None:
    """Remove the value at a path; return the path of what was removed: of a list, the whole."""
    section: Any = values
    for number, key in enumerate(keys):
        if not isinstance(section, dict) or key not in section:
            # The key is missing, so it is its section that cannot be kept.
            return _remove(values, keys[: max(number, 1) - 1]) if number > 1 else _pop(values, keys[:number])
        if number == len(keys) - 1 or not isinstance(section[key], dict):
            del section[key]
            return keys[: number + 1]
        section = section[key]
    return None


def _pop(values: dict[str, Any], keys: Keys) -> Keys | None:
    return keys if keys and values.pop(keys[0], None) is not None else None


def _fault(model: type[BaseModel], entry: Mapping[str, Any], places: Mapping[Keys, Place]) -> Fault:
    key = _walk(model, [str(part) for part in entry["loc"]])
    keys = tuple(key.keys)
    error = entry.get("ctx", {}).get("error")
    if isinstance(error, ConflictError):
        involved = [(*keys, *name.split(".")) for name in error.keys]
        given = [path for path in involved if path in places] or involved
        path = ".".join(involved[0]) if len(involved) == 1 else key.path
        return Fault(given, f"{_cut(path)}: {error}" if path else str(error))
    place = places.get(keys)
    return Fault([keys], _message(model, key, entry, place.text if place else None))


def _message(model: type[BaseModel], key: _Key, entry: Mapping[str, Any], written: str | None) -> str:
    path, kinds, value = key.path, _kinds(key.annotation), entry["input"]
    match entry["type"]:
        case "extra_forbidden":
            return f"{path}: unknown key{_suggestion(key.keys[-1], key.section, model)}"
        case "missing":
            return (
                f"{path}: this key is needed; it is {allowed(key.field)}"
                if key.field
                else f"{path}: this key is needed"
            )
        case "union_tag_not_found":
            return f"{path}.kind: this key is needed; it is one of {', '.join(kinds)}"
        case "union_tag_invalid":
            return f"{path}.kind: {_shown(value['kind'])} is not allowed: it is one of {', '.join(kinds)}"
        case "model_attributes_type" if kinds:
            return (
                f"{path}: {_shown(value)} is not allowed: it has keys of its own, kind ({', '.join(kinds)}) and others"
            )
        case "value_error":
            return f"{path}: {entry['msg'].removeprefix('Value error, ')}"
    what = allowed(key.field) if key.field else f"{entry['msg'][0].lower()}{entry['msg'][1:]}"
    shown = _cut(written) if written and not isinstance(value, str) else _shown(value)
    return f"{path}: {shown} is not allowed: expected {what}{_hint(key.annotation, value, written)}"


def _hint(annotation: Any, value: Any, written: str | None) -> str:
    """Return what was probably meant, if there is a way to know."""
    types = {annotation, *get_args(annotation)}
    if value is None:
        return "; leave the key out for its default"
    if bool in types and str(value).lower() in TRUE | FALSE:
        return f"; write {'true' if str(value).lower() in TRUE else 'false'}"
    if str in types and isinstance(value, int | float):
        return f"; write '{written or value}' in quotes"
    if types & {int, float} and isinstance(value, str) and len(value) < MAX_SHOWN:
        match = NUMBER.fullmatch(value.strip())
        number = match[1].replace("_", "").replace(",", ".") if match else ""
        return f"; write {number}" if number else ""
    if int in types and isinstance(value, float) and value.is_integer():
        return f"; write {int(value)}"
    return ""


def _walk(model: type[BaseModel], location: list[str]) -> _Key:
    """Follow the location of a fault; pydantic includes the kind of a section as if it were a key."""
    keys: list[str] = []
    section: type[BaseModel] | None = model
    field: FieldInfo | None = None
    last: Any = None
    for part in location:
        kinds = _kinds(last)
        if part in kinds:
            section, last = kinds[part], None
            continue
        if last is not None:
            section = last if isinstance(last, type) and issubclass(last, BaseModel) else None
        keys.append(part)
        field = section.model_fields.get(part) if section else field
        last = field.annotation if section and field else object
    return _Key(keys, section, field, last)


def _kinds(annotation: Any) -> dict[str, type[BaseModel]]:
    """Return kind -> section, for a key whose value is one of several kinds of section."""
    members = [part for part in get_args(annotation) if isinstance(part, type) and issubclass(part, BaseModel)]
    return {member.model_fields["kind"].default: member for member in members if "kind" in member.model_fields}


def _suggestion(key: str, section: type[BaseModel] | None, model: type[BaseModel]) -> str:
    """Return a hint for an unknown key: the nearest known key of the section, or one of that name elsewhere, or all."""
    known = sorted(section.model_fields) if section else []
    plain = re.sub(r"[\s-]+", "_", key[:MAX_SHOWN].strip().lower())
    if near := difflib.get_close_matches(plain, known, n=1):
        return f"; did you mean {near[0]}?"
    elsewhere = _paths(model)
    elsewhere.sort(key=lambda path: path.count("."))
    if paths := [path for path in elsewhere if path.rpartition(".")[2] == plain]:
        return f"; did you mean {' or '.join(paths[:3])}?"
    return f"; known here: {', '.join(known)}" if known else ""


def _paths(model: type[BaseModel], above: str = "") -> list[str]:
    """Return the paths of all keys of a section, also of its kinds."""
    paths = []
    for name, field in model.model_fields.items():
        paths.append(f"{above}{name}")
        sections = [field.annotation, *_kinds(field.annotation).values()]
        for section in sections:
            if isinstance(section, type) and issubclass(section, BaseModel):
                paths += _paths(section, f"{above}{name}.")
    return list(dict.fromkeys(paths))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _shown(value: Any) -> str:
    """Return a value as a message shows it, of large ones only the beginning."""
    if value is None:
        return "null"
    if isinstance(value, int) and abs(value) >= 10**MAX_SHOWN:
        return "a number of that many digits"
    if isinstance(value, str):
        return repr(_cut(value))
    return _cut(
        repr(dict(list(value.items())[:9]))
        if isinstance(value, dict)
        else repr(value[:9] if isinstance(value, list) else value)
    )
