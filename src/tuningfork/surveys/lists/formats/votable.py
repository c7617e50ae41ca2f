"""VOTables, which can only be read as a whole."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path

from astropy.io.votable import parse
from astropy.io.votable.tree import TableElement, VOTableFile

from tuningfork.surveys.lists.formats.base import Place, WholeTable
from tuningfork.surveys.lists.formats.stream import whole_bytes
from tuningfork.surveys.lists.systems import other_system

log = logging.getLogger(__name__)
NUMBER_OF_ROWS = re.compile(rb"""\bnrows\s*=\s*["']\s*(\d+)""")
ARRAY_SIZE = re.compile(rb"""\barraysize\s*=\s*["'][^"']*?(\d{5,})""")
MAX_ARRAY_SIZE = 100_000


def votable_tables(path: Path) -> list[WholeTable]:
    """Return the tables of a VOTable file.

    The columns have the names that the fields have; a field that has no name, or whose ID is not the name of another,
    can be found by its ID too.

    Raises
    ------
    ValueError
        If there is none, or the file claims sizes that it cannot have.
    """
    content = whole_bytes(path)
    _require_plausible(content.getbuffer())
    document = parse(content)
    elements = [table for table in document.iter_tables() if len(table.fields)]
    if not elements:
        raise ValueError(_answer(document) or "it holds no table")
    _warn_if_cut(path, document)
    systems = systems_of(document)
    return [_table(element, number, systems) for number, element in enumerate(elements, 1)]


def _table(element: TableElement, number: int, systems: Mapping[str, str]) -> WholeTable:
    names = [str(field.name or field.ID) for field in element.fields]
    result = WholeTable(element.to_table(), Place(number, str(element.name or element.ID or "")), names)
    for field, name in zip(element.fields, names, strict=True):
        if field.ref in systems:
            result.systems[name] = systems[field.ref]
    return result


def _states(document: VOTableFile) -> list[tuple[str, str]]:
    """Return what the service that made the document says of its answer, and in which words."""
    infos = [info for one in (document, *document.resources) for info in one.infos]
    return [(str(info.value).upper(), str(info.content or "")) for info in infos if info.name == "QUERY_STATUS"]


def _answer(document: VOTableFile) -> str:
    said = next((text for state, text in _states(document) if state == "ERROR"), None)
    return "" if said is None else f"it holds the error of a service instead of a table: {' '.join(said.split())[:200]}"


def _warn_if_cut(path: Path, document: VOTableFile) -> None:
    if any(state == "OVERFLOW" for state, _ in _states(document)):
        log.warning(
            "%s: the service that made this table has cut it short (QUERY_STATUS OVERFLOW); ask for all rows", path
        )


def systems_of(document: VOTableFile) -> dict[str, str]:
    """Return ID -> coordinate system of a document, of those that are not close to ICRS."""
    systems = {
        str(one.ID): other_system(str(one.system or ""), str(one.equinox or "")) for one in document.iter_coosys()
    }
    return {key: system for key, system in systems.items() if system}


def _require_plausible(content: memoryview) -> None:
    """Check numbers for which astropy takes memory before it reads any row."""
    rows = [int(match[1]) for match in NUMBER_OF_ROWS.finditer(content)]
    if rows and max(rows) > len(content):
        raise ValueError(f"it claims {max(rows)} rows, and has {len(content)} bytes")
    sizes = [int(match[1]) for match in ARRAY_SIZE.finditer(content)]
    if sizes and max(sizes) > MAX_ARRAY_SIZE:
        raise ValueError(f"it claims arrays of {max(sizes)} values; expected at most {MAX_ARRAY_SIZE}")
