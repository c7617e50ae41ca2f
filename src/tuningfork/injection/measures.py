"""The pipeline's measurements on any stamps: classes, saliency maps and bars."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from tuningfork.core.calibration_file import read_calibration
from tuningfork.core.columns.table import shard_table
from tuningfork.core.config import Configuration
from tuningfork.core.tables import numpy_column
from tuningfork.explain.shard import map_stamps
from tuningfork.infer.morphology import ask_morphology
from tuningfork.measure.bars.calibration import BarCalibration
from tuningfork.measure.bars.recipe import ShardTables, bar_columns, raw_estimates
from tuningfork.measure.votes.correction import VoteCalibration
from tuningfork.measure.votes.recipe import class_flags, vote_columns_of
from tuningfork.networks.ensemble import Ensemble
from tuningfork.stamps.store import in_bands


@dataclass(frozen=True)
class RecipeCalibrations:
    """The calibrations of votes and bars, learned from held-out galaxies.

    Attributes
    ----------
    votes : VoteCalibration
    bars : BarCalibration
    """

    votes: VoteCalibration
    bars: BarCalibration

    @classmethod
    def read(cls, votes: Path, bars: Path) -> "RecipeCalibrations":
        """Return the calibrations that are stored in two files.

        Parameters
        ----------
        votes, bars : Path
            calibration/votes.json and calibration/bars.json.
        """
        return cls(read_calibration(votes, "votes", VoteCalibration), read_calibration(bars, "bars", BarCalibration))


def measure_sources(
    ensemble: Ensemble,
    sources: pa.Table,
    rows: pa.Table,
    pixels: np.ndarray,
    configuration: Configuration,
    calibrations: RecipeCalibrations,
) -> tuple[pa.Table, pa.Table]:
    """Return the tables of the stages classify and bars, by the pipeline's own recipes.

    Light profiles are not measured, so that the deprojected length, which depends on them, is null.

    Parameters
    ----------
    ensemble : Ensemble
        Of morphology networks.
    sources, rows : pyarrow.Table
        Of the stages sources and stamps.
    pixels : ndarray
        (N, 2, B, S, S), in the bands of the ensemble.
    configuration : Configuration
        Contains the seed and the sections infer, saliency and bars.
    calibrations : RecipeCalibrations

    Returns
    -------
    classes, bars : pyarrow.Table
    """
    keys = {"source_id": rows["source_id"], "flags": rows["flags"]}
    band, settings = ensemble.reference_band, configuration.bars
    answers = ask_morphology(ensemble, rows, pixels, configuration.infer)
    votes = vote_columns_of(answers, calibrations.votes)
    bits = {"flags": numpy_column(rows, "flags") | class_flags(votes["morphology"])}
    classes = shard_table("classify", keys | votes | bits)
    maps = np.zeros((len(pixels), len(ensemble.members), *pixels.shape[-2:]), dtype=np.float16)
    source_id = numpy_column(rows, "source_id")
    map_stamps(ensemble, rows, pixels, source_id, configuration.seed, configuration.saliency, maps)
    light = in_bands(pixels, ensemble.bands, [band])
    estimates = raw_estimates(answers, maps, rows, light, band, settings.method)
    tables = ShardTables(rows, sources, classes, shard_table("structure", keys))
    return classes, shard_table("bars", bar_columns(estimates, calibrations.bars, tables, band, settings))
