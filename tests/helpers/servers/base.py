"""A loopback HTTP server for tests: a survey's server answers through it, and faults are injected into it."""

import hashlib
import os
import random
import re
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from helpers.servers.faults import Fault, Faults

MODIFIED = "Mon, 01 Jan 2024 00:00:00 GMT"
PAGE = b"<!DOCTYPE html><html><body>Down for maintenance</body></html>"


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

    Derive and override :meth:`answer`, or give it a function. A whole answer (status 200) gets an ETag and a
    Last-Modified, and parts of it can be asked for by Range and If-Range, as with real file servers; a service without
    these sets `ranges` to False.

    Parameters
    ----------
    answer : callable, optional
    faults : Faults, optional
        What goes wrong; it may also be set later.

    Attributes
    ----------
    requests : list of Request
        Everything that was asked, in order of arrival.
    sent : list of (str, int, int)
        Path, status and bytes of the body of each answer that was sent to its end without a fault.
    """

    ranges = True

    def __init__(self, answer: Callable[[Request], Answer] | None = None, faults: Faults | None = None) -> None:
        self.requests: list[Request] = []
        self.sent: list[tuple[str, int, int]] = []
        self.faults = faults
        self.stopped = threading.Event()
        self._given = answer
        self._server = _Server(("127.0.0.1", 0), _handler(self))
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
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_: Any) -> None:
        """Say nothing when a client has hung up."""


def ranged(request: Request, answer: Answer) -> Answer:
    """Return the part of a whole answer that a request asks for, or why it cannot be had (RFC 9110, section 14)."""
    tag = f'"{hashlib.sha256(answer.body).hexdigest()[:16]}"'
    headers = {"ETag": tag, "Last-Modified": MODIFIED, "Accept-Ranges": "bytes"} | answer.headers
    asked = {name.lower(): value for name, value in request.headers.items()}
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", asked.get("range", ""))
    if not match or not any(match.groups()):
        return replace(answer, headers=headers)
    if "if-range" in asked and asked["if-range"] not in {headers["ETag"], headers["Last-Modified"]}:
        return replace(answer, headers=headers)
    size = len(answer.body)
    first, last = match.groups()
    start = int(first) if first else max(size - int(last), 0)
    stop = min(int(last) + 1 if first and last else size, size)
    if start >= stop:
        return Answer(b"", 416, {"Content-Range": f"bytes */{size}"})
    return Answer(answer.body[start:stop], 206, headers | {"Content-Range": f"bytes {start}-{stop - 1}/{size}"})


def spoilt(answer: Answer, fault: Fault | None, seed: str) -> Answer:
    """Return what a fault makes of an answer, for the faults that are not about the way it is sent.

    `seed` decides which bytes are flipped.
    """
    refusals = {Fault.UNAVAILABLE: 503, Fault.RETRY_AFTER: 503, Fault.TOO_MANY: 429, Fault.GONE: 404}
    if fault in refusals:
        wait = {"Retry-After": "0"} if fault in {Fault.RETRY_AFTER, Fault.TOO_MANY} else {}
        return Answer(PAGE, refusals[fault], {"Content-Type": "text/html"} | wait)
    if fault is Fault.HTML:
        return Answer(PAGE, 200, {"Content-Type": "text/html"})
    size = len(answer.body)
    if fault is Fault.TRUNCATED:
        return replace(answer, body=answer.body[: size * 2 // 3])
    if fault is Fault.LONG:
        return replace(answer, body=answer.body + b"\0" * 1000)
    if fault is Fault.FLIPPED:
        body, draw = bytearray(answer.body), random.Random(seed)
        for _ in range(4 if size else 0):
            body[draw.randrange(size)] ^= draw.randrange(1, 256)
        return replace(answer, body=bytes(body))
    return answer


def _handler(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

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
            fault = service.faults.of(request) if service.faults else None
            if fault is Fault.HANG:
                self._hang()
                return
            answer = service.answer(request)
            if service.ranges and answer.status == 200 and self.command == "GET":
                answer = ranged(request, answer)
            again = sum(other.path == request.path for other in service.requests)
            self.send(spoilt(answer, fault, f"{request.path} {again}"), fault)
            if fault is None:
                service.sent.append((request.path, answer.status, len(answer.body)))

        def send(self, answer: Answer, fault: Fault | None = None) -> None:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command == "HEAD":
                return
            half = len(answer.body) // 2
            match fault:
                case Fault.CUT:
                    self.wfile.write(answer.body[:half])
                    self.close_connection = True
                case Fault.RESET:
                    self.wfile.write(answer.body[:half])
                    self._reset()
                case Fault.STALL:
                    self.wfile.write(answer.body[:half])
                    self._hang()
                case Fault.DRIP:
                    self._drip(answer.body)
                case _:
                    self.wfile.write(answer.body)

        def _hang(self) -> None:
            """Be silent until the client gives up."""
            self.close_connection = True
            self.connection.settimeout(0.1)
            while not service.stopped.is_set():
                try:
                    if not self.connection.recv(1):
                        return
                except TimeoutError:
                    continue
                except OSError:
                    return

        def _drip(self, body: bytes) -> None:
            self.close_connection = True
            for place in range(len(body)):
                try:
                    self.wfile.write(body[place : place + 1])
                except OSError:
                    return
                if service.stopped.wait(0.05):
                    return

        def _reset(self) -> None:
            """Close so that the client gets RST instead of FIN."""
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())

        def log_message(self, *_: Any) -> None:
            """Say nothing on standard error."""

    return Handler
