"""The stage calibrate_bars: learns the calibration of bars from validation galaxies with a bar."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from tuningfork.calibrate.angle_learning import learn_angle_error
from tuningfork.calibrate.bar_learning import fit_lengths, learn_combination, learn_range
from tuningfork.calibrate.held_out import HeldOutAnswers, first_of, morphology_of_split
from tuningfork.calibrate.held_out_bars import held_out_bars, raw_table
from tuningfork.core.calibration_file import write_calibration
from tuningfork.core.columns import ESTIMATORS
from tuningfork.core.files import open_array
from tuningfork.core.records import take
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import lineage_of, numpy_column, read_table, write_table
from tuningfork.measure.bars.calibration import BarCalibration
from tuningfork.measure.bars.estimators import BarEstimate, psf_pixels
from tuningfork.measure.bars.limits import TrainedRange
from tuningfork.networks.ensemble import load_ensemble
from tuningfork.stamps.store import StampFiles

MIN_BAR_LENGTH_PSF = 2.0
"""Bar length, in PSF widths (FWHM), above which a bar counts as resolved. Weights are learned from resolved bars, and
the evaluation scores them."""


def calibrate_bars(
    parameters: Parameters,
    *,
    training: Sequence[StampFiles],
    held_out: HeldOutAnswers,
    models: Sequence[Path],
    output: Path,
    table: Path,
) -> None:
    """Write the calibration of bar lengths and the weights of the estimators, learned from validation galaxies.

    Parameters
    ----------
    parameters : Parameters
        Of the stage calibrate_bars.
    training : sequence of StampFiles
        Parts of the training set.
    held_out : HeldOutAnswers
        Answers of the morphology networks about its held-out galaxies.
    models : sequence of Path
        Cards of the morphology networks, for the saliency maps.
    output : Path
        calibration/bars.json.
    table : Path
        Parquet: raw lengths of the validation galaxies, for the baselines of the evaluation.

    Raises
    ------
    InputError
        A file is missing, damaged or about other galaxies.
    """
    configuration = parameters.configuration
    ensemble = load_ensemble(models, "morphology")
    tables = [part.table for part in training]
    rows, answers = morphology_of_split(tables, held_out, "validation")
    chosen = np.flatnonzero(first_of(rows, configuration.calibrate.bars, barred=True))
    rows, answers = rows.take(chosen), take(answers, chosen)
    everything = np.ones(len(chosen), dtype=bool)
    method = configuration.bars.method
    estimates = held_out_bars(
        ensemble, training, rows, answers, everything, configuration.seed, configuration.saliency, method
    )
    lineage = parameters.lineage(lineage_of(*tables, held_out.table, *models))
    band = ensemble.reference_band
    learned = learn_bars(rows, estimates, band)
    columns = ["bar_length", "pixel_scale", f"psf_fwhm_{band}"]
    simulated = pa.concat_tables([read_table(path, columns) for path in tables])
    trained = trained_range(simulated, band, open_array(training[0].pixels).shape[-1])
    write_calibration(output, "bars", replace(learned, trained=trained), lineage, method=method)
    frame = raw_table(rows, estimates, band)
    write_table(table, pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None), lineage)


def learn_bars(rows: pa.Table, estimates: Mapping[str, BarEstimate], band: str) -> BarCalibration:
    """Learn the calibration of every estimator, and the weights of their combination.

    Parameters
    ----------
    rows : pyarrow.Table
        Truth and imaging of N galaxies with a bar.
    estimates : mapping
        Estimator -> its estimates for these galaxies; estimators outside the pipeline are ignored.
    band : str
        The reference band.

    Returns
    -------
    BarCalibration
    """
    psf = psf_pixels(rows, band)
    truth, true_angle = _true_lengths(rows), rows["bar_position_angle"].to_numpy()
    combined = {name: estimates[name] for name in ESTIMATORS if name in estimates}
    lengths = {name: fit_lengths(raw.length, raw.spread, truth, psf) for name, raw in combined.items()}
    ratio = fit_lengths(combined["mask"].axis_ratio, np.zeros(len(psf)), rows["bar_axis_ratio"].to_numpy(), psf)
    resolved = truth > MIN_BAR_LENGTH_PSF * psf
    combination = learn_combination(
        {name: lengths[name].apply(raw.length, psf)[resolved] for name, raw in combined.items()},
        lengths["direct"].error(combined["direct"].spread)[resolved],
        truth[resolved],
        {name: raw.angle[resolved] for name, raw in combined.items()},
        true_angle[resolved],
    )
    angles = {name: raw.angle for name, raw in combined.items()}
    spreads = {name: raw.angle_spread for name, raw in combined.items()}
    angle_error = learn_angle_error(combination.angles, angles, spreads, true_angle)
    return BarCalibration(lengths, ratio, replace(combination, angle_error=angle_error))


def trained_range(rows: pa.Table, band: str, stamp_size: int) -> TrainedRange | None:
    """Return the range of the bars in a training set.

    Parameters
    ----------
    rows : pyarrow.Table
        Truth and imaging of the simulated galaxies, with or without a bar.
    band : str
        The reference band.
    stamp_size : int
        Width of the stamps (px).

    Returns
    -------
    TrainedRange or None
        None for too few bars.
    """
    return learn_range(_true_lengths(rows), psf_pixels(rows, band), stamp_size)


def _true_lengths(rows: pa.Table) -> np.ndarray:
    """Return the true lengths (px) of the bars, NaN without a bar."""
    return numpy_column(rows, "bar_length").astype(float) / numpy_column(rows, "pixel_scale")
