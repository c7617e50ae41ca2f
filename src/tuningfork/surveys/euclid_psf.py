"""The widths of a tile's PSFs, without the gigabyte of PSF images that the file holds before them.

A GRID-PSF file has a tile-sized canvas with a stamp of the PSF every 12 arcsec, and behind it a table with the columns
`x`, `y` (centre of the stamp, FITS pixels of the mosaic) and `FWHM` (arcsec). Only the table is transferred, by ranges
of bytes.
"""

import io
import math
from pathlib import Path

import numpy as np
import requests
from astropy.io import fits

from tuningfork.surveys.transfer.attempts import AttemptError, check_status
from tuningfork.surveys.transfer.network import Limit, Network

BLOCK = 2880
HEAD = 16 * BLOCK
"""Bytes that hold the header of an extension."""
MOST_BYTES = 64 * 2**20
"""Largest table that is accepted; a real one has 25,590 rows."""
MOST_EXTENSIONS = 8


def have_widths(network: Network, url: str, name: str, limit: Limit) -> str:
    """Have the table of PSF widths of a GRID-PSF file in the cache; an empty one if the file has none.

    Parameters
    ----------
    network : Network
    url : str
        Address of the GRID-PSF file.
    name : str
        Name in the cache.
    limit : Limit

    Returns
    -------
    str
        `name`: a FITS file with x, y and FWHM in its first extension.

    Raises
    ------
    TransferError
        The table could not be had.
    """

    def write(path: Path) -> None:
        columns = network.ask(lambda: _table(network, url), url, limit)
        described = [fits.Column(key, "E", array=values) for key, values in columns.items()]
        fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(described)]).writeto(path, overwrite=True)

    return network.make(name, write)


def _table(network: Network, url: str) -> dict[str, np.ndarray]:
    with network.session() as session:
        start = 0
        for _ in range(MOST_EXTENSIONS):
            head = _part(session, url, start, HEAD)
            header = _header(head)
            if header is None:
                break
            begin, length = _extent(header, head, start)
            if {"x", "y", "FWHM"} <= {header.get(f"TTYPE{number}") for number in range(1, 100)}:
                return _columns(_part(session, url, start, begin - start + length))
            start = begin + length
    return {name: np.empty(0) for name in ("x", "y", "FWHM")}


def _part(session: requests.Session, url: str, start: int, length: int) -> bytes:
    """Return at most `length` bytes of a file from `start`; none behind its end."""
    if length > MOST_BYTES:
        raise AttemptError(f"a table of {length} bytes is larger than the limit of {MOST_BYTES}", final=True)
    asked = {"Range": f"bytes={start}-{start + length - 1}", "Accept-Encoding": "identity"}
    with session.get(url, headers=asked, stream=True) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            return b""
        check_status(response)
        if response.status_code != requests.codes.partial_content:
            raise AttemptError("the service does not send parts of files, which the table of PSFs needs", final=True)
        promised = min(int(response.headers.get("Content-Length", 0)), length)
        content = bytearray()
        for chunk in response.iter_content(2**20):
            content += chunk
            if len(content) > length:
                raise AttemptError("the service sends more of the file than was asked for", final=True)
    if len(content) < promised:
        raise AttemptError(f"{len(content)} of {promised} bytes came")
    return bytes(content)


def _header(content: bytes) -> fits.Header | None:
    if not content.startswith((b"SIMPLE  =", b"XTENSION=")):
        return None
    try:
        return fits.Header.fromfile(io.BytesIO(content), endcard=True, padding=False)
    except OSError:
        return None


def _extent(header: fits.Header, content: bytes, start: int) -> tuple[int, int]:
    """Return where the data of an extension begin in the file, and their length with the padding."""
    stream = io.BytesIO(content)
    fits.Header.fromfile(stream, endcard=True, padding=False)
    begin = start + math.ceil(stream.tell() / BLOCK) * BLOCK
    axes = [int(header[f"NAXIS{number}"]) for number in range(1, int(header["NAXIS"]) + 1)]
    values = (math.prod(axes) if axes else 0) + int(header.get("PCOUNT", 0))
    length = abs(int(header["BITPIX"])) // 8 * int(header.get("GCOUNT", 1)) * values
    return begin, math.ceil(length / BLOCK) * BLOCK


def _columns(content: bytes) -> dict[str, np.ndarray]:
    with fits.open(io.BytesIO(fits.PrimaryHDU().header.tostring().encode().ljust(BLOCK) + content)) as hdus:
        table = hdus[1].data
        return {name: np.array(table[name], dtype=np.float32) for name in ("x", "y", "FWHM")}
