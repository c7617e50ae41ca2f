"""The columns of a list of sources: which column is the right ascension, the magnitude, and so on."""

from collections.abc import Mapping, Sequence

import astropy.units as u
import numpy as np
import pandas as pd

from tuningfork.core.errors import InputError
from tuningfork.surveys.lists.hints import about_number
from tuningfork.surveys.lists.missing import missing_values
from tuningfork.surveys.lists.sexagesimal import DEGREES, HOURS, parse_sexagesimal
from tuningfork.surveys.lists.units import Units, parse_unit, unit_factor

COLUMN_ALIASES = {
    "source_id": ("source_id", "id", "objid", "object_id", "index"),
    "name": ("name", "iauname"),
    "ra": ("ra", "raj2000", "ra_deg", "alpha_j2000"),
    "dec": ("dec", "dej2000", "decj2000", "dec_deg", "delta_j2000"),
    "file": ("file", "filename", "image"),
    "redshift": ("redshift",),
    "mag": ("survey_mag", "mag", "magnitude"),
    "radius": ("survey_radius", "radius"),
}
"""Our name -> names of columns that are recognised without configuration, whether in capitals or not."""
NUMBER_COLUMNS = ("ra", "dec", "redshift", "mag", "radius")
TEXT_COLUMNS = ("source_id", "name", "file")
SEXAGESIMAL = ("ra", "dec")
"""Columns whose values may be in sexagesimal form."""
MISSING_TEXTS = ("", "nan", "null", "none", "--", "---", "-", "n/a", "na", "-nan", "<na>", "masked")
"""Texts, in small letters, that stand for a missing value in a column of numbers."""


def choose_columns(
    available: Sequence[str],
    mapping: Mapping[str, str],
    what: str,
    known: Mapping[str, Sequence[str]] = COLUMN_ALIASES,
    key: str = "sources.catalogue.columns",
) -> dict[str, str]:
    """Return which column of a list stands for which of ours.

    Parameters
    ----------
    available : sequence of str
        Columns of the list.
    mapping : mapping
        Our name -> column, as configured; other columns are recognised by their usual names.
    what : str
        Configuration key and name of the list, for messages.
    known : mapping
        Our name -> usual names, whether in capitals or not.
    key : str
        Configuration key of `mapping`, for messages.

    Returns
    -------
    dict
        Our name -> column, in the order of `known`.

    Raises
    ------
    InputError
        If a configured column does not exist, or two columns have the same name but for capitals.
    """
    available = list(available)
    chosen: dict[str, str] = {}
    for name, aliases in known.items():
        if name in mapping:
            found = [mapping[name]] * available.count(mapping[name]) or same_name(available, mapping[name])
            if not found:
                raise InputError(
                    f"{what} has no column {mapping[name]!r} ({key}.{name}); it has "
                    f"{', '.join(map(str, available)) or 'none'}"
                )
        else:
            found = next((matches for alias in aliases if (matches := same_name(available, alias))), [])
        if len(found) > 1:
            raise InputError(
                f"{what} has {len(found)} columns called {' and '.join(found)}, and {name} can be only one of them; "
                f"rename one, or name the other in {key}: {{{name}: COLUMN}} if their names differ"
            )
        if found:
            chosen[name] = found[0]
    return chosen


def same_name(available: Sequence[str], name: str) -> list[str]:
    """Return the columns that have a name, whether in capitals or not."""
    return [column for column in available if str(column).strip().lower() == name.lower()]


def require_position(chosen: Mapping[str, str], available: Sequence[str], what: str, or_file: bool = False) -> None:
    """Check that a list has positions or, if that is enough, names the image of each source.

    Parameters
    ----------
    chosen : mapping
        Our name -> column.
    available : sequence of str
        Columns of the list.
    what : str
        Configuration key and name of the list, for messages.
    or_file : bool
        Whether the name of an image is enough.

    Raises
    ------
    InputError
        If the list has neither.
    """
    if {"ra", "dec"} <= set(chosen) or (or_file and "file" in chosen):
        return
    raise InputError(
        f"{what} has the columns {', '.join(map(str, available)) or 'none'}; expected ra and dec (deg)"
        f"{', or file (the image of each source)' if or_file else ''}; "
        "sources.catalogue.columns can name them"
    )


