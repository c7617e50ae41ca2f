"""The session through which libraries such as pyvo and astroquery ask services."""

import io
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import astroquery
import requests
import urllib3

from tuningfork.core.config.transfer import Transfer
from tuningfork.surveys.transfer.attempts import AttemptError, check_status
from tuningfork.surveys.transfer.body import pieces

MAX_ANSWER_BYTES = 512 * 2**20
"""Largest answer (bytes, unpacked) that is accepted."""
CATALOGUE_PATIENCE = 5
"""How many times longer a catalogue may be silent before it answers than a server of files."""
DOCUMENT_TYPES = ("xml", "votable")
"""Kinds of content in which services tell their errors to the libraries that read them."""


USER_AGENT = f"tuningfork/{version('tuningfork')} {requests.utils.default_user_agent()}"
"""Who we are: services like to know whom they serve."""


def file_session() -> requests.Session:
    """Return a session for files, which are read as they come."""
    session = requests.Session()
    session.headers["User-Agent"] = USER_AGENT
    return session


class ServiceSession(requests.Session):
    """A session whose answers come whole, in time, in bounds and with a good status, or raise an error.

    Parameters
    ----------
    settings : Transfer
    """

    def __init__(self, settings: Transfer) -> None:
        super().__init__()
        self.headers["User-Agent"] = USER_AGENT
        self._timeout = settings.timeout

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request and read its answer.

        Raises
        ------
        AttemptError
            The status is bad, or the answer is cut short, too slow or too large. A bad status whose document a
            library can read, as those of TAP, is left to it.
        requests.RequestException
            There was no answer.
        """
        options["timeout"] = options.get("timeout") or (self._timeout, CATALOGUE_PATIENCE * self._timeout)
        options["stream"] = True
        response = super().send(request, **options)
        if not isinstance(response.raw, ReadResponse):
            content = self._content(response)
            response.raw = ReadResponse(content, response)
            response._content = content
        if not any(name in response.headers.get("Content-Type", "") for name in DOCUMENT_TYPES):
            check_status(response)
        return response

    def _content(self, response: requests.Response) -> bytes:
        came, size = [], 0
        with response:
            for piece in pieces(response, CATALOGUE_PATIENCE * self._timeout, decode=True):
                came.append(piece)
                size += len(piece)
                if size > MAX_ANSWER_BYTES:
                    raise AttemptError(f"the answer is larger than the limit of {MAX_ANSWER_BYTES} bytes", final=True)
        return b"".join(came)


class ReadResponse(urllib3.HTTPResponse):
    """An answer that has been read, for libraries that read it themselves."""

    def __init__(self, content: bytes, response: requests.Response) -> None:
        headers = {name: value for name, value in response.headers.items() if name.lower() != "content-encoding"}
        super().__init__(io.BytesIO(content), headers, response.status_code, preload_content=False)


def tame_libraries(folder: Path) -> None:
    """Let the libraries keep nothing of what they ask, and what they must keep in `folder`, not in the user's home.

    astroquery pickles every answer by default, and some of its modules do so in any case: these are never read again.
    astropy keeps what it downloads.
    """
    astroquery.cache_conf.cache_active = False
    astroquery.cache_conf.cache_timeout = 0
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["ASTROPY_CACHE_DIR"] = str(folder.absolute())
