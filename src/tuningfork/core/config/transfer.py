"""Transfers from remote services and their cache; none of these keys changes a result."""

from tuningfork.core.config.base import Section, option


class Transfer(Section):
    """Transfers and their cache. You may change every key at any time: nothing reruns."""

    timeout: float = option(60.0, "longest wait for a response", unit="s", plan=True, gt=0, le=3600)
    retries: int = option(6, "further attempts after a failed request", plan=True, ge=0, le=20)
    backoff: float = option(
        1.0, "pause before the first further attempt; it doubles each time", unit="s", plan=True, ge=0, le=600
    )
    connections: int = option(
        4,
        "largest number of simultaneous requests to one host, for all jobs of the run together",
        plan=True,
        ge=1,
        le=256,
    )
    rate: float = option(
        8.0,
        "largest number of requests per second to one host, for all jobs together; a lower limit of the "
        "service applies",
        unit="1/s",
        plan=True,
        gt=0,
        le=10_000,
    )
    cache: str = option(
        "cache",
        "folder for fetched files; runs with the same folder share them",
        plan=True,
        path="output",
        min_length=1,
    )
    cache_size: float = option(
        500.0,
        "size of the cache above which the least recently used files are deleted; they are fetched again when needed",
        unit="GB",
        plan=True,
        gt=0,
        le=1e9,
    )
    offline: bool = option(
        False, "whether to use only files in the cache; a job that needs others fails and names them", plan=True
    )
