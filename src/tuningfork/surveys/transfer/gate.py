"""Rate limits of hosts, kept by all jobs of the run on all nodes together, through files below the cache.

Each host has a folder with one lock for each connection that may be open, and the times of the latest requests. A job
that is killed releases its lock; nothing needs to be cleaned up.
"""

import contextlib
import ipaddress
import json
import math
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from tuningfork.core.config.transfer import Transfer
from tuningfork.core.errors import TransferError
from tuningfork.surveys.transfer.attempts import MAX_RETRY_AFTER
from tuningfork.surveys.transfer.locks import Lock, locked, pauses

REMEMBERED_REQUESTS = 64
"""Number of requests whose times are kept."""


@dataclass(frozen=True)
class Limit:
    """What a service allows; the stricter of this and the configuration's `transfer` applies.

    Attributes
    ----------
    rate : float
        Requests per second.
    connections : int
        Requests at a time.
    window : float
        Interval (s) over which the service counts: rate * window requests may be sent at once.
    """

    rate: float = float("inf")
    connections: int = 256
    window: float = 1.0


NO_LIMIT = Limit()
"""Limit for services of which only the configuration limits the use."""


@dataclass(frozen=True)
class RateRule:
    """At most `count` requests start in any interval of `seconds` seconds."""

    count: int
    seconds: float

    @classmethod
    def of(cls, rate: float, window: float) -> "RateRule":
        """Return the rule for `rate` requests per second, counted over about `window` seconds."""
        count = max(1, min(math.floor(rate * window), REMEMBERED_REQUESTS))
        return cls(count, count / rate)


class Gate:
    """Admits requests to their hosts.

    Parameters
    ----------
    folder : Path
        Where the hosts' folders lie; shared by all jobs.
    settings : Transfer
    """

    def __init__(self, folder: Path, settings: Transfer) -> None:
        self._folder = folder
        self._settings = settings
        self._inside = threading.local()
        self._queues: dict[Path, threading.Lock] = {}

    @contextlib.contextmanager
    def request(self, url: str, limit: Limit = NO_LIMIT) -> Iterator[None]:
        """Wait until a request to the host of `url` may start; the request ends with the block.

        A request within another one of the same thread to the same host needs no second connection.

        Raises
        ------
        TransferError
            If `url` is not the address of a service.
        """
        host = self._host(url)
        if is_loopback(url):
            # The limit of a public service does not apply to a mirror on the user's own machine.
            limit = NO_LIMIT
        count = min(self._settings.connections, limit.connections)
        rules = [RateRule.of(self._settings.rate, 1.0)]
        if math.isfinite(limit.rate):
            rules.append(RateRule.of(limit.rate, limit.window))
        with self._connection(host, count):
            _wait_for_turn(host, rules)
            yield

    @contextlib.contextmanager
    def _connection(self, host: Path, count: int) -> Iterator[None]:
        hosts_held: set[Path] = self._inside.__dict__.setdefault("hosts", set())
        if host in hosts_held:
            yield
            return
        # Only one thread of a job polls for a free connection: hundreds of jobs already load a network file system.
        with self._queues.setdefault(host, threading.Lock()):
            slot = _free_slot([host / f"connection-{number}.lock" for number in range(count)])
        hosts_held.add(host)
        try:
            yield
        finally:
            hosts_held.discard(host)
            slot.release()

    def hold_back(self, url: str, seconds: float) -> None:
        """Delay all requests to the host of `url` for `seconds`, as the service has asked."""
        host = self._host(url)
        with locked(host / "times.lock"):
            starts, until = _read(host)
            _write(host, starts, max(until, time.time() + min(seconds, MAX_RETRY_AFTER)))

    def _host(self, url: str) -> Path:
        folder = self._folder / host_name(url)
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def host_name(url: str) -> str:
    """Return the name of the host of `url`, with the port if it is not the default, in a form fit for a file name.

    Raises
    ------
    TransferError
        If `url` is not the address of a service.
    """
    try:
        parts = urlsplit(url)
        name, port = (parts.hostname or "").encode("idna").decode(), parts.port
    except ValueError:  # UnicodeError is one
        name, port = "", None
    fit = name and not name.startswith(".") and len(name) <= 200
    if not fit or urlsplit(url).scheme not in {"http", "https"}:
        raise TransferError(f"{url!r} is not the address of a service; expected https:// and a host")
    return quote(name if port in {None, 80, 443} else f"{name}:{port}", safe="")


def is_loopback(url: str) -> bool:
    """Return whether the host of `url` is this machine."""
    name = urlsplit(url).hostname or ""
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _free_slot(paths: list[Path]) -> Lock:
    """Take and return the first available lock; wait if there is none."""
    pause = pauses()
    while True:
        for path in random.sample(paths, len(paths)):
            lock = Lock(path)
            if lock.take():
                return lock
        time.sleep(next(pause))


def _wait_for_turn(host: Path, rules: list[RateRule]) -> None:
    """Wait until the rules allow one more request, and record its time."""
    while True:
        with locked(host / "times.lock"):
            starts, until = _read(host)
            now = time.time()
            # Another node's clock may be ahead, but its requests cannot have been sent in the future.
            starts = [min(start, now) for start in starts]
            ready = max([until] + [starts[-rule.count] + rule.seconds for rule in rules if len(starts) >= rule.count])
            if ready <= now:
                _write(host, [*starts, now][-REMEMBERED_REQUESTS:], until)
                return
        time.sleep(ready - now)


def _read(host: Path) -> tuple[list[float], float]:
    """Return the times of the latest requests, and until when all must wait; an incomplete file counts as empty."""
    try:
        times = json.loads((host / "times.json").read_text())
        starts, until = [float(value) for value in times["starts"]], float(times["until"])
    except (OSError, ValueError, KeyError, TypeError):
        return [], 0.0
    return starts, until if until <= time.time() + MAX_RETRY_AFTER else 0.0


def _write(host: Path, starts: list[float], until: float) -> None:
    (host / "times.json").write_text(json.dumps({"starts": starts, "until": until}))
