"""Bulges and spiral arms of a shard: the table, and the masks of the arms."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tuningfork.core.files import new_array, read_json
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import (
    lineage_of,
    numpy_column,
    read_table,
    require_same_sources,
    shard_table,
    write_table,
)
from tuningfork.measure.bars.estimators import psf_pixels
from tuningfork.measure.features.calibration import ARMS, BULGE, FeatureCalibration, answer_of, predictors
from tuningfork.measure.features.maps import measure_features
from tuningfork.networks.ensemble import load_ensemble
from tuningfork.stamps.store import StampFiles, open_store


def features_shard(
    parameters: Parameters,
    stamps: Path,
    morphology: Path,
    models: Sequence[Path],
    evaluation: Path,
    output: Path,
    table: Path,
) -> None:
    """Write bulges and spiral arms of every source of a shard.

    Parameters
    ----------
    parameters : Parameters
        Of the stage features.
    stamps, morphology : Path
        The shard's tables, the former with the .npy beside it.
    models : sequence of Path
        Cards of the morphology networks.
    evaluation : Path
        evaluation.json, with the calibrations.
    output : Path
        .npy, uint8 (N, S, S / 8 rounded up): the masks of the arms, eight pixels in a byte;
        ``numpy.unpackbits(masks[k], axis=-1, count=S)`` gives that of row k. Zero without a measurement.
    table : Path
        Parquet.

    Raises
    ------
    InputError
        A file is missing, damaged, or of other sources or bands.
    """
    settings, seed = parameters.configuration.features, parameters.configuration.seed
    ensemble = load_ensemble(models, "morphology")
    rows, pixels = open_store(StampFiles.beside(stamps), ensemble.bands, ensemble.reference_band)
    classes = read_table(morphology)
    require_same_sources(rows, classes, morphology)
    number, size = len(pixels), pixels.shape[-1]
    found = {name: np.full(number, np.nan) for name in ("bulge", "arms", "end")}
    with new_array(output, (number, pixels.shape[-2], -(-size // 8)), np.uint8) as masks:
        keys = numpy_column(rows, "source_id")
        for places, one in measure_features(ensemble, rows, pixels, keys, seed, settings):
            masks[places] = np.packbits(one.masks, axis=-1)
            for name, column in found.items():
                column[places] = getattr(one, name)
    votes = {name: numpy_column(classes, name) for name in classes.column_names if name.endswith("_fraction")}
    values = {
        "source_id": rows["source_id"],
        "flags": numpy_column(rows, "flags") | numpy_column(classes, "flags"),
        **feature_values(found, votes, psf_pixels(rows, ensemble.reference_band), read_json(evaluation)),
    }
    lineage = parameters.lineage(lineage_of(stamps, morphology, evaluation, *models))
    write_table(table, shard_table("features", values), lineage, samples=settings.samples, size=size)


def feature_values(
    found: Mapping[str, np.ndarray], votes: Mapping[str, np.ndarray], psf: np.ndarray, evaluation: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Return the columns of the features table.

    Parameters
    ----------
    found : mapping
        `bulge`, `arms` and `end` of :class:`tuningfork.measure.features.maps.Measured`.
    votes : mapping
        `{answer}_fraction` -> (N,) expected vote fractions.
    psf : ndarray
        (N,) px.
    evaluation : mapping
        With `feature_calibration`.
    """
    values = {}
    for name, share in ((BULGE, found["bulge"]), (ARMS, found["arms"])):
        calibration = FeatureCalibration.from_dict(evaluation["feature_calibration"][name])
        columns = predictors(name, share, answer_of(name, votes), psf, found["end"])
        values[name], values[f"{name}_error"] = calibration.apply(columns)
        values[f"{name}_raw"] = share
    return values
