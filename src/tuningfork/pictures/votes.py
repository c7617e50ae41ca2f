"""Pictures with the votes of people, as a part of a training set."""

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tuningfork.core.checksums import row_checksums
from tuningfork.core.decision_tree import vote_columns
from tuningfork.core.errors import InputError
from tuningfork.core.files import new_array, require_writable
from tuningfork.core.running.progress import track
from tuningfork.core.tables import write_table
from tuningfork.pictures.added_bars import SMOOTH, BarredCopies
from tuningfork.pictures.measure import PICTURES_IN_MEMORY, store_of
from tuningfork.pictures.read import Reading, read_picture
from tuningfork.stamps.store import CHECKSUM_COLUMN
from tuningfork.surveys.lists.files import open_table
from tuningfork.surveys.lists.labels.placed import whole_table
from tuningfork.surveys.lists.labels.votes import MAX_VOTE_ROWS
from tuningfork.training.labels.matched import split_of

PICTURE_BAND = "r"
"""Name of the one band of pictures: that of the networks that come with the package."""
FILE_COLUMN = "file"
MOST_VOTES = 1e9
"""Largest number of votes that is taken for one."""


def write_picture_votes(
    folder: Path, votes: Path, output: Path, stretch: float | None, bars: int = 0
) -> tuple[int, int, int]:
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
    stretch : float or None
        Q of the pictures' arcsinh stretch; None: what such pictures usually have.
    bars : int
        Copies with a simulated bar of each galaxy that most people call smooth; see
        :mod:`tuningfork.pictures.added_bars`.

    Returns
    -------
    used, given, copies : int
        Pictures that were written, rows of the table, and copies with bars.

    Raises
    ------
    InputError
        The table cannot be read or lacks columns, no picture shows a galaxy, or there are to be copies and no galaxy is
        smooth.
    """
    table = _read(votes)
    for path in (output, output.with_suffix(".npy")):
        require_writable(path)
    output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=output.parent) as spool:
        stamps, rows, reasons = _stamps(folder, table[FILE_COLUMN].to_list(), stretch, Path(spool) / "stamps")
        if rows is None:
            commonest = pd.Series(reasons).value_counts().index[0]
            raise InputError(f"{folder}: none of {len(table)} pictures of {votes} can be used: {commonest}")
        copies = _write(stamps, rows, table[[not reason for reason in reasons]], output, bars)
        return len(stamps), len(table), copies


def _stamps(
    folder: Path, names: list[str], stretch: float | None, spool: Path
) -> tuple[np.ndarray, pa.Table | None, list[str]]:
    """Read pictures, a bounded number at a time.

    Parameters
    ----------
    folder : Path
    names : list of str
    stretch : float or None
    spool : Path
        File that holds the stamps meanwhile.

    Returns
    -------
    stamps : ndarray
        (N, 2, 1, S, S), memory-mapped, of the pictures that show a galaxy.
    rows : pyarrow.Table or None
        The imaging of these stamps and their checksums; None without any.
    reasons : list of str
        Of every picture why it is not used; empty if it is.
    """
    tables, reasons = [], []
    with spool.open("wb") as file:
        for first in track(range(0, len(names), PICTURES_IN_MEMORY), "pictures", -(-len(names) // PICTURES_IN_MEMORY)):
            readings = [read_picture(folder / name, stretch) for name in names[first : first + PICTURES_IN_MEMORY]]
            reasons += [_reason(reading) for reading in readings]
            seen = [reading for reading in readings if not _reason(reading)]
            if seen:
                rows, pixels = store_of(seen, PICTURE_BAND)
                tables.append(rows.append_column(CHECKSUM_COLUMN, pa.array(row_checksums(pixels))))
                file.write(pixels.tobytes())
    if not tables:
        return np.empty(0), None, reasons
    whole = pa.concat_tables(tables)
    return np.memmap(spool, pixels.dtype, "r", shape=(len(whole), *pixels.shape[1:])), whole, reasons


def _reason(reading: Reading) -> str:
    if reading.stamp is not None and np.isfinite(reading.stamp.r90):
        return ""
    return reading.reason or "no galaxy is seen"


def _read(votes: Path) -> pd.DataFrame:
    file = open_table(votes, str(votes), suits=lambda columns: FILE_COLUMN in columns)
    known = [name for name in vote_columns() if name in file.columns]
    if FILE_COLUMN not in file.columns or not known:
        raise InputError(
            f"{votes}: columns {', '.join(file.columns)}; needed are {FILE_COLUMN} and at least one of "
            f"{', '.join(vote_columns())}"
        )
    table = whole_table(file, [FILE_COLUMN, *known], [FILE_COLUMN], str(votes), MAX_VOTE_ROWS)
    if table.empty:
        raise InputError(f"{votes}: no rows; expected one for each picture")
    counts = table[known].apply(pd.to_numeric, errors="coerce").astype(float)
    wrong = (counts.isna() & table[known].notna()) | (counts < 0) | (counts > MOST_VOTES)
    if wrong.to_numpy().any():
        row, column = (int(place) for place in np.argwhere(wrong.to_numpy())[0])
        value = table[known[column]].iloc[row]
        value = f"{value:g}" if isinstance(value, float) else value
        raise InputError(
            f"{votes}: row {row + 1}: {known[column]} is {value}; expected a number of votes from 0 to {MOST_VOTES:,.0f}"
        )
    outside = [name for name in table[FILE_COLUMN] if not isinstance(name, str) or Path(name).name != name]
    if outside:
        raise InputError(f"{votes}: {outside[0]!r} is not the name of a file; give names without a folder")
    twice = np.flatnonzero(table[FILE_COLUMN].duplicated())
    if len(twice):
        name = table[FILE_COLUMN].iloc[twice[0]]
        raise InputError(f"{votes}: row {twice[0] + 1}: {name} is in the table already; give one row for each picture")
    return pd.concat([table[FILE_COLUMN], counts.fillna(0.0)], axis=1)


def _write(stamps: np.ndarray, rows: pa.Table, table: pd.DataFrame, output: Path, bars: int) -> int:
    """Write the stamps and their table, followed by copies with added bars, and return how many these are."""
    values: dict[str, Any] = {
        "index": np.arange(len(table)),
        FILE_COLUMN: table[FILE_COLUMN].to_list(),
        "split": [split_of_file(name) for name in table[FILE_COLUMN]],
        "class": [""] * len(table),
        "picture": np.ones(len(table), dtype=bool),
        **{name: rows[name] for name in rows.column_names},
        **{name: pa.array(table[name].to_numpy(dtype=np.float32)) for name in vote_columns() if name in table},
    }
    copies = BarredCopies(pa.table(values), bars, PICTURE_BAND)
    if bars and not len(copies.rows):
        raise InputError(
            f"--bars {bars}: no galaxy to copy: most people call none of the {len(table)} pictures smooth ({SMOOTH}), or "
            "the PSF would hide a bar; add votes, or leave --bars out"
        )
    number, truths, checksums = len(stamps), [], []
    with new_array(output.with_suffix(".npy"), (number + len(copies.rows), *stamps.shape[1:]), stamps.dtype) as array:
        for first in range(0, number, PICTURES_IN_MEMORY):
            chunk = slice(first, min(first + PICTURES_IN_MEMORY, number))
            array[chunk] = stamps[chunk]
        for place, (stamp, truth) in enumerate(track(copies.drawn(stamps), "added bars", len(copies.rows)), number):
            array[place] = stamp
            truths.append(truth)
            checksums.append(row_checksums(stamp[None])[0])
    whole = copies.joined(truths, np.array(checksums)) if bars else copies.table
    write_table(output, whole, {}, bands=[PICTURE_BAND], reference_band=PICTURE_BAND)
    return len(copies.rows)


def split_of_file(name: str) -> str:
    """Return whether a picture is for training, validation or test (8:1:1), by its name alone."""
    return split_of(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))
