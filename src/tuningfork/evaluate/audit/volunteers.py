"""Galaxies that people have voted on and no network has learnt from, with the model's prediction."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tuningfork.calibrate.held_out_stamps import chunks
from tuningfork.core.columns import vote_columns
from tuningfork.core.config.stages import Classify
from tuningfork.core.decision_tree import answers
from tuningfork.core.files import read_json
from tuningfork.core.tables import read_table
from tuningfork.measure.votes.correction import corrections_of
from tuningfork.measure.votes.shard import vote_values
from tuningfork.networks.ensemble import load_ensemble

LISTED = {"survey_mag": "mag", "survey_radius": "r_eff", "redshift": "redshift"}
"""What the source list knows, by our names."""


@dataclass(frozen=True)
class People:
    """Where the votes of people are, and what predicts them.

    Attributes
    ----------
    table : Path
        The part of the training set with votes of people, the stamps beside it.
    sources : sequence of Path
        Tables of the sources of the shards that were looked up.
    models : sequence of Path
        Cards of the morphology networks.
    agreement : Path
        agreement.json, with the calibration of their votes.
    """

    table: Path
    sources: Sequence[Path]
    models: Sequence[Path]
    agreement: Path

    @property
    def files(self) -> list[Path]:
        """All that has a lineage."""
        return [self.table, *self.sources, *self.models, self.agreement]


def held_out_people(people: People, settings: Classify) -> pd.DataFrame:
    """Return votes, predictions and what the source list knows of the validation and test galaxies.

    Parameters
    ----------
    people : People
    settings : Classify

    Returns
    -------
    DataFrame
        `index` (the source_id), `{answer}_votes`, `{answer}_fraction`, `mag`, `r_eff` and `redshift` of the source list,
        `psf_fwhm` (arcsec); `class`, `bar_length` and `axis_ratio` are not known.
    """
    ensemble, corrections = load_ensemble(people.models, "morphology"), corrections_of(read_json(people.agreement))
    listed = pd.concat([read_table(path, ["source_id", *LISTED]).to_pandas() for path in people.sources])
    listed = listed.drop_duplicates("source_id").set_index("source_id").rename(columns=LISTED)
    names = [f"{label}_fraction" for label in answers()]
    frames = [pd.DataFrame(columns=["index", "psf_fwhm", *vote_columns(), *names])]
    for rows, pixels in chunks([people.table], ensemble):
        values = vote_values(ensemble, rows, pixels, settings.rotations, settings.batch_size, corrections)
        known = rows.select(["source_id", f"psf_fwhm_{ensemble.reference_band}", *vote_columns()]).to_pandas()
        known.columns = ["index", "psf_fwhm", *vote_columns()]
        frames.append(known.assign(**{name: values[name] for name in names}))
    joined = pd.concat(frames[1:] or frames, ignore_index=True)
    unknown = {"class": None, "bar_length": np.nan, "axis_ratio": np.nan}
    return joined.join(listed, on="index").assign(**unknown)
