"""One file over HTTP: whole and verified, or not there."""

import time
from collections.abc import Callable
from pathlib import Path

import requests

from tuningfork.core.config.transfer import Transfer
from tuningfork.core.files import replacing
from tuningfork.surveys.transfer.attempts import AttemptError, attempt, check_status

MAX_BYTES = 8 * 2**30
"""Largest file that is accepted."""
CHUNK = 2**20


def download(url: str, path: Path, transfer: Transfer, verify: Callable[[Path], None]) -> None:
    """Fetch `url` into the file `path`, which appears only when it is whole and `verify` has accepted it.

    Parameters
    ----------
    url : str
    path : Path
    transfer : Tiles
        Time limit for each answer, number of retries, first pause.
    verify : callable
        Gets the path of the fetched file and raises :class:`AttemptError` if it is not what it should be.

    Raises
    ------
    TransferError
        The file could not be had.
    """

    def once() -> None:
        with replacing(path) as temporary:
            _stream(url, temporary, transfer.timeout)
            verify(temporary)

    attempt(once, url, transfer)


def _stream(url: str, path: Path, timeout: float) -> None:
    deadline = time.monotonic() + 20 * timeout
    with requests.get(url, stream=True, timeout=timeout) as response:
        check_status(response)
        promised = int(response.headers.get("Content-Length", -1))
        if promised > MAX_BYTES:
            raise AttemptError(f"{promised} bytes are more than the limit of {MAX_BYTES}", final=True)
        received = 0
        with path.open("wb") as file:
            for chunk in response.iter_content(CHUNK):
                received += len(chunk)
                if received > MAX_BYTES:
                    raise AttemptError(f"more bytes than the limit of {MAX_BYTES}", final=True)
                if time.monotonic() > deadline:
                    raise AttemptError("the answer came too slowly")
                file.write(chunk)
    if 0 <= promised != received and "Content-Encoding" not in response.headers:
        raise AttemptError(f"{received} of {promised} bytes came")
