"""The shards of the configured footprint.

Readers are imported where they are used, as in :mod:`tuningfork.surveys.inputs`.
"""

import re
from pathlib import Path

from tuningfork.core.config import Configuration
from tuningfork.core.config.sky import TableFootprint, TileList
from tuningfork.core.config.sources import SurveyCatalogue
from tuningfork.core.description import Description
from tuningfork.core.errors import ConfigurationError, InputError, NetworkNeededError, TransferError
from tuningfork.core.stage.parameters import Parameters
from tuningfork.sky.footprint import require_few_shards, shards_of_footprint, shards_of_outlines
from tuningfork.sky.shards import Shard
from tuningfork.surveys.inputs import checked_table

TILE_NAME = re.compile(r"[A-Za-z0-9._+-]{1,200}")
"""What the name of a tile may look like."""
MAX_NAMES_TEXT = 2**24
"""Length of the longest file with names of tiles."""


def shards_of(configuration: Configuration, description: Description) -> list[Shard]:
    """Return the shards that the configured footprint touches, in order of pixel number.

    For a list of tiles, the survey's service may be asked for the positions of the tiles.

    Raises
    ------
    ConfigurationError
        If the footprint cannot be used, or touches no shard.
    """
    footprint, order = configuration.sky.footprint, configuration.sky.shard_order
    try:
        match footprint:
            case TableFootprint():
                shards = _shards_of_sources(configuration, description, order)
                require_few_shards(len(shards), order)
                return shards
            case TileList():
                return _shards_of_tiles(names_of(footprint), configuration, description, order)
        return shards_of_footprint(footprint, order)
    except InputError as error:
        raise ConfigurationError(str(error)) from None


def shards_of_measurements(configuration: Configuration, footprint: list[Shard]) -> list[Shard]:
    """Return the shards that contain the galaxies of the user's table of measurements, in order of pixel number.

    Parameters
    ----------
    configuration : Configuration
    footprint : list of Shard
        Shards of the run: all of them are searched if the table has identifiers but no positions.

    Returns
    -------
    list of Shard
        Empty if the configuration names no table.

    Raises
    ------
    ConfigurationError
        If the table cannot be used, or its rows lie in too many shards.
    """
    settings = configuration.train.structure.measurements
    if settings.table is None:
        return []
    from tuningfork.surveys.lists.labels.measured import MEASUREMENTS_KEY, read_measured

    try:
        measured = read_measured(settings)
    except InputError as error:
        raise ConfigurationError(str(error)) from None
    assert measured is not None  # the configuration names a table
    measured_shards = measured.shards(configuration.sky.shard_order)
    shards = footprint if measured_shards is None else measured_shards
    if len(shards) > settings.max_shards:
        where = (
            f"its rows lie in {len(shards)} shards"
            if measured_shards is not None
            else f"it has no positions, so all {len(shards)} shards of the footprint must be searched"
        )
        raise ConfigurationError(
            f"{measured.what}: {where}, and stamps are cut of every source of a shard; "
            f"{MEASUREMENTS_KEY}.max_shards is {settings.max_shards}; give rows that lie closer together, or raise it"
        )
    return shards


def _shards_of_sources(configuration: Configuration, description: Description, order: int) -> list[Shard]:
    table = checked_table(configuration)
    if table is not None and "file" not in table.columns:
        return table.shards(order)
    from tuningfork.surveys.folder.survey import FolderSurvey

    survey = FolderSurvey(configuration.survey.folder, description)
    if table is not None or isinstance(configuration.sources.catalogue, SurveyCatalogue):
        return survey.own(table).shards(order)
    # Detected sources, and those of other catalogues, may lie anywhere on the images.
    outlines = [image_place.corners for image_place in survey.places.values() if image_place.corners]
    if not outlines:
        raise ConfigurationError(
            f"survey.folder.images: none of the {len(survey.layouts)} images in {configuration.survey.folder.images} has "
            f"a WCS, which sources.catalogue.kind {configuration.sources.catalogue.kind} needs"
        )
    return shards_of_outlines(outlines, order)


def _shards_of_tiles(
    names: list[str], configuration: Configuration, description: Description, order: int
) -> list[Shard]:
    from tuningfork.surveys.registry import open_survey
    from tuningfork.surveys.transfer.network import Network

    survey = open_survey(Parameters("plan", "", configuration, description), Network(configuration.transfer))
    try:
        tiles = survey.locate(names)
    except InputError as error:
        raise ConfigurationError(f"sky.footprint: {error}") from None
    except TransferError as error:
        raise NetworkNeededError(
            f"sky.footprint: the service of the survey {configuration.survey.name} must say where the tiles lie "
            f"({error}); run with the network once, or give a box, cone or polygon"
        ) from None
    unknown = [tile.name for tile in tiles if not tile.corners]
    if unknown:
        raise ConfigurationError(f"sky.footprint: the position of the tile {unknown[0]!r} is unknown; leave it out")
    return shards_of_outlines([tile.corners for tile in tiles], order)


def names_of(footprint: TileList) -> list[str]:
    """Return the names of tiles in the configuration and in the file that it names, sorted and without repeats.

    Raises
    ------
    ConfigurationError
        If the file cannot be read, or a name cannot be that of a tile.
    """
    names = [(name, "sky.footprint.names") for name in footprint.names]
    if footprint.path is not None:
        what = f"sky.footprint.path: {footprint.path}"
        try:
            with Path(footprint.path).open(encoding="utf-8") as file:
                text = file.read(MAX_NAMES_TEXT + 1)
        except FileNotFoundError:
            raise ConfigurationError(f"{what}: no such file") from None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{what}: not a text file with one name per line ({error})") from None
        if len(text) > MAX_NAMES_TEXT:
            raise ConfigurationError(
                f"{what}: more than {MAX_NAMES_TEXT} characters; give fewer names, or a box or map"
            )
        names += [(line.split("#")[0].strip(), what) for line in text.splitlines()]
    for name, what in names:
        if name and not TILE_NAME.fullmatch(name):
            raise ConfigurationError(f"{what}: {name[:80]!r} is not the name of a tile (letters, digits and ._+- only)")
    chosen = sorted({name for name, _ in names if name})
    if not chosen:
        raise ConfigurationError(f"sky.footprint.path: {footprint.path} names no tile")
    return chosen
