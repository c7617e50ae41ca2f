"""Progress of long work: a bar on a terminal, one line a minute in a log."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")
logger = logging.getLogger(__name__)


def track(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """Yield `items` and show how many are done; `what` names them in the plural.

    Parameters
    ----------
    items : iterable
    what : str
        Plural name of the items, for the display.
    total : int, optional
        Number of items, if it is known.

    Yields
    ------
    item
    """
    terminal = sys.stderr.isatty()
    bar = tqdm(items, desc=what, total=total, disable=not terminal)
    yield from bar if terminal else _logged(items, what, total)


def _logged(items: Iterable[T], what: str, total: int | None) -> Iterator[T]:
    begin = last = time.monotonic()
    number = 0
    for number, item in enumerate(items, start=1):
        yield item
        if time.monotonic() - last >= 60:
            last = time.monotonic()
            logger.info("%s: %d%s, %.1f/s", what, number, f" of {total}" if total else "", number / (last - begin))
    logger.info("%s: %d in %.1f s", what, number, time.monotonic() - begin)
