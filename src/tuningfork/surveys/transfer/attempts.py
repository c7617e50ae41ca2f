"""Retries of requests that fail temporarily, with growing pauses."""

import datetime
import email.utils
import http.client
import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

import requests
import urllib3

from tuningfork.core.config.transfer import Transfer
from tuningfork.core.errors import TransferError

T = TypeVar("T")
logger = logging.getLogger(__name__)

MAX_RETRY_PAUSE = 120.0
"""Longest pause (s) between two attempts, unless the service asks for a longer one."""
MAX_RETRY_AFTER = 600.0
"""Longest pause (s) that a service can ask for by Retry-After; it is then asked again."""
TRANSIENT_STATUSES = {408, 425, 429, 500, 502, 503, 504}
"""HTTP statuses that may be gone at the next attempt."""
ADVICE_TO_RETRY = "check the network and the service, then run again: what has been transferred is kept"


class AttemptError(Exception):
    """One failed attempt.

    Attributes
    ----------
    final : bool
        Whether a further attempt is pointless.
    wait : float
        Time (s) for which the service asks all clients to wait.
    progress : bool
        Whether part of the file arrived, so that the next attempt can continue; the count of failures then starts again.
    advice : str
        What the user can do.
    """

    def __init__(
        self,
        reason: str,
        final: bool = False,
        wait: float = 0.0,
        *,
        progress: bool = False,
        advice: str = ADVICE_TO_RETRY,
    ) -> None:
        super().__init__(reason)
        self.final = final
        self.wait = wait
        self.progress = progress
        self.advice = advice


def attempt(action: Callable[[], T], what: str, transfer: Transfer) -> T:
    """Call `action` until it succeeds, with random pauses that double on average.

    Parameters
    ----------
    action : callable
        Raises :class:`AttemptError` or an error of requests if it fails.
    what : str
        What is fetched, for messages.
    transfer : Transfer
        Number of retries and first pause.

    Returns
    -------
    object
        What `action` returns.

    Raises
    ------
    TransferError
        If it failed for good; the message has the last reason, the number of attempts, and what to do.
    """
    attempts, fruitless = 0, 0
    while True:
        attempts += 1
        try:
            return action()
        except (AttemptError, requests.RequestException, urllib3.exceptions.HTTPError) as error:
            fault = error if isinstance(error, AttemptError) else fault_of(error)
        fruitless = 1 if fault.progress else fruitless + 1
        if fault.final or fruitless > transfer.retries:
            end = f"gave up after {attempts} attempts" if attempts > 1 else "1 attempt"
            raise TransferError(f"{what}: {fault} ({end}); {fault.advice}")
        # Jobs that failed at the same time must not retry at the same time.
        pause = min(transfer.backoff * 2 ** (fruitless - 1), MAX_RETRY_PAUSE) * random.uniform(0.5, 1.5)
        pause = max(pause, min(fault.wait, MAX_RETRY_AFTER))
        logger.info("%s: %s; next attempt in %.1f s", what, fault, pause)
        time.sleep(pause)


def fault_of(error: Exception) -> AttemptError:
    """Return the failed attempt that corresponds to an error of requests, urllib3 or the socket."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        try:
            check_status(error.response)
        except AttemptError as fault:
            return fault
    wrong = (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema)
    if isinstance(error, wrong):
        return AttemptError(f"not the address of a service ({error})", final=True, advice="check the configuration")
    slow = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
    cause = error.args[0] if error.args else None
    if isinstance(error, slow) or isinstance(cause, slow):
        return AttemptError("no answer in time")
    broken = (
        requests.exceptions.ChunkedEncodingError,
        requests.exceptions.ContentDecodingError,
        urllib3.exceptions.ProtocolError,
        urllib3.exceptions.DecodeError,
        http.client.HTTPException,
        ConnectionError,
    )
    if isinstance(error, broken):
        return AttemptError("the connection broke before the whole answer was received")
    if isinstance(error, requests.ConnectionError):
        cause = getattr(cause, "reason", None) or cause
        return AttemptError(f"no connection ({type(cause).__name__ if cause else 'refused'})")
    return AttemptError(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


def check_status(response: requests.Response) -> None:
    """Raise :class:`AttemptError` unless the HTTP status of the response is a success."""
    status = response.status_code
    if response.ok:
        return
    advice = ADVICE_TO_RETRY
    if status in {404, 410}:
        advice = "the service does not have this file; check the address of the service in the configuration"
    elif status in {401, 403}:
        advice = "the service does not give it to the public; check the address of the service in the configuration"
    wait = retry_after(response.headers.get("Retry-After", ""), response.headers.get("Date", ""))
    raise AttemptError(f"HTTP {status}", final=status not in TRANSIENT_STATUSES, wait=wait, advice=advice)


def retry_after(text: str, date: str = "") -> float:
    """Return the time (s) that a Retry-After header asks for (RFC 9110, section 10.2.3); 0 if it is empty or invalid.

    Parameters
    ----------
    text : str
        Seconds or an HTTP date.
    date : str
        The Date of the response, to which a date is compared because the local clock may be wrong.
    """
    text = text.strip()
    if text.isdigit():
        return min(float(text), MAX_RETRY_AFTER)
    until = _date(text)
    if until is None:
        return 0.0
    now = _date(date) or datetime.datetime.now(datetime.UTC)
    return min(max((until - now).total_seconds(), 0.0), MAX_RETRY_AFTER)


def _date(text: str) -> datetime.datetime | None:
    try:
        date = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=datetime.UTC)
