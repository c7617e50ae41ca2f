"""What a configuration file changes, whether a run of it can start, and files to begin with."""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuningfork.core.errors import ConfigurationError, InputError, NetworkNeededError

if TYPE_CHECKING:
    from tuningfork.core.config import Configuration

MAX_SHOWN = 200
"""Longest value that is shown whole."""
STARTS = {
    "simulated": "simulated.yaml",
    "sdss": "sdss-stripe82.yaml",
    "legacy": "legacy.yaml",
    "euclid": "euclid.yaml",
    "panstarrs": "panstarrs.yaml",
    "des": "des.yaml",
    "folder": "folder.yaml",
}
"""Survey -> file of config/examples that `tuningfork init` copies."""


def describe_configuration(path: Path) -> str:
    """Check the keys and values of a configuration file and return how it differs from the default, one key per line.

    Raises
    ------
    ConfigurationError
        A key or a value is wrong.
    """
    from tuningfork.core.config import load

    difference = _difference(load(path))
    return "\n".join([f"{path} is valid" + (":" if difference else " and equals the default"), *difference])


def check_configuration(path: Path, root: Path) -> str:
    """Check a configuration file and plan its run without the network; return how it differs from the default.

    Parameters
    ----------
    path : Path
    root : Path
        Root of the clone.

    Returns
    -------
    str
        One key per line; before them, what is still missing: files that are not there yet, or the answer of a service.

    Raises
    ------
    ConfigurationError
        A key or a value is wrong, a file that it names cannot be used, or the run cannot be planned.
    """
    from tuningfork.core.config.load import read_all, validate
    from tuningfork.core.config.reading.paths import path_faults
    from tuningfork.plan import plan_configuration

    document = read_all([path])
    configuration = validate(document.values, document.places)
    missing: list[str] = []
    with document.naming_places():
        faults = path_faults(configuration)
        if wrong := [fault.message for fault in faults if not fault.missing]:
            raise ConfigurationError("\n".join(wrong))
        missing += [fault.message for fault in faults]
        if not missing:
            offline = configuration.transfer.model_copy(update={"offline": True})
            try:
                plan_configuration(configuration.model_copy(update={"transfer": offline}), root)
            except NetworkNeededError as error:
                missing.append(str(error))
    difference = _difference(configuration)
    if missing:
        lines = [f"{path} has no error, but before a run can start, something is needed:", *missing]
        return "\n".join([*lines, *(["it differs from the default:", *difference] if difference else [])])
    return "\n".join([f"{path} is valid" + (":" if difference else " and equals the default"), *difference])


def _difference(configuration: "Configuration") -> list[str]:
    """Return what a configuration has instead of the default: a line with - and one with + per key."""
    default, chosen = _flat(type(configuration)().model_dump()), _flat(configuration.model_dump())
    lines = []
    for key in {**default, **chosen}:
        if default.get(key) != chosen.get(key):
            lines += [
                f"{sign} {key}: {values[key]}" for sign, values in (("-", default), ("+", chosen)) if key in values
            ]
    return lines


def _flat(values: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """Return path of a key -> its value as text, of long ones only the beginning."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{above}{key}.")
        else:
            text = str(value)
            flat[f"{above}{key}"] = text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."
    return flat


def list_surveys(root: Path) -> str:
    """Return the surveys that :func:`start_configuration` knows, with their titles."""
    from tuningfork.core.config.reading.document import read_document

    titles = {name: read_document(root / "config" / "surveys" / f"{name}.yaml").values["title"] for name in STARTS}
    lines = [f"{name:<12}{title}" for name, title in titles.items()]
    return "\n".join([*lines, "Write a configuration to begin with: tuningfork init SURVEY [FILE]"])


def start_configuration(survey: str, path: Path, root: Path) -> str:
    """Write a short configuration of a survey, with comments, to begin with.

    Parameters
    ----------
    survey : str
    path : Path
        The new file.
    root : Path
        Root of the clone, which has the examples and the schema.

    Returns
    -------
    str
        What was written, and what to do with it.

    Raises
    ------
    InputError
        The survey is unknown, or the file exists, has another ending, or cannot be written.
    """
    from tuningfork.core.config.document import SCHEMA_LINE

    if survey not in STARTS:
        near = difflib.get_close_matches(survey[:40].lower(), STARTS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(STARTS)}"
        raise InputError(f"{survey[:40]!r} is no survey; {hint}")
    if path.suffix.lower() not in {".yaml", ".yml"}:
        raise InputError(f"{path}: a configuration ends in .yaml; choose such a name")
    text = (root / "config" / "examples" / STARTS[survey]).read_text(encoding="utf-8")
    schema = Path(os.path.relpath(root / "config" / "schema.json", path.absolute().parent)).as_posix()
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(SCHEMA_LINE.format(schema=schema) + text.partition("\n")[2])
    except FileExistsError:
        raise InputError(f"{path}: this file exists and is not overwritten; choose another name") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another name") from None
    return f"{path} is written; edit it, then: tuningfork check {path}, tuningfork run {path}"
