"""The stage calibrate_structure: learns the calibration of profile parameters from validation galaxies."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from tuningfork.calibrate.held_out import structure_of_split
from tuningfork.calibrate.held_out_profiles import (
    PARAMETERS,
    compared,
    held_out_profiles,
    predicted_columns,
    true_targets,
)
from tuningfork.calibrate.intervals import learn_errors
from tuningfork.calibrate.structure_weighting import MIN_GALAXIES, learn_weights
from tuningfork.core.calibration_file import write_calibration
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import lineage_of
from tuningfork.measure.structure.combine import StructureCalibration, combine
from tuningfork.measure.structure.recipe import MeasuredProfiles, predictors_of
from tuningfork.stamps.store import StampFiles, survey_of


def calibrate_structure(
    parameters: Parameters, *, training: Sequence[StampFiles], held_out: Path, output: Path
) -> None:
    """Write the weighting of network and fit and the models of the errors, learned from validation galaxies.

    Parameters
    ----------
    parameters : Parameters
        Of the stage calibrate_structure.
    training : sequence of StampFiles
        Parts of the training set.
    held_out : Path
        Answers of the structure networks about its held-out galaxies.
    output : Path
        calibration/structure.json.

    Raises
    ------
    InputError
        A file is missing, damaged or about other galaxies.
    """
    tables = [part.table for part in training]
    _, band = survey_of(tables[0])
    rows, answers = structure_of_split(tables, held_out, "validation")
    measured = held_out_profiles(training, rows, answers, band, parameters.configuration.structure)
    calibration = learn_structure(rows.to_pandas(), measured, band)
    write_calibration(output, "structure", calibration, parameters.lineage(lineage_of(*tables, held_out)))


def learn_structure(rows: pd.DataFrame, measured: MeasuredProfiles, band: str) -> StructureCalibration:
    """Learn the weighting of network and fit and the models of the errors of the combination.

    Parameters
    ----------
    rows : DataFrame
        Truth and imaging of N validation galaxies.
    measured : MeasuredProfiles
        Of the same galaxies.
    band : str
        The reference band.

    Returns
    -------
    StructureCalibration
        A parameter known for fewer than `MIN_GALAXIES` galaxies keeps its stated error.
    """
    calibration = learn_weights(measured.estimates, true_targets(rows, band))
    combination = combine(measured.estimates, calibration)
    stated = pd.concat([rows, predicted_columns(rows, measured, calibration, band)], axis=1)
    errors = {}
    for name in PARAMETERS:
        comparison = compared(stated, name, f"{name}_predicted")
        pulls = comparison.miss / comparison.error
        if np.isfinite(pulls).sum() >= MIN_GALAXIES:
            errors[name] = learn_errors(pulls, predictors_of(measured, combination, name), name)
    return replace(calibration, errors=errors)
