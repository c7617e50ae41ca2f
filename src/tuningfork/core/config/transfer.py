"""How this run deals with remote services and keeps what it has fetched; none of it changes a result."""

from tuningfork.core.config.base import Section, option


class Transfer(Section):
    """Transfers and their cache. Every key may change during a survey: nothing is computed again."""

    timeout: float = option(60.0, "longest wait for one answer of a service", unit="s", plan=True, gt=0, le=3600)
    retries: int = option(6, "further attempts after a failed one", plan=True, ge=0, le=20)
    backoff: float = option(
        1.0, "wait before the first further attempt; it doubles each time", unit="s", plan=True, ge=0, le=600
    )
    connections: int = option(
        4, "requests that all jobs of the run together have open to one host", plan=True, ge=1, le=256
    )
    rate: float = option(
        8.0,
        "requests a second that all jobs of the run together start to one host; a service's own limit counts if lower",
        unit="1/s",
        plan=True,
        gt=0,
        le=10_000,
    )
    cache: str = option(
        "cache", "folder of the fetched files; runs that name the same folder share them", plan=True, min_length=1
    )
    cache_size: float = option(
        500.0,
        "size that the cache may reach before the files that were not used for longest are dropped",
        unit="GB",
        plan=True,
        gt=0,
    )
    offline: bool = option(
        False, "whether to work with what the cache holds; a job that needs more says what is missing", plan=True
    )
