"""Questions to catalogue services that speak TAP (IVOA Table Access Protocol), through pyvo."""

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
"""For NOIRLab's Data Lab, which publishes no limit for anonymous users: our politeness."""
MIN_BOX_HEIGHT = 1e-4
"""Height (deg) below which a box is not split further."""
TIMEOUT_TEXT = re.compile(r"time[ds]?[ -]?out|time limit|statement timeout|too long", re.IGNORECASE)
"""What services say of a query that has used up its time."""


class TooManyRowsError(TransferError):
    """The service has cut its answer, or has given up the query for its length."""


def ask_tap(network: Network, url: str, query: str, limit: Limit = NO_LIMIT, rows: int | None = None) -> Table:
    """Return the answer to one ADQL query.

    Parameters
    ----------
    network : Network
    url : str
        Base address of the service.
    query : str
    limit : Limit
        What the service allows.
    rows : int, optional
        Rows at which the service cuts, for services that do not say OVERFLOW; also sent as MAXREC.

    Raises
    ------
    TooManyRowsError
        The answer was cut, or the query took the service too long.
    TransferError
        No good answer came.
    """

    def question(session: requests.Session) -> Table:
        # pyvo warns of an OVERFLOW, which is dealt with here.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pyvo.dal.DALOverflowWarning)
            result = pyvo.dal.TAPService(url, session=session).run_sync(query, maxrec=rows)
        return complete_table(result, url, rows)

    return ask_vo(network, url, question, limit)


def complete_table(result: pyvo.dal.TAPResults, url: str, rows: int | None) -> Table:
    """Return the table of an answer that the service has not cut.

    Raises
    ------
    TooManyRowsError
        It has.
    """
    table = result.to_table()
    if result.query_status == "OVERFLOW" or (rows is not None and len(table) >= rows):
        raise TooManyRowsError(f"{url}: the service has cut its answer at {len(table)} rows; ask for fewer sources")
    return table


def ask_vo(network: Network, url: str, question: Callable[[requests.Session], T], limit: Limit = NO_LIMIT) -> T:
    """Ask a service through pyvo, or a library that builds on it, and tell its faults apart.

    Parameters
    ----------
    network : Network
    url : str
        Address of the service.
    question : callable
        Gets the session to use, sends the question and returns what came.
    limit : Limit
        What the service allows.

    Raises
    ------
    TooManyRowsError
        The query took the service too long.
    TransferError
        No good answer came.
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
    """Return what is to be raised for an error of pyvo, which hides what the network or the service has said."""
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
    return AttemptError(f"the query failed: {reason}" if told else f"no good answer: {reason}", final=told)


def ask_around(
    network: Network,
    url: str,
    query: Callable[[Surroundings], str],
    box: Surroundings,
    limit: Limit = NO_LIMIT,
    rows: int | None = None,
) -> Table:
    """Return the answer to a query about a box; where the service cuts it, the box is split and asked in parts.

    Parameters
    ----------
    query : callable
        Box -> ADQL; see :meth:`Surroundings.condition`.

    Raises
    ------
    TransferError
        No good answer came.
    """
    return in_parts(lambda part: ask_tap(network, url, query(part), limit, rows), box)


def in_parts(ask: Callable[[Surroundings], Table], box: Surroundings) -> Table:
    """Return the answer about a box; where `ask` says that it was cut, those about its halves, put together.

    Raises
    ------
    TransferError
        No good answer came, or one about the smallest of boxes was cut.
    """
    try:
        return ask(box)
    except TooManyRowsError:
        if box.dec_max - box.dec_min < MIN_BOX_HEIGHT:
            raise
    parts = [in_parts(ask, half) for half in box.halves()]
    # The columns of an answer without rows may have other types.
    return vstack([part for part in parts if len(part)] or parts[:1], metadata_conflicts="silent")
