"""The stage structure: profile parameters of every source of a shard."""

from pathlib import Path

from tuningfork.core.calibration_file import read_calibration
from tuningfork.core.columns.table import shard_table
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import detail_of, lineage_of, numpy_column, write_table
from tuningfork.infer.tables import read_structure
from tuningfork.measure.structure.combine import StructureCalibration, combine
from tuningfork.measure.structure.intervals import published_widths
from tuningfork.measure.structure.recipe import measure_profiles, profile_columns, structure_flags
from tuningfork.networks.ensemble import choose_device
from tuningfork.sky.coordinates import left_handed, pixel_to_sky_angle
from tuningfork.stamps.store import StampFiles, open_store, survey_of


def structure_shard(
    parameters: Parameters, *, stamps: StampFiles, answers: Path, calibration: Path, output: Path
) -> None:
    """Write the structure table of a shard.

    Parameters
    ----------
    parameters : Parameters
        Of the stage structure.
    stamps : StampFiles
    answers : Path
        Answers of the structure networks about the shard.
    calibration : Path
        calibration/structure.json.
    output : Path
        Parquet file to write.

    Raises
    ------
    InputError
        A file is missing, damaged or about other sources.
    """
    _, band = survey_of(stamps.table)
    table, light = open_store(stamps, [band], band)
    network_answers = read_structure(answers, table["source_id"])
    learned = read_calibration(calibration, "structure", StructureCalibration)
    measured = measure_profiles(
        network_answers, table, light, band, parameters.configuration.structure, choose_device()
    )
    combination = combine(measured.estimates, learned)
    values = profile_columns(measured, combination, learned, table, band)
    north, left = numpy_column(table, "north_angle"), left_handed(table["east_is_left"])
    for name in ("position_angle", "position_angle_network"):
        values[name] = pixel_to_sky_angle(values[name], north, left)
    flags = numpy_column(table, "flags") | structure_flags(measured, combination, light.shape[-1])
    columns = {"source_id": table["source_id"], "flags": flags, **values}
    lineage = parameters.lineage(lineage_of(stamps.table, answers, calibration))
    details = {"members": detail_of(answers, "members"), "intervals": published_widths(learned.errors)}
    write_table(output, shard_table("structure", columns), lineage, **details)
