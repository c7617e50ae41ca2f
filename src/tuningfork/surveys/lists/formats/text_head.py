"""The head of a table of text: its comments, the names and units of its columns, and what separates them."""

import csv
import io
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tuningfork.surveys.lists.formats.astropy_meta import header_of, masks_in, systems_in, units_in
from tuningfork.surveys.lists.formats.head_lines import (
    ENOUGH_ROWS,
    HEAD_SIZES,
    MAX_NAME_LINES,
    HeadLines,
    first_lines,
    quoted_over_lines,
)

SEPARATORS = (",", "\t", ";", "|")
ENDINGS = {".csv": (",", ";", "\t", "|"), ".tsv": ("\t",)}
"""Ending -> separators that its files may have; others may also have spaces."""
SPACES = r"\s+"
ECSV = "# %ECSV"
SEPARATOR_LINE = re.compile(r"sep=(\t|;|,|\|)", re.IGNORECASE)
"""First line of tables of spreadsheets that says what separates the columns."""
MAX_BLANK_LINES = 10_000
"""Lines behind the leading comments among which the names of the columns and the first row are looked for."""
RULE = re.compile(r"[-=]+(\+[-=]+)*")
"""A line under the names, in psql with crosses."""


@dataclass(frozen=True)
class TextHead:
    """What the head of a table of text says.

    Attributes
    ----------
    columns : list of str
    separator : str
        As pandas takes it.
    lines : int
        Lines before the first row.
    comments : bool
        Whether lines that begin with # are comments.
    fields : int
        Fields of the first row.
    units : dict
        Column -> unit.
    masks : dict
        Column -> column that holds True where the first has no value.
    systems : dict
        Column, or `WHOLE_TABLE` -> coordinate system that is not close to ICRS.
    """

    columns: list[str]
    separator: str
    lines: int
    comments: bool
    fields: int
    units: dict[str, str] = field(default_factory=dict)
    masks: dict[str, str] = field(default_factory=dict)
    systems: dict[str, str] = field(default_factory=dict)


def text_head(path: Path) -> TextHead:
    """Read the head of a table of text.

    Lines before the names of the columns that begin with # are comments; if there are any, so are all later lines that
    begin with #. The last of them has the names if the line after it has none.

    Raises
    ------
    ValueError
        If no line has the names of columns.
    """
    for size in HEAD_SIZES:
        read = first_lines(path, size)
        last = read.whole or size == HEAD_SIZES[-1]
        if read.lines[:1] and read.lines[0].startswith(ECSV):
            head = _ecsv(read.lines, last)
        else:
            head = _plain(path, read) if last or _has_rows(read.lines) else None
        if head is not None:
            return head
    raise ValueError("no line has the names of its columns")


def _has_rows(lines: Sequence[str]) -> bool:
    comments = _leading_comments(lines) > 0
    rows = (line for line in lines if line.strip() and not _is_comment(line, comments))
    return len(list(itertools.islice(rows, ENOUGH_ROWS))) == ENOUGH_ROWS


def _plain(path: Path, read: HeadLines) -> TextHead:
    """Return the head of a table of text that is no ECSV."""
    lines = read.lines
    comments = _leading_comments(lines)
    some = enumerate(lines[: comments + MAX_NAME_LINES + MAX_BLANK_LINES])
    body = [(number, line) for number, line in some if line.strip() and not _is_comment(line, comments > 0)]
    if not body:
        raise ValueError(
            "no line has the names of its columns"
            if read.whole
            else f"its first {HEAD_SIZES[-1] >> 20} MiB hold no line with the names of its columns"
        )
    endings = [suffix.lower() for suffix in path.suffixes]
    allowed: Sequence[str] = next((ENDINGS[ending] for ending in endings if ending in ENDINGS), (*SEPARATORS, SPACES))
    if stated := SEPARATOR_LINE.fullmatch(body[0][1].strip(" \r")):
        allowed = (stated[1],)
        body = body[1:] or body
    first = body[0][0]
    header, start = quoted_over_lines(lines, first)
    separator = _separator(header, allowed)
    names = fields_of(header, separator)
    if any(_is_number(name) for name in names):
        names, start, separator = _names_in_comment(lines[:first], header, allowed), first, _separator(header, allowed)
    rows = [_fields_of_row(line, separator) for number, line in body if number >= start][:ENOUGH_ROWS]
    units, skipped = _unit_lines(names, rows)
    start = next((number for number, _ in [pair for pair in body if pair[0] >= start][skipped:]), len(lines))
    return TextHead(names, separator, start, comments > 0, len(rows[skipped]) if len(rows) > skipped else 0, units)


def _ecsv(lines: Sequence[str], last: bool) -> TextHead | None:
    """Return the head of an ECSV file; None if it goes on behind these lines, and they are not the last."""
    number = next((k for k, line in enumerate(lines) if not line.startswith("#")), len(lines))
    if not last and number + 1 >= len(lines):
        return None
    if number == len(lines):
        raise ValueError("its ECSV header has no end")
    header = header_of([line[2:] for line in lines[1:number]], "its ECSV header is no YAML")
    separator = str(header.get("delimiter", " "))
    names = fields_of(lines[number], separator)
    row = next((line for line in lines[number + 1 :] if line.strip()), "")
    return TextHead(
        names,
        separator,
        number + 1,
        False,
        len(_fields_of_row(row, separator)),
        units_in(header),
        masks_in(header),
        systems_in(header),
    )


def _leading_comments(lines: Sequence[str]) -> int:
    return next((number for number, line in enumerate(lines) if line.strip() and not line.startswith("#")), len(lines))


def _is_comment(line: str, comments: bool) -> bool:
    return comments and line.startswith("#")


def _separator(line: str, allowed: Sequence[str]) -> str:
    """Return the separator that gives most fields; the first of those that give equally many."""
    plain = [separator for separator in allowed if separator != SPACES]
    best = max(plain, key=lambda separator: len(fields_of(line, separator)), default=SPACES)
    return SPACES if SPACES in allowed and len(fields_of(line, best)) == 1 else best


def fields_of(line: str, separator: str) -> list[str]:
    """Return the fields of a line, without the spaces around them."""
    if separator == SPACES:
        line, separator = re.sub(SPACES, " ", line.strip()), " "
    return [
        text.strip() for text in next(csv.reader(io.StringIO(line), delimiter=separator, skipinitialspace=True), [])
    ]


def _fields_of_row(line: str, separator: str) -> list[str]:
    """Return the fields of a row; none if one is too long to be looked at here."""
    try:
        return fields_of(line, separator)
    except csv.Error:
        return []


def _names_in_comment(comments: Sequence[str], row: str, allowed: Sequence[str]) -> list[str]:
    """Return the names in the last comment, if it has as many as the row has fields."""
    count = len(fields_of(row, _separator(row, allowed)))
    for line in reversed([line for line in comments if line.startswith("#")]):
        text = line.lstrip("# ")
        names = fields_of(text, _separator(text, allowed))
        if len(names) == count and not any(map(_is_number, names)):
            return names
        break
    raise ValueError(
        f"its first line that is no comment holds numbers ({row.strip()[:60]}); expected the names of columns"
    )


def _unit_lines(names: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[dict[str, str], int]:
    """Return units and the number of lines before the first row, if a line of dashes ends the head, as in VizieR."""
    for number, row in enumerate(rows[:2]):
        if row and all(RULE.fullmatch(text) for text in row):
            units = dict(zip(names, rows[0], strict=False)) if number else {}
            return {name: unit for name, unit in units.items() if unit}, number + 1
    return {}, 0


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.lower() not in {"nan", "inf", "infinity"}
