"""Tables of text: values separated by commas, tabs, semicolons, bars or spaces, and ECSV."""

import contextlib
import io
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import csv

from tuningfork.surveys.lists.formats import base
from tuningfork.surveys.lists.formats.base import Place, Wanted
from tuningfork.surveys.lists.formats.stream import Lines, head_of, is_packed, only_returns, unpacked
from tuningfork.surveys.lists.formats.text_head import SPACES, text_head
from tuningfork.surveys.lists.formats.whole_rows import OpenQuotes, require_full_rows

NULLS = ("", "#N/A", "N/A", "NA", "n/a", "<NA>", "NULL", "null", "None", "NaN", "nan", "-nan", "--", "---")
"""Texts that stand for missing values in any column."""
BLOCK_BYTES = 1 << 20
"""Text that is converted at a time, which fits into the processor's cache; a longer row is left to the lenient reader."""


class TextTable:
    """A table of text."""

    typed = False
    place = Place()

    def __init__(self, path: Path) -> None:
        self._path = path
        self._head = text_head(path)
        self._returns = only_returns(head_of(path))
        self.columns = [name or ("index" if number == 0 else "") for number, name in enumerate(self._head.columns)]
        self.units, self.systems = self._head.units, self._head.systems
        if self._head.fields > len(self.columns) + 1:
            raise ValueError(f"its first row has {self._head.fields} fields, and its head {len(self.columns)} columns")

    def parts(self, columns: Sequence[str], texts: Sequence[str], wanted: Wanted) -> Iterator[tuple[int, pd.DataFrame]]:
        """Yield the table in parts.

        Parameters
        ----------
        columns, texts : sequence of str
            See :meth:`TableFile.parts`.
        wanted : callable
            Not used: the format does not know ranges.

        Yields
        ------
        int, pandas.DataFrame
            See :meth:`TableFile.parts`.
        """
        masks = {name: mask for name in columns if (mask := self._head.masks.get(name)) in self.columns}
        if not masks:
            yield from self._read(columns, texts)
            return
        read = list(dict.fromkeys([*columns, *masks.values()]))
        for first, part in self._read(read, [*texts, *masks.values()]):
            yield first, part.assign(**{n: part[n].mask(part[m].eq("True")) for n, m in masks.items()})[list(columns)]

    def _read(self, columns: Sequence[str], texts: Sequence[str]) -> Iterator[tuple[int, pd.DataFrame]]:
        """Yield parts as they stand in the file."""
        first = 0
        try:
            for first, part in self._plain_parts(columns, texts):
                yield first, part
                first += len(part)
        except pa.ArrowInvalid:
            # The strict reader has met something unusual, such as signs before numbers, short rows or text among
            # numbers; the lenient one reads from there on.
            for start, part in self._any_parts(columns, texts):
                if start + len(part) > first:
                    known = max(0, first - start)
                    yield start + known, part.iloc[known:].reset_index(drop=True)

    @contextlib.contextmanager
    def _rows(self) -> Iterator[io.BufferedReader]:
        """Yield the text after the head."""
        packed = self._path.stat().st_size if is_packed(self._path) else None
        with unpacked(self._path) as file:
            head = self._head
            lines = Lines(file, packed, head.comments, self._returns)
            lines.skip(head.lines)
            lines.look = OpenQuotes(head.separator, len(self.columns), head.lines + 1).look
            source: Any = lines
            yield io.BufferedReader(source, 1 << 20)

    def _plain_parts(self, columns: Sequence[str], texts: Sequence[str]) -> Iterator[tuple[int, pd.DataFrame]]:
        """Yield parts as long as all rows have the same number of fields, and numbers are plain.

        Raises
        ------
        pyarrow.ArrowInvalid
            If a row is otherwise.
        """
        if len(self._head.separator) > 1 or not self._head.fields:
            raise pa.ArrowInvalid("no single separator")
        names = [str(number) for number in range(self._head.fields)]
        wanted = {name: str(self.columns.index(name)) for name in columns}
        if any(number not in names for number in wanted.values()):
            raise pa.ArrowInvalid("short rows")
        beyond = names[len(self.columns) :]
        types = {number: pa.string() if name in texts else pa.float64() for name, number in wanted.items()}
        convert = csv.ConvertOptions(
            column_types=types | dict.fromkeys(beyond, pa.null()),
            include_columns=[*dict.fromkeys(wanted.values()), *beyond],
            null_values=list(NULLS),
            strings_can_be_null=True,
        )
        parse = csv.ParseOptions(delimiter=self._head.separator, newlines_in_values=True)
        options = csv.ReadOptions(column_names=names, block_size=BLOCK_BYTES, use_threads=False)
        first = 0
        with self._rows() as lines:
            if not lines.peek(1):
                return
            for part in _joined(csv.open_csv(lines, options, parse, convert)):
                frame = part.select(list(wanted.values())).to_pandas().set_axis(list(columns), axis=1)
                yield first, frame
                first += len(frame)

    def _any_parts(self, columns: Sequence[str], texts: Sequence[str]) -> Iterator[tuple[int, pd.DataFrame]]:
        """Yield parts of a table of text of any kind."""
        numbers = [self.columns.index(name) for name in columns]
        first, checked = 0, self._head.separator != SPACES
        with self._rows() as lines:
            if not lines.peek(1):
                return
            with pd.read_csv(lines, **self._options(texts)) as reader:
                for part in _complete(reader):
                    self._require_fields(part, first)
                    if not checked and part[len(self.columns) - 1].isna().any():
                        with self._rows() as again:
                            require_full_rows(again, len(self.columns))
                        checked = True
                    chosen = part[numbers].reset_index(drop=True)
                    chosen.columns = pd.Index(columns)
                    yield first, chosen
                    first += len(part)

    def _options(self, texts: Sequence[str]) -> dict[str, Any]:
        # Without names that are numbers, and one column more than there are, pandas would shift rows that end in a
        # separator; with `usecols` it would not notice rows with too many fields.
        return {
            "sep": self._head.separator,
            "header": None,
            "names": range(len(self.columns) + 1),
            "index_col": False,
            "dtype": {number: object for number, name in enumerate(self.columns) if name in texts},
            "skipinitialspace": True,
            "low_memory": False,
            "chunksize": base.ROWS_PER_PART,
            "encoding": "utf-8",
            "na_values": list(NULLS),
            "keep_default_na": False,
        }

    def _require_fields(self, part: pd.DataFrame, first: int) -> None:
        """Check that what follows the last separator of each row is empty."""
        extra = part[len(self.columns)]
        if extra.isna().all():
            return
        wrong = extra[extra.notna() & (extra.astype("str").str.strip() != "")]
        if len(wrong):
            raise ValueError(f"row {first + int(wrong.index[0] - part.index[0]) + 1} has more fields than columns")


def _joined(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Join batches into tables of `base.ROWS_PER_PART` rows; what came before a fault is yielded before it is raised."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    try:
        for batch in batches:
            waiting.append(batch)
            rows += len(batch)
            while rows >= base.ROWS_PER_PART:
                table = pa.Table.from_batches(waiting)
                yield table.slice(0, base.ROWS_PER_PART)
                waiting = table.slice(base.ROWS_PER_PART).to_batches()
                rows -= base.ROWS_PER_PART
    except pa.ArrowInvalid:
        if rows:
            yield pa.Table.from_batches(waiting)
        raise
    if rows:
        yield pa.Table.from_batches(waiting)


def _complete(reader: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Yield the parts of a table, and raise a ValueError where pandas only warns that it leaves out fields."""
    while True:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            try:
                part = next(reader, None)
            except pd.errors.ParserWarning:
                raise ValueError("its first row has more fields than columns") from None
        if part is None:
            return
        yield part
