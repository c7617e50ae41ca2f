"""Right ascensions and declinations that are written in hours or degrees, minutes and seconds."""

import re

import numpy as np
import pandas as pd

HOURS, DEGREES = "h", "d"
PARTS = re.compile(
    r"\s*(?P<sign>[+−-]?)\s*(?P<whole>\d{1,3})\s*(?P<first>[:\shd°])\s*(?P<minutes>\d{1,2})\s*(?P<second>[:\sm'′])"
    r"\s*(?P<seconds>\d{1,2}(?:\.\d*)?)\s*(?:s|\"|″|'')?\s*",
    re.IGNORECASE,
)
"""Such as 00:42:44.3, 00 42 44.3, 00h42m44.3s, +41d16m09s."""
DEGREES_PER_HOUR = 15.0


def parse_sexagesimal(texts: pd.Series, unit: str) -> tuple[np.ndarray, np.ndarray]:
    """Convert texts to degrees.

    Parameters
    ----------
    texts : pandas.Series of str
        N texts.
    unit : str
        `HOURS`, `DEGREES`, or an empty text if only letters in the texts can tell.

    Returns
    -------
    degrees : ndarray
        Shape (N,); NaN where minutes or seconds are 60 or more, or the hours more than 24.
    understood : ndarray of bool
        Whether a text is of this form, and its unit is known; shape (N,).
    """
    parts = texts.astype(object).str.extract(f"^(?:{PARTS.pattern})$", flags=re.IGNORECASE)
    form = parts["whole"].notna().to_numpy()
    whole, minutes, seconds = (
        pd.to_numeric(parts[name], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        for name in ("whole", "minutes", "seconds")
    )
    letter = parts["first"].str.lower().str.strip()
    hours = (letter == "h").to_numpy(dtype=bool, na_value=False)
    degrees = letter.isin(["d", "°"]).to_numpy(dtype=bool)
    known = hours | degrees | bool(unit)
    in_hours = hours | (~degrees & (unit == HOURS))
    value = (whole + minutes / 60 + seconds / 3600) * np.where(in_hours, DEGREES_PER_HOUR, 1.0)
    value = np.where(parts["sign"].isin(["-", "−"]).to_numpy(dtype=bool), -value, value)
    impossible = (minutes >= 60) | (seconds >= 60) | (in_hours & (value >= 360)) | (np.abs(value) > 360)
    return np.where(form & ~impossible, value, np.nan), form & known
