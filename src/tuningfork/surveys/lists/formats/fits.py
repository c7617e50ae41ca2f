"""Tables in FITS files, read by rows from the file as it is on disk."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from astropy.io import fits

from tuningfork.surveys.lists.formats import base
from tuningfork.surveys.lists.formats.astropy_meta import header_of, lines_of_comments, masks_in, systems_in
from tuningfork.surveys.lists.formats.base import Place, Wanted, WholeTable
from tuningfork.surveys.lists.formats.stream import is_packed, whole_bytes
from tuningfork.surveys.lists.systems import keyword_system
from tuningfork.surveys.lists.units import WHOLE_TABLE

TFORM = re.compile(r"\s*(\d*)([LXBIJKAEDCMPQ])")
TYPES = {
    "L": "i1", "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8", "C": ">c8", "M": ">c16", "P": ">i8",
    "Q": ">c16",
}  # fmt: skip
"""Letter of a format -> type in numpy; descriptors of arrays of variable length (P, Q) by their size."""
UNSIGNED = {"I": (1 << 15, np.uint16), "J": (1 << 31, np.uint32), "K": (1 << 63, np.uint64)}
"""Letter of a format -> TZERO by which unsigned integers are written, and their type."""


@dataclass(frozen=True)
class _Column:
    """How a column is stored."""

    letter: str
    dtype: np.dtype
    scale: float
    zero: float
    null: int | None


class FitsTable:
    """A binary table of a FITS file.

    Parameters
    ----------
    path : Path
    hdu : astropy.io.fits.BinTableHDU
    place : Place
    """

    typed = True

    def __init__(self, path: Path, hdu: fits.BinTableHDU, place: Place) -> None:
        self.place = place
        self._path = path
        header = hdu.header
        count = int(header["TFIELDS"])
        if header.get("ZTABLE"):
            raise ValueError("its table is compressed by tiles; unpack it with funpack")
        self.columns = [str(header.get(f"TTYPE{k}", f"col{k}")).strip() for k in range(1, count + 1)]
        stated = {name: str(header.get(f"TUNIT{k}", "")).strip() for k, name in enumerate(self.columns, 1)}
        self.units = {name: unit for name, unit in stated.items() if unit}
        described = _described(header)
        self.systems = systems_in(described) | _system(header)
        self._masks = {name: mask for name, mask in masks_in(described).items() if mask in self.columns}
        self._columns = [_column(header, k) for k in range(1, count + 1)]
        self._rows = int(header["NAXIS2"])
        self._dtype = np.dtype([(f"f{k}", column.dtype) for k, column in enumerate(self._columns)])
        if self._dtype.itemsize != header["NAXIS1"]:
            raise ValueError(f"its rows have {header['NAXIS1']} bytes, and its columns {self._dtype.itemsize}")
        self._start = int(hdu.fileinfo()["datLoc"])
        self._content = whole_bytes(path).getbuffer() if is_packed(path) else None
        size = path.stat().st_size if self._content is None else len(self._content)
        if self._start + self._rows * self._dtype.itemsize > size:
            raise ValueError(f"it is cut short: its header says {self._rows} rows of {self._dtype.itemsize} bytes")

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
        if not self._rows:
            return
        source: Any = self._path if self._content is None else self._content
        rows: np.ndarray
        if self._content is None:
            rows = np.memmap(source, self._dtype, "r", self._start, (self._rows,))
        else:
            rows = np.frombuffer(source, self._dtype, self._rows, self._start)
        for first in range(0, self._rows, base.ROWS_PER_PART):
            part = rows[first : first + base.ROWS_PER_PART]
            frame = pd.DataFrame(index=range(len(part)))
            for name in columns:
                number = self.columns.index(name)
                frame[name] = _values(part[f"f{number}"], self._columns[number], name)
                if name in self._masks:
                    mask = self.columns.index(self._masks[name])
                    frame[name] = frame[name].mask(part[f"f{mask}"] == ord("T"))
            yield first, frame


def fits_tables(path: Path) -> list[Any]:
    """Return the tables of a FITS file, each a :class:`TableFile`.

    Raises
    ------
    ValueError
        If there is none.
    """
    source = whole_bytes(path) if is_packed(path) else path
    tables: list[Any] = []
    with fits.open(source, memmap=True, lazy_load_hdus=True, disable_image_compression=True) as file:
        for number, hdu in enumerate(file):
            place = Place(number, hdu.name)
            if isinstance(hdu, fits.BinTableHDU):
                if not hdu.header.get("ZIMAGE"):
                    tables.append(FitsTable(path, hdu, place))
            elif isinstance(hdu, fits.TableHDU):
                table = WholeTable(base.Table.read(hdu), place)
                table.systems |= _system(hdu.header)
                tables.append(table)
    if not tables:
        raise ValueError("it holds no table")
    return tables


def _described(header: fits.Header) -> dict[str, Any]:
    """Return the header that astropy writes into the comments, empty if there is none."""
    lines = lines_of_comments(list(header["COMMENT"]) if "COMMENT" in header else [])
    return header_of(lines, "astropy's header in its comments is no YAML") if lines else {}


def _system(header: fits.Header) -> dict[str, str]:
    system = keyword_system({key: header[key] for key in ("RADESYS", "RADECSYS", "EQUINOX") if key in header})
    return {WHOLE_TABLE: system} if system else {}


def _column(header: fits.Header, number: int) -> _Column:
    text = str(header[f"TFORM{number}"])
    match = TFORM.match(text)
    if match is None:
        raise ValueError(f"TFORM{number} is {text!r}; expected a format of the FITS standard")
    repeat, letter = int(match[1] or 1), match[2]
    if letter == "A":
        dtype = np.dtype(f"S{repeat}") if repeat else np.dtype("V0")
    elif letter == "X":
        dtype = np.dtype(("u1", (-(-repeat // 8),)))
    else:
        dtype = np.dtype(TYPES[letter]) if repeat == 1 else np.dtype((TYPES[letter], (repeat,)))
    null = header.get(f"TNULL{number}")
    scale, zero = float(header.get(f"TSCAL{number}", 1)), header.get(f"TZERO{number}", 0)
    return _Column(letter, dtype, scale, zero, None if null is None else int(null))


def _values(raw: np.ndarray, column: _Column, name: str) -> pd.Series:
    """Return values as the standard says: physical = TZERO + TSCAL x stored, none where the stored integer is TNULL."""
    if raw.ndim > 1 or column.letter in "XPQCM":
        raise ValueError(f"column {name} holds arrays, bits or complex numbers; expected one value per row")
    if column.letter == "A":
        return _decoded(raw)
    if column.letter == "L":
        return pd.Series(raw == ord("T")).astype("boolean").mask((raw != ord("T")) & (raw != ord("F")))
    native = raw.astype(raw.dtype.newbyteorder("="))
    empty = native == column.null if column.null is not None and raw.dtype.kind in "iu" else None
    values = _physical(native, column)
    if empty is None or not empty.any():
        return pd.Series(values)
    if values.dtype.kind == "f":
        return pd.Series(values).mask(empty)
    nullable: Any = "UInt64" if values.dtype.kind == "u" else "Int64"
    return pd.Series(values).astype(nullable).mask(empty)


def _physical(native: np.ndarray, column: _Column) -> np.ndarray:
    if column.scale == 1 and column.zero == 0:
        return native
    if column.scale == 1 and column.letter in UNSIGNED and column.zero == UNSIGNED[column.letter][0]:
        zero, kind = UNSIGNED[column.letter]
        return native.view(kind) ^ kind(zero)
    if column.scale == 1 and column.letter == "B" and column.zero == -128:
        return (native.astype(np.int16) - 128).astype(np.int8)
    return native.astype(np.float64) * column.scale + float(column.zero)


def _decoded(texts: np.ndarray) -> pd.Series:
    """Return byte strings as text; the standard allows ASCII alone, but names in UTF-8 and Latin-1 exist."""
    bytes_of = pa.array(np.ascontiguousarray(texts), pa.binary())
    try:
        return pc.utf8_rtrim(bytes_of.cast(pa.string()), " \0").to_pandas()
    except pa.ArrowInvalid:
        return pd.Series(np.char.rstrip(np.char.decode(texts, "latin-1"), " \0").astype(object))
