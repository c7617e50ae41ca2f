"""The stages that apply the networks to the stamps of a shard and to the held-out galaxies of a training set."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from tuningfork.core.files import new_array, open_array
from tuningfork.core.records import join
from tuningfork.core.running.progress import track
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import lineage_of
from tuningfork.infer.answers import StructureAnswers
from tuningfork.infer.morphology import ask_morphology, mask_shape
from tuningfork.infer.structure import ask_structure
from tuningfork.infer.tables import HELD_OUT_SPLITS, key_columns, write_morphology, write_structure
from tuningfork.networks.ensemble import load_ensemble
from tuningfork.stamps.store import StampFiles, open_store

SOURCE_KEYS = ("source_id", "flags")
HELD_OUT_KEYS = ("index", "split")
GALAXIES_AT_ONCE = 256
"""Number of held-out galaxies whose stamps are in memory at once."""


def infer_morphology(
    parameters: Parameters, *, stamps: StampFiles, models: Sequence[Path], output: Path, masks: Path
) -> None:
    """Write the answers of the morphology networks about every source of a shard.

    Parameters
    ----------
    parameters : Parameters
        Of the stage infer_morphology.
    stamps : StampFiles
        The shard's stamps.
    models : sequence of Path
        Cards of the morphology networks.
    output : Path
        Parquet; see :mod:`tuningfork.infer.tables`.
    masks : Path
        .npy, float32 (N, M, s, s), the bar masks.

    Raises
    ------
    InputError
        A model or table is missing, damaged or of other bands.
    """
    ensemble = load_ensemble(models, "morphology")
    rows, pixels = open_store(stamps, ensemble.bands, ensemble.reference_band)
    with new_array(masks, mask_shape(ensemble, pixels), np.float32) as bar_masks:
        answers = ask_morphology(ensemble, rows, pixels, parameters.configuration.infer, bar_masks)
    answers = replace(answers, bar_masks=open_array(masks))
    lineage = parameters.lineage(lineage_of(stamps.table, *models))
    write_morphology(output, key_columns(rows, SOURCE_KEYS), answers, lineage, len(models))


def infer_structure(parameters: Parameters, *, stamps: StampFiles, models: Sequence[Path], output: Path) -> None:
    """Write the answers of the structure networks about every source of a shard.

    Parameters
    ----------
    parameters : Parameters
        Of the stage infer_structure.
    stamps : StampFiles
        The shard's stamps.
    models : sequence of Path
        Cards of the structure networks.
    output : Path
        Parquet; see :mod:`tuningfork.infer.tables`.

    Raises
    ------
    InputError
        A model or table is missing, damaged or of other bands.
    """
    ensemble = load_ensemble(models, "structure")
    rows, pixels = open_store(stamps, ensemble.bands, ensemble.reference_band)
    answers = ask_structure(ensemble, rows, pixels, parameters.configuration.infer)
    lineage = parameters.lineage(lineage_of(stamps.table, *models))
    write_structure(output, key_columns(rows, SOURCE_KEYS), answers, lineage, len(models))


def infer_held_out(
    parameters: Parameters, *, training: Sequence[StampFiles], models: Sequence[Path], output: Path, masks: Path
) -> None:
    """Write the answers of the morphology networks about the validation and test galaxies of a training set.

    Parameters
    ----------
    parameters : Parameters
        Of the stage infer_held_out.
    training : sequence of StampFiles
        Parts of the training set.
    models : sequence of Path
        Cards of the morphology networks.
    output : Path
        Parquet, one row per held-out galaxy in the order of the parts.
    masks : Path
        .npy of the bar masks.

    Raises
    ------
    InputError
        A model or part is missing, damaged or of other bands.
    """
    ensemble, settings = load_ensemble(models, "morphology"), parameters.configuration.infer
    chunks = held_out_chunks(training, ensemble.bands, ensemble.reference_band)
    parts = [(rows, ask_morphology(ensemble, rows, pixels, settings)) for rows, pixels in chunks]
    answers = join([part for _, part in parts])
    with new_array(masks, answers.bar_masks.shape, np.float32) as bar_masks:
        bar_masks[:] = answers.bar_masks
    lineage = parameters.lineage(lineage_of(*(part.table for part in training), *models))
    write_morphology(output, _joined_keys([rows for rows, _ in parts]), answers, lineage, len(models))


def infer_held_out_structure(
    parameters: Parameters, *, training: Sequence[StampFiles], models: Sequence[Path], output: Path
) -> None:
    """Write the answers of the structure networks about the validation and test galaxies of a training set.

    Parameters
    ----------
    parameters : Parameters
        Of the stage infer_held_out_structure.
    training : sequence of StampFiles
        Parts of the training set.
    models : sequence of Path
        Cards of the structure networks.
    output : Path
        Parquet, one row per held-out galaxy in the order of the parts.

    Raises
    ------
    InputError
        A model or part is missing, damaged or of other bands.
    """
    ensemble, settings = load_ensemble(models, "structure"), parameters.configuration.infer
    chunks = held_out_chunks(training, ensemble.bands, ensemble.reference_band)
    parts = [(rows, ask_structure(ensemble, rows, pixels, settings)) for rows, pixels in chunks]
    first = parts[0][1]
    answers = StructureAnswers(join([part.posterior for _, part in parts]), first.learned, first.limits)
    lineage = parameters.lineage(lineage_of(*(part.table for part in training), *models))
    write_structure(output, _joined_keys([rows for rows, _ in parts]), answers, lineage, len(models))


def held_out_chunks(
    training: Sequence[StampFiles], bands: Sequence[str], reference_band: str
) -> Iterator[tuple[pa.Table, np.ndarray]]:
    """Yield the rows and stamps of the held-out galaxies, a bounded number at a time.

    Parameters
    ----------
    training : sequence of StampFiles
        Parts of a training set.
    bands : sequence of str
        Bands that are read.
    reference_band : str

    Yields
    ------
    rows : pyarrow.Table
    stamps : ndarray
        (n, 2, B, S, S); a part without held-out galaxies gives one empty chunk.
    """
    for part in track(training, "parts of the training set", len(training)):
        table, pixels = open_store(part, bands, reference_band)
        kept = np.flatnonzero(np.isin(table["split"].to_numpy(), HELD_OUT_SPLITS))
        for first in range(0, max(len(kept), 1), GALAXIES_AT_ONCE):
            chosen = kept[first : first + GALAXIES_AT_ONCE]
            yield table.take(chosen), pixels[chosen]


def _joined_keys(tables: Sequence[pa.Table]) -> dict[str, pa.ChunkedArray]:
    return key_columns(pa.concat_tables([table.select(HELD_OUT_KEYS) for table in tables]), HELD_OUT_KEYS)
