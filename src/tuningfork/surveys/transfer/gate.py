"""The limits of each host, kept by all jobs of the run on all nodes together, through files below the cache.

Each host has a folder with one lock for every connection that may be open, and the times of the latest requests. A job
that is killed gives its lock back; nothing has to be tidied up.
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
"""Requests of which the times are kept."""


@dataclass(frozen=True)
class Limit:
    """What a service allows; the lower of this and the configuration's `transfer` counts.

    Attributes
    ----------
    rate : float
        Requests a second.
    connections : int
        Requests at a time.
    window : float
        Time (s) over which the service counts: rate * window requests may come at once.
    """

    rate: float = float("inf")
    connections: int = 256
    window: float = 1.0


NO_LIMIT = Limit()


@dataclass(frozen=True)
class RateRule:
    """At most `count` requests start in any `seconds` seconds."""

    count: int
    seconds: float

    @classmethod
    def of(cls, rate: float, window: float) -> "RateRule":
        """Return the rule for `rate` requests a second, counted over about `window` seconds."""
        count = max(1, min(math.floor(rate * window), REMEMBERED_REQUESTS))
        return cls(count, count / rate)


class Gate:
    """Lets requests through to their hosts.

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
        """Wait until a request to the host of `url` may start; it ends with the block.

        A request within another one of the same thread to the same host needs no further connection.

        Raises
        ------
        TransferError
            `url` is no address of a service.
        """
        host = self._host(url)
        if is_loopback(url):
            # The limit of a public service is not that of a mirror on the user's own machine.
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
        held: set[Path] = self._inside.__dict__.setdefault("hosts", set())
        if host in held:
            yield
            return
        # One thread of a job looks for a free connection; hundreds of jobs on a network file system are enough.
        with self._queues.setdefault(host, threading.Lock()):
            slot = _free_slot([host / f"connection-{number}.lock" for number in range(count)])
        held.add(host)
        try:
            yield
        finally:
            held.discard(host)
            slot.release()

    def hold_back(self, url: str, seconds: float) -> None:
        """Let nobody's request to the host of `url` start for some time, as the service has asked."""
        host = self._host(url)
        with locked(host / "times.lock"):
            starts, until = _read(host)
            _write(host, starts, max(until, time.time() + min(seconds, MAX_RETRY_AFTER)))

    def _host(self, url: str) -> Path:
        folder = self._folder / host_name(url)
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def host_name(url: str) -> str:
    """Return the name of the host of `url`, with a port that is not the usual one, fit for a file name.

    Raises
    ------
    TransferError
        `url` is no address of a service.
    """
    try:
        parts = urlsplit(url)
        name, port = (parts.hostname or "").encode("idna").decode(), parts.port
    except ValueError:  # UnicodeError is one
        name, port = "", None
    fit = name and not name.startswith(".") and len(name) <= 200
    if not fit or urlsplit(url).scheme not in {"http", "https"}:
        raise TransferError(f"{url!r} is no address of a service; expected one that begins with https:// and a host")
    return quote(name if port in {None, 80, 443} else f"{name}:{port}", safe="")


def is_loopback(url: str) -> bool:
    """Say whether the host of `url` is this machine."""
    name = urlsplit(url).hostname or ""
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _free_slot(paths: list[Path]) -> Lock:
    """Return the first lock that can be had, which is held; wait if there is none."""
    pause = pauses()
    while True:
        for path in random.sample(paths, len(paths)):
            lock = Lock(path)
            if lock.take():
                return lock
        time.sleep(next(pause))


def _wait_for_turn(host: Path, rules: list[RateRule]) -> None:
    """Wait until the rules allow one more request, and note its time."""
    while True:
        with locked(host / "times.lock"):
            starts, until = _read(host)
            now = time.time()
            # Another node's clock may be ahead; its requests were not sent after now.
            starts = [min(start, now) for start in starts]
            ready = max([until] + [starts[-rule.count] + rule.seconds for rule in rules if len(starts) >= rule.count])
            if ready <= now:
                _write(host, [*starts, now][-REMEMBERED_REQUESTS:], until)
                return
        time.sleep(ready - now)


def _read(host: Path) -> tuple[list[float], float]:
    """Return the times of the latest requests and until when all must wait; a torn file says nothing."""
    try:
        times = json.loads((host / "times.json").read_text())
        starts, until = [float(value) for value in times["starts"]], float(times["until"])
    except (OSError, ValueError, KeyError, TypeError):
        return [], 0.0
    return starts, until if until <= time.time() + MAX_RETRY_AFTER else 0.0


def _write(host: Path, starts: list[float], until: float) -> None:
    (host / "times.json").write_text(json.dumps({"starts": starts, "until": until}))
