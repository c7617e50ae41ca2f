"""Identifiers of sources: exact, and in one form, whatever programs have made of them."""

import re

import pandas as pd

from tuningfork.core.errors import InputError
from tuningfork.surveys.lists.columns import as_texts

MAX_EXACT_INTEGER = 2.0**53
"""Largest number up to which floating-point numbers hold every integer."""
ROUNDED = re.compile(r"\s*[+-]?\d(?:\.\d*)?[eE]\+\d{1,3}\s*")
"""Such as 1.23767E+18, as spreadsheets write long numbers."""
WHOLE = re.compile(r"([+-]?\d+)\.0*")
"""Such as 1.0, as programs write integers beside missing values."""


def id_texts(values: pd.Series) -> list[str | None]:
    """Convert identifiers to text: None where there is none, and no decimal point in whole numbers.

    Parameters
    ----------
    values : pandas.Series

    Returns
    -------
    list of str or None
    """
    return [match[1] if text and (match := WHOLE.fullmatch(text)) else text for text in as_texts(values)]


def require_exact_ids(values: pd.Series, what: str) -> None:
    """Check that identifiers are not numbers so large that their last digits are lost.

    Parameters
    ----------
    values : pandas.Series
        Identifiers: numbers, or text.
    what : str
        Configuration key and name of the list, for messages.

    Raises
    ------
    InputError
        If one is.
    """
    if pd.api.types.is_float_dtype(values):
        lost = values[values.abs() > MAX_EXACT_INTEGER]
        shown = f"{lost.iloc[0]:.0f}" if len(lost) else ""
    elif pd.api.types.is_numeric_dtype(values):
        return
    else:
        shown = _rounded(values)
    if shown:
        raise InputError(
            f"{what}: source_id holds floating-point numbers above 2^53 ({shown}), or numbers that a spreadsheet has "
            "rounded, whose last digits are lost; save it as integers or as text"
        )


def _rounded(values: pd.Series) -> str:
    """Return the first text that is a number with too few digits, an empty text if there is none."""
    texts = values.dropna().astype("str")
    if len(rounded := texts[texts.str.contains("+", regex=False)]):
        rounded = rounded[rounded.str.fullmatch(ROUNDED.pattern).astype(bool)]
    if len(rounded):
        return str(rounded.iloc[0]).strip()
    if len(points := texts[texts.str.contains(".", regex=False)]):
        points = points[points.str.strip().str.fullmatch(WHOLE.pattern).astype(bool)]
        points = points[pd.to_numeric(points.str.strip()).abs() > MAX_EXACT_INTEGER]
    return str(points.iloc[0]).strip() if len(points) else ""
