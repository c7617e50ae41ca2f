"""The way to remote services: every request of a job goes through one object, which keeps the rules."""

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
    """Transfers of a job, and the cache of files that it shares with other jobs and runs.

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
        """Return where the file `name` of the cache lies; it then counts as used now.

        A path of the user's own, which is absolute, is returned as it is.
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
        OSError
            The disk is full.
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
        """Make one attempt at a file; one that is whole but wrong is thrown away."""
        self._pass(lambda: fetch(self._files, url, partial, self.settings.timeout), url, limit)
        try:
            verify(partial.path)
            if published:
                published.check(partial.path)
        except AttemptError:
            partial.discard()
            raise

    def make(self, name: str, write: Callable[[Path], None]) -> str:
        """Have a file in the cache that this machine makes itself: `write` gets a temporary path.

        Returns
        -------
        str
            `name`.

        Raises
        ------
        OSError
            The disk is full.
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
        self._online(f"{url} cannot be asked")
        tame_libraries(self._cache.hidden / "libraries")
        return attempt(lambda: self._pass(question, url, limit), url, self.settings)

    def session(self) -> requests.Session:
        """Return a new session for libraries that take one (pyvo, astroquery).

        Every request has a time limit and every answer a bound and a good status. Use it within :meth:`ask`, which
        brings retries and limits.

        Raises
        ------
        TransferError
            Offline.
        """
        self._online("no service can be asked")
        return ServiceSession(self.settings)

    def _pass(self, action: Callable[[], T], url: str, limit: Limit) -> T:
        """Do one request when the host's limits allow; when the host asks to wait, all jobs wait."""
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
        """This thread's session for files, which keeps its connections."""
        if not hasattr(self._threads, "session"):
            self._threads.session = file_session()
        session: requests.Session = self._threads.session
        return session

    def _online(self, consequence: str) -> None:
        if self.settings.offline:
            raise TransferError(
                f"offline: {consequence}; set transfer.offline to false, or transfer.cache to a folder that has all"
            )
