"""From the configured footprint to its shards."""

import re
from pathlib import Path

from tuningfork.core.config import Configuration
from tuningfork.core.config.sky import TableFootprint, TileList
from tuningfork.core.config.sources import SurveyCatalogue
from tuningfork.core.description import Description
from tuningfork.core.errors import ConfigurationError, InputError, TransferError
from tuningfork.core.stage.parameters import Parameters
from tuningfork.sky.footprint import shards_of_footprint, shards_of_outlines
from tuningfork.sky.shards import Shard
from tuningfork.surveys.folder.survey import FolderSurvey
from tuningfork.surveys.inputs import checked_table
from tuningfork.surveys.lists.labels.measured import MEASUREMENTS_KEY, read_measured
from tuningfork.surveys.registry import open_survey
from tuningfork.surveys.transfer.network import Network

TILE_NAME = re.compile(r"[A-Za-z0-9._+-]{1,200}")


def shards_of(configuration: Configuration, description: Description) -> list[Shard]:
    """Return the shards that the configured footprint touches, in order of their number.

    A list of tiles may have to ask the survey's service where they lie.

    Raises
    ------
    ConfigurationError
        The footprint cannot be used, or touches no shard.
    """
    footprint, order = configuration.sky.footprint, configuration.sky.shard_order
    try:
        match footprint:
            case TableFootprint():
                return _shards_of_sources(configuration, description, order)
            case TileList():
                return _shards_of_tiles(names_of(footprint), configuration, description, order)
        return shards_of_footprint(footprint, order)
    except InputError as error:
        raise ConfigurationError(str(error)) from None


def shards_of_measurements(configuration: Configuration, footprint: list[Shard]) -> list[Shard]:
    """Return the shards in which the measured galaxies lie, in order of their number; none without a table of them.

    Parameters
    ----------
    configuration : Configuration
    footprint : list of Shard
        Those of the run: all are searched where the table has identifiers and no positions.

    Raises
    ------
    ConfigurationError
        The table cannot be used, or its rows lie in too many shards.
    """
    settings = configuration.train.structure.measurements
    try:
        measured = read_measured(settings)
    except InputError as error:
        raise ConfigurationError(str(error)) from None
    if measured is None:
        return []
    own = measured.shards(configuration.sky.shard_order)
    found = footprint if own is None else own
    if len(found) > settings.max_shards:
        where = (
            f"its rows lie in {len(found)} shards"
            if own is not None
            else f"without positions, all {len(found)} shards of the footprint are searched"
        )
        raise ConfigurationError(
            f"{measured.what}: {where}, each of which is cut whole, and {MEASUREMENTS_KEY}.max_shards is {settings.max_shards}; "
            "give rows that lie closer together, or raise it"
        )
    return found


def _shards_of_sources(configuration: Configuration, description: Description, order: int) -> list[Shard]:
    table = checked_table(configuration)
    if table is not None and "file" not in table.columns:
        return table.shards(order)
    survey = FolderSurvey(configuration.survey.folder, description)
    if table is not None or isinstance(configuration.sources.catalogue, SurveyCatalogue):
        return survey.own(table).shards(order)
    # What is found on the images, or listed elsewhere, may lie anywhere on them.
    outlines = [place.corners for place in survey.places.values() if place.corners]
    if not outlines:
        raise ConfigurationError(
            f"survey.folder.images: none of the {len(survey.layouts)} images in {configuration.survey.folder.images} has "
            f"a WCS, which sources.catalogue.kind {configuration.sources.catalogue.kind} needs"
        )
    return shards_of_outlines(outlines, order)


def _shards_of_tiles(
    names: list[str], configuration: Configuration, description: Description, order: int
) -> list[Shard]:
    survey = open_survey(Parameters("plan", "", configuration, description), Network(configuration.transfer))
    try:
        tiles = survey.locate(names)
    except InputError as error:
        raise ConfigurationError(f"sky.footprint: {error}") from None
    except TransferError as error:
        raise ConfigurationError(
            f"sky.footprint: where the tiles of the survey {configuration.survey.name} lie must be asked ({error}); "
            "run with the network once, or give a box, cone or polygon"
        ) from None
    unknown = [tile.name for tile in tiles if not tile.corners]
    if unknown:
        raise ConfigurationError(f"sky.footprint: nothing says where the tile {unknown[0]!r} lies; leave it out")
    return shards_of_outlines([tile.corners for tile in tiles], order)


def names_of(footprint: TileList) -> list[str]:
    """Return the names of tiles that the configuration and its file list, each once, in order.

    Raises
    ------
    ConfigurationError
        The file cannot be read, or a name is none of a tile.
    """
    names = [(name, "sky.footprint.names") for name in footprint.names]
    if footprint.path is not None:
        what = f"sky.footprint.path: {footprint.path}"
        try:
            lines = Path(footprint.path).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            raise ConfigurationError(f"{what}: no such file") from None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{what}: not a text file with one name a line ({error})") from None
        names += [(line.split("#")[0].strip(), what) for line in lines]
    for name, what in names:
        if name and not TILE_NAME.fullmatch(name):
            raise ConfigurationError(f"{what}: {name[:80]!r} is no name of a tile (letters, digits and ._+- only)")
    chosen = sorted({name for name, _ in names if name})
    if not chosen:
        raise ConfigurationError(f"sky.footprint.path: {footprint.path} names no tile")
    return chosen
