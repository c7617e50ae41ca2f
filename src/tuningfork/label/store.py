"""The votes of astronomers, with the stamps that they saw: labels outlive the results they were made from.

`votes.parquet` has the answers; row k of `votes.npy` is the stamp behind row k of the table. The two have the form of a
part of the training set. A copy of all stamps for each label would be slow, so `votes.npy` has spare rows at its end: a
stamp is written into the first of them, and then the table, which is replaced as a whole, counts it. A file without a
spare row is replaced by a longer one. A stamp that a row of the table counts is never written again.
"""

import contextlib
import datetime
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tuningfork.core.checksums import row_checksums
from tuningfork.core.columns import schema, stamps
from tuningfork.core.decision_tree import questions, vote_columns
from tuningfork.core.errors import InputError
from tuningfork.core.files import new_array, open_array
from tuningfork.core.stage import paths
from tuningfork.core.tables import detail_of, read_table, write_table
from tuningfork.stamps.store import CHECKSUM_COLUMN

MIN_SPARE_ROWS = 16
"""Spare rows of a new file of stamps; a longer one has as many as it has stamps. They take no space on the disk until
they are written."""


@dataclass(frozen=True)
class LabelledStamp:
    """What a labeller sees, and where it comes from.

    Attributes
    ----------
    source_id : int
    shard : str
    ra, dec : float or None
        Position (deg).
    stamp : ndarray
        float32 (2, B, S, S): image in flux units and inverse variance.
    columns : dict
        The row of the stamps table: pixel scale, zero point, PSF and noise of each band, ...
    bands : list of str
    reference_band : str
    lineage : dict
        Stage -> hash of its frozen parameters.
    """

    source_id: int
    shard: str
    ra: float | None
    dec: float | None
    stamp: np.ndarray
    columns: Mapping[str, Any]
    bands: list[str]
    reference_band: str
    lineage: Mapping[str, str]


def check_answers(given: Mapping[str, Any]) -> None:
    """Check that exactly the questions to which the answers lead are answered.

    Raises
    ------
    InputError
        A question is unknown, missing or not asked after these answers, or an answer is none of the question's.
    """
    asked = {}
    reached = set()
    for entry in questions():
        if entry.after is None or entry.after in reached:
            asked[entry.name] = entry.answers
            reached.add(f"{entry.name}_{given.get(entry.name)}")
    if set(given) != set(asked):
        raise InputError(f"answers to {sorted(map(str, given))}: these answers lead to the questions {sorted(asked)}")
    for name, answer in given.items():
        if answer not in asked[name]:
            raise InputError(f"{name}: {answer!r} is not one of {list(asked[name])}")


