"""Rows of a table with the stamps of their sources, as a part of a training set."""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tuningfork.core.errors import InputError
from tuningfork.core.files import new_array, replacing
from tuningfork.core.flags import decode
from tuningfork.core.tables import numpy_column, read_table, require_same_sources, write_table
from tuningfork.networks.inputs import measurable
from tuningfork.stamps.store import StampFiles, open_store, survey_of
from tuningfork.surveys.lists.labels.placed import Placed
from tuningfork.training.labels.matching import Matches, list_sources, match

logger = logging.getLogger(__name__)

TENTHS = {8: "validation", 9: "test"}
IMAGING = ("pixel_scale", "zero_point", "psf_", "sky_noise_")
"""Beginnings of the names of the columns that describe the imaging of a stamp."""

Columns = Callable[[pd.DataFrame, pa.Table], Mapping[str, Any]]
"""From the rows that are used and the stamps' table of their sources, in one order, to columns of the part."""


@dataclass(frozen=True)
class Outputs:
    """Where a part goes.

    Attributes
    ----------
    stamps : Path
        .npy, float32 (N, 2, B, S, S): image, zero where there are no data, and inverse variance.
    table : Path
        .parquet
    rows : Path
        .csv, a line for every row of the user's table: its source, and why it is not used.
    """

    stamps: Path
    table: Path
    rows: Path


def write_matched(
    placed: Placed,
    sources: Sequence[Path],
    stamps: Sequence[Path],
    radius: float,
    columns: Columns,
    lineage: Mapping[str, str],
    outputs: Outputs,
) -> pd.DataFrame:
    """Write the stamps of the sources that rows are about, with what the rows say, and what became of every row.

    Parameters
    ----------
    placed : Placed
    sources, stamps : sequence of Path
        Tables of sources and of stamps of some shards, in the same order.
    radius : float
        Largest distance (arcsec) between a row and its source.
    columns : callable
    lineage : mapping
    outputs : Outputs

    Returns
    -------
    DataFrame
        The rows that are used.

    Raises
    ------
    InputError
        No row belongs to a source with a stamp.
    """
    listed = list_sources(sources)
    bands, reference = survey_of(stamps[0])
    stamped = _stamped(sources, stamps)
    matches = match(placed, listed, radius)
    _require_stamps(matches, stamped, reference)
    with replacing(outputs.rows) as temporary:
        _account(placed.rows, matches, listed).to_csv(temporary, index=False)
    _log(matches, placed.what, outputs.rows)
    used = matches.used
    with new_array(outputs.stamps, (len(used), *_shape(stamps[0], bands, reference)), np.float32) as array:
        _copy_stamps(stamps, matches.source[used], bands, reference, array)
    rows, facts = placed.rows.iloc[used], stamped.take(matches.source[used])
    ids = facts["source_id"].to_pylist()
    values: dict[str, Any] = {
        "index": np.arange(len(rows)),
        "source_id": facts["source_id"],
        "split": [split_of(value) for value in ids],
        "class": [""] * len(rows),
        **columns(rows, facts),
        **{name: facts[name] for name in facts.column_names if name.startswith(IMAGING)},
    }
    write_table(outputs.table, pa.table(values), lineage, bands=bands, reference_band=reference)
    return rows


def split_of(source_id: int) -> str:
    """Return to which of train, validation and test (8:1:1) a source belongs, whatever else is in the table."""
    digest = hashlib.sha256(str(source_id).encode()).digest()
    return TENTHS.get(int.from_bytes(digest[:8], "big") % 10, "train")


def _stamped(sources: Sequence[Path], stamps: Sequence[Path]) -> pa.Table:
    """Return the stamps' tables of all shards, one after the other, after a check that they are of these sources."""
    tables = [read_table(path) for path in stamps]
    for source, table, path in zip(sources, tables, stamps, strict=True):
        require_same_sources(read_table(source, ["source_id"]), table, path)
    return pa.concat_tables(tables)


def _require_stamps(matches: Matches, stamped: pa.Table, reference: str) -> None:
    """Leave out the rows whose source has no stamp that a network can read."""
    good, flags = measurable(stamped, reference), numpy_column(stamped, "flags")
    for row in matches.used:
        source = matches.source[row]
        if not good[source]:
            names = ", ".join(decode(flags[source])) or f"no noise or PSF in {reference}"
            matches.reason[row] = f"no usable stamp ({names})"


def _account(rows: pd.DataFrame, matches: Matches, listed: pd.DataFrame) -> pd.DataFrame:
    """Return one line for every row of the user's table."""
    found = np.flatnonzero(matches.source >= 0)
    account = pd.DataFrame({
        "row": np.arange(len(rows)) + 1, "ra": rows["ra"], "dec": rows["dec"], "given_id": rows["source_id"],
        "separation": matches.separation, "used": matches.reason == "", "reason": matches.reason,
    })  # fmt: skip
    ids = listed["source_id"].astype("Int64").iloc[matches.source[found]]
    account.loc[found, "source_id"] = ids.to_numpy(dtype=object)
    account.loc[found, "shard"] = listed["shard"].to_numpy()[matches.source[found]]
    account["split"] = [
        split_of(int(value)) if used else "" for value, used in zip(account["source_id"], account["used"], strict=True)
    ]
    return account


def _log(matches: Matches, what: str, rows: Path) -> None:
    reasons = pd.Series(matches.reason[matches.reason != ""]).value_counts()
    counts = "; ".join(f"{number} {reason}" for reason, number in reasons.items())
    if not (matches.reason == "").any():
        raise InputError(f"{what}: none of its {len(matches.reason)} rows can be used: {counts}")
    logger.info("%s: %d of %d rows are used", what, int((matches.reason == "").sum()), len(matches.reason))
    if counts:
        logger.warning("%s: not used: %s; %s names them", what, counts, rows)


def _shape(table: Path, bands: Sequence[str], reference: str) -> tuple[int, ...]:
    return tuple(open_store(StampFiles.beside(table), bands, reference)[1].shape[1:])


def _copy_stamps(
    stamps: Sequence[Path], chosen: np.ndarray, bands: Sequence[str], reference: str, array: np.ndarray
) -> None:
    """Copy the stamps of the sources `chosen` (places in all shards together, ascending), one in memory at a time."""
    first, place = 0, 0
    for path in stamps:
        table, pixels = open_store(StampFiles.beside(path), bands, reference)
        for source in chosen[(chosen >= first) & (chosen < first + table.num_rows)]:
            array[place] = pixels[source - first]
            # Networks take a pixel of a training set that is zero for one without data.
            array[place, 0][array[place, 1] <= 0] = 0
            place += 1
        first += table.num_rows
