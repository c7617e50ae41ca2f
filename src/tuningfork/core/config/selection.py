"""The section `selection`."""

from tuningfork.core.config.base import Section, option


class Selection(Section):
    """The selection function of bars, from simulated barred galaxies injected into the survey's images."""

    galaxies: int = option(
        0, "barred galaxies of simulate.population injected per shard; 0: no selection function", ge=0, le=100_000
    )
    shards: int = option(
        8, "largest number of shards with injected galaxies, evenly spread over the run", plan=True, ge=1, le=100_000
    )
