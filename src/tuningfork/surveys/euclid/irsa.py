"""Queries to IRSA about Euclid, through astroquery."""

import warnings
from collections.abc import Callable
from typing import TypeVar

import astropy.units as u
import pyvo
import requests
from astropy.table import Table
from astroquery.ipac.irsa import IrsaClass

from tuningfork.sky.surroundings import Surroundings
from tuningfork.surveys.tap import TooManyRowsError, ask_vo, complete_table, in_parts
from tuningfork.surveys.transfer.attempts import AttemptError
from tuningfork.surveys.transfer.network import Limit, Network

T = TypeVar("T")
COLLECTION = "euclid_DpdMerBksMosaic"
"""IRSA's name for the collection of MER mosaics."""
IRSA_LIMIT = Limit(connections=4)
"""Our own limit: IRSA publishes none, but asks users not to disturb its synchronous services by large downloads."""
MAX_ROWS = 200_000
"""Rows that are requested at once; without MAXREC, IRSA truncates an answer at 2,000."""
MOSAIC_COLUMNS = ("access_url", "s_ra", "s_dec", "s_region")
"""Columns that the list of mosaics must have."""


class Irsa:
    """IRSA's image and catalogue services.

    Parameters
    ----------
    network : Network
    url : str
        Address of IRSA.
    """

    def __init__(self, network: Network, url: str) -> None:
        self._network = network
        self._url = url.rstrip("/")

    def mosaics(self, ra: float, dec: float, radius: float) -> Table:
        """Return the files of the mosaics that touch a circle.

        Parameters
        ----------
        ra, dec : float
            Centre (deg).
        radius : float
            Radius (deg).

        Returns
        -------
        astropy.table.Table
            One row per file, with the columns of `MOSAIC_COLUMNS`.

        Raises
        ------
        TooManyRowsError
            If the service truncated its answer.
        TransferError
            If no valid answer was received.
        """

        def question(client: IrsaClass) -> Table:
            with warnings.catch_warnings():
                warnings.simplefilter("error", pyvo.dal.DALOverflowWarning)
                circle = (ra * u.deg, dec * u.deg, radius * u.deg)
                try:
                    rows = client.query_sia(pos=circle, collection=COLLECTION, maxrec=MAX_ROWS)
                except pyvo.dal.DALOverflowWarning:
                    raise TooManyRowsError(f"{self._url}/SIA: the service truncated its answer") from None
            for column in MOSAIC_COLUMNS:
                if column not in rows.colnames:
                    raise AttemptError(f"the list of mosaics has no column {column}", final=True)
            return rows

        return self._ask(question, "SIA")

    def catalogue(self, query: str) -> Table:
        """Return the answer to an ADQL query.

        Raises
        ------
        TooManyRowsError
            If the service truncated its answer.
        TransferError
            If no valid answer was received.
        """

        def question(client: IrsaClass) -> Table:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", pyvo.dal.DALOverflowWarning)
                return complete_table(client.query_tap(query, maxrec=MAX_ROWS), f"{self._url}/TAP", MAX_ROWS)

        return self._ask(question, "TAP")

    def catalogue_around(self, query: Callable[[Surroundings], str], box: Surroundings) -> Table:
        """Return the answer to a query about a box; if the service truncates it, the halves of the box are queried.

        Raises
        ------
        TransferError
            If no valid answer was received.
        """
        return in_parts(lambda part: self.catalogue(query(part)), box)

    def _ask(self, question: Callable[[IrsaClass], T], service: str) -> T:
        url = f"{self._url}/{service}"

        def through(session: requests.Session) -> T:
            client = IrsaClass()
            client.sia_url = client.tap_url = url
            client._session = session
            try:
                return question(client)
            except ValueError as error:
                # The description of the service is parsed without pyvo's usual checks.
                raise AttemptError(f"no valid answer: {' '.join(str(error).split())[:300]}") from None

        return ask_vo(self._network, url, through, IRSA_LIMIT)
