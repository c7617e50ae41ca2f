"""Checks of rows of text that a reader would take in silence, although values have been lost or stand in wrong columns."""

import re
from collections.abc import Iterable

import numpy as np

from tuningfork.surveys.lists.formats.text_head import SPACES, fields_of

QUOTE, LINE_FEED = ord('"'), ord("\n")
MIN_COLUMNS = 3
"""With fewer, a line that goes on after a line break cannot be told from a row."""
SHOWN = 60
"""Letters of a line in messages."""


class OpenQuotes:
    """Looks for quotation marks that nobody closed, and that swallow the rows after them.

    A value may hold line breaks. It is refused if the line in which it begins and the next one have as many fields each
    as a row has.

    Parameters
    ----------
    separator : str
        As pandas takes it.
    columns : int
        Number of columns.
    first : int
        Number of the first line that is looked at, counted from 1.
    """

    def __init__(self, separator: str, columns: int, first: int) -> None:
        self._separator = separator
        self._columns = columns
        self._line = first
        self._open = ""
        mark = r"\s" if separator == SPACES else re.escape(separator)
        self._opened = re.compile(rf'(?:^|{mark})[ \t]*"(?:[^"]|"")*\Z')

    def look(self, block: bytes) -> None:
        """Look at the next whole lines.

        Raises
        ------
        ValueError
            If a quotation mark swallows a row.
        """
        # Five times faster than bytes.count.
        count = int(np.count_nonzero(np.frombuffer(block, np.uint8) == LINE_FEED))
        if self._columns >= MIN_COLUMNS and (self._open or b'"' in block):
            lines = block.split(b"\n")
            for number in self._odd(block):
                self._require_end(lines, number)
        self._line += count

    def _odd(self, block: bytes) -> Iterable[int]:
        """Return the numbers of the lines that hold an odd number of quotation marks; -1 for the one before."""
        letters = np.frombuffer(block, np.uint8)
        quotes = np.searchsorted(np.flatnonzero(letters == QUOTE), np.flatnonzero(letters == LINE_FEED))
        odd = np.flatnonzero(np.diff(quotes, prepend=0) % 2).tolist()
        return [-1, *odd] if self._open else odd

    def _require_end(self, lines: list[bytes], number: int) -> None:
        text = self._open if number < 0 else lines[number].decode("utf-8", "replace").rstrip("\r")
        self._open = ""
        if not self._opened.search(text) or self._fields(text) < self._columns:
            return
        if number + 1 >= len(lines) or (number + 2 == len(lines) and not lines[number + 1]):
            self._open = text
        elif self._fields(lines[number + 1].decode("utf-8", "replace")) >= self._columns:
            raise ValueError(
                f"line {self._line + number} ({text[:SHOWN]}) opens a quotation mark that the next line, which looks like "
                "a row, does not follow up; close it, double it, or take it away"
            )

    def _fields(self, line: str) -> int:
        return len(line.split()) if self._separator == SPACES else line.count(self._separator) + 1


def require_full_rows(lines: Iterable[bytes], columns: int) -> None:
    """Check that rows whose values are separated by spaces have a value for each column.

    An empty value cannot be told from the space around it, so the values after it would move to other columns.

    Parameters
    ----------
    lines : iterable of bytes
        The text after the head.
    columns : int
        Number of columns.

    Raises
    ------
    ValueError
        If a row has fewer values.
    """
    row = 0
    for line in lines:
        text = line.decode("utf-8", "replace").strip()
        count = len(fields_of(text, SPACES)) if '"' in text else len(text.split())
        row += count > 0
        if 0 < count < columns:
            raise ValueError(
                f"row {row} ({text[:SHOWN]}) has {count} values, and the head {columns} columns; "
                "between spaces an empty value cannot be seen: write nan or -- for it, or save the table as CSV"
            )
