"""Faults that a test injects into a server, decided by a seed and counted."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from helpers.servers.base import Request


class Fault(StrEnum):
    """What real services do to their users."""

    UNAVAILABLE = "503"
    RETRY_AFTER = "503 with Retry-After"
    TOO_MANY = "429 with Retry-After"
    GONE = "404"
    RESET = "connection reset in the middle of the body"
    HANG = "no answer"
    STALL = "silence in the middle of the body"
    DRIP = "a byte now and then"
    CUT = "connection closed before the promised length"
    TRUNCATED = "the first part only, with a Content-Length that agrees"
    LONG = "bytes added at the end, with a Content-Length that agrees"
    FLIPPED = "bytes flipped"
    HTML = "an HTML page with status 200"


HEALING = tuple(fault for fault in Fault if fault is not Fault.GONE)
"""The kinds after which a client should try again."""


class Faults:
    """Decides for every request whether, and how, it fails.

    The first requests for an address fail, each in a way drawn from `kinds`; how many of them is drawn between 0 and
    `most`. Both depend on the seed and the address alone, never on the order in which requests for different addresses
    arrive.

    Parameters
    ----------
    seed : int
    kinds : sequence of Fault, or callable
        What may happen, or a function that says so for a request.
    most : int
        Largest number of faults of one address.
    least : int
        Smallest number of faults of one address.
    permanent : mapping, optional
        Path (without the query) -> the fault of every request for it.
    where : callable, optional
        Which requests may fail; all by default. `permanent` is obeyed in any case.

    Attributes
    ----------
    injected : Counter
        How often each fault struck.
    """

    def __init__(
        self,
        seed: int = 0,
        kinds: Sequence[Fault] | Callable[["Request"], Sequence[Fault]] = HEALING,
        most: int = 3,
        least: int = 0,
        permanent: Mapping[str, Fault] | None = None,
        where: Callable[["Request"], bool] = lambda request: True,
    ) -> None:
        self.injected: Counter[Fault] = Counter()
        self._seed, self._kinds, self._least, self._most = seed, kinds, least, most
        self._permanent, self._where = dict(permanent or {}), where
        self._asked: Counter[str] = Counter()
        self._lock = threading.Lock()

    def of(self, request: "Request") -> Fault | None:
        """Return how this request fails, None if it does not, and count it."""
        address = f"{request.method} {request.path} {sorted(request.query.items())}"
        with self._lock:
            number = self._asked[address]
            self._asked[address] += 1
            fault = self._permanent.get(request.path) or self._drawn(request, address, number)
            if fault is not None:
                self.injected[fault] += 1
            return fault

    def _drawn(self, request: "Request", address: str, number: int) -> Fault | None:
        if not self._where(request):
            return None
        draw = random.Random(f"{self._seed} {address}")
        count = draw.randint(self._least, self._most)
        kinds = self._kinds(request) if callable(self._kinds) else self._kinds
        return draw.choices(kinds, k=count)[number] if number < count else None
