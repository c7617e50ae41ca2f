"""Work that is done a little ahead of the one who needs it."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def ahead(function: Callable[[S], T], items: Sequence[S], workers: int) -> Iterator[T]:
    """Yield function(item) for every item, computed by threads that run a little ahead.

    With no workers everything happens in the caller's thread.

    Parameters
    ----------
    function : callable
    items : sequence
    workers : int
        Number of threads.

    Yields
    ------
    result
        function(item), in the order of `items`.
    """
    if workers < 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(workers) as pool:
        queue = iter(items)
        waiting = [pool.submit(function, item) for item in islice(queue, 2 * workers)]
        while waiting:
            yield waiting.pop(0).result()
            waiting += [pool.submit(function, item) for item in islice(queue, 1)]
