"""Calibration of bars on pictures: simulated galaxies, drawn as pictures, through the same measurement.

What is learned on half of the galaxies is what `tuningfork measure-folder` applies; the figures are those of the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa

from tuningfork.calibrate.bars import learn_bars, trained_range
from tuningfork.calibrate.held_out_bars import held_out_bars, raw_table
from tuningfork.core.calibration_file import write_calibration
from tuningfork.core.config import Configuration, validate
from tuningfork.core.config.population import ClassFractions
from tuningfork.core.description import Description, describe
from tuningfork.core.errors import ConfigurationError
from tuningfork.core.tables import read_table
from tuningfork.evaluate.bars import baseline_lengths, pipeline_lengths, resolved_bars, score_bars
from tuningfork.infer.morphology import ask_morphology
from tuningfork.measure.bars.calibration import calibrated_bars
from tuningfork.measure.bars.estimators import BarEstimate, psf_pixels
from tuningfork.measure.votes.correction import VoteCalibration, uncorrected
from tuningfork.networks.ensemble import Ensemble
from tuningfork.pictures.calibration import PICTURE_RECIPE, PictureCalibration
from tuningfork.pictures.drawn import CALIBRATION_SPLITS, draw_part
from tuningfork.pictures.learn_votes import learn_picture_presence, learn_picture_votes
from tuningfork.pictures.measure import PICTURE_INFERENCE, digests, picture_ensemble
from tuningfork.stamps.store import StampFiles, open_store

CALIBRATION_SEED = 2718
"""Seed of the galaxies; no network may have been trained with it."""
GALAXY_NUMBER_RANGE = (10, 100_000)
"""Fewest and most galaxies from which a calibration is learned."""
BARRED_ALONE = dict.fromkeys(ClassFractions.model_fields, 0.0) | {"barred_spiral": 1.0}
"""Shares of the classes in the population."""
PICTURED = {
    "seeing": [0.7, 2.6], "noise": [0.4, 2.5], "neighbour_density": 8_000.0,
    "population": {"r_eff_max": 30.0, "bar_length_min": 1.8, "bar_length_max": 60.0, "classes": BARRED_ALONE},
}  # fmt: skip
"""The simulated galaxies: pictures come from any survey, and show galaxies of any size."""


def calibrate_networks(
    models: Sequence[Path], number: int, surveys: Path, output: Path, people: Path | None = None
) -> dict[str, Any]:
    """Learn the calibration of some networks for pictures and write it.

    Parameters
    ----------
    models : sequence of Path
        Cards of morphology networks that read one band; none: the one that comes with the package.
    number : int
        Galaxies to learn from, and as many to test on.
    surveys : Path
        Folder with the descriptions of the surveys.
    output : Path
        JSON file to write, for `tuningfork measure-folder --calibration`.
    people : Path, optional
        Table from `tuningfork picture-votes`: towards these votes the predicted ones are corrected.

    Returns
    -------
    dict
        Estimator -> figures on the test galaxies.

    Raises
    ------
    ConfigurationError
        The number of galaxies is out of range.
    InputError
        A model is missing, damaged or reads several bands.
    """
    low, high = GALAXY_NUMBER_RANGE
    if not low <= number <= high:
        raise ConfigurationError(f"--galaxies {number}: expected a number from {low} to {high}")
    ensemble = picture_ensemble(models)
    values = {
        "seed": CALIBRATION_SEED,
        "survey": {"simulated": {"bands": ensemble.bands}},
        "simulate": PICTURED,
    }
    configuration = validate(values)
    return calibrate_pictures(number, ensemble, configuration, describe(configuration, surveys), output, people)


def figure_lines(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the figures of :func:`calibrate_networks` as text, one line per estimator."""
    lines = []
    for name, values in figures.items():
        numbers = {key: value for key, value in values.items() if isinstance(value, int | float)}
        lines.append(f"{name:18s} " + "  ".join(f"{key} {value:.3g}" for key, value in numbers.items()))
    return "\n".join(lines)


def calibrate_pictures(
    number: int,
    ensemble: Ensemble,
    configuration: Configuration,
    description: Description,
    output: Path,
    people: Path | None = None,
) -> dict[str, Any]:
    """Learn the calibration for pictures from simulated galaxies, test it on others, and write it.

    Parameters
    ----------
    number : int
        Galaxies to learn from, and as many to test on.
    ensemble : Ensemble
        Of morphology networks that read one band.
    configuration : Configuration
        Its population and survey are simulated; no network may have learned from its seed.
    description : Description
        Of the survey.
    output : Path
        JSON file to write, for `tuningfork measure-folder --calibration`.
    people : Path, optional
        Table from `tuningfork picture-votes`.

    Returns
    -------
    dict
        Estimator -> figures on the test galaxies.
    """
    band, method = ensemble.reference_band, configuration.bars.method
    # First, because a table that cannot be used must not cost the minutes of the drawing.
    questions, classes = (uncorrected().questions, None) if people is None else learn_picture_votes(people, ensemble)
    with TemporaryDirectory() as folder:
        part = StampFiles(Path(folder) / "part-0.parquet", Path(folder) / "part-0.npy")
        draw_part(part, number, band, configuration, description)
        rows = {split: _rows(part, split) for split in CALIBRATION_SPLITS}
        estimates = {split: _estimates(part, rows[split], ensemble, configuration) for split in CALIBRATION_SPLITS}
    learned = learn_bars(rows["validation"], estimates["validation"], band)
    learned = replace(learned, trained=trained_range(rows["validation"], band, configuration.stamps.size))
    combined = {name: estimates["test"][name] for name in learned.lengths}
    bars = calibrated_bars(combined, learned, psf_pixels(rows["test"], band))
    tables = {split: raw_table(rows[split], estimates[split], band) for split in CALIBRATION_SPLITS}
    baselines = baseline_lengths(tables["validation"], tables["test"], estimates["test"])
    lengths = pipeline_lengths(bars, combined, learned.lengths) | baselines
    test = rows["test"].to_pandas()
    scored = resolved_bars(test, tables["test"]["psf_fwhm"].to_numpy())
    figures = score_bars(test, lengths, scored, configuration.seed)
    about = {"networks": digests(ensemble), "galaxies": number, "seed": configuration.seed}
    presence, figures["bar_probability"] = learn_picture_presence(number, ensemble, configuration, description)
    if classes is not None:
        figures["classes"] = classes
    calibration = PictureCalibration.of(learned, VoteCalibration(questions, presence))
    write_calibration(output, PICTURE_RECIPE, calibration, {}, method=method, bars=figures, **about)
    return figures


def _rows(part: StampFiles, split: str) -> pa.Table:
    """Return the barred galaxies of a split."""
    rows = read_table(part.table)
    barred = np.isfinite(rows["bar_length"].to_numpy())
    return rows.take(np.flatnonzero((rows["split"].to_numpy() == split) & barred))


def _estimates(
    part: StampFiles, rows: pa.Table, ensemble: Ensemble, configuration: Configuration
) -> dict[str, BarEstimate]:
    """Return what every estimator says about the galaxies of a split, before calibration."""
    table, pixels = open_store(part, ensemble.bands, ensemble.reference_band)
    chosen = np.flatnonzero(np.isin(table["index"].to_numpy(), rows["index"].to_numpy()))
    answers = ask_morphology(ensemble, table.take(chosen), pixels[chosen], PICTURE_INFERENCE)
    everything = np.ones(len(chosen), dtype=bool)
    settings = configuration.saliency, configuration.bars.method
    return held_out_bars(ensemble, [part], rows, answers, everything, configuration.seed, *settings)
