"""The stage bars: the measurement of bars from stored answers, maps and light; no network runs here."""

from dataclasses import dataclass
from pathlib import Path

from tuningfork.core.calibration_file import read_calibration
from tuningfork.core.columns.table import shard_table
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import lineage_of, open_rows, read_table, require_same_sources, write_table
from tuningfork.infer.tables import read_morphology
from tuningfork.measure.bars.calibration import BarCalibration
from tuningfork.measure.bars.recipe import ShardTables, bar_columns, raw_estimates
from tuningfork.stamps.store import StampFiles, open_store, require_checksums, survey_of


@dataclass(frozen=True)
class BarInputs:
    """The files of a shard from which its bars are measured.

    Attributes
    ----------
    stamps : StampFiles
    sources, morphology, structure : Path
        Tables of the stages sources, classify and structure.
    answers, masks : Path
        Answers of the morphology networks.
    saliency, maps : Path
        Table and .npy of the saliency maps.
    calibration : Path
        calibration/bars.json.
    """

    stamps: StampFiles
    sources: Path
    morphology: Path
    structure: Path
    answers: Path
    masks: Path
    saliency: Path
    maps: Path
    calibration: Path


def measure_bars(parameters: Parameters, *, inputs: BarInputs, output: Path) -> None:
    """Write the bars table of a shard.

    Parameters
    ----------
    parameters : Parameters
        Of the stage bars.
    inputs : BarInputs
    output : Path
        Parquet file to write.

    Raises
    ------
    InputError
        A file is missing, damaged or about other sources.
    """
    settings = parameters.configuration.bars
    _, band = survey_of(inputs.stamps.table)
    rows, light = open_store(inputs.stamps, [band], band)
    tables = {path: read_table(path) for path in (inputs.sources, inputs.saliency, inputs.morphology, inputs.structure)}
    for path, table in tables.items():
        require_same_sources(rows, table, path)
    answers = read_morphology(inputs.answers, inputs.masks, rows["source_id"])
    maps = open_rows(inputs.maps, rows.num_rows, inputs.saliency)
    require_checksums(tables[inputs.saliency], maps, StampFiles(inputs.saliency, inputs.maps))
    estimates = raw_estimates(answers, maps, rows, light, band, settings.method)
    calibration = read_calibration(inputs.calibration, "bars", BarCalibration)
    shard = ShardTables(rows, tables[inputs.sources], tables[inputs.morphology], tables[inputs.structure])
    values = bar_columns(estimates, calibration, shard, band, settings)
    lineage = lineage_of(inputs.stamps.table, *tables, inputs.answers, inputs.calibration)
    write_table(output, shard_table("bars", values), parameters.lineage(lineage), method=settings.method)
