"""The way to remote services: every request of a job goes through one object, which keeps the rules."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import requests

from tuningfork.core.config.transfer import Transfer
from tuningfork.core.errors import TransferError
from tuningfork.core.files import replacing
from tuningfork.surveys.transfer.attempts import attempt
from tuningfork.surveys.transfer.download import download
from tuningfork.surveys.transfer.verify import verify_fits

T = TypeVar("T")


@dataclass(frozen=True)
class Limit:
    """What a service allows; the lower of this and the configuration's `transfer` counts.

    Attributes
    ----------
    rate : float
        Requests a second.
    connections : int
        Requests at a time.
    """

    rate: float = float("inf")
    connections: int = 256


FREE = Limit()


class Network:
    """Transfers of a job, and the cache of files that it shares with other jobs and runs.

    Parameters
    ----------
    settings : Transfer
    """

    def __init__(self, settings: Transfer | None = None) -> None:
        self.settings = settings or Transfer()
        self.folder = Path(self.settings.cache)

    def path(self, name: str) -> Path:
        """Return where the file `name` of the cache lies."""
        return self.folder / name

    def file(
        self,
        url: str,
        name: str,
        *,
        verify: Callable[[Path], None] = verify_fits,
        sha256: str | None = None,
        limit: Limit = FREE,
    ) -> str:
        """Have a file in the cache; one that is there is not transferred again, by whichever job it came.

        Parameters
        ----------
        url : str
        name : str
            Its name in the cache, such as `sdss-dr17/frame-r-006377-4-0399.fits.bz2`.
        verify : callable
            Gets the path of the fetched file and raises AttemptError if it is not what it should be.
        sha256 : str, optional
            The checksum that the survey publishes.
        limit : Limit
            What the service allows.

        Returns
        -------
        str
            `name`.

        Raises
        ------
        TransferError
            The file could not be had; offline, that it is missing.
        """
        if not self.path(name).is_file():
            self._online(url)
            download(url, self.path(name), self.settings, verify)
        return name

    def make(self, name: str, write: Callable[[Path], None]) -> str:
        """Have a file in the cache that this machine makes itself: `write` gets a temporary path.

        Returns
        -------
        str
            `name`.
        """
        if not self.path(name).is_file():
            with replacing(self.path(name)) as temporary:
                write(temporary)
        return name

    def ask(self, question: Callable[[], T], url: str, limit: Limit = FREE) -> T:
        """Ask a service and return its answer, with retries and within its limits.

        Parameters
        ----------
        question : callable
            Sends one request, through a library, and returns what came. Raises AttemptError or an error of requests.
        url : str
            Address of the service, for its limits and for messages.
        limit : Limit
            What the service allows.

        Raises
        ------
        TransferError
            No good answer came; the message has the last reason.
        """
        self._online(url)
        return attempt(question, url, self.settings)

    def session(self) -> requests.Session:
        """Return a session for libraries that take one (pyvo): every request has a time limit and a good status.

        Use it within :meth:`ask`, which brings retries and limits.
        """
        return requests.Session()

    def _online(self, url: str) -> None:
        if self.settings.offline:
            raise TransferError(f"offline, and not in the cache {self.folder}: {url}")
