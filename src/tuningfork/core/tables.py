"""Parquet tables that carry where they come from, one row for every source."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tuningfork.core.errors import InputError
from tuningfork.core.files import open_array, replacing
from tuningfork.core.stage.lineage import Lineage
from tuningfork.core.stage.software import processor, versions

LINEAGE_KEY = b"tuningfork.lineage"
MARKED_KEY = b"tuningfork.missing_values"
"""Key in the metadata of a table of sources: column -> values that are null because the list has a number such as -99."""


def write_table(path: str | Path, table: pa.Table, lineage: Mapping[str, str] | None = None, **details: Any) -> None:
    """Write a table atomically, with where it comes from in the metadata of the file.

    Under `tuningfork.versions` stand the packages that decide about the numbers; under `tuningfork.processor`, if the
    program has loaded torch, what it computed on.

    Parameters
    ----------
    path : path
    table : Table
    lineage : mapping, optional
        Stage -> hash of its frozen parameters, from :meth:`tuningfork.core.stage.parameters.Parameters.lineage`.
    **details
        JSON values, each under `tuningfork.<key>`; :func:`detail_of` reads them.
    """
    facts: dict[str, Any] = {"versions": versions()}
    if "torch" in sys.modules:
        facts["processor"] = processor()
    facts |= details
    metadata = dict(table.schema.metadata or {})
    metadata[LINEAGE_KEY] = json.dumps(dict(lineage or {}), sort_keys=True).encode()
    metadata |= {f"tuningfork.{key}".encode(): json.dumps(value).encode() for key, value in facts.items()}
    with replacing(path) as temporary:
        pq.write_table(table.replace_schema_metadata(metadata), temporary, compression="zstd")


def read_table(path: str | Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the Parquet file `path`.

    Parameters
    ----------
    path : path
    columns : sequence of str, optional
        The columns to read; without it, all.

    Returns
    -------
    Table
        With the metadata of the file.

    Raises
    ------
    InputError
        The file is missing or no Parquet.
    """
    try:
        return pq.read_table(path, columns=list(columns) if columns is not None else None, partitioning=None)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: not a readable Parquet file ({error}); delete it and run again") from None


def lineage_of(*paths: str | Path) -> Lineage:
    """Return the merged lineage of Parquet files and of JSON files such as model cards, all made by stages.

    Parameters
    ----------
    *paths : path

    Returns
    -------
    Lineage
        Stage -> hash of its frozen parameters, with the file that has it.

    Raises
    ------
    InputError
        A file is missing, unreadable or without a lineage, so that nobody knows where it comes from, or two were made
        with different parameters of the same stage.
    """
    merged = Lineage()
    for path in paths:
        lineage = _lineage_in(path)
        if stage := merged.disagreement(lineage):
            raise InputError(
                f"{path} and {merged.files[stage]} were made with different parameters of the stage {stage} "
                f"({lineage[stage]}, {merged[stage]}); delete the older one and run again"
            )
        merged.add(path, lineage)
    return merged


def _lineage_in(path: str | Path) -> dict[str, str]:
    """Return the lineage that a file carries."""
    try:
        if str(path).endswith(".json"):
            lineage = json.loads(Path(path).read_text(encoding="utf-8")).get("lineage", {})
        else:
            lineage = json.loads((pq.read_schema(path).metadata or {}).get(LINEAGE_KEY, b"{}"))
        if not isinstance(lineage, dict) or not all(isinstance(digest, str) for digest in lineage.values()):
            raise ValueError("its lineage must give a text for each stage")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise InputError(
            f"{path}: neither a Parquet table nor a model card ({error}); delete it and run again"
        ) from None
    if not lineage:
        raise InputError(f"{path}: does not say by which stages it was made (no lineage); delete it and run again")
    return lineage


def detail_of(path: str | Path, key: str) -> Any:
    """Return the detail `key` that :func:`write_table` put into the metadata of `path`."""
    return json.loads((pq.read_schema(path).metadata or {})[f"tuningfork.{key}".encode()])


def require_same_sources(reference: pa.Table, other: pa.Table, path: str | Path) -> None:
    """Check that a table has the sources of another one, in the same order.

    Parameters
    ----------
    reference : Table
    other : Table
        The one that is checked.
    path : path
        Where `other` was read from.

    Raises
    ------
    InputError
        A source is missing, added or out of order, or the table has no identifiers.
    """
    require_columns(other, ["source_id"], path)
    if not reference["source_id"].equals(other["source_id"]):
        raise InputError(
            f"{path}: its {other.num_rows} sources differ from the shard's list of {reference.num_rows}, or are in another "
            "order; delete it and run again"
        )


def require_columns(table: pa.Table, names: Sequence[str], path: str | Path) -> None:
    """Check that a table has columns.

    Parameters
    ----------
    table : Table
    names : sequence of str
    path : path
        Where it was read from.

    Raises
    ------
    InputError
        A column is missing.
    """
    if lacking := [name for name in names if name not in table.column_names]:
        raise InputError(f"{path}: without the columns {', '.join(lacking)}; delete it and run again")


def numpy_column(table: pa.Table, name: str) -> np.ndarray:
    """Return a column as an array.

    Parameters
    ----------
    table : Table
    name : str
        The column.

    Returns
    -------
    ndarray
        One value a row; nulls of a floating column are NaN.
    """
    return table[name].to_numpy()


def open_rows(path: str | Path, number: int, table: str | Path) -> np.ndarray:
    """Return the .npy file that belongs to a table, memory-mapped.

    Parameters
    ----------
    path : path
        .npy, one entry of its first axis per row of the table.
    number : int
        Rows of the table.
    table : path
        For the message.

    Returns
    -------
    ndarray
        (number, ...)

    Raises
    ------
    InputError
        The file is missing, damaged or of another length.
    """
    array = open_array(path)
    if array.ndim == 0 or len(array) != number:
        raise InputError(
            f"{path}: an array of the shape {array.shape} for the {number} rows of {table}; delete both and run again"
        )
    return array
