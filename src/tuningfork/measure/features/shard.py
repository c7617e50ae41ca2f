"""The stage features: the measurement of bulges and spiral arms from stored maps and light; no network runs here."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tuningfork.core.calibration_file import read_calibration
from tuningfork.core.columns.table import shard_table
from tuningfork.core.files import new_array
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import (
    detail_of,
    lineage_of,
    numpy_column,
    open_rows,
    read_table,
    require_same_sources,
    write_table,
)
from tuningfork.measure.bars.estimators import psf_pixels
from tuningfork.measure.features.calibration import ARMS, BULGE, FeatureCalibration, feature_columns
from tuningfork.measure.features.maps import measure_features
from tuningfork.stamps.store import StampFiles, open_store, require_checksums, survey_of


@dataclass(frozen=True)
class FeatureInputs:
    """The files of a shard from which its bulges and spiral arms are measured.

    Attributes
    ----------
    stamps : StampFiles
    morphology : Path
        Table of the stage classify.
    map_table, maps : Path
        Table and .npy of the stage feature_maps.
    calibration : Path
        calibration/features.json.
    """

    stamps: StampFiles
    morphology: Path
    map_table: Path
    maps: Path
    calibration: Path


def features_shard(parameters: Parameters, *, inputs: FeatureInputs, output: Path, table: Path) -> None:
    """Write bulges and spiral arms of every source of a shard.

    Parameters
    ----------
    parameters : Parameters
        Of the stage features.
    inputs : FeatureInputs
    output : Path
        .npy, uint8 (N, S, S / 8 rounded up): the masks of the arms, with eight pixels per byte;
        ``numpy.unpackbits(masks[k], axis=-1, count=S)`` gives the mask of row k. Zero without a measurement.
    table : Path
        Parquet file to write.

    Raises
    ------
    InputError
        A file is missing, damaged or about other sources.
    """
    _, band = survey_of(inputs.stamps.table)
    rows, light = open_store(inputs.stamps, [band], band)
    classes, mapped = read_table(inputs.morphology), read_table(inputs.map_table)
    for path, other in ((inputs.morphology, classes), (inputs.map_table, mapped)):
        require_same_sources(rows, other, path)
    number, size = len(light), light.shape[-1]
    measured = {name: np.full(number, np.nan) for name in ("bulge", "arms", "end")}
    has_map = mapped["copies"].is_valid().to_numpy()
    maps = open_rows(inputs.maps, number, inputs.map_table)
    require_checksums(mapped, maps, StampFiles(inputs.map_table, inputs.maps))
    with new_array(output, (number, light.shape[-2], -(-size // 8)), np.uint8) as masks:
        for places, part in measure_features(rows, light, maps, has_map, band):
            masks[places] = np.packbits(part.masks, axis=-1)
            for name, column in measured.items():
                column[places] = getattr(part, name)
    votes = {name: numpy_column(classes, name) for name in classes.column_names if name.endswith("_fraction")}
    shares = {BULGE: measured["bulge"], ARMS: measured["arms"]}
    calibration = read_calibration(inputs.calibration, "features", FeatureCalibration)
    values = {
        "source_id": rows["source_id"],
        "flags": numpy_column(rows, "flags") | numpy_column(classes, "flags"),
        **feature_columns(shares, measured["end"], votes, psf_pixels(rows, band), calibration),
    }
    lineage = lineage_of(inputs.stamps.table, inputs.morphology, inputs.map_table, inputs.calibration)
    samples = detail_of(inputs.map_table, "samples")
    write_table(table, shard_table("features", values), parameters.lineage(lineage), samples=samples, size=size)
