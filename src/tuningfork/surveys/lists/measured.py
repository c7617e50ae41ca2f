"""The user's table of measured galaxies."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tuningfork.core.config.measurements import Measurements
from tuningfork.core.errors import InputError
from tuningfork.sky.shards import Shard, shards_of_positions, valid_position
from tuningfork.surveys.lists.columns import as_numbers, as_texts, choose, factor, require_numbers
from tuningfork.surveys.lists.files import TableFile, open_table, readable

KEY = "train.structure.measurements"
LARGEST = 200_000
"""Rows that a table may have: it is held in memory, and so many stamps take 80 GB on disk."""
ALIASES = {
    "source_id": ("source_id", "id", "objid", "object_id"),
    "ra": ("ra", "raj2000", "ra_deg", "alpha_j2000"),
    "dec": ("dec", "dej2000", "decj2000", "dec_deg", "delta_j2000"),
    "mag": ("mag", "magnitude"),
    "r_eff": ("r_eff", "re", "r_e"),
    "sersic_n": ("sersic_n", "sersic"),
    "axis_ratio": ("axis_ratio", "q", "b/a", "ba"),
    "position_angle": ("position_angle", "pa"),
    "bulge_to_total": ("bulge_to_total", "b/t", "bt"),
}
"""Names of columns that are understood without being told, in any case of letters."""
PARAMETERS = ("mag", "r_eff", "sersic_n", "axis_ratio", "position_angle", "bulge_to_total")
LIMITS: Mapping[str, tuple[float, float]] = {
    "mag": (0.0, 40.0),
    "r_eff": (1e-3, 1e3),
    "sersic_n": (0.05, 20.0),
    "axis_ratio": (0.01, 1.0),
    "position_angle": (-360.0, 360.0),
    "bulge_to_total": (0.0, 1.0),
}
"""Values of each parameter that a galaxy can have; catalogues write others, such as -99, for failed fits."""


@dataclass(frozen=True)
class Measured:
    """Measured galaxies.

    Attributes
    ----------
    what : str
        Configuration key and path of the table, for messages.
    rows : DataFrame
        `ra`, `dec` (deg), `source_id` (text) and `PARAMETERS` (mag, arcsec, deg), NaN or None where the table does
        not say; one row for every row of the table.
    fault : ndarray of object
        Why a row cannot be used, whatever the imaging; empty text where it can. Shape (N,).
    by_position : bool
        Whether rows are matched by position; otherwise by `source_id`.
    """

    what: str
    rows: pd.DataFrame
    fault: np.ndarray
    by_position: bool

    def shards(self, order: int) -> list[Shard] | None:
        """Return the shards in which usable rows lie, in order of their number; None if only identifiers are known."""
        if not self.by_position:
            return None
        good = self.rows[self.fault == ""]
        return shards_of_positions(good["ra"].to_numpy(), good["dec"].to_numpy(), order)


def read_measured(settings: Measurements) -> Measured | None:
    """Return the rows of the table that the configuration names, None if it names none.

    Raises
    ------
    InputError
        The table cannot be read, is too long, lacks columns, or has no row that can be used.
    """
    if settings.table is None:
        return None
    what = f"{KEY}.table: {settings.table}"
    file = open_table(Path(settings.table), what)
    columns = choose(file.columns, settings.columns, what, ALIASES, f"{KEY}.columns")
    by_position = {"ra", "dec"} <= set(columns)
    _require_columns(file, columns, by_position, what)
    rows = _rows(file, columns, what)
    fault = _faults(rows, by_position)
    if not (fault == "").any():
        common = pd.Series(fault).value_counts()
        why = f"; most often: {common.index[0]}" if len(common) else ""
        raise InputError(f"{what}: none of its {len(rows)} rows can be used{why}")
    return Measured(what, rows, fault, by_position)


def _require_columns(file: TableFile, columns: Mapping[str, str], by_position: bool, what: str) -> None:
    found = f"{what} has the columns {', '.join(file.columns) or 'none'}"
    if not by_position and "source_id" not in columns:
        raise InputError(f"{found}; expected ra and dec (deg), or source_id; {KEY}.columns can say which they are")
    if not set(PARAMETERS) & set(columns):
        raise InputError(
            f"{found}; expected at least one of {', '.join(PARAMETERS)}; {KEY}.columns can say which they are"
        )


def _rows(file: TableFile, columns: Mapping[str, str], what: str) -> pd.DataFrame:
    """Return the whole table under our names and in our units; what it does not have is NaN, or None."""
    parts, number = [], 0
    texts = [column for name, column in columns.items() if name == "source_id"]
    with readable(what):
        for _, part in file.parts(list(dict.fromkeys(columns.values())), texts, lambda ranges: True):
            number += len(part)
            if number > LARGEST:
                raise InputError(
                    f"{what}: more than {LARGEST} rows; give a part of the table, a few hundred are enough"
                )
            parts.append(part)
    whole = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(columns.values()))
    rows = {}
    for name in ("ra", "dec", *PARAMETERS):
        rows[name] = np.full(number, np.nan)
        if name in columns:
            require_numbers(whole[columns[name]], name, what)
            rows[name] = as_numbers(whole[columns[name]]) * factor(name, file.units.get(columns[name]), what)
    ids = as_texts(whole[columns["source_id"]]) if "source_id" in columns else [None] * number
    return pd.DataFrame(rows).assign(source_id=pd.Series(ids, dtype=object))


def _faults(rows: pd.DataFrame, by_position: bool) -> np.ndarray:
    fault = np.full(len(rows), "", dtype=object)
    fault[rows[list(PARAMETERS)].isna().all(axis=1)] = "no measurement in it"
    for name, (low, high) in LIMITS.items():
        fault[(rows[name] < low) | (rows[name] > high)] = f"{name} outside of {low:g} to {high:g}"
    if by_position:
        fault[~valid_position(rows["ra"].to_numpy(), rows["dec"].to_numpy())] = "no possible position"
    else:
        fault[rows["source_id"].isna()] = "no source_id"
    return fault
