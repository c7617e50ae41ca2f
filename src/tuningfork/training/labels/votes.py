"""Votes of people about galaxies of the survey with their stamps, as a part of a training set."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tuningfork.core.columns import vote_columns
from tuningfork.core.config.transfer import Transfer
from tuningfork.core.errors import InputError
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import lineage_of
from tuningfork.sky.shards import Shard
from tuningfork.surveys.lists.labels.votes import read_votes
from tuningfork.training.labels.matched import Outputs, write_matched


def match_votes(
    parameters: Parameters,
    sources: Sequence[Path],
    stamps: Sequence[Path],
    transfer: Transfer,
    outputs: Outputs,
) -> None:
    """Write the stamps of galaxies that people have voted on with their votes, and what became of every row.

    Parameters
    ----------
    parameters : Parameters
        Of the stage votes.
    sources, stamps : sequence of Path
        Tables of sources and of stamps of the shards that are looked up, in the same order.
    transfer : Transfer
        How to deal with VizieR.
    outputs : Outputs
        The table has the columns of a part of the training set as far as they are known; votes need not be integers.

    Raises
    ------
    InputError
        The table cannot be used, or no row belongs to a source with a stamp.
    TransferError
        VizieR does not answer.
    """
    settings = parameters.configuration.train.morphology.votes
    if not settings.wanted:
        raise InputError("train.morphology.votes names no table: there is nothing to match")
    voted = read_votes(settings, [Shard.parse(path.stem) for path in sources], transfer)
    lineage = parameters.lineage(lineage_of(*sources, *stamps))
    write_matched(voted, sources, stamps, settings.match_radius, _columns, lineage, outputs)


def _columns(rows: pd.DataFrame, stamped: pa.Table) -> dict[str, Any]:
    return {name: pa.array(rows[name].to_numpy(dtype=np.float32)) for name in vote_columns()}
