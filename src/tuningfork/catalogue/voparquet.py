"""Metadata that tell tools of the Virtual Observatory and astropy what the columns of a Parquet file are.

The file's metadata hold a VOTable without data (IVOA note "VOParquet" 1.0), which TOPCAT and others read, and
astropy's own header, without which a plain `astropy.table.Table.read` has no units.
"""

import io
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from astropy.io.votable import tree
from astropy.table import Column as AstropyColumn
from astropy.table import Table, meta

from tuningfork.core.columns import I8, Column, schema

HEALPIX = Column(
    "_healpix_29", I8, None, "pos.healpix", "HEALPix pixel of order 29 (NESTED); the rows are in its order", "catalogue"
)
VOTABLE_TYPES = {
    pa.int64(): "long",
    pa.int32(): "int",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.bool_(): "boolean",
}


def arrow_schema(
    columns: Sequence[Column], facts: Mapping[str, str], name: str, description: str, lengths: Mapping[str, int]
) -> pa.Schema:
    """Return the Arrow schema of a published file, with all the metadata that readers look for.

    Parameters
    ----------
    columns : sequence of Column
    facts : mapping
        Origin of the file: keys and texts, which go into the metadata and into the VOTable's INFO elements.
    name, description : str
        Name and description of the table.
    lengths : mapping
        String column -> characters of its longest text; without it, astropy cannot read a column with nulls.

    Returns
    -------
    pyarrow.Schema
    """
    lengths = {column: max(length, len("None")) for column, length in lengths.items()}
    of_strings = {f"table::len::{column}": str(length) for column, length in lengths.items()}
    metadata = {key.encode(): text.encode() for key, text in (dict(facts) | of_strings).items()} | {
        b"IVOA.VOTable-Parquet.version": b"1.0",
        b"IVOA.VOTable-Parquet.content": votable(columns, facts, name, description, lengths).encode(),
        b"table_meta_yaml": astropy_header(columns, description).encode(),
    }
    return schema(columns).with_metadata(metadata)


def astropy_header(columns: Sequence[Column], description: str) -> str:
    """Return the header that astropy keeps in the metadata of a Parquet file (`table_meta_yaml`)."""
    table = Table(
        [
            AstropyColumn(np.empty(0, _numpy_type(row)), row.name, unit=row.unit, description=row.description)
            for row in columns
        ],
        meta={"description": description},
    )
    return "\n".join(meta.get_yaml_from_table(table))


def votable(
    columns: Sequence[Column], facts: Mapping[str, str], name: str, description: str, lengths: Mapping[str, int]
) -> str:
    """Return a VOTable document with one field per column and no data.

    Texts have a fixed length, because astropy's reader `parquet.votable` cannot stack texts of variable length.

    Parameters
    ----------
    columns, facts, name, description, lengths
        See :func:`arrow_schema`.

    Returns
    -------
    str
        The XML document.
    """
    document = tree.VOTableFile(version="1.4")
    resource = tree.Resource(name=name)
    document.resources.append(resource)
    resource.coordinate_systems.append(tree.CooSys(ID="icrs", system="ICRS", config=document.config))
    resource.infos.extend(tree.Info(name=key, value=text, config=document.config) for key, text in facts.items())
    table = tree.TableElement(document, name=name, config=document.config)
    table.description = description
    resource.tables.append(table)
    table.fields.extend(_field(document, column, lengths) for column in columns)
    text = io.BytesIO()
    document.to_xml(text)
    return text.getvalue().decode()


def _field(document: tree.VOTableFile, column: Column, lengths: Mapping[str, int]) -> tree.Field:
    text = column.dtype not in VOTABLE_TYPES
    field = tree.Field(
        document,
        name=column.name,
        datatype="unicodeChar" if text else VOTABLE_TYPES[column.dtype],
        arraysize=str(lengths[column.name]) if text else None,
        unit=column.unit,
        ucd=column.ucd,
        ref="icrs" if column.name in {"ra", "dec"} else None,
        config=document.config,
    )
    field.description = column.description
    return field


def _numpy_type(column: Column) -> str | type:
    return column.dtype.to_pandas_dtype() if column.dtype in VOTABLE_TYPES else "U1"
