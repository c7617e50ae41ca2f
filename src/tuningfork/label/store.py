"""The votes of astronomers, with the stamps that they saw: labels outlive the results they were made from.

`votes.parquet` has one row for each source and labeller; row k of `votes.npy` is its stamp. The two have the form of a
part of the training set. Stamps are appended in place, because a copy of all of them for each label would be slow;
the table, which is replaced as a whole, says how many of them count.
"""

import contextlib
import datetime
import fcntl
import io
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
from tuningfork.core.columns import schema, stamps, vote_columns
from tuningfork.core.decision_tree import questions
from tuningfork.core.errors import InputError
from tuningfork.core.files import new_array, open_array
from tuningfork.core.stage import paths
from tuningfork.core.tables import detail_of, read_table, write_table
from tuningfork.stamps.store import CHECKSUM_COLUMN


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
    led_to = set()
    for entry in questions():
        if entry.after is None or entry.after in led_to:
            asked[entry.name] = entry.answers
            led_to.add(f"{entry.name}_{given.get(entry.name)}")
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
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / Path(paths.VOTES).name
        self.stamps_path = folder / Path(paths.VOTES_STAMPS).name
        folder.mkdir(parents=True, exist_ok=True)
        with self._alone():
            self._repair()

    def labelled(self, labeller: str) -> set[int]:
        """Return the sources that this labeller has labelled."""
        if not self.path.is_file():
            return set()
        table = read_table(self.path, ["source_id", "labeller", *vote_columns()])
        own = table.filter(pc.equal(table["labeller"], labeller))
        return {row["source_id"] for row in own.to_pylist() if any(row[name] for name in vote_columns())}

    def record(self, seen: LabelledStamp, labeller: str, given: Mapping[str, str]) -> None:
        """Add the answers of a labeller about a source, in place of earlier ones.

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
        row = _row(seen, labeller) | {name: int(name in chosen) for name in vote_columns()}
        with self._alone():
            table = self._table(seen)
            place = _place(table, seen.source_id, labeller)
            self._write_stamp(table.num_rows if place is None else place, seen.stamp)
            new = pa.Table.from_pylist([row], schema=table.schema)
            self._write(_replaced(table, place, new), seen.bands, seen.reference_band)

    def withdraw(self, source_id: int, labeller: str) -> None:
        """Take back the answers of a labeller about a source; the row stays, without votes, to keep its stamp's place."""
        with self._alone():
            if not self.path.is_file():
                return
            table = read_table(self.path)
            place = _place(table, source_id, labeller)
            if place is None:
                return
            row = table.slice(place, 1).to_pylist()[0] | dict.fromkeys(vote_columns(), 0)
            new = pa.Table.from_pylist([row], schema=table.schema)
            bands, reference_band = detail_of(self.path, "bands"), detail_of(self.path, "reference_band")
            self._write(_replaced(table, place, new), bands, reference_band)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes and threads from writing meanwhile."""
        with (self.path.parent / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _table(self, seen: LabelledStamp) -> pa.Table:
        """Return the table, which must hold stamps of the same kind."""
        if not self.path.is_file():
            return _schema(seen.bands).empty_table()
        found = (
            detail_of(self.path, "bands"),
            detail_of(self.path, "reference_band"),
            open_array(self.stamps_path).shape[1:],
        )
        own = seen.bands, seen.reference_band, seen.stamp.shape
        if found != own:
            raise InputError(
                f"{self.path}: holds stamps with bands, reference band and shape {found}, not {own}; label into "
                "another folder (--labels)"
            )
        return _with_all_columns(read_table(self.path), _schema(seen.bands))

    def _write(self, table: pa.Table, bands: list[str], reference_band: str) -> None:
        # The rows may come from several runs: each row carries its own lineage, and the table none that a later run
        # could contradict.
        write_table(self.path, table, {}, bands=bands, reference_band=reference_band)

    def _write_stamp(self, row: int, stamp: np.ndarray) -> None:
        if not self.stamps_path.is_file():
            with new_array(self.stamps_path, (1, *stamp.shape), np.float32) as array:
                array[0] = stamp
        elif row < len(open_array(self.stamps_path)):
            array = np.lib.format.open_memmap(self.stamps_path, mode="r+")
            array[row] = stamp
            array.flush()
        else:
            _append(self.stamps_path, stamp)

    def _repair(self) -> None:
        """Forget the stamp of a label whose row was not written: the process was killed in between."""
        if not self.stamps_path.is_file():
            if self.path.is_file():
                raise InputError(f"{self.stamps_path} is missing, without which {self.path} is of no use; restore it")
            return
        rows = read_table(self.path, ["source_id"]).num_rows if self.path.is_file() else 0
        stored = open_array(self.stamps_path)
        if len(stored) < rows:
            raise InputError(f"{self.stamps_path}: {len(stored)} stamps for {rows} rows of {self.path}; restore both")
        if rows == 0:
            self.stamps_path.unlink()
        elif len(stored) > rows:
            _set_length(self.stamps_path, rows)


def _schema(bands: list[str]) -> pa.Schema:
    own = [
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
    return pa.schema([*(pa.field(name, kind) for name, kind in own), *schema(stamps(bands))])


def _row(seen: LabelledStamp, labeller: str) -> dict[str, Any]:
    own = {
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
    return own | imaging | {CHECKSUM_COLUMN: int(row_checksums(seen.stamp[None])[0])}


def _with_all_columns(table: pa.Table, target: pa.Schema) -> pa.Table:
    """Return the table in another schema; columns that an older version did not write are null."""
    for field in target:
        if field.name not in table.column_names:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table.select(target.names).cast(target)


def _place(table: pa.Table, source_id: int, labeller: str) -> int | None:
    """Return the row of a source and labeller."""
    same = pc.and_(pc.equal(table["source_id"], source_id), pc.equal(table["labeller"], labeller))
    place = pc.index(same, True).as_py()
    return None if place < 0 else place


def _replaced(table: pa.Table, place: int | None, row: pa.Table) -> pa.Table:
    if place is None:
        return pa.concat_tables([table, row])
    return pa.concat_tables([table.slice(0, place), row, table.slice(place + 1)])


def _append(path: Path, stamp: np.ndarray) -> None:
    """Add a row to a .npy file without a copy of the others: first the numbers, then the length."""
    array = np.lib.format.open_memmap(path, mode="r")
    rows = len(array)
    with path.open("r+b") as file:
        # A row that was not counted because of a crash is written over.
        file.seek(array.offset + rows * array[0].nbytes)
        file.write(np.ascontiguousarray(stamp, dtype=array.dtype).tobytes())
        file.flush()
        os.fsync(file.fileno())
    _set_length(path, rows + 1)


def _set_length(path: Path, rows: int) -> None:
    """Change the number of rows in the header of a .npy file; NumPy leaves room there for a growing first axis."""
    array = np.lib.format.open_memmap(path, mode="r")
    header = io.BytesIO()
    description = np.lib.format.dtype_to_descr(array.dtype)
    shape = (rows, *array.shape[1:])
    np.lib.format.write_array_header_1_0(header, {"descr": description, "fortran_order": False, "shape": shape})
    if header.tell() != array.offset:
        raise InputError(f"{path}: its header leaves no room to grow; load it and save it again with numpy.save")
    with path.open("r+b") as file:
        file.write(header.getvalue())
        file.flush()
        os.fsync(file.fileno())
