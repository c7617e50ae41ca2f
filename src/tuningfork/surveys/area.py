"""From the configured footprint to its shards."""

from tuningfork.core.config import Configuration
from tuningfork.core.config.sky import TableFootprint
from tuningfork.core.description import Description
from tuningfork.core.errors import ConfigurationError, InputError
from tuningfork.sky.shards import Shard, shards_of_footprint
from tuningfork.surveys.folder import FolderSurvey
from tuningfork.surveys.inputs import checked_table


def shards_of(configuration: Configuration, description: Description) -> list[Shard]:
    """Return the shards that the configured footprint touches, in order of their number.

    Raises
    ------
    ConfigurationError
        The footprint cannot be used, or touches no shard.
    """
    footprint, order = configuration.sky.footprint, configuration.sky.shard_order
    try:
        if isinstance(footprint, TableFootprint):
            return _shards_of_sources(configuration, description, order)
        return shards_of_footprint(footprint, order)
    except InputError as error:
        raise ConfigurationError(str(error)) from None


def _shards_of_sources(configuration: Configuration, description: Description, order: int) -> list[Shard]:
    table = checked_table(configuration)
    if table is not None and "file" not in table.columns:
        return table.shards(order)
    return FolderSurvey(configuration.survey.folder, description).own(table).shards(order)
