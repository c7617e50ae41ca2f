"""Bars on a folder of pictures: one row for every file, whether or not it can be measured."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tuningfork.core.calibration_file import read_calibration
from tuningfork.core.config.stages import Bars, Infer, Saliency
from tuningfork.core.errors import ConfigurationError, InputError
from tuningfork.core.files import read_json
from tuningfork.core.flags import Flag
from tuningfork.core.running.progress import track
from tuningfork.explain.shard import map_stamps
from tuningfork.infer.morphology import ask_morphology
from tuningfork.measure.bars.calibration import BarCalibration, calibrated_bars
from tuningfork.measure.bars.estimators import BarEstimate, psf_pixels
from tuningfork.measure.bars.recipe import bar_flags, counts_as_barred, raw_estimates
from tuningfork.measure.votes.recipe import class_flags, vote_columns_of
from tuningfork.networks.compact import compact_card
from tuningfork.networks.ensemble import Ensemble, load_ensemble
from tuningfork.pictures.calibration import PICTURE_RECIPE, PictureCalibration
from tuningfork.pictures.read import Reading, read_picture
from tuningfork.pictures.table import check_name, picture_values, table_of, without_artifacts, write

PICTURES_IN_MEMORY = 512
"""Pictures that are in memory at once."""
PICTURE_INFERENCE = Infer(batch_size=128, rotations=8, bar_rotations=8)
"""How the networks are asked about pictures."""
PICTURE_PSF_BETA = 3.0
"""Exponent of the Moffat profile that is assumed for the PSF."""
R90_ERROR = 0.12
"""Standard deviation of ln(r90): its scatter among 388 SDSS pictures that were scaled by the galaxy's size."""


