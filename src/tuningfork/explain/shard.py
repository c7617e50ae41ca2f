"""The saliency maps of one shard."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from tuningfork.core.config.stages import Saliency
from tuningfork.core.files import new_array
from tuningfork.core.parameters import Parameters
from tuningfork.core.progress import track
from tuningfork.core.seeds import seed_for
from tuningfork.core.tables import lineage_of, numpy_column, write_table
from tuningfork.explain.saliency import TARGETS, SmoothGrad, scale_to_unit, smoothgrad
from tuningfork.networks.ensemble import Ensemble, batches, load_ensemble, open_store

CHUNK = 16
"""Stamps that are read and prepared at once."""


def saliency_shard(parameters: Parameters, stamps: Path, models: Sequence[Path], output: Path, table: Path) -> None:
    """Write the SmoothGrad maps of every stamp of a shard, one for each network of the ensemble.

    Parameters
    ----------
    parameters : Parameters
        Of the stage saliency.
    stamps : Path
        The shard's stamps table, with the .npy beside it.
    models : sequence of Path
        Cards of the morphology networks.
    output : Path
        .npy, float16 (N, M, S, S), each map scaled to [0, 1]; zero for a source without a stamp.
    table : Path
        Parquet: `source_id`, `flags` and `scale_{k}`, the range of the k-th network's map before scaling.
    """
    configuration = parameters.configuration
    ensemble = load_ensemble(models, "morphology")
    rows, pixels = open_store(stamps, ensemble.bands, ensemble.reference_band)
    source_id = numpy_column(rows, "source_id")
    shape = (len(pixels), len(ensemble.members), *pixels.shape[-2:])
    with new_array(output, shape, np.float16) as maps:
        scale = map_stamps(ensemble, rows, pixels, source_id, configuration.seed, configuration.saliency, maps)
    values = {"source_id": rows["source_id"], "flags": rows["flags"]}
    values |= {f"scale_{k}": pa.array(scale[:, k], mask=np.isnan(scale[:, k])) for k in range(scale.shape[1])}
    settings = configuration.saliency
    write_table(
        table,
        pa.table(values),
        parameters.lineage(lineage_of(stamps, *models)),
        target=settings.target,
        samples=settings.samples,
        noise_level=settings.noise_level,
        members=len(models),
    )


def map_stamps(
    ensemble: Ensemble,
    table: pa.Table,
    stamps: np.ndarray,
    keys: np.ndarray,
    seed: int,
    settings: Saliency,
    maps: np.ndarray,
) -> np.ndarray:
    """Fill `maps` (N, M, S, S) with the scaled SmoothGrad maps of N stamps.

    Parameters
    ----------
    ensemble : Ensemble
    table, stamps
        The rows and pixels of a stamp store.
    keys : ndarray
        (N,) whole numbers that name the stamps; with `seed` they decide the noise.
    seed : int
        The configuration's seed.
    settings : Saliency
    maps : ndarray
        Filled in place; rows that cannot be measured are left as they are.

    Returns
    -------
    ndarray
        float32 (N, M), the range of each map before scaling; NaN where there is none.
    """
    how = SmoothGrad(
        settings.samples, settings.noise_level, settings.batch_size, settings.rotations, half_precision=True
    )
    scale = np.full(maps.shape[:2], np.nan, dtype=np.float32)
    chunks = -(-len(stamps) // CHUNK)
    for batch in track(batches(table, stamps, ensemble, CHUNK), f"maps, {CHUNK} at a time", chunks):
        seeds = [seed_for(seed, "saliency", int(key)) for key in keys[batch.rows]]
        unit, spread = scale_to_unit(
            smoothgrad(ensemble.members, batch.inputs, batch.conditions, seeds, how, TARGETS[settings.target])
        )
        maps[batch.rows] = unit.cpu().numpy()
        scale[batch.rows] = spread.cpu().numpy()
    return scale
