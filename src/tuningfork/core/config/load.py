"""Read a configuration and report its errors."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tuningfork.core.config.reading.document import Document, parse_value, read_document
from tuningfork.core.config.reading.faults import all_faults
from tuningfork.core.config.reading.nodes import Keys, Place
from tuningfork.core.config.root import Configuration
from tuningfork.core.errors import ConfigurationError


def validate(values: Mapping[str, Any], places: Mapping[Keys, Place] | None = None) -> Configuration:
    """Return the checked configuration.

    Parameters
    ----------
    values : mapping
        The content of a configuration file; missing keys get their default.
    places : mapping, optional
        Path of keys -> where it stands, for messages.

    Returns
    -------
    Configuration

    Raises
    ------
    ConfigurationError
        With one line per error: file and line, the path of the key, the value, what is allowed.
    """
    try:
        return Configuration.model_validate(dict(values))
    except ValidationError:
        raise ConfigurationError("\n".join(all_faults(Configuration, values, places or {}))) from None


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
    document = read_all([path])
    return validate(document.values, document.places)


def read_all(files: Sequence[str | Path], settings: Sequence[str] = ()) -> Document:
    """Return the keys and values of several files and of settings from the command line, not yet checked.

    Parameters
    ----------
    files : sequence of str or Path
        What a later file says replaces what an earlier one says, key by key.
    settings : sequence of str
        `key=value`, as of Snakemake's option `--config`, with values in YAML; they go before the files.

    Returns
    -------
    Document

    Raises
    ------
    ConfigurationError
        A file cannot be read, or the settings give a key twice.
    """
    document = Document()
    for file in files:
        document = document.updated(read_document(file))
    return document.updated(_of_settings(settings))


def _of_settings(settings: Sequence[str]) -> Document:
    document = Document()
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise ConfigurationError(f"--config {setting[:80]}: expected key=value")
        if key in document.values:
            raise ConfigurationError(f"--config {key}: this key is given twice; give it once")
        places: dict[Keys, Place] = {}
        try:
            document.values[key] = parse_value(text, "--config", (key,), places)
        except ConfigurationError as error:
            raise ConfigurationError(str(error).replace("--config, line 1:", f"--config {key}:", 1)) from None
        document.places.update({keys: replace(place, line=0) for keys, place in places.items()})
    return document
