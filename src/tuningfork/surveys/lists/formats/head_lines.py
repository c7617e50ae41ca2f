"""The first lines of a table of text, cut where the reader of its rows cuts them."""

from dataclasses import dataclass
from pathlib import Path

from tuningfork.surveys.lists.formats.stream import HEAD_BYTES, head_of, only_returns

HEAD_SIZES = (HEAD_BYTES, 1 << 20, 1 << 23)
"""Bytes that are looked at, one after the other, until the head and some rows are among them."""
ENOUGH_ROWS = 4
"""Lines behind the comments of which the head is made: names, units, a rule and a row."""
MAX_NAME_LINES = 20
"""Most lines over which the quoted names of columns may go."""


@dataclass(frozen=True)
class HeadLines:
    """The first lines of a file.

    Attributes
    ----------
    lines : list of str
        Without their ends.
    whole : bool
        Whether these are all lines of the file.
    """

    lines: list[str]
    whole: bool


def first_lines(path: Path, size: int) -> HeadLines:
    """Return the lines that end within the first bytes of a file.

    Lines end with a line feed, as they do for the reader of the rows, which also takes away carriage returns; a form
    feed or a line separator of Unicode ends none.
    """
    content = head_of(path, size + 1)
    text = content.decode("utf-8", "replace")
    if only_returns(content):
        text = text.replace("\r", "\n")
    lines = text.split("\n")
    whole = len(content) <= size
    if not whole:
        lines = lines[:-1]
    elif not lines[-1]:
        lines.pop()
    return HeadLines([line.rstrip("\r") for line in lines], whole)


def quoted_over_lines(lines: list[str], first: int) -> tuple[str, int]:
    """Return a line, with those after it into which its last quoted name goes on, and the number of the next line."""
    text = lines[first]
    for number in range(first + 1, min(first + MAX_NAME_LINES, len(lines)) + 1):
        if text.count('"') % 2 == 0:
            return text, number
        if number < len(lines):
            text += " " + lines[number]
    return lines[first], first + 1
