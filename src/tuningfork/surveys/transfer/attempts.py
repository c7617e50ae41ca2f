"""Try again what fails now and then, with pauses that grow."""

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
"""Longest pause (s) between two attempts that a service has not asked for."""
MAX_RETRY_AFTER = 600.0
"""Longest pause (s) that a service is granted by Retry-After; it is then asked again."""
TRANSIENT_STATUSES = {408, 425, 429, 500, 502, 503, 504}
"""HTTP statuses that may be gone at the next attempt."""
ADVICE_TO_RETRY = "check the network and the service, then run again: what has come is kept"


class AttemptError(Exception):
    """One failed attempt.

    Attributes
    ----------
    final : bool
        Whether a further attempt is pointless.
    wait : float
        Seconds that the service asks everybody to wait.
    progress : bool
        Whether a part has come that the next attempt need not ask for again; it then counts as a first one.
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
    """Call `action` until it succeeds, with pauses that double and jitter.

    Parameters
    ----------
    action : callable
        Raises :class:`AttemptError` or an error of requests when it fails.
    what : str
        What is fetched, for messages.
    transfer : Transfer
        Number of retries and first pause.

    Raises
    ------
    TransferError
        It failed for good; the message has the last reason, the number of attempts, and what to do.
    """
    made, fruitless = 0, 0
    while True:
        made += 1
        try:
            return action()
        except (AttemptError, requests.RequestException, urllib3.exceptions.HTTPError) as error:
            fault = error if isinstance(error, AttemptError) else fault_of(error)
        fruitless = 1 if fault.progress else fruitless + 1
        if fault.final or fruitless > transfer.retries:
            end = f"gave up after {made} attempts" if made > 1 else "1 attempt"
            raise TransferError(f"{what}: {fault} ({end}); {fault.advice}")
        # Jobs that failed together must not come back together.
        pause = min(transfer.backoff * 2 ** (fruitless - 1), MAX_RETRY_PAUSE) * random.uniform(0.5, 1.5)
        pause = max(pause, min(fault.wait, MAX_RETRY_AFTER))
        logger.info("%s: %s; next attempt in %.1f s", what, fault, pause)
        time.sleep(pause)


def fault_of(error: Exception) -> AttemptError:
    """Return the failed attempt that an error of requests, urllib3 or the socket stands for."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        try:
            check_status(error.response)
        except AttemptError as fault:
            return fault
    wrong = (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema)
    if isinstance(error, wrong):
        return AttemptError(f"no address of a service ({error})", final=True, advice="check the configuration")
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
        return AttemptError("the connection broke before the whole answer had come")
    if isinstance(error, requests.ConnectionError):
        cause = getattr(cause, "reason", None) or cause
        return AttemptError(f"no connection ({type(cause).__name__ if cause else 'refused'})")
    return AttemptError(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


def check_status(response: requests.Response) -> None:
    """Raise :class:`AttemptError` unless the answer's HTTP status is a success."""
    status = response.status_code
    if response.ok:
        return
    advice = ADVICE_TO_RETRY
    if status in {404, 410}:
        advice = "the service does not have it; check its address in the configuration"
    elif status in {401, 403}:
        advice = "the service refuses it to the public; check its address in the configuration"
    wait = retry_after(response.headers.get("Retry-After", ""), response.headers.get("Date", ""))
    raise AttemptError(f"HTTP {status}", final=status not in TRANSIENT_STATUSES, wait=wait, advice=advice)


def retry_after(text: str, date: str = "") -> float:
    """Return the seconds that a Retry-After header asks for (RFC 9110, section 10.2.3); 0 if it says nothing.

    Parameters
    ----------
    text : str
        Seconds or an HTTP date.
    date : str
        The answer's own Date, by which a date is judged: the clock here may be wrong.
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
