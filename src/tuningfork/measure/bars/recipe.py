"""The recipe for bars: estimates from answers, maps and light are calibrated, combined and converted to the sky.

Every consumer uses these functions: the stage bars, the calibration, the evaluation, the injection and the pictures
command.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tuningfork.core.classes import CLASSES
from tuningfork.core.columns import MAPPED
from tuningfork.core.config.stages import Bars
from tuningfork.core.flags import Flag
from tuningfork.core.tables import numpy_column
from tuningfork.infer.answers import MorphologyAnswers
from tuningfork.measure.bars.calibration import BarCalibration, CalibratedBars, calibrated_bars
from tuningfork.measure.bars.estimators import (
    BarEstimate,
    of_light,
    of_maps,
    of_masks,
    of_network,
    psf_pixels,
)
from tuningfork.measure.bars.geometry import deprojected, kiloparsecs
from tuningfork.sky.coordinates import left_handed, pixel_to_sky_angle

BAR_CLASSES = [name for name in CLASSES if name not in ("edge_on", "artifact")]
"""Classes in which bars are measured. Smooth galaxies are among them: people call many barred lenticulars smooth."""


@dataclass(frozen=True)
class ShardTables:
    """Tables with one row for each of the same N sources.

    Attributes
    ----------
    stamps, sources, classes, profiles : pyarrow.Table
        Of the stages stamps, sources, classify and structure.
    """

    stamps: pa.Table
    sources: pa.Table
    classes: pa.Table
    profiles: pa.Table


def raw_estimates(
    answers: MorphologyAnswers, maps: np.ndarray, rows: pa.Table, light: np.ndarray, band: str, method: str
) -> dict[str, BarEstimate]:
    """Return the estimates of all estimators before calibration.

    Parameters
    ----------
    answers : MorphologyAnswers
        About N stamps.
    maps : ndarray
        (N, M, S, S) saliency maps; an all-zero map is not measured.
    rows : pyarrow.Table
        The stamps' table.
    light : ndarray
        (N, 2, 1, S, S) stamps in the reference band.
    band : str
        The reference band.
    method : str
        Method by which maps are measured: a key of :data:`tuningfork.measure.bars.maps.METHODS`.

    Returns
    -------
    dict
        Estimator -> :class:`BarEstimate`, with the names of :data:`tuningfork.core.columns.ESTIMATORS`.
    """
    psf = psf_pixels(rows, band)
    return {
        "direct": of_network(answers),
        "mask": of_masks(answers.bar_masks, psf),
        "saliency": of_maps(maps, psf, method),
        "fourier": of_light(rows, light, band),
    }


def counts_as_barred(probability: np.ndarray, morphology: np.ndarray, min_probability: float) -> np.ndarray:
    """Return which sources count as barred: galaxies not seen edge-on that have a bar with sufficient probability.

    Parameters
    ----------
    probability : ndarray
        (N,) probability of a bar; a source with NaN is not barred.
    morphology : ndarray
        (N,) classes.
    min_probability : float
        Smallest probability of a barred galaxy.

    Returns
    -------
    ndarray
        (N,) bool.
    """
    with np.errstate(invalid="ignore"):
        return np.asarray((probability >= min_probability) & np.isin(morphology, BAR_CLASSES))


def bar_columns(
    estimates: Mapping[str, BarEstimate], calibration: BarCalibration, tables: ShardTables, band: str, settings: Bars
) -> dict[str, Any]:
    """Return the columns of the bars table.

    The columns of a single estimator have values wherever it finds a bar. The recommended columns, which do not name an
    estimator, have values only for barred galaxies.

    Parameters
    ----------
    estimates : mapping
        Result of :func:`raw_estimates` for N sources.
    calibration : BarCalibration
    tables : ShardTables
        Of the same sources.
    band : str
        The reference band.
    settings : Bars

    Returns
    -------
    dict
        Column -> N values; lengths in arcsec and kpc, angles in deg from north to east.
    """
    rows, classes = tables.stamps, tables.classes
    scale, psf = numpy_column(rows, "pixel_scale").astype(float), psf_pixels(rows, band)
    bars = calibrated_bars(estimates, calibration, psf)
    probability = numpy_column(classes, "bar_probability")
    morphology = classes["morphology"].cast(pa.string()).to_numpy(zero_copy_only=False)
    barred = counts_as_barred(probability, morphology, settings.min_probability)
    length = np.where(barred, bars.length * scale, np.nan)
    given = np.isfinite(length)
    north, east_left = numpy_column(rows, "north_angle"), left_handed(rows["east_is_left"])
    angle = np.where(given, pixel_to_sky_angle(bars.angle, north, east_left), np.nan)
    disc = [numpy_column(tables.profiles, name).astype(float) for name in ("axis_ratio", "position_angle")]
    redshift = numpy_column(tables.sources, "redshift").astype(float)
    bits = bar_flags(estimates, length, psf * scale, bars.outside & given, barred, np.isfinite(probability))
    values = {
        "source_id": rows["source_id"],
        "flags": numpy_column(rows, "flags") | numpy_column(classes, "flags") | bits,
        "bar_length_method": [name if has else None for name, has in zip(bars.method, given, strict=True)],
        **_with_error("bar_length", length, bars.length_error),
        **_with_error("bar_length_deprojected", length * deprojected(angle, *disc), bars.length_error),
        **_with_error("bar_length_kpc", length * kiloparsecs(redshift, settings), bars.length_error),
        "bar_position_angle": angle,
        "bar_position_angle_error": np.where(np.isfinite(angle), bars.angle_error, np.nan),
        "bar_strength": estimates["fourier"].strength,
        "bar_ellipticity": np.where(given, 1 - bars.axis_ratio, np.nan),
        "bar_ellipticity_error": np.where(given, bars.axis_ratio_error, np.nan),
    }
    return values | _estimator_columns(estimates, bars, scale, north, east_left)


def _estimator_columns(
    estimates: Mapping[str, BarEstimate], bars: CalibratedBars, scale: np.ndarray, north: np.ndarray, left: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the columns of the single estimators: calibrated lengths, raw lengths and position angles."""
    values: dict[str, np.ndarray] = {}
    for name, pixels in bars.lengths.items():
        values |= _with_error(f"bar_length_{name}", pixels * scale, bars.length_errors[name])
    for name in MAPPED:
        values[f"bar_length_{name}_raw"] = estimates[name].length * scale
        values[f"bar_position_angle_{name}"] = pixel_to_sky_angle(estimates[name].angle, north, left)
    return values