class VoteStore:
    """The folder `labels`.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    InputError
        Stamps are missing.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / Path(paths.VOTES).name
        self.stamps_path = folder / Path(paths.VOTES_STAMPS).name
        folder.mkdir(parents=True, exist_ok=True)
        with self._alone():
            self._check()

    def labelled(self, labeller: str) -> set[int]:
        """Return the sources that this labeller has labelled."""
        if not self.path.is_file():
            return set()
        table = read_table(self.path, ["source_id", "labeller", *vote_columns()])
        labels = table.filter(pc.equal(table["labeller"], labeller))
        return {row["source_id"] for row in labels.to_pylist() if any(row[name] for name in vote_columns())}

    def record(self, seen: LabelledStamp, labeller: str, given: Mapping[str, str]) -> None:
        """Add the answers of a labeller about a source; they replace earlier ones.

        Earlier answers about the same stamp are overwritten. If the stamp has changed since, they lose their votes, and
        their row stays with the stamp that they were about.

        Parameters
        ----------
        seen : LabelledStamp
        labeller : str
        given : mapping
            Question -> answer; see :func:`check_answers`.

        Raises
        ------
        InputError
            The answers do not follow the decision tree, or the stamp is of another kind than those in the store.
        """
        check_answers(given)
        chosen = {f"{name}_{answer}_votes" for name, answer in given.items()}
        entry = _entry(seen, labeller) | {name: int(name in chosen) for name in vote_columns()}
        with self._alone():
            table = self._table(seen)
            row = _row_of(table, seen.source_id, labeller)
            new = pa.Table.from_pylist([entry], schema=table.schema)
            if row is not None and np.array_equal(
                open_array(self.stamps_path, "restore it")[row], seen.stamp, equal_nan=True
            ):
                table = _replaced(table, row, new)
            else:
                if row is not None:
                    table = _replaced(table, row, _without_votes(table, row))
                self._append_stamp(table.num_rows, seen.stamp)
                table = pa.concat_tables([table, new])
            self._write(table, seen.bands, seen.reference_band)

    def withdraw(self, source_id: int, labeller: str) -> None:
        """Take back the answers of a labeller about a source; their row and its stamp stay, without votes."""
        with self._alone():
            if not self.path.is_file():
                return
            table = read_table(self.path)
            row = _row_of(table, source_id, labeller)
            if row is None:
                return
            table = _replaced(table, row, _without_votes(table, row))
            bands, reference_band = detail_of(self.path, "bands"), detail_of(self.path, "reference_band")
            self._write(table, bands, reference_band)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes and threads from writing in the meantime."""
        with (self.path.parent / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _table(self, seen: LabelledStamp) -> pa.Table:
        """Return the table, which must hold stamps of the same kind."""
        if not self.path.is_file():
            return _schema(seen.bands).empty_table()
        shape = open_array(self.stamps_path, "restore it").shape[1:]
        stored_kind = detail_of(self.path, "bands"), detail_of(self.path, "reference_band"), shape
        kind = seen.bands, seen.reference_band, seen.stamp.shape
        if stored_kind != kind:
            raise InputError(
                f"{self.path}: holds stamps with bands, reference band and shape {stored_kind}, not {kind}; label into "
                "another folder (--labels)"
            )
        return _with_all_columns(read_table(self.path), _schema(seen.bands))

    def _write(self, table: pa.Table, bands: list[str], reference_band: str) -> None:
        # The rows may come from several runs: each row carries its own lineage, and the table none that a later run
        # could contradict.
        write_table(self.path, table, {}, bands=bands, reference_band=reference_band)

    def _append_stamp(self, row: int, stamp: np.ndarray) -> None:
        """Write a stamp into `row`, the first that the table does not count."""
        stored = open_array(self.stamps_path, "restore it")[:row] if row else np.empty((0, *stamp.shape), np.float32)
        if not row or row >= len(open_array(self.stamps_path, "restore it")):
            with new_array(self.stamps_path, (row + max(MIN_SPARE_ROWS, row), *stamp.shape), np.float32) as longer:
                longer[:row] = stored
        data = np.ascontiguousarray(stamp, dtype=np.float32)
        array = np.lib.format.open_memmap(self.stamps_path, mode="r")
        with self.stamps_path.open("r+b") as file:
            file.seek(array.offset + row * data.nbytes)
            file.write(data.tobytes())
            file.flush()
            os.fsync(file.fileno())

    def _check(self) -> None:
        """Check that every row of the table has a stamp."""
        if not self.path.is_file():
            return
        if not self.stamps_path.is_file():
            raise InputError(f"{self.stamps_path} is missing, without which {self.path} is of no use; restore it")
        rows, stamps_stored = (
            read_table(self.path, ["source_id"]).num_rows,
            len(open_array(self.stamps_path, "restore it")),
        )
        if stamps_stored < rows:
            raise InputError(f"{self.stamps_path}: {stamps_stored} stamps for {rows} rows of {self.path}; restore both")


def _schema(bands: list[str]) -> pa.Schema:
    fields = [
        ("source_id", pa.int64()),
        ("labeller", pa.string()),
        ("time", pa.timestamp("us", tz="UTC")),
        ("split", pa.string()),
        ("shard", pa.string()),
        ("ra", pa.float64()),
        ("dec", pa.float64()),
        ("lineage", pa.string()),
        *((name, pa.int32()) for name in vote_columns()),
    ]
    return pa.schema([*(pa.field(name, kind) for name, kind in fields), *schema(stamps(bands))])


def _entry(seen: LabelledStamp, labeller: str) -> dict[str, Any]:
    """Return a row of the table but for the votes."""
    origin = {
        "source_id": seen.source_id,
        "labeller": labeller,
        "time": datetime.datetime.now(datetime.UTC),
        "split": "train",
        "shard": seen.shard,
        "ra": seen.ra,
        "dec": seen.dec,
        "lineage": json.dumps(dict(seen.lineage), sort_keys=True),
    }
    imaging = {column.name: seen.columns.get(column.name) for column in stamps(seen.bands)}
    return origin | imaging | {CHECKSUM_COLUMN: int(row_checksums(seen.stamp[None])[0])}


def _with_all_columns(table: pa.Table, target: pa.Schema) -> pa.Table:
    """Return the table in another schema; columns that an older version did not write are null."""
    for field in target:
        if field.name not in table.column_names:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table.select(target.names).cast(target)


def _row_of(table: pa.Table, source_id: int, labeller: str) -> int | None:
    """Return the latest row of a source and labeller."""
    same = pc.and_(pc.equal(table["source_id"], source_id), pc.equal(table["labeller"], labeller))
    rows = np.flatnonzero(same.to_numpy())
    return int(rows[-1]) if len(rows) else None


def _without_votes(table: pa.Table, row: int) -> pa.Table:
    """Return one row of the table with no votes."""
    entry = table.slice(row, 1).to_pylist()[0] | dict.fromkeys(vote_columns(), 0)
    return pa.Table.from_pylist([entry], schema=table.schema)


def _replaced(table: pa.Table, row: int, new: pa.Table) -> pa.Table:
    return pa.concat_tables([table.slice(0, row), new, table.slice(row + 1)])
