"""Truth, answers and raw measurements of the galaxies of one split of a training set.

The calibrations use the validation galaxies, the evaluation uses the test galaxies, and both call these functions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from tuningfork.core.decision_tree import questions, vote_columns
from tuningfork.core.records import take
from tuningfork.core.running.progress import track
from tuningfork.core.tables import read_table
from tuningfork.infer.answers import MorphologyAnswers, StructureAnswers
from tuningfork.infer.tables import HELD_OUT_SPLITS, read_morphology, read_structure
from tuningfork.stamps.store import StampFiles, open_store

STAMPS_CHUNK = 256
"""Number of galaxies whose stamps are in memory at once."""


@dataclass(frozen=True)
class HeldOutAnswers:
    """The files with the answers of the morphology networks about held-out galaxies.

    Attributes
    ----------
    table : Path
        Parquet.
    masks : Path
        .npy of the bar masks.
    """

    table: Path
    masks: Path


def held_out_rows(tables: Sequence[Path]) -> pa.Table:
    """Return the rows of all validation and test galaxies, in the order of the networks' answers.

    Parameters
    ----------
    tables : sequence of Path
        Tables of the parts of a training set.

    Returns
    -------
    pyarrow.Table
        Truth, votes and imaging.
    """
    parts = [read_table(path) for path in tables]
    return pa.concat_tables(
        [part.filter(pa.array(np.isin(part["split"].to_numpy(), HELD_OUT_SPLITS))) for part in parts],
        promote_options="default",
    )


def rows_of_split(rows: pa.Table, split: str) -> np.ndarray:
    """Return the row numbers of a split, in ascending order.

    Parameters
    ----------
    rows : pyarrow.Table
    split : str
        validation or test.

    Returns
    -------
    ndarray
        int (n,).
    """
    return np.flatnonzero(rows["split"].to_numpy() == split)


def morphology_of_split(
    tables: Sequence[Path], answers: HeldOutAnswers, split: str
) -> tuple[pa.Table, MorphologyAnswers]:
    """Return the truth of the galaxies of a split and the morphology networks' answers about them.

    Parameters
    ----------
    tables : sequence of Path
        Tables of the parts of a training set.
    answers : HeldOutAnswers
    split : str
        validation or test.

    Returns
    -------
    rows : pyarrow.Table
    answers : MorphologyAnswers

    Raises
    ------
    InputError
        The answers are about other galaxies.
    """
    rows = held_out_rows(tables)
    everything = read_morphology(answers.table, answers.masks, rows["index"], "index")
    chosen = rows_of_split(rows, split)
    return rows.take(chosen), take(everything, chosen)


def structure_of_split(tables: Sequence[Path], answers: Path, split: str) -> tuple[pa.Table, StructureAnswers]:
    """Return the truth of the galaxies of a split and the structure networks' answers about them.

    Parameters
    ----------
    tables : sequence of Path
        Tables of the parts of a training set.
    answers : Path
        Parquet file of the answers.
    split : str
        validation or test.

    Returns
    -------
    rows : pyarrow.Table
    answers : StructureAnswers

    Raises
    ------
    InputError
        The answers are about other galaxies.
    """
    rows = held_out_rows(tables)
    everything, chosen = read_structure(answers, rows["index"], "index"), rows_of_split(rows, split)
    return rows.take(chosen), everything.rows(chosen)


def first_of(rows: pa.Table, number: int, barred: bool = False) -> np.ndarray:
    """Return which galaxies are among the first ones in the order of their index.

    Parameters
    ----------
    rows : pyarrow.Table
        N rows of a training set.
    number : int
        Largest number of galaxies.
    barred : bool
        Whether only galaxies with a bar count.

    Returns
    -------
    ndarray
        (N,) bool.
    """
    index = rows["index"].to_numpy()
    eligible = np.isfinite(rows["bar_length"].to_numpy()) if barred else np.ones(len(index), dtype=bool)
    order = np.argsort(index, kind="stable")
    chosen = np.zeros(len(index), dtype=bool)
    chosen[order[eligible[order]][:number]] = True
    return chosen


def chosen_stamps(
    training: Sequence[StampFiles], chosen: set[int], bands: Sequence[str], reference_band: str
) -> Iterator[tuple[pa.Table, np.ndarray]]:
    """Yield the rows and stamps of chosen galaxies, a bounded number at a time.

    Parameters
    ----------
    training : sequence of StampFiles
        Parts of a training set.
    chosen : set of int
        Values of `index` of the chosen galaxies.
    bands : sequence of str
        Bands that are read.
    reference_band : str

    Yields
    ------
    rows : pyarrow.Table
    stamps : ndarray
        (n, 2, B, S, S)
    """
    wanted = np.array(sorted(chosen), dtype=np.int64)
    for part in track(training, "parts of the training set", len(training)):
        table, pixels = open_store(part, bands, reference_band)
        kept = np.flatnonzero(np.isin(table["index"].to_numpy(), wanted))
        for first in range(0, len(kept), STAMPS_CHUNK):
            rows = kept[first : first + STAMPS_CHUNK]
            yield table.take(rows), pixels[rows]


def mean_fractions(tables: Sequence[Path]) -> dict[str, np.ndarray]:
    """Return the mean vote fractions of each question over the training galaxies: the null baseline.

    Parameters
    ----------
    tables : sequence of Path
        Tables of the parts of a training set.

    Returns
    -------
    dict
        Question -> (answers,); equal fractions for a question without votes.
    """
    seen = pd.concat([read_table(path, ["split", *vote_columns()]).to_pandas() for path in tables])
    votes = seen.loc[seen["split"] == "train", vote_columns()].to_numpy(dtype=float)
    result = {}
    for entry in questions():
        cast = votes[:, entry.slice]
        asked = cast[cast.sum(axis=1) > 0]
        equal = np.full(cast.shape[1], 1 / cast.shape[1])
        result[entry.name] = (asked / asked.sum(axis=1, keepdims=True)).mean(axis=0) if len(asked) else equal
    return result
