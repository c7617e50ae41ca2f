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

from tuningfork.core.checksums import row_checksums
from tuningfork.core.errors import InputError
from tuningfork.core.files import new_array, replacing
from tuningfork.core.flags import decode
from tuningfork.core.tables import numpy_column, read_table, require_same_sources, write_table
from tuningfork.networks.inputs import measurable
from tuningfork.stamps.store import CHECKSUM_COLUMN, StampFiles, open_store, survey_of
from tuningfork.surveys.lists.labels.placed import Placed
from tuningfork.training.labels.matching import Matches, list_sources, match

logger = logging.getLogger(__name__)

HELD_OUT_TENTHS = {8: "validation", 9: "test"}
IMAGING_PREFIXES = ("pixel_scale", "zero_point", "psf_", "sky_noise_")
"""Beginnings of the names of the columns that describe the imaging of a stamp."""

LabelColumns = Callable[[pd.DataFrame, pa.Table], Mapping[str, Any]]
"""From the rows that are used, and the stamps' table of their sources in the same order, to columns of the part."""


@dataclass(frozen=True)
class MatchedFiles:
    """Where matched rows are written.

    Attributes
    ----------
    part : StampFiles
        Table (.parquet) and stamps (.npy, float32 (N, 2, B, S, S): image, zero where there are no data, and inverse
        variance).
    rows : Path
        .csv, one line per row of the user's table: its source, and the reason if it is not used.
    """

    part: StampFiles
    rows: Path


def write_matched(
    placed: Placed,
    *,
    sources: Sequence[Path],
    stamps: Sequence[StampFiles],
    radius: float,
    columns: LabelColumns,
    lineage: Mapping[str, str],
    outputs: MatchedFiles,
) -> pd.DataFrame:
    """Write the stamps of the sources that have a row in a table, the values of these rows, and the fate of every row.

    Parameters
    ----------
    placed : Placed
    sources : sequence of Path
        Tables of the sources of some shards.
    stamps : sequence of StampFiles
        Their stamps, in the same order.
    radius : float
        Largest distance between a row and its source (arcsec).
    columns : callable
    lineage : mapping
    outputs : MatchedFiles

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
    bands, reference = survey_of(stamps[0].table)
    stamped = _stamped(sources, stamps)
    matches = match(placed, listed, radius)
    _require_stamps(matches, stamped, reference)
    with replacing(outputs.rows) as temporary:
        _account(placed.rows, matches, listed).to_csv(temporary, index=False)
    _log(matches, placed.what, outputs.rows)
    used = matches.used
    with new_array(outputs.part.pixels, (len(used), *_shape(stamps[0], bands, reference)), np.float32) as array:
        _copy_stamps(stamps, matches.source[used], bands, reference, array)
        checksums = row_checksums(array)
    rows, imaging = placed.rows.iloc[used], stamped.take(matches.source[used])
    values: dict[str, Any] = {
        "index": np.arange(len(rows)),
        "source_id": imaging["source_id"],
        "split": [split_of(value) for value in imaging["source_id"].to_pylist()],
        "class": [""] * len(rows),
        CHECKSUM_COLUMN: checksums,
        **columns(rows, imaging),
        **{name: imaging[name] for name in imaging.column_names if name.startswith(IMAGING_PREFIXES)},
    }
    write_table(outputs.part.table, pa.table(values), lineage, bands=bands, reference_band=reference)
    return rows


def split_of(source_id: int) -> str:
    """Return whether a source is for training, validation or test (8:1:1), whatever else is in the table."""
    digest = hashlib.sha256(str(source_id).encode()).digest()
    return HELD_OUT_TENTHS.get(int.from_bytes(digest[:8], "big") % 10, "train")


def _stamped(sources: Sequence[Path], stamps: Sequence[StampFiles]) -> pa.Table:
    """Return the stamps' tables of all shards, joined, after a check that they are of these sources."""
    tables = [read_table(files.table) for files in stamps]
    for source, table, files in zip(sources, tables, stamps, strict=True):
        require_same_sources(read_table(source, ["source_id"]), table, files.table)
    return pa.concat_tables(tables)


def _require_stamps(matches: Matches, stamped: pa.Table, reference: str) -> None:
    """Reject the rows whose source has no stamp that a network can read."""
    good, flags = measurable(stamped, reference), numpy_column(stamped, "flags")
    for row in matches.used:
        source = matches.source[row]
        if not good[source]:
            names = ", ".join(decode(flags[source])) or f"no noise or PSF in {reference}"
            matches.reason[row] = f"no usable stamp ({names})"


def _account(rows: pd.DataFrame, matches: Matches, listed: pd.DataFrame) -> pd.DataFrame:
    """Return one line per row of the user's table."""
    matched = np.flatnonzero(matches.source >= 0)
    account = pd.DataFrame({
        "row": np.arange(len(rows)) + 1, "ra": rows["ra"], "dec": rows["dec"], "given_id": rows["source_id"],
        "separation": matches.separation, "used": matches.reason == "", "reason": matches.reason,
    })  # fmt: skip
    ids = listed["source_id"].astype("Int64").iloc[matches.source[matched]]
    account.loc[matched, "source_id"] = ids.to_numpy(dtype=object)
    account.loc[matched, "shard"] = listed["shard"].to_numpy()[matches.source[matched]]
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
        logger.warning("%s: not used: %s; see %s for each row", what, counts, rows)


def _shape(files: StampFiles, bands: Sequence[str], reference: str) -> tuple[int, ...]:
    return tuple(open_store(files, bands, reference)[1].shape[1:])


def _copy_stamps(
    stamps: Sequence[StampFiles], chosen: np.ndarray, bands: Sequence[str], reference: str, array: np.ndarray
) -> None:
    """Copy the stamps of the sources `chosen` (ascending indices into all shards together), one at a time."""
    first, row = 0, 0
    for files in stamps:
        table, pixels = open_store(files, bands, reference)
        for source in chosen[(chosen >= first) & (chosen < first + table.num_rows)]:
            array[row] = pixels[source - first]
            # In a training set, a pixel without data is zero.
            array[row, 0][array[row, 1] <= 0] = 0
            row += 1
        first += table.num_rows
