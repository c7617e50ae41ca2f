"""What the pipeline measures on every source, on any stamps: classes, saliency maps, bars."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from tuningfork.core.config import Configuration
from tuningfork.core.tables import numpy_column, shard_table
from tuningfork.explain.shard import map_stamps
from tuningfork.measure.bars.shard import bar_values, estimates
from tuningfork.measure.votes.correction import corrections_of
from tuningfork.measure.votes.shard import vote_values
from tuningfork.networks.ensemble import Ensemble


def measured(
    ensemble: Ensemble,
    sources: pa.Table,
    rows: pa.Table,
    pixels: np.ndarray,
    configuration: Configuration,
    evaluation: Mapping[str, Any],
) -> tuple[pa.Table, pa.Table]:
    """Return the tables of the stages classify and bars for stamps in memory or on disk.

    Light profiles are not measured: what follows from them, the deprojected length, is null.

    Parameters
    ----------
    ensemble : Ensemble
        Of morphology networks.
    sources, rows : pyarrow.Table
        Of the stages sources and stamps.
    pixels : ndarray
        (N, 2, B, S, S), in the bands of the ensemble.
    configuration : Configuration
        The seed and the sections classify, saliency and bars.
    evaluation : mapping
        evaluation.json, with the calibrations of votes and bar lengths.
    """
    keys = {"source_id": rows["source_id"], "flags": rows["flags"]}
    how = configuration.classify
    corrections = corrections_of(evaluation["agreement"])
    votes = vote_values(ensemble, rows, pixels, how.rotations, how.batch_size, corrections)
    classes = shard_table("classify", keys | votes)
    maps = np.zeros((len(pixels), len(ensemble.members), *pixels.shape[-2:]), dtype=np.float16)
    source_id = numpy_column(rows, "source_id")
    map_stamps(ensemble, rows, pixels, source_id, configuration.seed, configuration.saliency, maps)
    found = estimates(ensemble, rows, pixels, maps, configuration.bars)
    profiles = shard_table("structure", keys)
    values = bar_values(rows, sources, classes, profiles, found, ensemble, evaluation, configuration.bars)
    return classes, shard_table("bars", values)
