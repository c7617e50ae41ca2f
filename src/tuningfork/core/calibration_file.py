"""The JSON file in which a calibration waits for the stages that apply it: typed, small, with its lineage."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from tuningfork.core.errors import InputError
from tuningfork.core.files import read_json, write_json

SCHEMA_VERSION = 1
"""Raised whenever the meaning of a stored number changes; older files are then refused."""

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
        The file is missing, of another recipe or schema version, or its values are not those of the dataclass.
    """
    try:
        values = read_json(path)
        found = values["recipe"], values["schema_version"]
        if found != (recipe, SCHEMA_VERSION):
            raise InputError(
                f"{path}: a calibration of {found[0]}, schema version {found[1]}; expected {recipe}, version "
                f"{SCHEMA_VERSION}; delete it and run again"
            )
        return TypeAdapter(kind).validate_json(json.dumps(values["calibration"]), strict=True, extra="forbid")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run the workflow, which makes it") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in ("calibration", *first["loc"]))
        raise InputError(f"{path}: {key}: {first['msg']}; delete it and run again") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a calibration of {recipe} ({error}); delete it and run again") from None
