"""Volunteer votes on galaxies of the survey with their stamps, as a part of a training set."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tuningfork.core.config.transfer import Transfer
from tuningfork.core.decision_tree import vote_columns
from tuningfork.core.errors import InputError
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import lineage_of
from tuningfork.sky.shards import Shard
from tuningfork.stamps.store import StampFiles
from tuningfork.surveys.lists.labels.votes import read_votes
from tuningfork.training.labels.matched import MatchedFiles, write_matched


def match_votes(
    parameters: Parameters,
    *,
    sources: Sequence[Path],
    stamps: Sequence[StampFiles],
    transfer: Transfer,
    outputs: MatchedFiles,
) -> None:
    """Write the stamps of galaxies with volunteer votes, these votes, and the fate of every row of the table.

    Parameters
    ----------
    parameters : Parameters
        Of the stage match_votes.
    sources : sequence of Path
        Tables of the sources of the shards in which galaxies are looked up.
    stamps : sequence of StampFiles
        Their stamps, in the same order.
    transfer : Transfer
        How VizieR is queried.
    outputs : MatchedFiles
        The table has the known columns of a part of the training set; votes need not be integers.

    Raises
    ------
    InputError
        The table cannot be used, or no row belongs to a source with a stamp.
    TransferError
        VizieR does not answer.
    """
    settings = parameters.configuration.train.morphology.votes
    if not settings.wanted:
        raise InputError("train.morphology.votes names no table, so there is nothing to match")
    voted = read_votes(settings, [Shard.parse(path.stem) for path in sources], transfer)
    write_matched(
        voted,
        sources=sources,
        stamps=stamps,
        radius=settings.match_radius,
        columns=_vote_columns,
        lineage=parameters.lineage(lineage_of(*sources, *(files.table for files in stamps))),
        outputs=outputs,
    )


def _vote_columns(rows: pd.DataFrame, stamped: pa.Table) -> dict[str, Any]:
    return {name: pa.array(rows[name].to_numpy(dtype=np.float32)) for name in vote_columns()}
