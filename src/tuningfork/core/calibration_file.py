"""The JSON file in which a calibration waits for the stages that apply it: typed, small, with its lineage.

The dataclasses of calibrations check their numbers with the functions `require...`, so that a fault names the field.
"""

import json
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from tuningfork.core.errors import InputError
from tuningfork.core.files import read_json, write_json

SCHEMA_VERSION = 1
"""Raised whenever the meaning of a stored number changes; older files are then refused."""

MAX_VALUE = 1e6
"""Largest number that a calibration has."""

ADDED = {"added": True}
"""Metadata of a field that earlier versions did not write: without it, a file is read with the field's default."""

C = TypeVar("C")


def write_calibration(path: Path, recipe: str, calibration: Any, lineage: Mapping[str, str], **details: Any) -> None:
    """Write a calibration.

    Parameters
    ----------
    path : Path
        JSON file to write.
    recipe : str
        votes, structure, bars or features.
    calibration : dataclass instance
    lineage : mapping
        Stage -> token.
    **details
        Further JSON values that people may want to read; nothing depends on them.
    """
    values = TypeAdapter(type(calibration)).dump_python(calibration, mode="json")
    header = {"recipe": recipe, "schema_version": SCHEMA_VERSION, "lineage": dict(lineage)}
    write_json(path, header | {"calibration": values} | details)


def read_calibration(path: str | Path, recipe: str, kind: type[C]) -> C:
    """Return the calibration that :func:`write_calibration` wrote.

    Parameters
    ----------
    path : path
    recipe : str
        votes, structure, bars or features.
    kind : type
        Dataclass of the calibration, whose fields and types the file must have.

    Returns
    -------
    instance of `kind`

    Raises
    ------
    InputError
        The file is missing, of another recipe or schema version, or its values are not those of the dataclass: a field
        that is not `ADDED` is missing, or one is unknown, or a number is not finite or out of the dataclass's range.
    """
    try:
        values = read_json(path)
        for key, number in _numbers(values):
            if not abs(number) <= MAX_VALUE:
                raise InputError(f"{path}: {key} is {number:g}, which no calibration has; delete it and run again")
        found = values["recipe"], values["schema_version"]
        if found != (recipe, SCHEMA_VERSION) or type(found[1]) is not int:
            raise InputError(
                f"{path}: a calibration of {found[0]}, schema version {found[1]!r}; expected {recipe}, version "
                f"{SCHEMA_VERSION}; delete it and run again"
            )
        adapter = TypeAdapter(kind)
        calibration = adapter.validate_json(json.dumps(values["calibration"]), strict=True, extra="forbid")
        if lacking := _lacking(values["calibration"], calibration):
            raise InputError(f"{path}: calibration.{lacking} is missing; delete it and run again")
        return calibration
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run the workflow, which makes it") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in ("calibration", *first["loc"]))
        fault = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{path}: {key}: {fault}; delete it and run again") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a calibration of {recipe} ({error}); delete it and run again") from None


def _numbers(value: Any, key: str = "") -> Iterator[tuple[str, float]]:
    """Yield key and value of every number in a JSON value that is no integer."""
    if isinstance(value, float):
        yield key, value
    elif isinstance(value, dict | list):
        for name, entry in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _numbers(entry, f"{key}.{name}" if key else str(name))


def _lacking(given: Any, whole: Any) -> str | None:
    """Return the first key that a JSON value lacks, since a default must not take the place of what was learned."""
    optional: set[str] = set()
    if is_dataclass(whole):
        optional = {entry.name for entry in fields(whole) if entry.metadata == ADDED}
        whole = {entry.name: getattr(whole, entry.name) for entry in fields(whole)}
    elif isinstance(whole, list):
        given, whole = dict(enumerate(given)), dict(enumerate(whole))
    for name, entry in whole.items() if isinstance(whole, dict) else ():
        if name not in given:
            if name not in optional:
                return str(name)
        elif inner := _lacking(given[name], entry):
            return f"{name}.{inner}"
    return None


def require(good: bool, fault: str) -> None:
    """Raise ValueError with the message `fault` unless a condition holds."""
    if not good:
        raise ValueError(fault)


def require_range(calibration: Any, lowest: float, highest: float, *names: str) -> None:
    """Check that fields of a calibration lie within limits; None is left alone.

    Parameters
    ----------
    calibration : dataclass instance
    lowest, highest : float
        Both belong to the range.
    *names : str
        The fields.

    Raises
    ------
    ValueError
        A field is outside, or not a number.
    """
    for name in names:
        value = getattr(calibration, name)
        if value is not None and not lowest <= value <= highest:
            limits = f"{lowest:g} or more" if math.isinf(highest) else f"from {lowest:g} to {highest:g}"
            raise ValueError(f"{name} is {value:g}, but must be {limits}")


def require_not_negative(calibration: Any, *names: str) -> None:
    """Check that fields of a calibration are zero or more; None is left alone.

    Raises
    ------
    ValueError
        A field is not.
    """
    require_range(calibration, 0, math.inf, *names)


def require_names(what: str, given: Collection[str], expected: Collection[str]) -> None:
    """Check that a field has an entry for every expected name, and no other.

    Parameters
    ----------
    what : str
        The field.
    given, expected : collection of str

    Raises
    ------
    ValueError
        They differ.
    """
    lacking, unknown = sorted(set(expected) - set(given)), sorted(set(given) - set(expected))
    require(not lacking, f"{what} lacks {', '.join(lacking)}")
    require(not unknown, f"{what} has {', '.join(unknown)}, which this version does not know")
