"""The files in which the networks' answers are stored for later stages.

Numbers keep the precision in which they were computed, so that a later stage gives the same results as if it applied
the networks itself. The feature vector, from which no later stage computes anything, is stored as float16.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tuningfork.core.checksums import row_checksums
from tuningfork.core.decision_tree import answers
from tuningfork.core.errors import InputError
from tuningfork.core.tables import detail_of, open_rows, read_table, write_table
from tuningfork.infer.answers import MorphologyAnswers, StructureAnswers
from tuningfork.networks.posterior import Gaussians
from tuningfork.stamps.store import CHECKSUM_COLUMN, StampFiles, require_checksums

HELD_OUT_SPLITS = ("validation", "test")
"""Splits of a training set from which the networks do not learn, and to which they are applied."""
ANSWER_COLUMNS = [field.name for field in fields(MorphologyAnswers) if field.name != "bar_masks"]


def write_morphology(
    path: Path, keys: Mapping[str, Any], morphology: MorphologyAnswers, lineage: Mapping[str, str], members: int
) -> None:
    """Write the answers of the morphology networks except the masks.

    Parameters
    ----------
    path : Path
        Parquet file to write.
    keys : mapping
        Columns that identify the rows, such as `source_id`.
    morphology : MorphologyAnswers
    lineage : mapping
        Stage -> token.
    members : int
        Number of networks in the ensemble.
    """
    columns = dict(keys) | {name: column_of(getattr(morphology, name)) for name in ANSWER_COLUMNS}
    columns[CHECKSUM_COLUMN] = pa.array(row_checksums(morphology.bar_masks))
    write_table(path, pa.table(columns), lineage, answers=list(answers()), members=members)


def read_morphology(path: Path, masks: Path, keys: pa.ChunkedArray, key: str = "source_id") -> MorphologyAnswers:
    """Return the answers of the morphology networks about the sources `keys`.

    Parameters
    ----------
    path : Path
        Parquet file that :func:`write_morphology` wrote.
    masks : Path
        .npy file of the bar masks, which are memory-mapped.
    keys : pyarrow.ChunkedArray
        The column `key` of the stamps that the answers must be about, in the same order.
    key : str
        Name of that column.

    Returns
    -------
    MorphologyAnswers

    Raises
    ------
    InputError
        A file is missing, damaged, about other sources, or about another decision tree.
    """
    table = _table(path, keys, key, ANSWER_COLUMNS)
    if _detail(path, "answers") != list(answers()):
        raise InputError(f"{path}: answers about another decision tree; delete it and run again")
    bar_masks = open_rows(masks, table.num_rows, path)
    require_checksums(table, bar_masks, StampFiles(path, masks))
    return MorphologyAnswers(**{name: array_of(table[name]) for name in ANSWER_COLUMNS}, bar_masks=bar_masks)


def write_structure(
    path: Path, keys: Mapping[str, Any], structure: StructureAnswers, lineage: Mapping[str, str], members: int
) -> None:
    """Write the answers of the structure networks.

    Parameters
    ----------
    path : Path
        Parquet file to write.
    keys : mapping
        Columns that identify the rows, such as `source_id`.
    structure : StructureAnswers
    lineage : mapping
        Stage -> token.
    members : int
        Number of networks in the ensemble.
    """
    mean, covariance = structure.posterior.mean, structure.posterior.covariance
    columns = {"mean": column_of(mean), "covariance": column_of(covariance.reshape(len(mean), mean.shape[1] ** 2))}
    details = {"learned": sorted(structure.learned), "limits": structure.limits, "members": members}
    write_table(path, pa.table(dict(keys) | columns), lineage, **details)


def read_structure(path: Path, keys: pa.ChunkedArray, key: str = "source_id") -> StructureAnswers:
    """Return the answers of the structure networks about the sources `keys`.

    Parameters
    ----------
    path : Path
        Parquet file that :func:`write_structure` wrote.
    keys : pyarrow.ChunkedArray
        The column `key` of the stamps that the answers must be about, in the same order.
    key : str
        Name of that column.

    Returns
    -------
    StructureAnswers

    Raises
    ------
    InputError
        The file is missing, damaged, or about other sources.
    """
    table = _table(path, keys, key, ["mean", "covariance"])
    mean, covariance = array_of(table["mean"]), array_of(table["covariance"])
    size = mean.shape[1]
    posterior = Gaussians(mean, covariance.reshape(len(mean), size, size))
    return StructureAnswers(posterior, frozenset(_detail(path, "learned")), _detail(path, "limits"))


def _table(path: Path, keys: pa.ChunkedArray, key: str, columns: Sequence[str]) -> pa.Table:
    table = read_table(path)
    lacking = [name for name in (key, *columns) if name not in table.column_names]
    if lacking:
        raise InputError(f"{path}: lacks the columns {lacking} of the networks' answers; delete it and run again")
    if not table[key].equals(keys):
        raise InputError(
            f"{path}: its {table.num_rows} rows are not about these {len(keys)} stamps; delete it and run again"
        )
    return table


def _detail(path: Path, name: str) -> Any:
    try:
        return detail_of(path, name)
    except KeyError:
        raise InputError(f"{path}: not a table of the networks' answers; delete it and run again") from None


def column_of(values: np.ndarray) -> pa.Array:
    """Return a column with one number or one vector per row.

    Parameters
    ----------
    values : ndarray
        (N,) or (N, K).

    Returns
    -------
    pyarrow.Array
    """
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


def array_of(column: pa.ChunkedArray) -> np.ndarray:
    """Return the numbers (N,) or vectors (N, K) of a column that :func:`column_of` made.

    Parameters
    ----------
    column : pyarrow.ChunkedArray

    Returns
    -------
    ndarray
    """
    if not pa.types.is_fixed_size_list(column.type):
        return column.to_numpy()
    flat = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
    values = np.concatenate(flat) if flat else np.empty(0, column.type.value_type.to_pandas_dtype())
    return values.reshape(len(column), column.type.list_size)


def key_columns(rows: pa.Table, names: Sequence[str]) -> dict[str, pa.ChunkedArray]:
    """Return the columns of a stamp store that identify its rows.

    Parameters
    ----------
    rows : pyarrow.Table
    names : sequence of str

    Returns
    -------
    dict
        Name -> column.
    """
    return {name: rows[name] for name in names}
