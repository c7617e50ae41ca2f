"""Light profiles of held-out galaxies, measured with the pipeline's own recipe, and their comparison with the truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from tuningfork.calibrate.held_out import chosen_stamps
from tuningfork.core import columns
from tuningfork.core.config.stages import Structure
from tuningfork.core.records import join, take
from tuningfork.core.statistics import angle_difference
from tuningfork.infer.answers import StructureAnswers
from tuningfork.measure.structure.combine import StructureCalibration, combine
from tuningfork.measure.structure.estimates import ProfileEstimates
from tuningfork.measure.structure.recipe import MeasuredProfiles, measure_profiles, profile_columns
from tuningfork.measure.structure.refine import Refinement
from tuningfork.networks.ensemble import choose_device
from tuningfork.stamps.store import StampFiles
from tuningfork.training.tasks import structure_truth

PARAMETERS = [*(column.name for column in columns.PROFILE), "bulge_to_total"]
LOGARITHMIC_PARAMETERS = ("r_eff", "sersic_n")
"""Parameters that are compared in natural logarithms."""
MAX_AXIS_RATIO_OF_ANGLES = 0.7
"""Axis ratio below which position angles are compared."""


@dataclass(frozen=True)
class Comparison:
    """Measured and true values of a parameter of N galaxies, in the units of the comparison; NaN where unknown.

    Attributes
    ----------
    value, error, truth : ndarray
        (N,) values, natural logarithms for `LOGARITHMIC_PARAMETERS`.
    angle : bool
        Whether the values are position angles (deg).
    """

    value: np.ndarray
    error: np.ndarray
    truth: np.ndarray
    angle: bool

    @property
    def miss(self) -> np.ndarray:
        """The errors (N,) of the values."""
        return angle_difference(self.value, self.truth) if self.angle else self.value - self.truth


def held_out_profiles(
    training: Sequence[StampFiles], rows: pa.Table, answers: StructureAnswers, band: str, settings: Structure
) -> MeasuredProfiles:
    """Measure the profiles of held-out galaxies.

    Parameters
    ----------
    training : sequence of StampFiles
        Parts of the training set.
    rows : pyarrow.Table
        N rows of held-out galaxies.
    answers : StructureAnswers
        About these galaxies.
    band : str
        The reference band.
    settings : Structure

    Returns
    -------
    MeasuredProfiles
        In the order of `rows`.
    """
    row_of = {int(key): row for row, key in enumerate(rows["index"].to_numpy())}
    device, order = choose_device(), []
    estimates: list[ProfileEstimates] = []
    refinements: list[Refinement] = []
    for part, light in chosen_stamps(training, set(row_of), [band], band):
        here = np.array([row_of[int(key)] for key in part["index"].to_numpy()])
        measured = measure_profiles(answers.rows(here), part, light, band, settings, device)
        estimates.append(measured.estimates)
        if measured.refinement is not None:
            refinements.append(measured.refinement)
        order += here.tolist()
    if not order:
        return measure_profiles(answers, rows, np.zeros((0, 2, 1, 1, 1), np.float32), band, settings, device)
    back = np.argsort(order)
    return MeasuredProfiles(
        answers, take(join(estimates), back), take(join(refinements), back) if refinements else None
    )


def predicted_columns(
    rows: pd.DataFrame, measured: MeasuredProfiles, calibration: StructureCalibration, band: str
) -> pd.DataFrame:
    """Return the columns of the stage structure for held-out galaxies.

    Parameters
    ----------
    rows : DataFrame
        Truth and imaging of N galaxies.
    measured : MeasuredProfiles
        Of the same galaxies.
    calibration : StructureCalibration
    band : str
        The reference band.

    Returns
    -------
    DataFrame
        The recommended values are named `{parameter}_predicted`, since the column of the truth has the name of the
        parameter; all other columns keep their names.
    """
    values = profile_columns(measured, combine(measured.estimates, calibration), calibration, rows, band)
    names = {key: f"{key}_predicted" if key in PARAMETERS else key for key in values}
    return pd.DataFrame({names[key]: column for key, column in values.items()}, index=rows.index)


def true_targets(rows: pd.DataFrame, band: str) -> np.ndarray:
    """Return the true targets of the structure network.

    Parameters
    ----------
    rows : DataFrame
        Truth and imaging of N galaxies.
    band : str
        The reference band.

    Returns
    -------
    ndarray
        (N, 6), NaN where unknown.
    """
    names = [*PARAMETERS, "zero_point", "pixel_scale", f"sky_noise_{band}"]
    return structure_truth({name: numbers(rows, name) for name in names}, band)


def compared(frame: pd.DataFrame, name: str, predicted: str) -> Comparison:
    """Return the measured and true values of a parameter.

    Parameters
    ----------
    frame : DataFrame
        Truth and predictions of N galaxies.
    name : str
        One of `PARAMETERS`: the column of the truth.
    predicted : str
        The column of the prediction.

    Returns
    -------
    Comparison
    """
    truth, value, error = numbers(frame, name), numbers(frame, predicted), numbers(frame, f"{name}_error")
    if name in LOGARITHMIC_PARAMETERS:
        with np.errstate(divide="ignore", invalid="ignore"):
            truth, value, error = np.log(truth), np.log(value), error / value
    if name == "position_angle":
        truth = np.where(numbers(frame, "axis_ratio") < MAX_AXIS_RATIO_OF_ANGLES, truth, np.nan)
    return Comparison(value, error, truth, name == "position_angle")


def numbers(frame: pd.DataFrame, name: str) -> np.ndarray:
    """Return a column of a table.

    Parameters
    ----------
    frame : DataFrame
        N rows.
    name : str

    Returns
    -------
    ndarray
        float64 (N,), NaN without a value or without the column.
    """
    return frame[name].to_numpy(dtype=float, na_value=np.nan) if name in frame else np.full(len(frame), np.nan)
