"""The saliency maps of one shard."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from tuningfork.core.checksums import row_checksums
from tuningfork.core.config.stages import Saliency
from tuningfork.core.files import new_array
from tuningfork.core.running.progress import track
from tuningfork.core.seeds import seed_for
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import lineage_of, numpy_column, write_table
from tuningfork.explain.copies import Attribution
from tuningfork.explain.saliency import SALIENCY_TARGETS, attribute, scale_to_unit
from tuningfork.networks.ensemble import Ensemble, batches, load_ensemble
from tuningfork.stamps.store import CHECKSUM_COLUMN, StampFiles, open_store

MIN_STAMPS_AT_ONCE = 64
"""At least this many stamps are read and prepared at once."""


def saliency_shard(
    parameters: Parameters, *, stamps: StampFiles, models: Sequence[Path], output: Path, table: Path
) -> None:
    """Write the saliency maps of every stamp of a shard, one per network of the ensemble.

    Parameters
    ----------
    parameters : Parameters
        Of the stage saliency.
    stamps : StampFiles
    models : sequence of Path
        Cards of the morphology networks.
    output : Path
        .npy, float16 (N, M, S, S), each map scaled to [0, 1]; zero for a source without a stamp.
    table : Path
        Parquet: `source_id`, `flags`, `copies` (how many each map took) and `scale_{k}`, the range of the k-th
        network's map before scaling.
    """
    configuration = parameters.configuration
    ensemble = load_ensemble(models, "morphology")
    rows, pixels = open_store(stamps, ensemble.bands, ensemble.reference_band)
    source_id = numpy_column(rows, "source_id")
    shape = (len(pixels), len(ensemble.members), *pixels.shape[-2:])
    with new_array(output, shape, np.float16) as maps:
        scale, copies = map_stamps(ensemble, rows, pixels, source_id, configuration.seed, configuration.saliency, maps)
        checksums = row_checksums(maps)
    values = {"source_id": rows["source_id"], "flags": rows["flags"], "copies": pa.array(copies, mask=copies == 0)}
    values |= {f"scale_{k}": pa.array(scale[:, k], mask=np.isnan(scale[:, k])) for k in range(scale.shape[1])}
    values[CHECKSUM_COLUMN] = pa.array(checksums)
    settings = configuration.saliency
    write_table(
        table,
        pa.table(values),
        parameters.lineage(lineage_of(stamps.table, *models)),
        target=settings.target,
        method=settings.method,
        sign=settings.sign,
        tolerance=settings.tolerance,
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
) -> tuple[np.ndarray, np.ndarray]:
    """Make the scaled saliency maps of some stamps.

    Parameters
    ----------
    ensemble : Ensemble
    table : pyarrow.Table
        N rows of a stamp store.
    stamps : ndarray
        (N, 2, B, S, S), its pixels.
    keys : ndarray
        int (N,), identifiers of the stamps; together with `seed` they decide the noise.
    seed : int
        The configuration's seed.
    settings : Saliency
    maps : ndarray
        (N, M, S, S), filled in place; rows without a usable stamp are left as they are.

    Returns
    -------
    scale : ndarray
        float32 (N, M), the range of each map before scaling; NaN without a map.
    copies : ndarray
        int32 (N,), how many each map took; 0 without a map.
    """
    attribution = Attribution(**settings.model_dump(exclude={"target"}), half_precision=True)
    target = SALIENCY_TARGETS[settings.target]
    scale = np.full(maps.shape[:2], np.nan, dtype=np.float32)
    copies = np.zeros(len(maps), dtype=np.int32)
    size = max(MIN_STAMPS_AT_ONCE, attribution.batch_size // attribution.block)
    for batch in track(batches(table, stamps, ensemble, size), f"maps, {size} at a time", -(-len(stamps) // size)):
        seeds = [seed_for(seed, "saliency", int(key)) for key in keys[batch.rows]]
        raw, number = attribute(ensemble.members, batch.inputs, batch.conditions, seeds, attribution, target)
        unit, spread = scale_to_unit(raw)
        maps[batch.rows], scale[batch.rows] = unit.cpu().numpy(), spread.cpu().numpy()
        copies[batch.rows] = number.numpy()
    return scale, copies
