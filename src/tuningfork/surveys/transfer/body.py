"""Reading of response bodies in pieces, with limits on speed and time."""

import http.client
import time
from collections.abc import Iterator

import requests
import urllib3

from tuningfork.surveys.transfer.attempts import AttemptError, fault_of

READ_BYTES = 2**20
"""Largest piece (bytes) that is read at once."""
MIN_TRANSFER_SPEED = 1000.0
"""Speed (bytes/s) below which a transfer is aborted; it is measured over each interval of `patience`."""
MAX_TRANSFER_TIME = 6 * 3600.0
"""Longest time (s) for one response."""


def pieces(response: requests.Response, patience: float, decode: bool = False) -> Iterator[bytes]:
    """Yield the content of a response as it arrives.

    `requests` waits until a piece of the wanted size is complete, as long as a byte arrives now and then; here every
    read of the socket returns.

    Parameters
    ----------
    response : requests.Response
        Response to a request with stream=True.
    patience : float
        Interval (s) over which the speed is measured.
    decode : bool
        Whether to undo the Content-Encoding.

    Yields
    ------
    bytes

    Raises
    ------
    AttemptError
        If the connection broke, or is too slow.
    """
    began = measured_from = time.monotonic()
    received = 0
    while True:
        try:
            piece = response.raw.read1(READ_BYTES, decode_content=decode)
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            raise fault_of(error) from None
        if not piece:
            return
        received += len(piece)
        now = time.monotonic()
        if now - measured_from > patience:
            if received < MIN_TRANSFER_SPEED * (now - measured_from):
                raise AttemptError(f"the answer arrived too slowly ({received} bytes in {now - measured_from:.0f} s)")
            measured_from, received = now, 0
        if now - began > MAX_TRANSFER_TIME:
            raise AttemptError(f"the answer was not complete after {MAX_TRANSFER_TIME / 3600:.0f} h")
        yield piece