@dataclass(frozen=True)
class PictureSettings:
    """How pictures are read and measured.

    Attributes
    ----------
    stretch : float or None
        Q of the pictures' arcsinh stretch; 0 for linear ones; None: what such pictures usually have.
    psf_fwhm : float or None
        Full width at half maximum of the PSF (px); None: estimated on each.
    models : tuple of Path
        Cards of morphology networks that read one band; none: the one that comes with the package.
    calibration : Path or None
        File of `tuningfork calibrate-pictures`, which turns the estimators' lengths into the recommended one; None: for
        the network that comes with the package its own, for others no calibration.
    saliency_samples : int
        Noisy copies of each stamp behind a saliency map.
    """

    stretch: float | None = None
    psf_fwhm: float | None = None
    models: tuple[Path, ...] = ()
    calibration: Path | None = None
    saliency_samples: int = 32

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises
        ------
        ConfigurationError
            One is outside its range.
        """
        for name, value, low, high in (
            ("--stretch", self.stretch or 0.0, 0.0, 50.0),
            ("--psf-fwhm", self.psf_fwhm or 3.0, 0.5, 500.0),
            ("--saliency-samples", self.saliency_samples, 1, 4096),
        ):
            if not low <= value <= high:
                raise ConfigurationError(f"{name} {value:g}: expected a number from {low:g} to {high:g}")


def measure_files(paths: Sequence[Path], output: Path, settings: PictureSettings) -> pa.Table:
    """Measure the bars on pictures and write the table.

    Parameters
    ----------
    paths : sequence of Path
        JPEG and PNG pictures, each with one galaxy in its middle; the row of any other file says why it was not measured.
    output : Path
        .parquet or .csv
    settings : PictureSettings

    Returns
    -------
    pyarrow.Table
        One row per path, in the same order; see :data:`tuningfork.pictures.table.COLUMNS`.

    Raises
    ------
    InputError
        A model is missing, damaged or reads several bands.
    ConfigurationError
        The output has another ending.
    """
    check_name(output)
    ensemble = picture_ensemble(settings.models)
    calibration = calibration_of(settings, ensemble)
    parts = []
    for first in range(0, len(paths), PICTURES_IN_MEMORY):
        batch = paths[first : first + PICTURES_IN_MEMORY]
        readings = [
            read_picture(path, settings.stretch, settings.psf_fwhm) for path in track(batch, "pictures", len(batch))
        ]
        parts.append(table_of(measure(ensemble, readings, calibration, settings.saliency_samples)))
    table = pa.concat_tables(parts)
    write(output, table, stretch=settings.stretch, networks=digests(ensemble))
    return table


def picture_ensemble(models: Sequence[Path]) -> Ensemble:
    """Return morphology networks that read pictures.

    Parameters
    ----------
    models : sequence of Path
        Cards of networks; none: the one that comes with the package.

    Raises
    ------
    InputError
        A model is missing, damaged or reads several bands.
    """
    ensemble = load_ensemble(models or (compact_card("morphology"),), "morphology")
    if len(ensemble.bands) != 1:
        raise InputError(f"networks of the bands {ensemble.bands}: pictures need networks that read a single band")
    return ensemble


def summary(table: pa.Table) -> str:
    """Return in words how many files were measured.

    Parameters
    ----------
    table : pyarrow.Table
        From :func:`measure_files`.

    Returns
    -------
    str
    """
    measured = table["bar_length_pixels"].is_valid()
    flags = table["flags"].to_numpy()
    barred_too = int(np.count_nonzero(measured.to_numpy() & ((flags & Flag.NOT_BARRED) == 0)))
    number = int(np.count_nonzero(measured.to_numpy()))
    text = f"{table.num_rows} files, {number} with a measurement, {barred_too} of them barred"
    blurred = int(np.count_nonzero(flags & Flag.PSF_TOO_WIDE))
    return f"{text}; the PSF is too wide for short bars on {blurred} (flag PSF_TOO_WIDE)" if blurred else text


def calibration_of(settings: PictureSettings, ensemble: Ensemble) -> PictureCalibration:
    """Return the calibration of some networks.

    For networks without a calibration file the recommended length is the direct one, uncalibrated.

    Parameters
    ----------
    settings : PictureSettings
    ensemble : Ensemble

    Returns
    -------
    PictureCalibration

    Raises
    ------
    InputError
        The file that was named cannot be read, or was made with other networks.
    """
    path = settings.calibration or compact_card("pictures")
    if settings.calibration is None and not path.exists():
        return PictureCalibration.none()
    calibration = read_calibration(path, PICTURE_RECIPE, PictureCalibration)
    if read_json(path).get("networks") == digests(ensemble):
        return calibration
    if settings.calibration is not None:
        raise InputError(
            f"{path}: made with other networks; make one for these with tuningfork calibrate-pictures --models CARD ... "
            "--out FILE.json"
        )
    return PictureCalibration.none()


def digests(ensemble: Ensemble) -> list[str]:
    """Return the hashes of the networks' weights."""
    return [str(card["weights_sha256"]) for card in ensemble.cards]


def store_of(readings: Sequence[Reading], band: str) -> tuple[pa.Table, np.ndarray]:
    """Return the galaxies of readings as networks read them; in the table, a pixel of the picture counts as an arcsec.

    Parameters
    ----------
    readings : sequence of Reading
        N of them show a galaxy.
    band : str
        Name of the band in the table.

    Returns
    -------
    rows : pyarrow.Table
        N rows that describe the imaging.
    stamps : ndarray
        float32 (N, 2, 1, S, S): light and inverse variance.
    """
    seen = [(reading, reading.stamp) for reading in readings if reading.stamp is not None]
    pixels = np.stack([np.stack([stamp.image, stamp.valid / stamp.sky_noise**2]) for _, stamp in seen])
    number = len(seen)
    rows = {
        "pixel_scale": np.array([reading.binned * stamp.step for reading, stamp in seen]),
        f"psf_fwhm_{band}": np.array([reading.psf_fwhm for reading, _ in seen]),
        f"sky_noise_{band}": np.array([stamp.sky_noise for _, stamp in seen]),
        "psf_beta": np.full(number, PICTURE_PSF_BETA),
        "zero_point": np.zeros(number),
        "valid_fraction": np.array([stamp.valid.mean() for _, stamp in seen]),
    }
    return pa.table(rows), pixels[:, :, None].astype(np.float32)


