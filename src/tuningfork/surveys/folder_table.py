"""The user's own table of sources, whatever its format."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from astropy.table import Table

from tuningfork.core.errors import ConfigurationError

ALIASES = {
    "source_id": ("source_id", "id", "objid", "object_id"),
    "name": ("name", "iauname"),
    "ra": ("ra", "raj2000", "ra_deg", "alpha_j2000"),
    "dec": ("dec", "dej2000", "decj2000", "dec_deg", "delta_j2000"),
    "file": ("file", "filename", "image"),
    "redshift": ("redshift",),
    "mag": ("mag", "survey_mag", "magnitude"),
    "radius": ("radius", "survey_radius"),
}
"""Names of columns that are understood, in any case of letters."""
NUMBERS = ("ra", "dec", "redshift", "mag", "radius")


def read_user_table(path: Path) -> pd.DataFrame:
    """Return the columns of a table of sources that are understood, under our names; rows as they stand.

    Raises
    ------
    ConfigurationError
        The file cannot be read, has no position and no file of any source, or text where numbers belong.
    """
    frame = _read(path)
    known = {str(name).strip().lower(): name for name in frame.columns}
    columns = {}
    for name, aliases in ALIASES.items():
        found = [known[alias] for alias in aliases if alias in known]
        if found:
            columns[name] = frame[found[0]]
    if not ({"ra", "dec"} <= set(columns) or "file" in columns):
        raise ConfigurationError(
            f"survey.folder.table: {path} has the columns {', '.join(map(str, frame.columns)) or 'none'}; "
            "expected ra and dec (deg), or file (the image of each source)"
        )
    for name in NUMBERS:
        if name in columns:
            columns[name] = _numbers(columns[name], name, path)
    return pd.DataFrame(columns).reset_index(drop=True)


def _read(path: Path) -> pd.DataFrame:
    ending = path.suffix.lower()
    try:
        if ending in {".parquet", ".pq"}:
            return pd.read_parquet(path)
        if ending in {".csv", ".txt", ".tsv"}:
            return pd.read_csv(path, comment="#", sep="\t" if ending == ".tsv" else ",", skipinitialspace=True)
        table = Table.read(path, format="votable" if ending in {".vot", ".xml", ".votable"} else "fits")
        flat = [name for name in table.colnames if table[name].ndim == 1]
        table = table[flat]
        table.convert_bytestring_to_unicode()
        return table.to_pandas()
    except FileNotFoundError:
        raise ConfigurationError(f"survey.folder.table: {path}: no such file") from None
    except (OSError, ValueError, TypeError, IndexError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise ConfigurationError(
            f"survey.folder.table: {path}: not a readable table ({reason}); expected Parquet, FITS, CSV or VOTable"
        ) from None


def _numbers(column: pd.Series, name: str, path: Path) -> pd.Series:
    values = pd.to_numeric(column, errors="coerce")
    text = column[values.isna() & column.notna()].astype(str).str.strip()
    text = text[~text.str.lower().isin(["", "nan", "null", "none", "--"])]
    if len(text) and values.notna().sum() == 0:
        unit = "degrees" if name in {"ra", "dec"} else "a number"
        raise ConfigurationError(f"survey.folder.table: {path}: column {name} holds {text.iloc[0]!r}; expected {unit}")
    return values.astype(float)


def identify(frame: pd.DataFrame) -> tuple[np.ndarray, list[str | None], np.ndarray]:
    """Return for each row an integer id, a name and whether another row has the same id.

    Ids that are no integers become names, and the number of the row takes their place.
    """
    rows = len(frame)
    names: list[str | None] = [None] * rows
    if "name" in frame:
        names = [None if pd.isna(value) else str(value) for value in frame["name"]]
    if "source_id" not in frame:
        return np.arange(rows, dtype=np.int64), names, np.zeros(rows, dtype=bool)
    ids = frame["source_id"]
    twice = np.asarray(ids.duplicated(keep=False) & ids.notna())
    if (
        pd.api.types.is_integer_dtype(ids)
        and not ids.isna().any()
        and (rows == 0 or ids.max() <= np.iinfo(np.int64).max)
    ):
        return ids.to_numpy(dtype=np.int64), names, twice
    texts = [None if pd.isna(value) else _text(value) for value in ids]
    names = [text if text is not None else name for text, name in zip(texts, names, strict=True)]
    return np.arange(rows, dtype=np.int64), names, twice


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
