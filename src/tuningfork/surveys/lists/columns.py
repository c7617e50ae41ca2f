"""The columns of a list of sources: which column is the right ascension, the magnitude, and so on."""

from collections.abc import Mapping, Sequence

import astropy.units as u
import numpy as np
import pandas as pd

from tuningfork.core.errors import InputError

COLUMN_ALIASES = {
    "source_id": ("source_id", "id", "objid", "object_id"),
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
COLUMN_UNITS = {
    "ra": u.deg, "dec": u.deg, "radius": u.arcsec, "r_eff": u.arcsec, "position_angle": u.deg, "psf_fwhm": u.arcsec,
    "pixel_scale": u.arcsec,
}  # fmt: skip
"""Our name, or the beginning of the name of a band's column -> our unit."""


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
        If a configured column does not exist.
    """
    lower = {str(name).strip().lower(): name for name in reversed(available)}
    chosen = {}
    for name, aliases in known.items():
        if name in mapping:
            column = mapping[name] if mapping[name] in available else lower.get(mapping[name].lower())
            if column is None:
                raise InputError(
                    f"{what} has no column {mapping[name]!r} ({key}.{name}); it has "
                    f"{', '.join(map(str, available)) or 'none'}"
                )
            chosen[name] = column
        else:
            matches = [lower[alias] for alias in aliases if alias in lower]
            chosen |= {name: matches[0]} if matches else {}
    return chosen


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


def unit_factor(name: str, unit: str | None, what: str) -> float:
    """Return the factor that converts the values of a column to our unit.

    Parameters
    ----------
    name : str
        Our name of the column.
    unit : str or None
        The column's unit; None if unknown, which counts as ours.
    what : str
        Configuration key and name of the list, for messages.

    Returns
    -------
    float

    Raises
    ------
    InputError
        If the unit is not of the expected kind.
    """
    ours = COLUMN_UNITS.get(name, COLUMN_UNITS.get(name.rpartition("_")[0]))
    if not unit or ours is None:
        return 1.0
    try:
        return float(u.Unit(unit).to(ours))
    except (ValueError, TypeError, u.UnitConversionError):
        raise InputError(f"{what}: column {name} has the unit {unit!r}; expected {ours}") from None


def as_numbers(values: pd.Series) -> np.ndarray:
    """Convert a column to numbers.

    Parameters
    ----------
    values : pandas.Series
        N values.

    Returns
    -------
    ndarray of float64
        Shape (N,); NaN where a value is not a number.
    """
    return np.asarray(pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan))


def as_texts(values: pd.Series) -> list[str | None]:
    """Convert a column to text: None where a value is missing, no decimal point in whole numbers."""
    return [None if pd.isna(value) else _text(value) for value in values]


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def require_numbers(values: pd.Series, name: str, what: str, each: bool = False) -> None:
    """Check that a column of numbers does not consist of text.

    Parameters
    ----------
    values : pandas.Series
        The column.
    name : str
        Our name of the column.
    what : str
        Configuration key and name of the list, for messages.
    each : bool
        Whether every value must be a number or missing, not some of them.

    Raises
    ------
    InputError
        If it consists of text, such as hours, minutes and seconds.
    """
    missing = np.isnan(as_numbers(values))
    text = values.reset_index(drop=True)[missing & values.notna().to_numpy()].astype(str).str.strip()
    text = text[~text.str.lower().isin(["", "nan", "null", "none", "--"])]
    if each and len(text):
        raise InputError(f"{what}: row {text.index[0] + 1}: {name} is {text.iloc[0]!r}; expected a number, or nothing")
    if len(text) and missing.all():
        unit = "degrees" if name in {"ra", "dec"} else "a number"
        raise InputError(f"{what}: column {name} holds {text.iloc[0]!r}; expected {unit}")