def numbers(
    values: pd.Series, name: str, column: str, units: Units, what: str, first: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Convert a column to numbers in our unit.

    Parameters
    ----------
    values : pandas.Series
        N values.
    name : str
        Our name of the column.
    column : str
        Its name in the list.
    units : Units
        Units of the list.
    what : str
        Configuration key and name of the list, for messages.
    first : int
        Number of the first row, for messages.

    Returns
    -------
    values : ndarray of float64
        Shape (N,); NaN where a value is missing.
    marked : ndarray of bool
        Whether a value is missing because a number such as -99 stands for that, shape (N,).

    Raises
    ------
    InputError
        If a row holds anything else than a number, or the unit is not of the expected kind. Positions may also be in
        sexagesimal form where it is clear whether hours or degrees are meant.
    """
    factor = unit_factor(name, column, units, what)
    if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype):
        result = np.array(values.to_numpy(dtype=np.float64, na_value=np.nan))
    elif pd.api.types.is_bool_dtype(values.dtype) or values.dtype.kind in "mM":
        raise InputError(f"{what}: column {column} holds {values.dtype} values; expected numbers for {name}")
    else:
        return _of_texts(values, name, column, units, what, first)
    marked = missing_values(name, result)
    result[marked] = np.nan
    return result * factor, marked


def _of_texts(
    values: pd.Series, name: str, column: str, units: Units, what: str, first: int
) -> tuple[np.ndarray, np.ndarray]:
    texts = values.astype(object).map(str).str.strip().reset_index(drop=True)
    empty = values.isna().to_numpy() | texts.str.lower().isin(MISSING_TEXTS).to_numpy()
    result = np.array(pd.to_numeric(texts.mask(empty), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan))
    marked = missing_values(name, result)
    result[marked] = np.nan
    result *= unit_factor(name, column, units, what)
    wrong = np.isnan(result) & ~empty & ~marked
    if not wrong.any():
        return result, marked
    if name in SEXAGESIMAL:
        degrees, understood = parse_sexagesimal(texts[wrong], _sexagesimal_unit(name, column, units))
        if understood.all():
            if not (wrong | empty).all():
                row = first + int(np.flatnonzero(~wrong & ~empty)[0]) + 1
                raise InputError(
                    f"{what}: row {row}: {column} is a number, and sexagesimal in other rows; use one form"
                )
            result[wrong] = degrees
            return result, marked
        wrong[np.flatnonzero(wrong)[understood]] = False
    row = int(np.flatnonzero(wrong)[0])
    raise InputError(f"{what}: row {first + row + 1}: {column} is {texts[row]!r}; {_expected(name, texts[row], units)}")


def _sexagesimal_unit(name: str, column: str, units: Units) -> str:
    """Return whether sexagesimal texts are in hours or degrees; an empty text for right ascensions without a unit."""
    text = units.of(name, column)
    unit = parse_unit(text, name) if text.strip() else None
    if unit == u.hourangle:
        return HOURS
    # Files whose right ascensions are hours, minutes and seconds may call them degrees all the same.
    sure = name == "dec" or name in units.given or text.strip().strip('"').lower() in {"d:m:s", "dms"}
    return DEGREES if sure else ""


def _expected(name: str, text: str, units: Units) -> str:
    if name not in SEXAGESIMAL:
        return f"expected a number, or nothing{about_number(text)}"
    degrees, understood = parse_sexagesimal(pd.Series([text]), HOURS if name == "ra" else DEGREES)
    if name == "ra" and understood[0]:
        return (
            f"expected degrees ({degrees[0]:.6f} if these are hours, minutes and seconds; "
            f"{units.key}: {{ra: hourangle}} says so, and {{ra: deg}} that they are degrees, minutes and seconds)"
        )
    return f"expected degrees{about_number(text, angle=True)}"


def as_texts(values: pd.Series) -> list[str | None]:
    """Convert a column to text: None where a value is missing or empty, no decimal point in whole numbers."""
    return [None if value is None or pd.isna(value) else _text(value) for value in values]


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
    return text or None
