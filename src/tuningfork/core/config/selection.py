"""The section `selection`."""

from tuningfork.core.config.base import Section, option


class Selection(Section):
    """The selection function: simulated barred galaxies put into the survey's images, found and measured like others."""

    galaxies: int = option(
        0, "barred galaxies of simulate.population that are put into each shard; 0: none", ge=0, le=100_000
    )
    shards: int = option(8, "shards that get some, evenly spread over those of the run", plan=True, ge=1, le=100_000)
