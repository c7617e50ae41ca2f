"""The light profiles of held-out simulated galaxies: how to weight network and fit, and how good both are."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from tuningfork.calibrate.held_out_stamps import CHUNK, chunks
from tuningfork.core.config.stages import Structure
from tuningfork.core.files import write_json
from tuningfork.core.progress import track
from tuningfork.core.records import join, take
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import lineage_of, write_table
from tuningfork.evaluate.structure import (
    calibrated,
    challenge,
    network_scores,
    signal_scores,
    structure_scores,
)
from tuningfork.measure.structure.shard import Measured, measure
from tuningfork.networks.ensemble import Ensemble, load_ensemble


def weigh_profiles(
    parameters: Parameters, training: Sequence[Path], models: Sequence[Path], output: Path, table: Path
) -> None:
    """Write what the stage structure needs to weight network and fit, and how good they are.

    The weights are learned on the validation split; every figure is of the test split.

    Parameters
    ----------
    parameters : Parameters
        Of the stage profiles.
    training : sequence of Path
        Tables of the parts of the training set, with the stamps beside them.
    models : sequence of Path
        Cards of the structure networks.
    output : Path
        profiles.json.
    table : Path
        profiles.parquet, one row for every held-out galaxy: its `index` and what
        :func:`~tuningfork.evaluate.structure.calibrated` returns.
    """
    ensemble = load_ensemble(models, "structure")
    frame, measured = held_out_profiles(training, ensemble, parameters.configuration.structure)
    found, weighting = calibrated(frame, measured, ensemble)
    lineage = parameters.lineage(lineage_of(*training, *models))
    columns = {"index": frame["index"]} | {name: found[name] for name in found}
    write_table(
        table, pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()}), lineage
    )
    test = pd.concat([frame, found], axis=1)[frame["split"] == "test"]
    write_json(
        output,
        {
            "lineage": lineage,
            "structure": structure_scores(test, weighting.errors),
            "structure_network": network_scores(test),
            "structure_by_signal": signal_scores(test, weighting.errors),
            "structure_challenge": challenge(test),
            "structure_calibration": weighting.as_dict(),
        },
    )


def held_out_profiles(
    training: Sequence[Path], ensemble: Ensemble, settings: Structure
) -> tuple[pd.DataFrame, Measured]:
    """Return truth and measurements of every galaxy of the validation and test splits, in order of their index."""
    frames, measured = [], []
    for rows, pixels in track(chunks(training, ensemble), f"held-out galaxies, {CHUNK} at a time"):
        frames.append(rows.to_pandas())
        measured.append(measure(ensemble, rows, pixels, settings))
    joined = pd.concat(frames, ignore_index=True)
    order = np.argsort(joined["index"].to_numpy(), kind="stable")
    return joined.iloc[order].reset_index(drop=True), take(join(measured), order)
