"""VOTables, which can only be read as a whole."""

import re
from collections.abc import Mapping
from pathlib import Path

from astropy.io.votable import parse
from astropy.io.votable.tree import CooSys, TableElement

from tuningfork.surveys.lists.formats.base import Place, WholeTable
from tuningfork.surveys.lists.formats.stream import whole_bytes

NUMBER_OF_ROWS = re.compile(rb"""\bnrows\s*=\s*["']\s*(\d+)""")
ARRAY_SIZE = re.compile(rb"""\barraysize\s*=\s*["'][^"']*?(\d{5,})""")
MAX_ARRAY_SIZE = 100_000
OTHER_SYSTEMS = ("eq_fk4", "fk4", "ecl", "gal", "super", "generic", "az_el", "body", "geo", "xy")
"""Beginnings of the systems of COOSYS, in small letters, whose positions are not those of ICRS."""
J2000 = ("", "2000", "2000.0", "j2000", "j2000.0")


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
        raise ValueError("it holds no table")
    systems = {str(system.ID): text for system in document.iter_coosys() if (text := _other_system(system))}
    return [_table(element, number, systems) for number, element in enumerate(elements, 1)]


def _table(element: TableElement, number: int, systems: Mapping[str, str]) -> WholeTable:
    names = [str(field.name or field.ID) for field in element.fields]
    result = WholeTable(element.to_table(), Place(number, str(element.name or element.ID or "")), names)
    for field, name in zip(element.fields, names, strict=True):
        if field.ref in systems:
            result.units[name] = f"{field.unit} in the coordinate system {systems[field.ref]}"
    return result


def _other_system(system: CooSys) -> str:
    """Return the name of a coordinate system that is not close to ICRS, otherwise an empty text."""
    name, equinox = str(system.system or ""), str(system.equinox or "")
    if name.lower().startswith(OTHER_SYSTEMS) or equinox.strip().lower() not in J2000:
        return f"{name} {equinox}".strip()
    return ""


def _require_plausible(content: memoryview) -> None:
    """Check numbers for which astropy takes memory before it reads any row."""
    rows = [int(match[1]) for match in NUMBER_OF_ROWS.finditer(content)]
    if rows and max(rows) > len(content):
        raise ValueError(f"it claims {max(rows)} rows, and has {len(content)} bytes")
    sizes = [int(match[1]) for match in ARRAY_SIZE.finditer(content)]
    if sizes and max(sizes) > MAX_ARRAY_SIZE:
        raise ValueError(f"it claims arrays of {max(sizes)} values; expected at most {MAX_ARRAY_SIZE}")
