"""The user's table of measured galaxies."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tuningfork.core.config.measurements import Measurements
from tuningfork.core.errors import InputError
from tuningfork.surveys.lists.columns import choose_columns, same_name
from tuningfork.surveys.lists.files import open_table
from tuningfork.surveys.lists.formats.base import TableFile
from tuningfork.surveys.lists.labels import placed
from tuningfork.surveys.lists.labels.placed import Placed
from tuningfork.surveys.lists.units import Units

MEASUREMENTS_KEY = "train.structure.measurements"
"""Configuration key of the table's settings."""
MAX_MEASURED_ROWS = 200_000
"""Largest number of rows: the table is held in memory, and so many stamps take 80 GB on disk."""
MEASUREMENT_ALIASES = placed.PLACE_ALIASES | {
    "mag": ("mag", "magnitude"),
    "r_eff": ("r_eff", "re", "r_e"),
    "sersic_n": ("sersic_n", "sersic"),
    "axis_ratio": ("axis_ratio", "q", "b/a", "ba"),
    "position_angle": ("position_angle", "pa"),
    "bulge_to_total": ("bulge_to_total", "b/t", "bt"),
}
"""Our name -> names of columns that are recognised without configuration, whether in capitals or not."""
PARAMETERS = ("mag", "r_eff", "sersic_n", "axis_ratio", "position_angle", "bulge_to_total")
PARAMETER_LIMITS: Mapping[str, tuple[float, float]] = {
    "mag": (0.0, 40.0),
    "r_eff": (1e-3, 1e3),
    "sersic_n": (0.05, 20.0),
    "axis_ratio": (0.01, 1.0),
    "position_angle": (-360.0, 360.0),
    "bulge_to_total": (0.0, 1.0),
}
"""Smallest and largest plausible value of each parameter; catalogues mark failed fits with others, such as -99."""


def read_measured(settings: Measurements) -> Placed | None:
    """Read the user's table of measured galaxies.

    Besides position and identifier, its rows have the columns of `PARAMETERS` (mag, arcsec, deg).

    Raises
    ------
    InputError
        If the table cannot be read, is too long, lacks columns, or has no usable row.
    """
    if settings.table is None:
        return None
    what = f"{MEASUREMENTS_KEY}.table: {settings.table}"
    file = open_table(Path(settings.table), what, settings.extension, _suits(settings), MEASUREMENTS_KEY)
    columns = choose_columns(file.columns, settings.columns, what, MEASUREMENT_ALIASES, f"{MEASUREMENTS_KEY}.columns")
    by_position = placed.require_place(columns, file.columns, what, MEASUREMENTS_KEY)
    _require_parameters(file, columns, what)
    rows = _rows(file, columns, Units(f"{MEASUREMENTS_KEY}.units", settings.units, file.units, file.systems), what)
    fault = _faults(rows, by_position)
    placed.require_usable(fault, what)
    return Placed(what, rows, fault, by_position)


def _require_parameters(file: TableFile, columns: Mapping[str, str], what: str) -> None:
    if not set(PARAMETERS) & set(columns):
        raise InputError(
            f"{what} has the columns {', '.join(file.columns)}; expected at least one of {', '.join(PARAMETERS)}; "
            f"{MEASUREMENTS_KEY}.columns can name them"
        )


def _suits(settings: Measurements) -> Callable[[Sequence[str]], bool]:
    def suits(available: Sequence[str]) -> bool:
        return any(
            same_name(available, name)
            for ours in PARAMETERS
            for name in (*MEASUREMENT_ALIASES[ours], settings.columns.get(ours, ours))
        )

    return suits


def _rows(file: TableFile, columns: Mapping[str, str], units: Units, what: str) -> pd.DataFrame:
    """Return the whole table under our names and in our units; missing values are NaN or None."""
    texts = [column for name, column in columns.items() if name == "source_id"]
    whole = placed.whole_table(file, list(columns.values()), texts, what, MAX_MEASURED_ROWS)
    numbers = placed.numbers_of(whole, ("ra", "dec", *PARAMETERS), columns, units, what)
    return pd.DataFrame(numbers).assign(source_id=placed.identifiers_of(whole, columns, what))


def _faults(rows: pd.DataFrame, by_position: bool) -> np.ndarray:
    fault = np.full(len(rows), "", dtype=object)
    fault[rows[list(PARAMETERS)].isna().all(axis=1)] = "no measurement"
    for name, (low, high) in PARAMETER_LIMITS.items():
        fault[(rows[name] < low) | (rows[name] > high)] = f"{name} outside {low:g} to {high:g}"
    unplaced, reason = placed.misplaced(rows, by_position)
    fault[unplaced] = reason
    return fault
