"""The list of sources of a shard, wherever the configuration takes it from."""

import pyarrow as pa

from tuningfork.core.config.sources import Sources
from tuningfork.core.description import Description
from tuningfork.sky.shards import Shard
from tuningfork.surveys.base import Survey
from tuningfork.surveys.transfer.network import Network


def list_of_sources(
    selection: Sources, survey: Survey, shard: Shard, description: Description, network: Network
) -> pa.Table:
    """Return the sources of the shard as a table of the stage `sources`, in order of source_id."""
    return survey.catalogue(shard, selection)