def measure(
    ensemble: Ensemble, readings: Sequence[Reading], calibration: PictureCalibration, samples: int
) -> dict[str, Any]:
    """Return the columns of the table.

    Parameters
    ----------
    ensemble : Ensemble
    readings : sequence of Reading
        N of them.
    calibration : PictureCalibration
    samples : int
        Noisy copies of each stamp behind a saliency map.

    Returns
    -------
    dict
        Column name -> N values.
    """
    values = picture_values(readings)
    good = np.flatnonzero(np.isfinite(values["r90"]))
    if not good.size:
        return values
    chosen = [readings[place] for place in good.tolist()]
    rows, pixels = store_of(chosen, ensemble.reference_band)
    maps = np.zeros((len(good), len(ensemble.members), *pixels.shape[-2:]), dtype=np.float16)
    keys = np.array([_key(reading.file) for reading in chosen])
    map_stamps(ensemble, rows, pixels, keys, 0, Saliency(samples=samples), maps)
    band = ensemble.reference_band
    answers = ask_morphology(ensemble, rows, pixels, PICTURE_INFERENCE)
    estimates = raw_estimates(answers, maps, rows, pixels, band, Bars().method)
    votes = vote_columns_of(answers, calibration.votes)
    for name, column in picture_columns(estimates, votes, rows, band, calibration).items():
        values[name][good] = column
    with np.errstate(invalid="ignore"):
        size = 2 * values["r90"]
        values["bar_length_scaled"] = values["bar_length_pixels"] / size
        relative = np.hypot(values["bar_length_pixels_error"] / values["bar_length_pixels"], R90_ERROR)
        values["bar_length_scaled_error"] = values["bar_length_scaled"] * relative
    values["flags"] |= values.pop("bar_flags")
    return without_artifacts(values)


def _key(name: str) -> int:
    """Return a number for a file, so that the noise behind its map does not depend on the other files of the folder."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big")


def picture_columns(
    estimates: Mapping[str, BarEstimate],
    votes: Mapping[str, np.ndarray],
    rows: pa.Table,
    band: str,
    calibration: BarCalibration,
) -> dict[str, np.ndarray]:
    """Return the columns about class and bar of pictures with a galaxy.

    Parameters
    ----------
    estimates : mapping
        From :func:`tuningfork.measure.bars.recipe.raw_estimates`, for N pictures.
    votes : mapping
        Columns of the stage classify.
    rows : pyarrow.Table
        From :func:`store_of`.
    band : str
        The band of the networks.
    calibration : BarCalibration

    Returns
    -------
    dict
        Column -> (N,); lengths in pixels of the picture.
    """
    scale, psf = rows["pixel_scale"].to_numpy(), psf_pixels(rows, band)
    bars = calibrated_bars(estimates, calibration, psf)
    fractions = votes["bar_yes_fraction"]
    probability = votes["bar_probability"]
    barred = counts_as_barred(probability, votes["morphology"].astype(str), Bars().min_probability)
    return {
        "morphology": votes["morphology"],
        "bar_vote_share": votes["bar_vote_share"],
        "bar_probability": probability,
        "bar_yes_fraction": fractions,
        "bar_length_pixels": bars.length * scale,
        "bar_length_pixels_error": bars.length * scale * bars.length_error,
        "bar_position_angle": bars.angle,
        "bar_position_angle_error": bars.angle_error,
        "bar_ellipticity": 1 - bars.axis_ratio,
        "bar_length_method": bars.method,
        "bar_flags": class_flags(votes["morphology"])
        | bar_flags(estimates, bars.length, psf, bars.outside, barred, np.ones(len(psf), dtype=bool)),
        **{f"bar_length_{name}_pixels": length * scale for name, length in bars.lengths.items()},
    }
