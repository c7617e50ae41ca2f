"""The list of sources of a shard, from wherever the configuration takes it."""

import pyarrow as pa

from tuningfork.core.config.sources import (
    Detection,
    HatsCatalogue,
    Sources,
    SurveyCatalogue,
    TableCatalogue,
    VizierCatalogue,
)
from tuningfork.core.description import Description
from tuningfork.sky.shards import Shard
from tuningfork.surveys.base import Survey
from tuningfork.surveys.detection.detection import detect
from tuningfork.surveys.folder.survey import FolderSurvey
from tuningfork.surveys.lists.sources.hats import Hats
from tuningfork.surveys.lists.sources.table import UserTable
from tuningfork.surveys.lists.vizier import of_vizier
from tuningfork.surveys.transfer.network import Network


def list_of_sources(
    selection: Sources, survey: Survey, shard: Shard, description: Description, network: Network
) -> pa.Table:
    """Return the sources of a shard.

    The magnitude limits apply to the survey's catalogue and to detection; the user's own lists are taken whole.

    Parameters
    ----------
    selection : Sources
        Kind of list, and limits of the magnitude.
    survey : Survey
    shard : Shard
    description : Description
        The survey's description.
    network : Network

    Returns
    -------
    pyarrow.Table
        Table of the stage `sources`, in order of source_id.

    Raises
    ------
    InputError
        If the list cannot be read.
    TransferError
        If a service does not answer.
    """
    match selection.catalogue:
        case SurveyCatalogue():
            return survey.catalogue(shard, selection)
        case TableCatalogue() as catalogue:
            table = UserTable(catalogue)
            if isinstance(survey, FolderSurvey) and "file" in table.columns:
                return survey.own(table).sources(shard)
            return table.sources(shard)
        case Detection() as settings:
            return detect(selection, settings, survey, shard, description, network)
        case VizierCatalogue() as catalogue:
            return of_vizier(catalogue, shard, network)
        case HatsCatalogue() as catalogue:
            return Hats(catalogue).sources(shard)
