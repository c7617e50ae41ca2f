"""The stage feature_maps: where the networks look when they answer for bulge and spiral arms.

Bhambra, Joachimi & Lahav (2022, MNRAS 511, 5032) propose to measure with such maps what nobody has labelled.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from tuningfork.core.checksums import row_checksums
from tuningfork.core.config.stages import Features
from tuningfork.core.files import new_array
from tuningfork.core.running.progress import track
from tuningfork.core.seeds import seed_for
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import lineage_of, numpy_column, write_table
from tuningfork.explain.copies import Attribution
from tuningfork.explain.saliency import Target, arms_logit, attribute, bulge_logit, scale_to_unit
from tuningfork.networks.ensemble import Batch, Ensemble, batches, load_ensemble
from tuningfork.stamps.store import CHECKSUM_COLUMN, StampFiles, open_store

FEATURE_TARGETS: dict[str, Target] = {"bulge_size": bulge_logit, "spiral_arms": arms_logit}
"""Question -> what is differentiated, in the order of the maps."""
MAPS_CHUNK = 64
"""Stamps that are mapped at once."""


def feature_maps_shard(
    parameters: Parameters, *, stamps: StampFiles, models: Sequence[Path], output: Path, table: Path
) -> None:
    """Write the maps of bulge and spiral arms of every stamp of a shard.

    Parameters
    ----------
    parameters : Parameters
        Of the stage feature_maps.
    stamps : StampFiles
    models : sequence of Path
        Cards of the morphology networks.
    output : Path
        .npy, float16 (N, 2, S, S): maps of bulge and arms, in [0, 1]; zero for a source without a map.
    table : Path
        Parquet: `source_id`, `flags`, and `copies`, the noisy copies behind a map, null where there is none.

    Raises
    ------
    InputError
        A file is missing, damaged or of other bands.
    """
    configuration = parameters.configuration
    ensemble = load_ensemble(models, "morphology")
    rows, pixels = open_store(stamps, ensemble.bands, ensemble.reference_band)
    keys = numpy_column(rows, "source_id")
    shape = (len(pixels), len(FEATURE_TARGETS), *pixels.shape[-2:])
    with new_array(output, shape, np.float16) as maps:
        copies = map_features(ensemble, rows, pixels, keys, configuration.seed, configuration.features, maps)
        checksums = row_checksums(maps)
    values = {"source_id": rows["source_id"], "flags": rows["flags"], "copies": pa.array(copies, mask=copies == 0)}
    values[CHECKSUM_COLUMN] = pa.array(checksums)
    lineage = parameters.lineage(lineage_of(stamps.table, *models))
    write_table(table, pa.table(values), lineage, samples=configuration.features.samples)


def map_features(
    ensemble: Ensemble,
    rows: pa.Table,
    pixels: np.ndarray,
    keys: np.ndarray,
    seed: int,
    settings: Features,
    maps: np.ndarray,
) -> np.ndarray:
    """Fill `maps` with the maps of bulge and arms of N stamps, averaged over the networks.

    Parameters
    ----------
    ensemble : Ensemble
        Of morphology networks.
    rows : pyarrow.Table
        N rows of a stamp store.
    pixels : ndarray
        (N, 2, B, S, S) stamps.
    keys : ndarray
        (N,) whole numbers that name the stamps; with `seed` they decide the noise.
    seed : int
        The configuration's seed.
    settings : Features
        With `samples` = 0 nothing is mapped.
    maps : ndarray
        (N, 2, S, S), filled in place; rows that cannot be mapped are left as they are.

    Returns
    -------
    ndarray
        int32 (N,), noisy copies behind the maps, 0 where there are none.
    """
    copies = np.zeros(len(maps), dtype=np.int32)
    if settings.samples == 0:
        return copies
    number = -(-len(maps) // MAPS_CHUNK)
    for batch in track(batches(rows, pixels, ensemble, MAPS_CHUNK), f"maps, {MAPS_CHUNK} at a time", number):
        batch_keys = [int(key) for key in keys[batch.rows]]
        for plane, name in enumerate(FEATURE_TARGETS):
            maps[batch.rows, plane], shown = _mean_map(ensemble, batch, name, batch_keys, seed, settings)
            copies[batch.rows] += shown
    return copies


def _mean_map(
    ensemble: Ensemble, batch: Batch, name: str, keys: list[int], seed: int, settings: Features
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of the networks' maps (N, S, S), each scaled to [0, 1], and the copies (N,) behind them."""
    attribution = Attribution(**settings.model_dump(), half_precision=True)
    seeds = [seed_for(seed, "features", name, key) for key in keys]
    maps, copies = attribute(
        ensemble.members, batch.inputs, batch.conditions, seeds, attribution, FEATURE_TARGETS[name]
    )
    return np.asarray(scale_to_unit(maps)[0].mean(1).cpu().numpy()), copies.numpy()
