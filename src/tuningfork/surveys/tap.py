"""Questions to catalogue services that speak TAP (IVOA Table Access Protocol), through pyvo."""

from collections.abc import Callable

import pyvo
from astropy.table import Table, vstack

from tuningfork.sky.surroundings import Surroundings
from tuningfork.surveys.transfer.attempts import AttemptError
from tuningfork.surveys.transfer.network import FREE, Limit, Network

SMALLEST = 1e-4
"""Height (deg) below which a box is not split further."""


class TooManyRowsError(Exception):
    """The service has cut its answer."""


def ask_tap(network: Network, url: str, query: str, limit: Limit = FREE, rows: int | None = None) -> Table:
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
        The answer was cut.
    TransferError
        No good answer came.
    """

    def once() -> Table:
        service = pyvo.dal.TAPService(url, session=network.session())
        try:
            result = service.run_sync(query, maxrec=rows)
        except pyvo.dal.DALQueryError as error:
            raise AttemptError(f"the query failed: {' '.join(str(error).split())[:300]}", final=True) from None
        except pyvo.dal.DALServiceError as error:
            raise AttemptError(f"no good answer: {' '.join(str(error).split())[:300]}") from None
        table = result.to_table()
        if result.query_status == "OVERFLOW" or (rows is not None and len(table) >= rows):
            raise TooManyRowsError
        return table

    return network.ask(once, url, limit)


def ask_around(
    network: Network,
    url: str,
    query: Callable[[Surroundings], str],
    box: Surroundings,
    limit: Limit = FREE,
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
    try:
        return ask_tap(network, url, query(box), limit, rows)
    except TooManyRowsError:
        if box.dec_max - box.dec_min < SMALLEST:
            raise
        parts = [ask_around(network, url, query, half, limit, rows) for half in box.halves()]
        return vstack(parts, metadata_conflicts="silent")
