"""Conversion of the rows of a list into the table of the stage `sources`."""

import json
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from tuningfork.core.columns.table import shard_table
from tuningfork.core.flags import Flag
from tuningfork.core.tables import MARKED_KEY
from tuningfork.sky.coordinates import wrapped
from tuningfork.sky.shards import pixels, valid_position
from tuningfork.surveys.lists.columns import as_texts
from tuningfork.surveys.lists.identifiers import id_texts
from tuningfork.surveys.lists.missing import MARKED

INTEGER_TEXT = re.compile(r"[+-]?\d{1,19}")
"""Text that is used as the source_id if it does not exceed `MAX_SOURCE_ID`."""
MAX_SOURCE_ID = int(np.iinfo(np.int64).max)
POSITION_ORDER = 29
"""Order of the HEALPix pixels whose numbers identify positions."""
SOURCE_COLUMNS = {"redshift": "redshift", "survey_mag": "mag", "survey_radius": "radius"}
"""Column of the stage `sources` -> name of the column in :mod:`tuningfork.surveys.lists.columns`."""


def sources_of(
    frame: pd.DataFrame, ids: np.ndarray, names: Sequence[str | None], twice: np.ndarray, flags: np.ndarray | int = 0
) -> pa.Table:
    """Return rows of a list as a table of the stage `sources`.

    Parameters
    ----------
    frame : DataFrame
        N rows with `ra`, `dec` (deg) and, if the list has them, `redshift`, `mag`, `radius` (arcsec).
    ids : ndarray of int64
        Identifiers, shape (N,).
    names : sequence of str or None
        Names, length N.
    twice : ndarray of bool
        Whether another source of the list has the same identifier, shape (N,).
    flags : ndarray of int, optional
        Other flags, shape (N,).

    Returns
    -------
    pyarrow.Table
        In order of source_id.
    """
    order = np.argsort(ids, kind="stable")
    ra, dec = (frame[name].to_numpy(dtype=float)[order] for name in ("ra", "dec"))
    known = valid_position(ra, dec)
    bits = (
        np.broadcast_to(flags, len(ids))[order]
        | np.where(known, 0, int(Flag.NO_POSITION))
        | np.where(twice[order], int(Flag.DUPLICATE_ID), 0)
    )
    values = {
        "source_id": ids[order],
        "flags": bits,
        "ra": np.where(known, wrapped(ra), np.nan),
        "dec": np.where(known, dec, np.nan),
        "name": pa.array([names[row] for row in order], pa.string()),
    }
    marked = {}
    for column, ours in SOURCE_COLUMNS.items():
        if ours in frame:
            values[column] = frame[ours].to_numpy(dtype=float)[order]
        if MARKED + ours in frame:
            marked[column] = int((frame[MARKED + ours] == True).sum())  # noqa: E712 (parts without any have NaN)
    table = shard_table("sources", values)
    return table.replace_schema_metadata((table.schema.metadata or {}) | {MARKED_KEY: json.dumps(marked).encode()})


def ids_of_positions(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """Return identifiers for positions: the numbers of their HEALPix pixels of order 29 (0.4 mas).

    Parameters
    ----------
    ra, dec : ndarray
        Positions (deg), shape (N,).

    Returns
    -------
    ndarray of int64
        Shape (N,); negative where the position is not valid.
    """
    ids = -1 - np.arange(len(ra), dtype=np.int64)
    known = valid_position(ra, dec)
    ids[known] = pixels(ra[known], dec[known], POSITION_ORDER)
    return ids


def identified(frame: pd.DataFrame) -> pa.Table:
    """Return rows of a list as a table of the stage `sources`, if these rows alone decide the identifiers.

    A row without an identifier, or with one that is not an integer, is identified by its position; an identifier that
    is not an integer becomes its name.

    Parameters
    ----------
    frame : DataFrame
        N rows as in :func:`sources_of`, with `source_id` and `name` if the list has them.

    Returns
    -------
    pyarrow.Table
        In order of source_id.
    """
    ids = ids_of_positions(*(frame[name].to_numpy(dtype=float) for name in ("ra", "dec")))
    names = as_texts(frame["name"]) if "name" in frame else [None] * len(frame)
    if "source_id" in frame:
        texts = id_texts(frame["source_id"])
        known = [
            text is not None and INTEGER_TEXT.fullmatch(text) is not None and int(text) <= MAX_SOURCE_ID
            for text in texts
        ]
        ids = np.array(
            [int(text or 0) if good else number for text, good, number in zip(texts, known, ids, strict=True)]
        )
        names = [name or (None if good else text) for name, text, good in zip(names, texts, known, strict=True)]
    twice = pd.Series(ids, dtype=np.int64).duplicated(keep=False).to_numpy()
    return sources_of(frame, ids.astype(np.int64), names, twice)
