"""Held-out galaxies with votes of volunteers, and the networks' predictions for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tuningfork.calibrate.held_out import HeldOutAnswers, held_out_rows
from tuningfork.core.calibration_file import read_calibration
from tuningfork.core.decision_tree import answers, vote_columns
from tuningfork.core.tables import detail_of, read_table
from tuningfork.infer.tables import read_morphology
from tuningfork.measure.votes.correction import VoteCalibration
from tuningfork.measure.votes.recipe import vote_columns_of

SOURCE_LIST_COLUMNS = {"survey_mag": "mag", "survey_radius": "r_eff", "redshift": "redshift"}
"""Columns of the source list -> their names here."""


@dataclass(frozen=True)
class VolunteerFiles:
    """The files with the votes of volunteers and with their predictions.

    Attributes
    ----------
    table : Path
        Table of the part of the training set with votes of volunteers.
    sources : sequence of Path
        Tables of the sources of the shards that contain these galaxies.
    answers : HeldOutAnswers
        Answers of the morphology networks about the part's held-out galaxies.
    calibration : Path
        calibration/votes.json.
    """

    table: Path
    sources: Sequence[Path]
    answers: HeldOutAnswers
    calibration: Path

    @property
    def with_lineage(self) -> list[Path]:
        """All files that have a lineage."""
        return [self.table, *self.sources, self.answers.table, self.calibration]


def held_out_volunteers(files: VolunteerFiles) -> pd.DataFrame:
    """Return the votes, predictions and entries in the source list of the validation and test galaxies.

    Parameters
    ----------
    files : VolunteerFiles

    Returns
    -------
    DataFrame
        `index` (the source_id), `{answer}_votes`, `{answer}_fraction`, `mag`, `r_eff` and `redshift` of the source
        list, `psf_fwhm` (arcsec); `class`, `bar_length` and `axis_ratio` are unknown.

    Raises
    ------
    InputError
        A file is missing, damaged or about other galaxies.
    """
    corrections = read_calibration(files.calibration, "votes", VoteCalibration)
    listed = pd.concat([read_table(path, ["source_id", *SOURCE_LIST_COLUMNS]).to_pandas() for path in files.sources])
    listed = listed.drop_duplicates("source_id").set_index("source_id").rename(columns=SOURCE_LIST_COLUMNS)
    rows = held_out_rows([files.table])
    predicted = read_morphology(files.answers.table, files.answers.masks, rows["index"], "index")
    values, band = vote_columns_of(predicted, corrections), detail_of(files.table, "reference_band")
    known = rows.select(["source_id", f"psf_fwhm_{band}", *vote_columns()]).to_pandas()
    known.columns = ["index", "psf_fwhm", *vote_columns()]
    fractions = {f"{label}_fraction": values[f"{label}_fraction"] for label in answers()}
    unknown = {"class": None, "bar_length": np.nan, "axis_ratio": np.nan}
    return known.assign(**fractions).join(listed, on="index").assign(**unknown)
