"""Access to remote services: all requests of a job go through one object, which respects the limits."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import requests

from tuningfork.core.config.transfer import Transfer
from tuningfork.core.errors import TransferError
from tuningfork.surveys.transfer.attempts import AttemptError, attempt, fault_of
from tuningfork.surveys.transfer.cache import Cache
from tuningfork.surveys.transfer.download import fetch, full_disk
from tuningfork.surveys.transfer.gate import NO_LIMIT, Gate, Limit
from tuningfork.surveys.transfer.partial import Partial
from tuningfork.surveys.transfer.session import ServiceSession, file_session, tame_libraries
from tuningfork.surveys.transfer.verify import PublishedChecksum, verify_fits

__all__ = ["NO_LIMIT", "Limit", "Network"]
T = TypeVar("T")
BYTES_PER_GIGABYTE = 1e9


class Network:
    """The transfers of a job, and the cache of files that it shares with other jobs and runs.

    Parameters
    ----------
    settings : Transfer
    """

    def __init__(self, settings: Transfer | None = None) -> None:
        self.settings = settings or Transfer()
        self.folder = Path(self.settings.cache)
        self._cache = Cache(self.folder, self.settings.cache_size * BYTES_PER_GIGABYTE)
        self._gate = Gate(self._cache.hidden / "hosts", self.settings)
        self._threads = threading.local()

    def path(self, name: str) -> Path:
        """Return the path of the file `name` in the cache, and record its use.

        An absolute path, to a file of the user's own, is returned unchanged.
        """
        if not Path(name).is_absolute():
            self._cache.has(name)
        return self.folder / name

    def file(
        self,
        url: str,
        name: str,
        *,
        verify: Callable[[Path], None] = verify_fits,
        sha256: str | None = None,
        limit: Limit = NO_LIMIT,
    ) -> str:
        """Fetch a file into the cache, unless it is there already.

        Parameters
        ----------
        url : str
        name : str
            Name in the cache, such as `sdss-dr17/frame-r-006377-4-0399.fits.bz2`.
        verify : callable
            Takes the path of the fetched file and raises AttemptError if the file is not what it should be.
        sha256 : str, optional
            Checksum that the survey publishes.
        limit : Limit
            What the service allows.

        Returns
        -------
        str
            `name`.

        Raises
        ------
        TransferError
            If the file could not be fetched or, offline, is not in the cache.
        OSError
            If the disk is full.
        """
        if self._cache.has(name):
            return name
        self._online(f"{url} is not in the cache {self.folder}")
        with self._cache.missing(name) as missing:
            if missing:
                partial = Partial(self._cache.temporary(name))
                published = PublishedChecksum(sha256) if sha256 else None
                attempt(lambda: self._bring(url, partial, verify, published, limit), url, self.settings)
                self._cache.place(name)
                partial.discard()
        return name

    def _bring(
        self,
        url: str,
        partial: Partial,
        verify: Callable[[Path], None],
        published: PublishedChecksum | None,
        limit: Limit,
    ) -> None:
        """Make one attempt to fetch a file; a complete file that fails its verification is deleted."""
        self._pass(lambda: fetch(self._files, url, partial, self.settings.timeout), url, limit)
        try:
            verify(partial.path)
            if published:
                published.check(partial.path)
        except AttemptError:
            partial.discard()
            raise

    def make(self, name: str, write: Callable[[Path], None]) -> str:
        """Create a file in the cache on this machine, unless it is there already.

        Parameters
        ----------
        name : str
            Name in the cache.
        write : callable
            Takes the temporary path to write to.

        Returns
        -------
        str
            `name`.

        Raises
        ------
        OSError
            If the disk is full.
        """
        if self._cache.has(name):
            return name
        with self._cache.missing(name) as missing:
            if missing:
                temporary = self._cache.temporary(name)
                temporary.unlink(missing_ok=True)
                try:
                    write(temporary)
                    self._cache.place(name)
                except OSError as error:
                    raise full_disk(error, temporary.parent) or error from None
                finally:
                    temporary.unlink(missing_ok=True)
        return name

    def ask(self, question: Callable[[], T], url: str, limit: Limit = NO_LIMIT) -> T:
        """Send a query to a service and return the answer, with retries and within the limits.

        Parameters
        ----------
        question : callable
            Sends one request, through a library, and returns the answer. Raises AttemptError or an error of requests.
        url : str
            Address of the service, for its limits and for messages.
        limit : Limit
            What the service allows.

        Returns
        -------
        object
            What `question` returns.

        Raises
        ------
        TransferError
            If no valid answer was received; the message has the last reason.
        """
        self._online(f"{url} cannot be queried")
        tame_libraries(self._cache.hidden / "libraries")
        return attempt(lambda: self._pass(question, url, limit), url, self.settings)

    def session(self) -> requests.Session:
        """Return a new session for libraries that accept one (pyvo, astroquery).

        Every request has a timeout; every answer is limited in size and has a successful status. Use it within :meth:`ask`,
        which adds retries and limits.

        Raises
        ------
        TransferError
            If offline.
        """
        self._online("no service can be queried")
        return ServiceSession(self.settings)

    def _pass(self, action: Callable[[], T], url: str, limit: Limit) -> T:
        """Make one request when the host's limits allow; if the host asks to wait, all jobs wait."""
        try:
            with self._gate.request(url, limit):
                return action()
        except (AttemptError, requests.RequestException) as error:
            fault = error if isinstance(error, AttemptError) else fault_of(error)
            if fault.wait:
                self._gate.hold_back(url, fault.wait)
            raise fault from None

    @property
    def _files(self) -> requests.Session:
        """This thread's session for files, which keeps its connections open."""
        if not hasattr(self._threads, "session"):
            self._threads.session = file_session()
        session: requests.Session = self._threads.session
        return session

    def _online(self, consequence: str) -> None:
        if self.settings.offline:
            raise TransferError(
                f"offline: {consequence}; set transfer.offline to false, or transfer.cache to a folder with all files"
            )
