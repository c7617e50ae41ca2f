"""Queries to catalogue services that speak TAP (IVOA Table Access Protocol), through pyvo."""

import re
import warnings
from collections.abc import Callable
from typing import TypeVar

import pyvo
import requests
from astropy.table import Table, vstack

from tuningfork.core.errors import TransferError
from tuningfork.sky.surroundings import Surroundings
from tuningfork.surveys.transfer.attempts import TRANSIENT_STATUSES, AttemptError, check_status
from tuningfork.surveys.transfer.network import NO_LIMIT, Limit, Network

T = TypeVar("T")
DATA_LAB_LIMIT = Limit(rate=4.0, connections=2)
"""Our own limit for NOIRLab's Data Lab, which publishes none for anonymous users."""
MIN_BOX_HEIGHT = 1e-4
"""Height (deg) below which a box is not split further."""
TIMEOUT_TEXT = re.compile(r"time[ds]?[ -]?out|time limit|statement timeout|too long", re.IGNORECASE)
"""What services say of a query that took too long."""


class TooManyRowsError(TransferError):
    """The service has truncated its answer, or has stopped the query because it took too long."""


def ask_tap(network: Network, url: str, query: str, limit: Limit = NO_LIMIT, rows: int | None = None) -> Table:
    """Return the answer to one ADQL query.

    Parameters
    ----------
    network : Network
    url : str
        Base address of the service.
    query : str
        ADQL.
    limit : Limit
        What the service allows.
    rows : int, optional
        Number of rows at which the service truncates, for services that do not report OVERFLOW; also sent as MAXREC.

    Returns
    -------
    astropy.table.Table

    Raises
    ------
    TooManyRowsError
        If the answer was truncated, or the query took the service too long.
    TransferError
        If no valid answer was received.
    """

    def question(session: requests.Session) -> Table:
        # pyvo warns of an OVERFLOW, which complete_table turns into an exception.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pyvo.dal.DALOverflowWarning)
            result = pyvo.dal.TAPService(url, session=session).run_sync(query, maxrec=rows)
        return complete_table(result, url, rows)

    return ask_vo(network, url, question, limit)


def complete_table(result: pyvo.dal.TAPResults, url: str, rows: int | None) -> Table:
    """Return the table of an answer that the service has not truncated.

    Parameters
    ----------
    result : pyvo.dal.TAPResults
    url : str
        Address of the service, for the message.
    rows : int or None
        Number of rows at which the service truncates, if it does not report OVERFLOW.

    Returns
    -------
    astropy.table.Table

    Raises
    ------
    TooManyRowsError
        If the answer was truncated.
    """
    table = result.to_table()
    if result.query_status == "OVERFLOW" or (rows is not None and len(table) >= rows):
        raise TooManyRowsError(f"{url}: the service truncated its answer at {len(table)} rows; ask for fewer sources")
    return table


def ask_vo(network: Network, url: str, question: Callable[[requests.Session], T], limit: Limit = NO_LIMIT) -> T:
    """Query a service through pyvo, or a library that builds on it, and tell its errors apart.

    Parameters
    ----------
    network : Network
    url : str
        Address of the service.
    question : callable
        Takes the session to use, sends the query and returns the answer.
    limit : Limit
        What the service allows.

    Returns
    -------
    object
        What `question` returns.

    Raises
    ------
    TooManyRowsError
        If the query took the service too long.
    TransferError
        If no valid answer was received.
    """

    def once() -> T:
        seen: list[requests.Response] = []
        session = network.session()
        session.hooks["response"].append(lambda response, *_, **__: seen.append(response))
        try:
            return question(session)
        except pyvo.dal.DALAccessError as error:
            raise _fault(error, url, seen) from None
        finally:
            session.close()

    return network.ask(once, url, limit)


def _fault(error: pyvo.dal.DALAccessError, url: str, seen: list[requests.Response]) -> Exception:
    """Return the exception to raise for an error of pyvo, which hides what the network or the service has said."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, AttemptError | requests.RequestException) and not isinstance(cause, requests.HTTPError):
        return cause
    reason = " ".join(str(error).split())[:300]
    told = isinstance(error, pyvo.dal.DALQueryError)
    if told and TIMEOUT_TEXT.search(reason):
        return TooManyRowsError(f"{url}: the query took the service too long ({reason}); ask for fewer sources")
    if seen and (seen[-1].status_code in TRANSIENT_STATUSES or not told):
        try:
            check_status(seen[-1])
        except AttemptError as status:
            return status
    return AttemptError(f"the query failed: {reason}" if told else f"no valid answer: {reason}", final=told)


def ask_around(
    network: Network,
    url: str,
    query: Callable[[Surroundings], str],
    box: Surroundings,
    limit: Limit = NO_LIMIT,
    rows: int | None = None,
) -> Table:
    """Return the answer to a query about a box; if the service truncates it, the box is split and queried in parts.

    Parameters
    ----------
    network : Network
    url : str
        Base address of the service.
    query : callable
        Box -> ADQL; see :meth:`Surroundings.condition`.
    box : Surroundings
    limit : Limit
        What the service allows.
    rows : int, optional
        Number of rows at which the service truncates; see :func:`ask_tap`.

    Returns
    -------
    astropy.table.Table

    Raises
    ------
    TransferError
        If no valid answer was received.
    """
    return in_parts(lambda part: ask_tap(network, url, query(part), limit, rows), box)


def in_parts(ask: Callable[[Surroundings], Table], box: Surroundings) -> Table:
    """Return the answer about a box; if it was truncated, return the answers about the two halves, stacked.

    Raises
    ------
    TransferError
        If no valid answer was received, or the answer about the smallest box was truncated.
    """
    try:
        return ask(box)
    except TooManyRowsError:
        if box.dec_max - box.dec_min < MIN_BOX_HEIGHT:
            raise
    parts = [in_parts(ask, half) for half in box.halves()]
    # The columns of an answer without rows may have other types.
    return vstack([part for part in parts if len(part)] or parts[:1], metadata_conflicts="silent")
