"""The PSF widths of a tile, without the gigabyte of PSF images that precedes them in the file.

A GRID-PSF file has a canvas of the size of the tile with a stamp of the PSF every 12 arcsec, followed by a table with
the columns `x`, `y` (centre of the stamp, FITS pixels of the mosaic) and `FWHM` (arcsec). Only the table is transferred,
by byte ranges.
"""

import io
import math
import re
from pathlib import Path

import numpy as np
import requests
from astropy.io import fits

from tuningfork.surveys.transfer.attempts import AttemptError, check_status
from tuningfork.surveys.transfer.network import Limit, Network

WIDTH_COLUMNS = ("x", "y", "FWHM")
"""Columns of the table."""
CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
FITS_BLOCK = 2880
HEADER_BYTES = 16 * FITS_BLOCK
"""Bytes that contain the header of an extension."""
MAX_TABLE_BYTES = 64 * 2**20
"""Size of the largest table that is accepted; a real one has 25,590 rows."""
MAX_EXTENSIONS = 8
"""Extensions that are searched for the table."""


def have_widths(network: Network, url: str, name: str, limit: Limit) -> str:
    """Fetch the table of PSF widths of a GRID-PSF file into the cache; an empty one if the file has none.

    Parameters
    ----------
    network : Network
    url : str
        Address of the GRID-PSF file.
    name : str
        Name in the cache.
    limit : Limit
        What the service allows.

    Returns
    -------
    str
        `name`: a FITS file with x, y and FWHM in its first extension.

    Raises
    ------
    TransferError
        If the table could not be fetched.
    """

    def write(path: Path) -> None:
        columns = network.ask(lambda: _table(network, url), url, limit)
        described = [fits.Column(key, "E", array=values) for key, values in columns.items()]
        fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(described)]).writeto(path, overwrite=True)

    return network.make(name, write)


def _table(network: Network, url: str) -> dict[str, np.ndarray]:
    with network.session() as session:
        start, total = 0, 1
        for _ in range(MAX_EXTENSIONS):
            if start >= total:
                break
            header_bytes, total = _part(session, url, start, HEADER_BYTES)
            header, begin, length = _extension(header_bytes)
            if set(WIDTH_COLUMNS) <= {header.get(f"TTYPE{number}") for number in range(1, 100)}:
                return _columns(_part(session, url, start, begin + length)[0])
            start += begin + length
    return {name: np.empty(0) for name in WIDTH_COLUMNS}


def _part(session: requests.Session, url: str, start: int, length: int) -> tuple[bytes, int]:
    """Return at most `length` bytes of a file from `start`, and the size of the file."""
    if length > MAX_TABLE_BYTES:
        raise AttemptError(f"the table has {length} bytes; the limit is {MAX_TABLE_BYTES}", final=True)
    asked = {"Range": f"bytes={start}-{start + length - 1}", "Accept-Encoding": "identity"}
    with session.get(url, headers=asked, stream=True) as response:
        check_status(response)
        match = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if response.status_code != requests.codes.partial_content or not match or int(match[1]) != start:
            raise AttemptError("expected part of a file, received something else")
        total = int(match[2])
        expected = min(length, total - start)
        content = bytearray()
        for chunk in response.iter_content(2**20):
            content += chunk
            if len(content) > expected:
                break
    if len(content) != expected:
        raise AttemptError(f"{len(content)} bytes were received instead of {expected}")
    return bytes(content), total


def _extension(content: bytes) -> tuple[fits.Header, int, int]:
    """Return the header at the beginning of `content`, the offset of its data, and their length with the padding."""
    stream = io.BytesIO(content)
    try:
        if not content.startswith((b"SIMPLE  =", b"XTENSION=")):
            raise ValueError("no header")
        header = fits.Header.fromfile(stream, endcard=True, padding=False)
        axes = [int(header[f"NAXIS{number}"]) for number in range(1, int(header["NAXIS"]) + 1)]
        values = (math.prod(axes) if axes else 0) + int(header.get("PCOUNT", 0))
        length = abs(int(header["BITPIX"])) // 8 * int(header.get("GCOUNT", 1)) * values
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AttemptError(f"expected the header of a FITS extension, received something else ({error})") from None
    return header, math.ceil(stream.tell() / FITS_BLOCK) * FITS_BLOCK, math.ceil(length / FITS_BLOCK) * FITS_BLOCK


def _columns(content: bytes) -> dict[str, np.ndarray]:
    primary = fits.PrimaryHDU().header.tostring().encode()
    try:
        with fits.open(io.BytesIO(primary + content)) as hdus:
            return {name: np.array(hdus[1].data[name], dtype=np.float32) for name in WIDTH_COLUMNS}
    except (OSError, IndexError, ValueError, KeyError, TypeError) as error:
        raise AttemptError(f"expected a table of PSFs, received something else ({error})") from None
