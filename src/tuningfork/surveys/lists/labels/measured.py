"""The user's table of measured galaxies."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from tuningfork.core.config.measurements import Measurements
from tuningfork.core.errors import InputError
from tuningfork.surveys.lists.columns import choose_columns
from tuningfork.surveys.lists.files import TableFile, open_table
from tuningfork.surveys.lists.labels import placed
from tuningfork.surveys.lists.labels.placed import Placed

MEASUREMENTS_KEY = "train.structure.measurements"
MAX_MEASURED_ROWS = 200_000
"""Rows that a table may have: it is held in memory, and so many stamps take 80 GB on disk."""
MEASUREMENT_ALIASES = placed.PLACE_ALIASES | {
    "mag": ("mag", "magnitude"),
    "r_eff": ("r_eff", "re", "r_e"),
    "sersic_n": ("sersic_n", "sersic"),
    "axis_ratio": ("axis_ratio", "q", "b/a", "ba"),
    "position_angle": ("position_angle", "pa"),
    "bulge_to_total": ("bulge_to_total", "b/t", "bt"),
}
"""Names of columns that are understood without being told, in any case of letters."""
PARAMETERS = ("mag", "r_eff", "sersic_n", "axis_ratio", "position_angle", "bulge_to_total")
PARAMETER_LIMITS: Mapping[str, tuple[float, float]] = {
    "mag": (0.0, 40.0),
    "r_eff": (1e-3, 1e3),
    "sersic_n": (0.05, 20.0),
    "axis_ratio": (0.01, 1.0),
    "position_angle": (-360.0, 360.0),
    "bulge_to_total": (0.0, 1.0),
}
"""Values of each parameter that a galaxy can have; catalogues write others, such as -99, for failed fits."""


def read_measured(settings: Measurements) -> Placed | None:
    """Return the rows of the table that the configuration names, None if it names none.

    Beside place and identifier the rows have `PARAMETERS` (mag, arcsec, deg).

    Raises
    ------
    InputError
        The table cannot be read, is too long, lacks columns, or has no row that can be used.
    """
    if settings.table is None:
        return None
    what = f"{MEASUREMENTS_KEY}.table: {settings.table}"
    file = open_table(Path(settings.table), what)
    columns = choose_columns(file.columns, settings.columns, what, MEASUREMENT_ALIASES, f"{MEASUREMENTS_KEY}.columns")
    by_position = placed.require_place(columns, file.columns, what, MEASUREMENTS_KEY)
    _require_parameters(file, columns, what)
    rows = _rows(file, columns, what)
    fault = _faults(rows, by_position)
    placed.require_usable(fault, what)
    return Placed(what, rows, fault, by_position)


def _require_parameters(file: TableFile, columns: Mapping[str, str], what: str) -> None:
    if not set(PARAMETERS) & set(columns):
        raise InputError(
            f"{what} has the columns {', '.join(file.columns)}; expected at least one of {', '.join(PARAMETERS)}; "
            f"{MEASUREMENTS_KEY}.columns can say which they are"
        )


def _rows(file: TableFile, columns: Mapping[str, str], what: str) -> pd.DataFrame:
    """Return the whole table under our names and in our units; what it does not have is NaN, or None."""
    texts = [column for name, column in columns.items() if name == "source_id"]
    whole = placed.whole_table(file, list(columns.values()), texts, what, MAX_MEASURED_ROWS)
    numbers = placed.numbers_of(whole, ("ra", "dec", *PARAMETERS), columns, file.units, what)
    return pd.DataFrame(numbers).assign(source_id=placed.identifiers_of(whole, columns))


def _faults(rows: pd.DataFrame, by_position: bool) -> np.ndarray:
    fault = np.full(len(rows), "", dtype=object)
    fault[rows[list(PARAMETERS)].isna().all(axis=1)] = "no measurement in it"
    for name, (low, high) in PARAMETER_LIMITS.items():
        fault[(rows[name] < low) | (rows[name] > high)] = f"{name} outside of {low:g} to {high:g}"
    nowhere, reason = placed.misplaced(rows, by_position)
    fault[nowhere] = reason
    return fault
