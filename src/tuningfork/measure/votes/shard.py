"""The stage classify: vote fractions of every source of a shard, their uncertainties and the resulting class."""

from pathlib import Path

from tuningfork.core.calibration_file import read_calibration
from tuningfork.core.columns.table import shard_table
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import detail_of, lineage_of, numpy_column, read_table, write_table
from tuningfork.infer.tables import read_morphology
from tuningfork.measure.votes.correction import VoteCalibration
from tuningfork.measure.votes.recipe import class_flags, vote_columns_of


def classify_shard(parameters: Parameters, *, answers: Path, masks: Path, calibration: Path, output: Path) -> None:
    """Write the morphology table of a shard.

    Parameters
    ----------
    parameters : Parameters
        Of the stage classify.
    answers, masks : Path
        Answers of the morphology networks about the shard.
    calibration : Path
        calibration/votes.json.
    output : Path
        Parquet file to write.

    Raises
    ------
    InputError
        A file is missing or damaged.
    """
    keys = read_table(answers, ["source_id", "flags"])
    predicted = read_morphology(answers, masks, keys["source_id"])
    corrections = read_calibration(calibration, "votes", VoteCalibration)
    values = vote_columns_of(predicted, corrections)
    flags = numpy_column(keys, "flags") | class_flags(values["morphology"])
    columns = {"source_id": keys["source_id"], "flags": flags, **values}
    lineage = parameters.lineage(lineage_of(answers, calibration))
    write_table(output, shard_table("classify", columns), lineage, members=detail_of(answers, "members"))
