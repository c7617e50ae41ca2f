"""Bulges and spiral arms of held-out galaxies, measured with the pipeline's own recipe."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from tuningfork.calibrate.held_out import chosen_stamps, first_of
from tuningfork.core.config.stages import Features
from tuningfork.explain.feature_maps import FEATURE_TARGETS, map_features
from tuningfork.infer.answers import MorphologyAnswers
from tuningfork.measure.bars.estimators import psf_pixels
from tuningfork.measure.features.calibration import ARMS, BULGE, answer_of, predictors
from tuningfork.measure.features.maps import measure_features
from tuningfork.measure.votes.correction import VoteCalibration
from tuningfork.measure.votes.recipe import vote_columns_of
from tuningfork.networks.ensemble import Ensemble
from tuningfork.stamps.store import StampFiles, in_bands

MEASURED_FIELDS = ("bulge", "arms", "end", "concentration", "residual")
"""Fields of :class:`tuningfork.measure.features.maps.FeatureMeasurements` that are kept, as `features_...`."""
SHARE_COLUMNS = {BULGE: "features_bulge", ARMS: "features_arms"}


def held_out_features(
    ensemble: Ensemble,
    training: Sequence[StampFiles],
    rows: pa.Table,
    answers: MorphologyAnswers,
    corrections: VoteCalibration,
    number: int,
    seed: int,
    settings: Features,
) -> pd.DataFrame:
    """Return the truth, votes and measurements of the first of some held-out galaxies.

    Parameters
    ----------
    ensemble : Ensemble
        Of morphology networks.
    training : sequence of StampFiles
        Parts of the training set.
    rows : pyarrow.Table
        Rows of held-out galaxies.
    answers : MorphologyAnswers
        About these galaxies.
    corrections : VoteCalibration
        Of the votes.
    number : int
        Largest number of galaxies.
    seed : int
        The configuration's seed.
    settings : Features

    Returns
    -------
    DataFrame
        The columns of the training table; `psf` (px); the columns of the stage classify; `MEASURED_FIELDS` as
        `features_...`, NaN without a measurement.
    """
    frame = rows.to_pandas().assign(
        psf=psf_pixels(rows, ensemble.reference_band), **vote_columns_of(answers, corrections)
    )
    frame = frame[first_of(rows, number)].reset_index(drop=True)
    row_of = {int(index): row for row, index in enumerate(frame["index"])}
    columns = {f"features_{name}": np.full(len(frame), np.nan) for name in MEASURED_FIELDS}
    for part, pixels in chosen_stamps(training, set(row_of), ensemble.bands, ensemble.reference_band):
        keys = part["index"].to_numpy()
        maps = np.zeros((len(keys), len(FEATURE_TARGETS), *pixels.shape[-2:]), dtype=np.float16)
        copies = map_features(ensemble, part, pixels, keys, seed, settings, maps)
        light = in_bands(pixels, ensemble.bands, [ensemble.reference_band])
        for chosen, measurements in measure_features(part, light, maps, copies > 0, ensemble.reference_band):
            into = [row_of[int(index)] for index in keys[chosen]]
            for name in MEASURED_FIELDS:
                columns[f"features_{name}"][into] = getattr(measurements, name)
    return frame.assign(**columns)


def predictors_of(name: str, frame: pd.DataFrame) -> np.ndarray:
    """Return the predictors of a recommended fraction.

    Parameters
    ----------
    name : str
        bulge_fraction or spiral_arm_fraction.
    frame : DataFrame
        Result of :func:`held_out_features`, N rows.

    Returns
    -------
    ndarray
        (N, K); see :func:`tuningfork.measure.features.calibration.predictors`.
    """
    end = frame["features_end"].to_numpy(dtype=float)
    share = frame[SHARE_COLUMNS[name]].to_numpy(dtype=float)
    return predictors(name, share, answer_of(name, votes_of(frame)), frame["psf"].to_numpy(), end)


def votes_of(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the expected vote fractions in a table.

    Parameters
    ----------
    frame : DataFrame
        N rows.

    Returns
    -------
    dict
        `{answer}_fraction` -> (N,)
    """
    return {str(column): frame[column].to_numpy() for column in frame if str(column).endswith("_fraction")}