def _with_error(name: str, values: np.ndarray, relative: np.ndarray) -> dict[str, np.ndarray]:
    """Return a length and its error as columns."""
    return {name: values, f"{name}_error": np.where(np.isfinite(values), values * relative, np.nan)}


def bar_flags(
    estimates: Mapping[str, BarEstimate],
    length: np.ndarray,
    psf_fwhm: np.ndarray,
    outside: np.ndarray,
    barred: np.ndarray,
    classified: np.ndarray,
) -> np.ndarray:
    """Return the bits that the recipe adds to the flags.

    Parameters
    ----------
    estimates : mapping
        Estimator -> its estimates for N sources.
    length, psf_fwhm : ndarray
        (N,) recommended length and width of the PSF, in the same unit.
    outside : ndarray
        (N,) bool, whether the recommended length is outside the range of the bars that were learned from.
    barred, classified : ndarray
        (N,) bool, which sources count as barred, and which have predicted votes.

    Returns
    -------
    ndarray
        (N,) int64.
    """
    shape_bits = estimates["saliency"].flags & ~np.int64(Flag.BAR_SHORTER_THAN_PSF | Flag.BAR_NOT_MEASURED)
    missing = np.array([~np.isfinite(raw.length) for raw in estimates.values()])
    with np.errstate(invalid="ignore"):
        short = length < psf_fwhm
    bits = {
        Flag.BAR_SHORTER_THAN_PSF: short,
        Flag.BAR_OUTSIDE_TRAINING: outside,
        Flag.NOT_BARRED: classified & ~barred,
        Flag.BAR_NOT_MEASURED: missing.all(axis=0),
        Flag.BAR_ESTIMATOR_MISSING: barred & missing.any(axis=0) & ~missing.all(axis=0),
    }
    flags = shape_bits.astype(np.int64)
    for flag, where in bits.items():
        flags |= np.where(where, int(flag), 0)
    return flags
