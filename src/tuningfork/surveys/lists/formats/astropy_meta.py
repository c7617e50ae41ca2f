"""What astropy writes into the heads of ECSV, FITS and Parquet files: units, masks and frames of columns."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml
from astropy.table import meta

from tuningfork.surveys.lists.systems import keyword_system, other_system
from tuningfork.surveys.lists.units import WHOLE_TABLE

BEGIN, END = "--BEGIN-ASTROPY-SERIALIZED-COLUMNS--", "--END-ASTROPY-SERIALIZED-COLUMNS--"
SERIALIZED = "__serialized_columns__"


def header_of(lines: Sequence[str], where: str) -> dict[str, Any]:
    """Return a header from its lines.

    Raises
    ------
    ValueError
        If they are no YAML; the message begins with `where`.
    """
    try:
        return dict(meta.get_header_from_yaml(list(lines)))
    except (yaml.YAMLError, meta.YamlParseError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from None


def lines_of_comments(comments: Sequence[str]) -> list[str]:
    """Return the lines of the header that astropy writes into the comments of a FITS table; none without one."""
    texts = [str(comment) for comment in comments]
    if BEGIN not in texts or END not in texts:
        return []
    lines: list[str] = []
    goes_on = False
    for text in texts[texts.index(BEGIN) + 1 : texts.index(END)]:
        part = text.removesuffix("\\")
        if goes_on:
            lines[-1] += part
        else:
            lines.append(part)
        goes_on = text.endswith("\\")
    return lines


def units_in(header: Mapping[str, Any]) -> dict[str, str]:
    """Return column -> unit."""
    return {column["name"]: str(column["unit"]) for column in header.get("datatype", []) if column.get("unit")}


def masks_in(header: Mapping[str, Any]) -> dict[str, str]:
    """Return column -> column that is true where the first has no value."""
    masks: dict[str, str] = {}
    for part in _parts(_serialized(header)):
        mask = part.get("mask")
        if isinstance(mask, Mapping) and "name" in mask:
            masks |= dict.fromkeys(_names(part.get("data")), str(mask["name"]))
    return masks


def systems_in(header: Mapping[str, Any]) -> dict[str, str]:
    """Return column -> coordinate system that is not close to ICRS; under `WHOLE_TABLE` that of all other columns."""
    systems: dict[str, str] = {}
    for part in _parts(_serialized(header)):
        kind = str(part.get("__class__", ""))
        if ".coordinates." not in kind or not ("SkyCoord" in kind or "builtin_frames" in kind):
            continue
        system = other_system(str(part.get("frame") or kind.rpartition(".")[2]), str(part.get("equinox") or ""))
        if system:
            systems |= dict.fromkeys(_names(part), system)
    keywords = header.get("meta")
    if isinstance(keywords, Mapping) and (system := keyword_system(keywords)):
        systems[WHOLE_TABLE] = system
    return systems


def _serialized(header: Mapping[str, Any]) -> Any:
    known = header.get("meta")
    return known.get(SERIALIZED) if isinstance(known, Mapping) else None


def _parts(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield a mapping and all mappings in it."""
    if isinstance(value, Mapping):
        yield value
        for part in value.values():
            yield from _parts(part)


def _names(value: Any) -> list[str]:
    """Return the columns that a description refers to."""
    return [str(part["name"]) for part in _parts(value) if isinstance(part.get("name"), str)]
