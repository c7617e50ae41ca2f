"""Tables in files of all common formats, read in parts so that a large table does not fill the memory."""

import contextlib
import csv
import lzma
import struct
import xml.parsers.expat
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import yaml
from astropy.table import Table

from tuningfork.core.config.reading.path_hints import about_path
from tuningfork.core.errors import InputError
from tuningfork.surveys.lists.formats.base import TableFile, WholeTable
from tuningfork.surveys.lists.formats.fits import fits_tables
from tuningfork.surveys.lists.formats.kinds import what_else
from tuningfork.surveys.lists.formats.parquet import ParquetTable
from tuningfork.surveys.lists.formats.stream import head_of, is_packed, require_whole, whole_bytes
from tuningfork.surveys.lists.formats.text import TextTable
from tuningfork.surveys.lists.formats.votable import votable_tables
from tuningfork.surveys.lists.systems import keyword_system
from tuningfork.surveys.lists.units import WHOLE_TABLE

TABLE_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    ArithmeticError,
    AttributeError,
    LookupError,
    EOFError,
    MemoryError,
    RecursionError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    csv.Error,
    yaml.YAMLError,
    xml.parsers.expat.ExpatError,
    pa.ArrowException,
)
"""Exceptions that the readers raise for files that are damaged, truncated or of another format."""
FORMATS = "Parquet, FITS, CSV, ECSV or VOTable"
NO_TEXT = {
    **dict.fromkeys((".parquet", ".parq", ".pq"), "Parquet"),
    **dict.fromkeys((".fits", ".fit", ".fts"), "FITS"),
    **dict.fromkeys((".vot", ".votable"), "VOTable"),
}
"""Ending -> format that is no table of text."""
Suits = Callable[[Sequence[str]], bool]
"""Columns of a table -> whether it may be the wanted one."""


def open_table(
    path: Path, what: str, extension: str | int | None = None, suits: Suits = bool, key: str = "sources.catalogue"
) -> TableFile:
    """Open the table in a file, whose content tells the format, whatever its name and whether it is compressed.

    Parameters
    ----------
    path : Path
        A file, or a folder of Parquet files.
    what : str
        Configuration key and name of the table, for messages.
    extension : str or int, optional
        Name or number of the table in a file of several. Without it, the only one that suits.
    suits : callable, optional
        Columns -> whether a table of several may be the wanted one.
    key : str, optional
        Configuration key above `extension`, for messages.

    Returns
    -------
    TableFile

    Raises
    ------
    InputError
        If the file cannot be read, or it is not clear which of its tables is meant.
    """
    if not path.exists():
        raise InputError(f"{what}: no such file{about_path(str(path))}")
    if not path.is_file() and not path.is_dir():
        raise InputError(f"{what}: neither a file nor a folder; expected a table")
    with readable(what):
        tables = _tables(path, suits)
    if extension is not None:
        chosen = [table for table in tables if extension in (table.place.number, table.place.name)]
        if not chosen and str(extension).strip().isdecimal():
            chosen = [table for table in tables if table.place.number == int(extension)]
    else:
        chosen = [table for table in tables if suits(table.columns)] if len(tables) > 1 else tables
    if len(chosen) == 1:
        return chosen[0]
    names = ", ".join(f"{table.place.number} ({table.place.name or 'without a name'})" for table in tables[:20])
    if extension is not None:
        raise InputError(f"{what}: no single table {extension!r} ({key}.extension); it has {names}")
    if not chosen:
        return tables[0]
    raise InputError(f"{what}: has the tables {names}; say with {key}.extension which one, by name or number")


def _tables(path: Path, suits: Suits) -> list[TableFile]:
    if path.is_dir():
        return [ParquetTable(path)]
    head = head_of(path)
    if not head:
        raise ValueError("it is empty")
    if other := what_else(head):
        raise ValueError(f"it is {other}")
    if head.startswith(b"PAR1"):
        if is_packed(path):
            raise ValueError("it is a compressed Parquet file; unpack it")
        return [ParquetTable(path)]
    if head.startswith(b"SIMPLE  ="):
        return fits_tables(path)
    if head.lstrip().startswith((b"<?xml", b"<VOTABLE", b"<!--", b"<vot:VOTABLE")):
        return list(votable_tables(path))
    style = _of_astropy(head)
    if style is None:
        return [_text_table(path, suits)]
    require_whole(path.stat().st_size)
    content = Table.read(whole_bytes(path).getvalue().decode("utf-8"), format=style)
    table = WholeTable(content)
    keywords = {name: said.get("value") for name, said in (content.meta.get("keywords") or {}).items()}
    if system := keyword_system(keywords):
        table.systems[WHOLE_TABLE] = system
    return [table]


def _text_table(path: Path, suits: Suits) -> TextTable:
    """Return a table of text; under a name of another format only if it suits, for it may be a download that failed."""
    named = next((NO_TEXT[ending] for suffix in path.suffixes if (ending := suffix.lower()) in NO_TEXT), None)
    try:
        table = TextTable(path)
        if named is None or suits(table.columns):
            return table
    except ValueError:
        if named is None:
            raise
    raise ValueError(f"by its name it is {named}, but it begins as {named} does not; make or fetch it again")


def _of_astropy(head: bytes) -> str | None:
    """Return astropy's name of a format of text with fixed columns, None for other text."""
    if b"Byte-by-byte Description" in head:
        return "ascii.mrt" if head.startswith(b"Title:") else "ascii.cds"
    if head.startswith((b"\\", b"|")) and b"\n|" in b"\n" + head:
        return "ascii.ipac"
    first = head.split(b"\n", 1)[0].split()
    return "ascii.sextractor" if first[:2] == [b"#", b"1"] and len(first) > 2 else None


@contextlib.contextmanager
def readable(what: str) -> Iterator[None]:
    """Turn exceptions that table readers raise in the block into an InputError about the table `what`."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise InputError(
            f"{what}: its text is not in UTF-8 (byte {error.object[error.start]:#x}); save it in UTF-8"
        ) from None
    except TABLE_ERRORS as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise InputError(f"{what}: not a readable table ({reason}); expected {FORMATS}") from None
