"""Pictures with the votes of people, as a part of a training set."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tuningfork.core.checksums import row_checksums
from tuningfork.core.decision_tree import vote_columns
from tuningfork.core.errors import InputError
from tuningfork.core.files import new_array
from tuningfork.core.running.progress import track
from tuningfork.core.tables import write_table
from tuningfork.pictures.measure import store_of
from tuningfork.pictures.read import Reading, read_picture
from tuningfork.stamps.store import CHECKSUM_COLUMN
from tuningfork.training.labels.matched import split_of

PICTURE_BAND = "r"
"""Name of the one band of pictures: that of the networks that come with the package."""
FILE_COLUMN = "file"


def write_picture_votes(folder: Path, votes: Path, output: Path, stretch: float) -> tuple[int, int]:
    """Read pictures as the networks see them, and write their stamps with the votes of people.

    Parameters
    ----------
    folder : Path
        Holds the pictures.
    votes : Path
        .csv with the column `file` and numbers of votes, one column per answer that was given, such as
        `smooth_or_featured_smooth_votes`; they need not be integers. Answers without a column got no votes.
    output : Path
        Table to write (.parquet); the stamps are written beside it (.npy).
    stretch : float
        Q of the pictures' arcsinh stretch.

    Returns
    -------
    used, given : int
        Pictures that were written, and rows of the table.

    Raises
    ------
    InputError
        The table cannot be read or lacks columns, or no picture shows a galaxy.
    """
    table = _read(votes)
    readings = [read_picture(folder / name, stretch) for name in track(table[FILE_COLUMN], "pictures", len(table))]
    seen = np.array([reading.stamp is not None and np.isfinite(reading.stamp.r90) for reading in readings])
    if not seen.any():
        reasons = pd.Series([reading.reason or "no galaxy is seen" for reading in readings]).value_counts()
        raise InputError(f"{folder}: none of {len(table)} pictures of {votes} can be used: {reasons.index[0]}")
    _write([readings[row] for row in np.flatnonzero(seen)], table[seen], output)
    return int(seen.sum()), len(table)


def _read(votes: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(votes, dtype={FILE_COLUMN: str})
    except (OSError, ValueError) as error:
        raise InputError(f"{votes}: not a table (.csv) that can be read ({error})") from None
    known = [name for name in vote_columns() if name in table.columns]
    if FILE_COLUMN not in table.columns or not known:
        raise InputError(
            f"{votes}: columns {', '.join(table.columns)}; needed are {FILE_COLUMN} and at least one of "
            f"{', '.join(vote_columns())}"
        )
    counts = table[known].apply(pd.to_numeric, errors="coerce").fillna(0.0)
    if (counts < 0).to_numpy().any():
        raise InputError(f"{votes}: row {int(np.flatnonzero((counts < 0).any(axis=1))[0]) + 1} has negative votes")
    outside = [name for name in table[FILE_COLUMN] if not isinstance(name, str) or Path(name).name != name]
    if outside:
        raise InputError(f"{votes}: {outside[0]!r} is not the name of a file; give names without a folder")
    return pd.concat([table[FILE_COLUMN], counts], axis=1)


def _write(readings: list[Reading], table: pd.DataFrame, output: Path) -> None:
    rows, pixels = store_of(readings, PICTURE_BAND)
    with new_array(output.with_suffix(".npy"), pixels.shape, np.float32) as array:
        array[:] = pixels
    values: dict[str, Any] = {
        "index": np.arange(len(table)),
        FILE_COLUMN: table[FILE_COLUMN].to_list(),
        "split": [split_of_file(name) for name in table[FILE_COLUMN]],
        "class": [""] * len(table),
        "picture": np.ones(len(table), dtype=bool),
        CHECKSUM_COLUMN: row_checksums(pixels),
        **{name: rows[name] for name in rows.column_names},
        **{name: pa.array(table[name].to_numpy(dtype=np.float32)) for name in vote_columns() if name in table},
    }
    write_table(output, pa.table(values), {}, bands=[PICTURE_BAND], reference_band=PICTURE_BAND)


def split_of_file(name: str) -> str:
    """Return whether a picture is for training, validation or test (8:1:1), by its name alone."""
    return split_of(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))
