"""The labelling page, served from this machine by the standard library.

Nothing that arrives over the network is used as the path of a file. A page of another site can neither read nor write
labels: the Host and Origin headers must name this server, and a request that changes something must be JSON. To other
machines the server opens only with a token.
"""

import ipaddress
import json
import re
import secrets
import socket
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tuningfork.core.errors import InputError, TuningforkError
from tuningfork.label.session import LabelSession

MAX_REQUEST_BYTES = 8192
"""Largest body of a request."""
TOKEN_COOKIE = "tuningfork_token"
PAGES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
}
PICTURE_URL = re.compile(r"/stamp/([0-9]{1,6})\.png")
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class RefusalError(Exception):
    """A request that is not served."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class LabelServer(ThreadingHTTPServer):
    """Serves one session.

    Parameters
    ----------
    session : LabelSession
    host : str
    port : int
        Zero takes a free one.
    token : str, optional
        Secret that a client must show. Without one, the server draws one unless it listens on a loopback address.

    Raises
    ------
    InputError
        The address is in use or does not belong to this machine.
    """

    daemon_threads = True

    def __init__(self, session: LabelSession, host: str, port: int, token: str | None = None) -> None:
        self.session = session
        self.host = host
        self.token = token or (None if _is_loopback(host) else secrets.token_urlsafe(24))
        self.pages = {url: ((files(__package__) / name).read_bytes(), kind) for url, (name, kind) in PAGES.items()}
        try:
            super().__init__((host, port), LabelRequestHandler)
        except (OSError, OverflowError) as error:
            raise InputError(f"cannot listen on {host}:{port} ({error}); choose another --host or --port") from None
        # Any port: a tunnel to another machine often ends on a different one.
        self.names = {host, "localhost", "127.0.0.1"}

    @property
    def url(self) -> str:
        """Where to point the browser."""
        name = socket.gethostname() if self.host == "0.0.0.0" else self.host
        page = f"http://{name}:{self.server_port}/"
        return f"{page}?token={self.token}" if self.token else page


class LabelRequestHandler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: LabelServer
    server_version = "tuningfork"
    sys_version = ""
    timeout = 30

    def do_GET(self) -> None:
        """Serve the page, its parts, the pictures and the overview."""
        self._guarded(self._get)

    def do_POST(self) -> None:
        """Record or take back a label."""
        self._guarded(self._post)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet: the terminal shows the address alone, and no token ends up in a log."""

    def _guarded(self, serve: Any) -> None:
        try:
            self._check_origin()
            serve()
        except RefusalError as refusal:
            self._send(refusal.status, _json({"error": str(refusal)}), "application/json")
        except TuningforkError as error:
            self._send(HTTPStatus.BAD_REQUEST, _json({"error": str(error)}), "application/json")
        except ConnectionError:
            self.close_connection = True
        except OSError as error:
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, _json({"error": f"not written: {error}"}), "application/json")

    def _check_origin(self) -> None:
        """Refuse a request that another site has made the browser send."""
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        # Behind a token any name of this machine may be used: a foreign site has no cookie for it.
        if self.server.token is None and urlsplit(f"//{host}").hostname not in self.server.names:
            raise RefusalError(HTTPStatus.FORBIDDEN, "this server is reached as localhost only")
        if origin is not None and origin != f"http://{host}":
            raise RefusalError(HTTPStatus.FORBIDDEN, "the request comes from another site")

    def _check_token(self) -> None:
        token = self.server.token
        if token is None:
            return
        shown = self.headers.get("Authorization", "").removeprefix("Bearer ") or _cookie(self.headers.get("Cookie", ""))
        if not secrets.compare_digest(shown.encode(), token.encode()):
            raise RefusalError(HTTPStatus.UNAUTHORIZED, "open the address with the token that the server has printed")

    def _get(self) -> None:
        url = urlsplit(self.path)
        given = parse_qs(url.query)
        if url.path == "/" and "token" in given and self.server.token:
            self._sign_in(given["token"][0])
            return
        self._check_token()
        picture = PICTURE_URL.fullmatch(url.path)
        if url.path in self.server.pages:
            content, kind = self.server.pages[url.path]
            self._send(HTTPStatus.OK, content, kind)
        elif picture and int(picture[1]) < len(self.server.session):
            self._send(HTTPStatus.OK, self.server.session.picture(int(picture[1])), "image/png")
        elif url.path == "/overview":
            overview = self.server.session.overview(given.get("labeller", [""])[0])
            self._send(HTTPStatus.OK, _json(overview), "application/json")
        else:
            raise RefusalError(HTTPStatus.NOT_FOUND, "no such page")

    def _sign_in(self, shown: str) -> None:
        """Turn the token of the printed address into a cookie, so that it stays in no history."""
        if not secrets.compare_digest(shown.encode(), (self.server.token or "").encode()):
            raise RefusalError(HTTPStatus.UNAUTHORIZED, "this is not the token that the server has printed")
        self.send_response(HTTPStatus.SEE_OTHER)
        self.send_header("Location", "/")
        self.send_header("Set-Cookie", f"{TOKEN_COOKIE}={self.server.token}; HttpOnly; SameSite=Strict; Path=/")
        self._end(b"")

    def _post(self) -> None:
        request = self._body()
        self._check_token()
        place, labeller = request.get("place"), request.get("labeller")
        if type(place) is not int or not isinstance(labeller, str):
            raise RefusalError(HTTPStatus.BAD_REQUEST, "expected a place in the queue and a name")
        if self.path == "/vote" and isinstance(request.get("answers"), dict):
            self.server.session.vote(place, labeller, request["answers"])
        elif self.path == "/withdraw":
            self.server.session.withdraw(place, labeller)
        else:
            raise RefusalError(HTTPStatus.NOT_FOUND, "expected /vote with answers, or /withdraw")
        self._send(HTTPStatus.OK, _json({}), "application/json")

    def _body(self) -> dict[str, Any]:
        """Read the request; browsers let a foreign site send forms and plain text, but not JSON."""
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit():
            raise RefusalError(HTTPStatus.LENGTH_REQUIRED, "the length of the request is not given")
        if len(length) > 6 or int(length) > MAX_REQUEST_BYTES:
            raise RefusalError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request has at most {MAX_REQUEST_BYTES} bytes")
        body = self.rfile.read(int(length))
        if self.headers.get_content_type() != "application/json":
            raise RefusalError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected application/json")
        try:
            request = json.loads(body)
        except (ValueError, RecursionError):
            raise RefusalError(HTTPStatus.BAD_REQUEST, "not JSON") from None
        if not isinstance(request, dict):
            raise RefusalError(HTTPStatus.BAD_REQUEST, "expected a JSON object")
        return request

    def _send(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self._end(content)

    def _end(self, content: bytes) -> None:
        for name, value in SECURITY_HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def serve(results: Path, labels: Path, host: str = "127.0.0.1", port: int = 8765, token: str | None = None) -> None:
    """Serve the labelling page until it is interrupted.

    Parameters
    ----------
    results, labels : Path
        Folders of the run and of the votes.
    host : str
        Address to listen on; every address but a loopback one demands a token.
    port : int
    token : str, optional
        Secret that a client must show; None draws one where it is needed.

    Raises
    ------
    InputError
        There is nothing to label, or the address cannot be used.
    """
    with LabelServer(LabelSession(results, labels), host, port, token) as server:
        print(f"label {len(server.session)} galaxies at {server.url} (stop with Ctrl-C)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _cookie(header: str) -> str:
    try:
        morsel = SimpleCookie(header).get(TOKEN_COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _json(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False).encode()
