"""Bring files over a network that fails now and then: retries, limits, verification, atomic placement.

astroquery finds things; the bytes come through here, because it has no retries, no limits and no checks, and
keeps what it fetches under the user's home.
"""

import bz2
import gzip
import logging
import random
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeAlias, TypeVar

import requests

from tuningfork.core.config.stages import Tiles as Transfer
from tuningfork.core.errors import TransferError
from tuningfork.core.files import replacing

T = TypeVar("T")
Content: TypeAlias = IO[bytes] | gzip.GzipFile | bz2.BZ2File
logger = logging.getLogger(__name__)

MAX_BYTES = 512 * 2**20
"""Largest file that is accepted."""
MAX_UNPACKED = 4 * 2**30
"""Largest size of a compressed file's content that is accepted."""
CHUNK = 2**20
FITS_BLOCK = 2880
LONGEST_WAIT = 120.0
"""Longest pause (s) between two attempts."""
PASSING = {408, 425, 429, 500, 502, 503, 504}
"""HTTP statuses that may be gone at the next attempt."""


class AttemptError(Exception):
    """One failed attempt.

    Attributes
    ----------
    final : bool
        Whether a further attempt is pointless.
    wait : float
        Seconds that the service asks to wait.
    """

    def __init__(self, reason: str, final: bool = False, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.final = final
        self.wait = wait


def attempt(action: Callable[[], T], what: str, transfer: Transfer) -> T:
    """Call `action` until it succeeds, with pauses that double and jitter.

    Parameters
    ----------
    action : callable
        Raises :class:`AttemptError` or an error of requests when it fails.
    what : str
        What is fetched, for messages.
    transfer : Tiles
        Number of retries and first pause.

    Raises
    ------
    TransferError
        It failed for good; the message has the last reason.
    """
    attempts = transfer.retries + 1
    for number in range(1, attempts + 1):
        try:
            return action()
        except (AttemptError, requests.RequestException) as error:
            fault = error if isinstance(error, AttemptError) else AttemptError(_reason(error))
        if fault.final:
            raise TransferError(f"{what}: {fault}")
        if number < attempts:
            # Jobs that failed together must not come back together.
            pause = min(max(transfer.backoff * 2 ** (number - 1) * random.uniform(0.5, 1.5), fault.wait), LONGEST_WAIT)
            logger.info("%s: %s; attempt %d of %d in %.1f s", what, fault, number + 1, attempts, pause)
            time.sleep(pause)
    raise TransferError(f"{what}: {fault} (gave up after {attempts} attempts)")


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError | requests.exceptions.ContentDecodingError):
        return "the connection broke before the whole answer had come"
    if isinstance(error, requests.ConnectionError):
        return f"no connection ({type(error.args[0]).__name__ if error.args else 'refused'})"
    return f"{type(error).__name__}: {error}"


def check_status(response: requests.Response) -> None:
    """Raise :class:`AttemptError` unless the answer's HTTP status is a success."""
    if response.ok:
        return
    asked = response.headers.get("Retry-After", "")
    wait = float(asked) if asked.isdigit() else 0.0
    raise AttemptError(f"HTTP {response.status_code}", final=response.status_code not in PASSING, wait=wait)


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


def verify_fits(path: Path) -> None:
    """Check that a file is FITS, plain or compressed, and whole: every block is there and unpacks.

    Raises
    ------
    AttemptError
        It is not; the message says what it is instead.
    """
    with path.open("rb") as file:
        head = file.read(512)
    try:
        with _unpacked(path, head) as content:
            _check_blocks(content, head)
    except (EOFError, zlib.error, gzip.BadGzipFile, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise AttemptError(f"the compressed file is damaged or cut short ({error})") from None


def _unpacked(path: Path, head: bytes) -> Content:
    if head.startswith(b"BZh"):
        return bz2.BZ2File(path)
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(path)
    return path.open("rb")


def _check_blocks(content: Content, head: bytes) -> None:
    begin = content.read(CHUNK)
    if not begin.startswith(b"SIMPLE  ="):
        kind = "an HTML page" if b"<html" in head.lower() or b"<!doctype" in head.lower() else "something else"
        raise AttemptError(f"expected a FITS file, got {kind}" if head else "expected a FITS file, got nothing")
    length = len(begin)
    while chunk := content.read(CHUNK):
        length += len(chunk)
        if length > MAX_UNPACKED:
            raise AttemptError(f"unpacks to more than the limit of {MAX_UNPACKED} bytes", final=True)
    if length % FITS_BLOCK:
        raise AttemptError(f"the FITS file is cut short ({length} bytes are no whole number of blocks)")
