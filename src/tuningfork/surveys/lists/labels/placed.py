"""Rows about galaxies that are matched to sources by position or identifier: common to measurements and votes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tuningfork.core.errors import InputError
from tuningfork.sky.shards import Shard, shards_of_positions, valid_position
from tuningfork.surveys.lists.columns import numbers
from tuningfork.surveys.lists.files import readable
from tuningfork.surveys.lists.formats.base import TableFile
from tuningfork.surveys.lists.identifiers import id_texts, require_exact_ids
from tuningfork.surveys.lists.units import Units

PLACE_ALIASES = {
    "source_id": ("source_id", "id", "objid", "object_id"),
    "ra": ("ra", "raj2000", "ra_deg", "alpha_j2000"),
    "dec": ("dec", "dej2000", "decj2000", "dec_deg", "delta_j2000"),
}
"""Our name -> names of columns that are recognised without configuration, whether in capitals or not."""


@dataclass(frozen=True)
class Placed:
    """Rows of a table about galaxies.

    Attributes
    ----------
    what : str
        Configuration key and name of the table, for messages.
    rows : DataFrame
        One row for each row of the table: `ra`, `dec` (deg, NaN if unknown), `source_id` (text or None), and the
        labels of the galaxy.
    fault : ndarray of object
        Why a row cannot be used, whatever the imaging, or empty text if it can. Shape (N,).
    by_position : bool
        Whether rows are matched by position; otherwise by `source_id`.
    """

    what: str
    rows: pd.DataFrame
    fault: np.ndarray
    by_position: bool

    def shards(self, order: int) -> list[Shard] | None:
        """Return the shards that contain usable rows, in order of pixel number; None if the table has no positions."""
        if not self.by_position:
            return None
        good = self.rows[self.fault == ""]
        return shards_of_positions(good["ra"].to_numpy(), good["dec"].to_numpy(), order)


def require_place(columns: Mapping[str, str], available: Sequence[str], what: str, key: str) -> bool:
    """Check that a table has positions or identifiers.

    Parameters
    ----------
    columns : mapping
        Our name -> column.
    available : sequence of str
        All columns of the table.
    what : str
        Configuration key and name of the table, for messages.
    key : str
        Configuration key above `columns`, for messages.

    Returns
    -------
    bool
        Whether the table has positions.

    Raises
    ------
    InputError
        If the table has neither.
    """
    by_position = {"ra", "dec"} <= set(columns)
    if not by_position and "source_id" not in columns:
        raise InputError(
            f"{what} has the columns {', '.join(available) or 'none'}; expected ra and dec (deg), or source_id; "
            f"{key}.columns can name them"
        )
    return by_position


def whole_table(file: TableFile, columns: Sequence[str], texts: Sequence[str], what: str, most: int) -> pd.DataFrame:
    """Read some columns of all rows of a table.

    Parameters
    ----------
    file : TableFile
    columns : sequence of str
        Columns to read.
    texts : sequence of str
        Those among them that may be text.
    what : str
        Configuration key and name of the table, for messages.
    most : int
        Largest number of rows.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    InputError
        If the table cannot be read, or has more than `most` rows.
    """
    parts, number = [], 0
    with readable(what):
        for _, part in file.parts(list(dict.fromkeys(columns)), texts, lambda ranges: True):
            number += len(part)
            if number > most:
                raise InputError(f"{what}: more than {most} rows; give a part of the table")
            parts.append(part)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(columns))


def numbers_of(
    whole: pd.DataFrame, names: Sequence[str], columns: Mapping[str, str], units: Units, what: str
) -> dict[str, np.ndarray]:
    """Return columns of numbers under our names and in our units.

    Parameters
    ----------
    whole : pandas.DataFrame
        Table of N rows.
    names : sequence of str
        Our names of the wanted columns.
    columns : mapping
        Our name -> column.
    units : Units
    what : str
        Configuration key and name of the table, for messages.

    Returns
    -------
    dict
        Our name -> values, shape (N,); NaN for a column that the table lacks, and for numbers that
        stand for missing values.

    Raises
    ------
    InputError
        If a row holds text, or a column has the wrong kind of unit.
    """
    rows = {}
    for name in names:
        rows[name] = np.full(len(whole), np.nan)
        if name in columns:
            rows[name], _ = numbers(whole[columns[name]], name, columns[name], units, what)
    return rows


def identifiers_of(whole: pd.DataFrame, columns: Mapping[str, str], what: str) -> pd.Series:
    """Return the identifiers of rows.

    Parameters
    ----------
    whole : pandas.DataFrame
        Table of N rows.
    columns : mapping
        Our name -> column.
    what : str
        Configuration key and name of the table, for messages.

    Returns
    -------
    pandas.Series
        Text, or None if a row has no identifier; length N.

    Raises
    ------
    InputError
        If identifiers are floating-point numbers whose last digits are lost.
    """
    if "source_id" in columns:
        require_exact_ids(whole[columns["source_id"]], what)
    ids = id_texts(whole[columns["source_id"]]) if "source_id" in columns else [None] * len(whole)
    return pd.Series(ids, dtype=object)


def misplaced(rows: pd.DataFrame, by_position: bool) -> tuple[np.ndarray, str]:
    """Return which rows cannot be matched to a source.

    Parameters
    ----------
    rows : pandas.DataFrame
        N rows with `ra` and `dec` (deg), or `source_id`.
    by_position : bool
        Whether rows are matched by position.

    Returns
    -------
    unplaced : ndarray of bool
        Shape (N,).
    reason : str
        Why these rows cannot be matched.
    """
    if by_position:
        return ~valid_position(rows["ra"].to_numpy(), rows["dec"].to_numpy()), "no valid position"
    return rows["source_id"].isna().to_numpy(), "no source_id"


def require_usable(fault: np.ndarray, what: str) -> None:
    """Check that a table has at least one usable row.

    Parameters
    ----------
    fault : ndarray of object
        Why each row cannot be used, or empty text; shape (N,).
    what : str
        Configuration key and name of the table, for messages.

    Raises
    ------
    InputError
        If it has none; the message gives the most common reason.
    """
    if not (fault == "").any():
        common = pd.Series(fault).value_counts()
        why = f"; most often: {common.index[0]}" if len(common) else ""
        raise InputError(f"{what}: none of its {len(fault)} rows can be used{why}")
