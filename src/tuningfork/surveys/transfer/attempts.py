"""Try again what fails now and then, with pauses that grow."""

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

import requests

from tuningfork.core.config.transfer import Transfer
from tuningfork.core.errors import TransferError

T = TypeVar("T")
logger = logging.getLogger(__name__)

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
