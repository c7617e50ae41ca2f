"""Read the body of an answer in pieces, with an end to patience."""

import http.client
import time
from collections.abc import Iterator

import requests
import urllib3

from tuningfork.surveys.transfer.attempts import AttemptError, fault_of

READ_BYTES = 2**20
MIN_TRANSFER_SPEED = 1000.0
"""Speed (bytes/s) below which a transfer is given up; it is measured over each `patience`."""
MAX_TRANSFER_TIME = 6 * 3600.0
"""Longest time (s) for one answer."""


def pieces(response: requests.Response, patience: float, decode: bool = False) -> Iterator[bytes]:
    """Yield what comes, as it comes.

    `requests` waits until a piece of the wanted size is there, as long as a byte comes now and then; here every read
    of the socket returns.

    Parameters
    ----------
    response : requests.Response
        Asked for with stream=True.
    patience : float
        Time (s) over which the speed is measured.
    decode : bool
        Whether to undo the Content-Encoding.

    Raises
    ------
    AttemptError
        The connection broke, or is too slow.
    """
    began = mark = time.monotonic()
    came = 0
    while True:
        try:
            piece = response.raw.read1(READ_BYTES, decode_content=decode)
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            raise fault_of(error) from None
        if not piece:
            return
        came += len(piece)
        now = time.monotonic()
        if now - mark > patience:
            if came < MIN_TRANSFER_SPEED * (now - mark):
                raise AttemptError(f"the answer came too slowly ({came} bytes in {now - mark:.0f} s)")
            mark, came = now, 0
        if now - began > MAX_TRANSFER_TIME:
            raise AttemptError(f"the answer had not come whole after {MAX_TRANSFER_TIME / 3600:.0f} h")
        yield piece
