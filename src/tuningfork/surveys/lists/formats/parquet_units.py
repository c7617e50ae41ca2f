"""Units in the metadata of Parquet files: of the fields, of astropy, and of the Virtual Observatory (VOParquet 1.0)."""

import io
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from astropy.io.votable import parse

from tuningfork.surveys.lists.formats.astropy_meta import header_of, systems_in, units_in
from tuningfork.surveys.lists.formats.votable import systems_of
from tuningfork.surveys.lists.units import same_unit

ASTROPY_KEY = b"table_meta_yaml"
VOPARQUET_KEY = b"IVOA.VOTable-Parquet.content"


def units_of(schema: pa.Schema) -> dict[str, str]:
    """Return column -> unit.

    Where two parts of the metadata contradict each other, the unit is a text that names both and is no unit.

    Raises
    ------
    ValueError
        If astropy's header or the VOTable in the metadata cannot be read.
    """
    metadata = schema.metadata or {}
    stated = [{field.name: (field.metadata or {}).get(b"unit", b"").decode("utf-8", "replace") for field in schema}]
    if ASTROPY_KEY in metadata:
        stated.append(units_in(_header(metadata)))
    if VOPARQUET_KEY in metadata:
        stated.append(_of_votable(metadata[VOPARQUET_KEY]))
    units: dict[str, str] = {}
    for source in stated:
        for name, unit in source.items():
            if not unit.strip():
                continue
            known = units.setdefault(name, unit)
            if not same_unit(known, unit):
                units[name] = f"{known} or {unit} (its metadata disagree)"
    return units


def systems_of_schema(schema: pa.Schema) -> dict[str, str]:
    """Return column, or `WHOLE_TABLE` -> coordinate system, of those that are not close to ICRS.

    Raises
    ------
    ValueError
        If astropy's header or the VOTable in the metadata cannot be read.
    """
    metadata = schema.metadata or {}
    systems: dict[str, str] = {}
    if VOPARQUET_KEY in metadata:
        document = parse(io.BytesIO(metadata[VOPARQUET_KEY]))
        known = systems_of(document)
        fields = [column for table in document.iter_tables() for column in table.fields]
        systems = {str(column.name): known[column.ref] for column in fields if column.ref in known}
    return systems | (systems_in(_header(metadata)) if ASTROPY_KEY in metadata else {})


def _header(metadata: Mapping[bytes, bytes]) -> dict[str, Any]:
    lines = metadata[ASTROPY_KEY].decode("utf-8", "replace").split("\n")
    return header_of(lines, f"its metadata {ASTROPY_KEY.decode()} cannot be read")


def _of_votable(document: bytes) -> dict[str, str]:
    fields = [column for table in parse(io.BytesIO(document)).iter_tables() for column in table.fields]
    return {column.name: str(column.unit) for column in fields if column.unit is not None}
