"""The user's own table of sources."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tuningfork.core.config.sources import TableCatalogue
from tuningfork.core.errors import InputError
from tuningfork.sky.shards import Shard, pixels, shards_of_positions, valid_position
from tuningfork.sky.surroundings import Surroundings
from tuningfork.surveys.lists.columns import (
    COLUMN_ALIASES,
    NUMBER_COLUMNS,
    TEXT_COLUMNS,
    as_texts,
    choose_columns,
    numbers,
    same_name,
)
from tuningfork.surveys.lists.files import open_table, readable
from tuningfork.surveys.lists.formats.base import Ranges
from tuningfork.surveys.lists.identifiers import WHOLE, id_texts, require_exact_ids
from tuningfork.surveys.lists.missing import MARKED
from tuningfork.surveys.lists.sources.rows import INTEGER_TEXT, MAX_SOURCE_ID, sources_of
from tuningfork.surveys.lists.units import Units, unit_factor

WantedRanges = Callable[[Ranges], bool]
"""Our name -> smallest and largest value in a part of a table -> whether the part is needed."""


def every_part(ranges: Ranges) -> bool:
    """Accept every part of a table."""
    return True


class UserTable:
    """A table of sources in a file, read in parts.

    Rows without a valid position belong to the shard of the first row that has one.

    Parameters
    ----------
    catalogue : TableCatalogue

    Raises
    ------
    InputError
        If the file cannot be read, or a configured column does not exist.
    """

    def __init__(self, catalogue: TableCatalogue) -> None:
        path = Path(catalogue.path)
        self.what = f"sources.catalogue.path: {path}"
        wanted = {name: catalogue.columns.get(name, "") for name in ("ra", "dec", "file")}

        def suits(columns: Sequence[str]) -> bool:
            found = {n for n, c in wanted.items() if any(same_name(columns, a) for a in (c, *COLUMN_ALIASES[n]) if a)}
            return {"ra", "dec"} <= found or "file" in found

        self._file = open_table(path, self.what, catalogue.extension, suits)
        self.available: Sequence[str] = self._file.columns
        self.columns = choose_columns(self.available, catalogue.columns, self.what)
        self._texts = False
        self._units = Units("sources.catalogue.units", catalogue.units, self._file.units, self._file.systems)
        self._factors = {name: unit_factor(name, self.columns[name], self._units, self.what) for name in self._numbers}

    @property
    def _numbers(self) -> list[str]:
        return [name for name in NUMBER_COLUMNS if name in self.columns]

    def check(self) -> None:
        """Check that the table has rows, that columns of numbers hold numbers, and that identifiers are exact.

        Of formats that know the types of their columns only the first part is read, if they are those of numbers.

        Raises
        ------
        InputError
            If one holds text; the message names the row.
        """
        rows = 0
        for frame in self.frames([name for name in self.columns if name != "name"]):
            rows += len(frame)
            if "source_id" in frame:
                require_exact_ids(frame["source_id"], self.what)
            if self._file.typed and rows and not self._texts:
                break
        if not rows:
            raise InputError(f"{self.what}: has no rows; expected one for each source")

    def frames(self, names: Sequence[str], wanted: WantedRanges = every_part) -> Iterator[pd.DataFrame]:
        """Yield parts of the table, under our names and in our units.

        Parameters
        ----------
        names : sequence of str
            Our names; those that the table does not have are left out.
        wanted : callable
            Our name -> smallest and largest value in a part -> whether the part is needed.

        Yields
        ------
        pandas.DataFrame
            The index is the number of the row.
        """
        columns = {name: self.columns[name] for name in names if name in self.columns}
        if not columns:
            return
        texts = [column for name, column in columns.items() if name in TEXT_COLUMNS]

        def wanted_here(ranges: Ranges) -> bool:
            return wanted({name: self._in_our_unit(name, ranges[c]) for name, c in columns.items() if c in ranges})

        with readable(self.what):
            for first, part in self._file.parts(list(dict.fromkeys(columns.values())), texts, wanted_here):
                values: dict[str, Any] = {}
                for name, column in columns.items():
                    if name in NUMBER_COLUMNS:
                        values[name], marked = numbers(part[column], name, column, self._units, self.what, first)
                        values |= {f"{MARKED}{name}": marked} if marked.any() else {}
                        self._texts |= not pd.api.types.is_numeric_dtype(part[column].dtype)
                    else:
                        values[name] = part[column].array
                yield pd.DataFrame(values, index=pd.RangeIndex(first, first + len(part)))

    def _in_our_unit(self, name: str, ends: tuple[Any, Any]) -> tuple[Any, Any]:
        if self._factors.get(name, 1) == 1 or not all(map(_is_number, ends)):
            return ends
        return ends[0] * self._factors[name], ends[1] * self._factors[name]

    def whole(self) -> pd.DataFrame:
        """Return all rows and recognised columns, for tables that are no longer than a list of images.

        Returns
        -------
        pandas.DataFrame
            The index is the number of the row.
        """
        parts = list(self.frames(list(self.columns)))
        return pd.concat(parts) if parts else pd.DataFrame(columns=list(self.columns))

    def more(self, wanted: Sequence[str], texts: Sequence[str]) -> pd.DataFrame:
        """Return columns that have no place among ours, all rows.

        Parameters
        ----------
        wanted, texts : sequence of str
            Names of columns, whether in capitals or not; numbers come in our units.

        Returns
        -------
        pandas.DataFrame
            The columns under these names; numbers are NaN and texts None where they are missing.

        Raises
        ------
        InputError
            If a row of a column of numbers holds text, or the column has a unit of another kind.
        """
        known = {name: [name] for name in [*wanted, *texts]}
        columns = choose_columns(self.available, {}, self.what, known)
        with readable(self.what):
            parts = [
                part for _, part in self._file.parts(list(columns.values()), [columns[t] for t in texts], every_part)
            ]
        whole = pd.concat(parts) if parts else pd.DataFrame(columns=list(columns.values()))
        values: dict[str, Any] = {
            name: numbers(whole[columns[name]], name, columns[name], self._units, self.what)[0] for name in wanted
        }
        return pd.DataFrame(values | {name: as_texts(whole[columns[name]]) for name in texts})

    def shards(self, order: int) -> list[Shard]:
        """Return the shards that contain sources, in order of pixel number; at least one."""
        shards: set[Shard] = set()
        for frame in self.frames(["ra", "dec"]):
            shards.update(shards_of_positions(frame["ra"].to_numpy(), frame["dec"].to_numpy(), order))
        return sorted(shards) or [Shard(order, 0)]

    def home(self, order: int) -> Shard:
        """Return the shard of the rows without a position."""
        for frame in self.frames(["ra", "dec"]):
            shard = home_of(frame["ra"].to_numpy(), frame["dec"].to_numpy(), order)
            if shard is not None:
                return shard
        return Shard(order, 0)

    def sources(self, shard: Shard) -> pa.Table:
        """Return the rows of a shard.

        Parameters
        ----------
        shard : Shard

        Returns
        -------
        pyarrow.Table
            Table of the stage `sources`.
        """
        home = self.home(shard.order) == shard
        parts = []
        wanted = every_part if home else may_hold(Surroundings.around(shard))
        for frame in self.frames([name for name in self.columns if name != "file"], wanted):
            ra, dec = frame["ra"].to_numpy(), frame["dec"].to_numpy()
            chosen = shard.contains(ra, dec)
            chosen |= home & ~valid_position(ra, dec)
            if chosen.any():
                parts.append(frame[chosen])
        rows = pd.concat(parts) if parts else pd.DataFrame(columns=list(self.columns))
        return sources_of(rows, *self.identify(rows))

    def identify(self, rows: pd.DataFrame) -> tuple[np.ndarray, list[str | None], np.ndarray]:
        """Return the identifiers and names of rows.

        If the identifiers of the table are not integers, they become names, and the row numbers replace them.

        Parameters
        ----------
        rows : pandas.DataFrame
            N rows of the table, from :meth:`frames`.

        Returns
        -------
        ids : ndarray of int64
            Shape (N,).
        names : list of str or None
            Length N.
        twice : ndarray of bool
            Whether another row of the table has the same identifier, shape (N,).
        """
        names: list[str | None] = as_texts(rows["name"]) if "name" in rows else [None] * len(rows)
        numbers = rows.index.to_numpy(dtype=np.int64)
        if "source_id" not in self.columns or not len(rows):
            return numbers, names, np.zeros(len(rows), dtype=bool)
        keys, _ = _keys(rows["source_id"])
        counts = pd.Series(0, index=pd.Index(keys.dropna().unique()))
        integers = True
        for frame in self.frames(["source_id"]):
            require_exact_ids(frame["source_id"], self.what)
            keys_of_part, all_integers = _keys(frame["source_id"])
            integers &= all_integers
            counts = counts.add(keys_of_part[keys_of_part.isin(counts.index)].value_counts(), fill_value=0)
        twice = keys.map(counts).fillna(0).to_numpy(dtype=float) > 1
        if integers:
            return keys.astype(np.int64).to_numpy(), names, twice
        texts = id_texts(rows["source_id"])
        return numbers, [text or name for text, name in zip(texts, names, strict=True)], twice


def _keys(ids: pd.Series) -> tuple[pd.Series, bool]:
    """Return identifiers in a form that can be compared, and whether all of them are 64-bit integers."""
    if pd.api.types.is_integer_dtype(ids):
        return ids, not ids.isna().any() and (len(ids) == 0 or int(ids.max()) <= MAX_SOURCE_ID)
    if pd.api.types.is_float_dtype(ids):
        return pd.Series(as_texts(ids), index=ids.index, dtype="str"), False
    texts = ids.astype("str").str.strip().mask(ids.isna())
    texts = texts.mask(texts == "")
    if texts.str.contains(".", regex=False).any():
        texts = texts.str.replace(f"^{WHOLE.pattern}$", r"\1", regex=True)
    integers = texts.str.fullmatch(INTEGER_TEXT.pattern).fillna(False).astype(bool)
    texts = texts.mask(integers, texts.str.replace(r"^\+?0+(?=\d)", "", regex=True))
    return texts, bool(integers.all()) and bool((texts.str.lstrip("+-").str.zfill(19) <= str(MAX_SOURCE_ID)).all())


def home_of(ra: np.ndarray, dec: np.ndarray, order: int) -> Shard | None:
    """Return the shard of the first valid position.

    Parameters
    ----------
    ra, dec : ndarray
        Positions (deg), shape (N,).
    order : int
        HEALPix order of the shard.

    Returns
    -------
    Shard or None
        None if there is no valid position.
    """
    good = np.flatnonzero(valid_position(ra, dec))
    return Shard(order, int(pixels(ra[good[:1]], dec[good[:1]], order)[0])) if len(good) else None


def may_hold(box: Surroundings) -> WantedRanges:
    """Return a function that tells from ranges of positions (deg) whether any may lie in the box."""

    def wanted(ranges: Mapping[str, tuple[Any, Any]]) -> bool:
        if _apart(ranges.get("dec"), box.dec_min, box.dec_max):
            return False
        # Negative right ascensions, and boxes across zero, would have to be unwrapped; such parts are read instead.
        low, high = ranges.get("ra", (-1.0, -1.0))
        plain = _is_number(low) and low >= 0 and high <= 360 and not box.wraps and box.half < 180
        return not (plain and _apart((low, high), box.ra - box.half, box.ra + box.half))

    return wanted


def _is_number(value: Any) -> bool:
    return isinstance(value, Real)


def _apart(ends: tuple[Any, Any] | None, low: float, high: float) -> bool:
    # If the limits are not numbers, the part is read.
    return ends is not None and _is_number(ends[0]) and bool(ends[1] < low or ends[0] > high)
