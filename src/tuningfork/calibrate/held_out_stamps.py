"""Rows and stamps of the galaxies that no network has learned from, and the votes on the others."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from tuningfork.core.columns import vote_columns
from tuningfork.core.decision_tree import questions
from tuningfork.core.tables import read_table
from tuningfork.networks.ensemble import Ensemble
from tuningfork.stamps.store import StampFiles, open_store

CHUNK = 256
"""Galaxies whose stamps are in memory at once."""


def chunks(training: Sequence[Path], ensemble: Ensemble) -> Iterator[tuple[pa.Table, np.ndarray]]:
    """Yield rows and stamps of the held-out galaxies, a bounded number at a time."""
    for path in training:
        table, stamps = open_store(StampFiles.beside(path), ensemble.bands, ensemble.reference_band)
        kept = np.flatnonzero(np.isin(table["split"].to_numpy(), ["validation", "test"]))
        for first in range(0, len(kept), CHUNK):
            rows = kept[first : first + CHUNK]
            yield table.take(rows), stamps[rows]


def mean_fractions(tables: Sequence[Path]) -> dict[str, np.ndarray]:
    """Return the mean vote fractions of each question over the galaxies that were learnt from: the constant predictor.

    Parameters
    ----------
    tables : sequence of Path
        Of the parts of a training set.
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
