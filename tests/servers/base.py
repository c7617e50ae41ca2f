"""A loopback HTTP server for tests: a survey's server answers through it, and faults are injected into it."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True)
class Request:
    """What a client has asked.

    Attributes
    ----------
    method : str
    path : str
        Without the query, percent-decoded.
    query : dict
        Parameters of the query and of a form in the body, the first value of each; names in lower case.
    headers : mapping
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass
class Answer:
    """What the server says."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


NOT_FOUND = Answer(b"<html><body>Not Found</body></html>", 404, {"Content-Type": "text/html"})


class Service:
    """A server on loopback; a context manager.

    Derive and override :meth:`answer`, or give it a function.

    Attributes
    ----------
    requests : list of Request
        Everything that was asked, in order of arrival.
    """

    def __init__(self, answer: Callable[[Request], Answer] | None = None) -> None:
        self.requests: list[Request] = []
        self._given = answer
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        """The server's address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, request: Request) -> Answer:
        """Return the answer to a request."""
        return self._given(request) if self._given else NOT_FOUND

    def __enter__(self) -> "Service":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._reply()

        def do_HEAD(self) -> None:
            self._reply()

        def do_POST(self) -> None:
            self._reply()

        def _reply(self) -> None:
            parts = urlsplit(self.path)
            form = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode(errors="replace")
            if "urlencoded" not in self.headers.get("Content-Type", ""):
                form = ""
            query = {name.lower(): values[0] for name, values in parse_qs(f"{parts.query}&{form}").items()}
            request = Request(self.command, unquote(parts.path), query, dict(self.headers))
            service.requests.append(request)
            self.send(service.answer(request))

        def send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        def log_message(self, *_: Any) -> None:
            """Say nothing on standard error."""

    return Handler
