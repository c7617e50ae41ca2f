"""Files that are no table that is read here: what they are, and what to do."""

import json

MAGIC = {
    b"\x89HDF": "HDF5",
    b"PK\x03\x04": "a zip or Excel file",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an Excel file (.xls); save it as CSV",
    b"ARROW1": "Feather",
    b"FEA1": "Feather",
    b"\xff\xff\xff\xff": "a stream of Arrow",
    b"\x93NUMPY": "a NumPy array",
    b"SQLite format 3\0": "an SQLite database",
    **{b"\x80" + bytes([number]): "a pickle of Python" for number in range(2, 6)},
    b"\x1f\x9d": "packed by compress (.Z); unpack it",
    b"\x28\xb5\x2f\xfd": "packed by zstd; unpack it",
    b"\x04\x22\x4d\x18": "packed by lz4; unpack it",
    b"7z\xbc\xaf\x27\x1c": "packed by 7-Zip; unpack it",
    b"Rar!": "packed by RAR; unpack it",
    b"%PDF": "a PDF file",
    b"{\\rtf": "a file of a text processor (RTF); save it as plain text",
    b"# Region file format": "a DS9 region file; save the positions as CSV with ra and dec in degrees",
    b"CDF\x01": "NetCDF",
    b"ustar": "a tar archive; unpack it",
}
"""First bytes -> format that is not read."""
WEB_PAGE = (b"<!doctype html", b"<html")
"""Beginnings of what servers answer instead of a file that they do not have, in small letters."""
MIN_WIDE = 0.3
"""Smallest share of NUL bytes by which text of two or four bytes a letter is known."""


def what_else(head: bytes) -> str:
    """Return what a file is that is no table, by its first bytes, an empty text if that is not known.

    Parameters
    ----------
    head : bytes
        Unpacked, and in UTF-8 if they are in UTF-16 with a byte order mark.

    Returns
    -------
    str
        With what to do about it.
    """
    if known := next((name for magic, name in MAGIC.items() if head.startswith(magic)), ""):
        return known
    if head[257:262] == b"ustar":
        return MAGIC[b"ustar"]
    if head.lstrip().lower().startswith(WEB_PAGE):
        return "a web page; fetch the table again"
    start = head[:4096]
    if start and start.count(0) / len(start) > MIN_WIDE and not head.startswith((b"PAR1", b"SIMPLE  =")):
        return "text in UTF-16 without its byte order mark, or in UTF-32; save it in UTF-8"
    return "JSON; save it as CSV, FITS or Parquet" if _is_json(head) else ""


def _is_json(head: bytes) -> bool:
    text = head.decode("utf-8", "replace").lstrip()
    if not text.startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except ValueError:
        inner = text[1:].lstrip()
        return inner.startswith(('"', "{", "[")) and ":" in inner
    return True
