"""Units in the metadata of Parquet files: of the fields, of astropy, and of the Virtual Observatory (VOParquet 1.0)."""

import io

import pyarrow as pa
import yaml
from astropy.io.votable import parse
from astropy.table import meta

from tuningfork.surveys.lists.formats.text_head import units_in
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
        stated.append(_of_astropy(metadata[ASTROPY_KEY].decode("utf-8", "replace")))
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


def _of_astropy(header: str) -> dict[str, str]:
    try:
        return units_in(meta.get_header_from_yaml(header.split("\n")))
    except (yaml.YAMLError, meta.YamlParseError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"its metadata {ASTROPY_KEY.decode()} cannot be read: {error}") from None


def _of_votable(document: bytes) -> dict[str, str]:
    fields = [column for table in parse(io.BytesIO(document)).iter_tables() for column in table.fields]
    return {column.name: str(column.unit) for column in fields if column.unit is not None}
