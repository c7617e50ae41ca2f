"""The session through which libraries such as pyvo and astroquery query services."""

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
"""Size of the largest answer that is accepted, after decompression."""
CATALOGUE_PATIENCE = 5
"""Factor by which a catalogue service may be silent for longer than a file server before it answers."""
DOCUMENT_TYPES = ("xml", "votable")
"""Content types in which services report errors to the libraries that read them."""


USER_AGENT = f"tuningfork/{version('tuningfork')} {requests.utils.default_user_agent()}"
"""How we identify ourselves to services."""


def file_session() -> requests.Session:
    """Return a session for files, which are read as they arrive."""
    session = requests.Session()
    session.headers["User-Agent"] = USER_AGENT
    return session


class ServiceSession(requests.Session):
    """A session whose answers are complete, in time, limited in size and successful; otherwise it raises an error.

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
            If the status is bad, or the answer is truncated, too slow or too large. A bad status is not raised if its
            document, such as one of TAP, can be read by a library.
        requests.RequestException
            If there was no answer.
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
        received, size = [], 0
        with response:
            for piece in pieces(response, CATALOGUE_PATIENCE * self._timeout, decode=True):
                received.append(piece)
                size += len(piece)
                if size > MAX_ANSWER_BYTES:
                    raise AttemptError(f"the answer is larger than the limit of {MAX_ANSWER_BYTES} bytes", final=True)
        return b"".join(received)


class ReadResponse(urllib3.HTTPResponse):
    """A response that has been read, for libraries that read it themselves."""

    def __init__(self, content: bytes, response: requests.Response) -> None:
        headers = {name: value for name, value in response.headers.items() if name.lower() != "content-encoding"}
        super().__init__(io.BytesIO(content), headers, response.status_code, preload_content=False)


def tame_libraries(folder: Path) -> None:
    """Keep libraries from caching answers, and from writing to the user's home: what they must keep goes to `folder`.

    By default astroquery pickles every answer, and some of its modules do so in any case; these pickles are never read.
    astropy keeps what it downloads.
    """
    astroquery.cache_conf.cache_active = False
    astroquery.cache_conf.cache_timeout = 0
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["ASTROPY_CACHE_DIR"] = str(folder.absolute())
