"""Bars of a shard: length, angle and width from the saliency maps, and the length that the network regresses."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tuningfork.core.config.stages import Bars
from tuningfork.core.decision_tree import question
from tuningfork.core.files import open_array, read_json
from tuningfork.core.flags import Flag
from tuningfork.core.parameters import Parameters
from tuningfork.core.progress import track
from tuningfork.core.tables import (
    lineage_of,
    numpy_column,
    read_table,
    require_same_sources,
    shard_table,
    write_table,
)
from tuningfork.measure.bar_maps import METHODS, BarShape
from tuningfork.measure.calibration import LengthCalibration
from tuningfork.measure.ensemble import answers_of, mixture
from tuningfork.networks.ensemble import Ensemble, load_ensemble, open_store
from tuningfork.sky.coordinates import left_handed, pixel_to_sky_angle

BATCH = 128
ORIENTATIONS = 8
"""Turns and mirror images of a stamp over which the regressed length is averaged."""
DISCS = ["spiral", "barred_spiral"]
"""Classes that can have a bar; it cannot be seen in a disc that is seen edge-on."""


@dataclass(frozen=True)
class MapBars:
    """Bars measured on the maps of an ensemble, for N sources.

    Attributes
    ----------
    length : ndarray
        (N,) mean over the networks' maps of the full length (px); NaN where no map gives one.
    spread : ndarray
        (N,) standard error of ln(length) from the scatter between the maps; zero with a single one.
    angle, angle_spread : ndarray
        (N,) mean position angle in the pixel frame and its standard error (deg).
    width : ndarray
        (N,) mean full width (px).
    flags : ndarray
        (N,) int64; a bit is set if at least half of the measured maps set it.
    """

    length: np.ndarray
    spread: np.ndarray
    angle: np.ndarray
    angle_spread: np.ndarray
    width: np.ndarray
    flags: np.ndarray


def measure_bars(
    parameters: Parameters,
    stamps: Path,
    saliency: Path,
    morphology: Path,
    models: Sequence[Path],
    evaluation: Path,
    output: Path,
) -> None:
    """Write the bars table of a shard.

    Parameters
    ----------
    parameters : Parameters
        Of the stage bars.
    stamps, saliency, morphology : Path
        The shard's tables; the maps stand beside `saliency`.
    models : sequence of Path
        Cards of the morphology networks, for the regressed length.
    evaluation : Path
        evaluation.json, with the calibrations and the recommended estimator.
    output : Path
        bars.parquet.
    """
    settings = parameters.configuration.bars
    ensemble = load_ensemble(models, "morphology")
    rows, pixels = open_store(stamps, ensemble.bands, ensemble.reference_band)
    classes, made = read_table(morphology), read_table(saliency)
    require_same_sources(rows, made, saliency)
    require_same_sources(rows, classes, morphology)
    psf = psf_pixels(rows, ensemble.reference_band)
    found = measure_maps(open_array(saliency.with_suffix(".npy")), psf, settings.method)
    direct = regress_lengths(ensemble, rows, pixels)
    values = bar_values(rows, classes, psf, found, direct, read_json(evaluation), settings)
    lineage = lineage_of(stamps, saliency, morphology, evaluation, *models)
    write_table(output, shard_table("bars", values), parameters.lineage(lineage), method=settings.method)


def psf_pixels(rows: pa.Table, band: str) -> np.ndarray:
    """Return the full width at half maximum of the PSF in pixels, NaN where it is not known."""
    return numpy_column(rows, f"psf_fwhm_{band}").astype(float) / numpy_column(rows, "pixel_scale")


def measure_maps(maps: np.ndarray, psf_fwhm: np.ndarray, method: str) -> MapBars:
    """Measure the bar on every map and average over the networks.

    Parameters
    ----------
    maps : ndarray
        (N, M, S, S); an all-zero map is not measured.
    psf_fwhm : ndarray
        (N,) px.
    method : str
        A key of :data:`tuningfork.measure.bar_maps.METHODS`.
    """
    measure = METHODS[method]
    psf = np.where(np.isfinite(psf_fwhm), psf_fwhm, 0.0)
    shapes = [[measure(one, psf[row]) for one in maps[row]] for row in track(range(len(maps)), "bars")]
    return average_shapes(shapes)


def average_shapes(shapes: Sequence[Sequence[BarShape]]) -> MapBars:
    """Average the measurements of each source's maps; those that were not measured do not count."""
    table = np.array([[(s.length, s.width, s.angle) for s in row] for row in shapes], dtype=float)
    table = table.reshape(len(shapes), len(shapes[0]) if shapes else 0, 3)
    bits = np.array([[s.flags for s in row] for row in shapes], dtype=np.int64).reshape(table.shape[:2])
    length, width, angle = np.moveaxis(table, 2, 0)
    good = np.isfinite(length)
    number = good.sum(axis=1)
    mean = _mean(length, number)
    doubled = np.where(good, np.exp(2j * np.deg2rad(angle)), 0).sum(axis=1) / np.maximum(number, 1)
    # Circular standard deviation, halved because the angles were doubled; its error falls with the number of maps.
    circular = np.rad2deg(np.sqrt(-2 * np.log(np.clip(np.abs(doubled), 1e-6, 1))) / 2)
    few = number < 2
    flags = np.zeros(len(shapes), dtype=np.int64)
    for flag in (Flag.BAR_SHORTER_THAN_PSF, Flag.BAR_REACHES_EDGE, Flag.BAR_OFF_CENTRE):
        votes = (((bits & flag) > 0) & good).sum(axis=1)
        flags |= np.where((votes > 0) & (2 * votes >= number), int(flag), 0)
    flags[number == 0] = int(Flag.BAR_NOT_MEASURED)
    return MapBars(
        length=mean,
        spread=np.where(few, 0.0, _deviation(np.log(length), number)),
        angle=np.where(number > 0, np.rad2deg(np.angle(doubled)) / 2 % 180, np.nan),
        angle_spread=np.where(few, 0.0, circular / np.sqrt(np.maximum(number, 1))),
        width=_mean(width, np.isfinite(width).sum(axis=1)),
        flags=flags,
    )


def _mean(values: np.ndarray, number: np.ndarray) -> np.ndarray:
    return np.where(number > 0, np.nansum(values, axis=1) / np.maximum(number, 1), np.nan)


def _deviation(values: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Return the standard error of the mean of each row of `values`, of which `number` are finite."""
    miss = values - _mean(values, number)[:, None]
    return np.sqrt(np.nansum(miss**2, axis=1) / np.maximum(number - 1, 1) / np.maximum(number, 1))


def regress_lengths(ensemble: Ensemble, rows: pa.Table, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what the networks regress: mean and standard deviation of ln(full bar length / px).

    The members and the orientations of the stamp are an equal mixture of normal distributions.

    Returns
    -------
    mean, deviation : ndarray
        (N,) NaN where the stamp cannot be read.
    """
    mean, deviation = np.full(len(pixels), np.nan), np.full(len(pixels), np.nan)
    found = answers_of(ensemble, rows, pixels, ORIENTATIONS, BATCH, lambda output: output["log_bar_length"])
    for places, values, _ in found:
        mean[places], deviation[places] = mixture(values[..., 0], np.exp(values[..., 1]))
    return mean, deviation


def barred(fractions: np.ndarray, morphology: np.ndarray, min_fraction: float) -> np.ndarray:
    """Return which sources count as barred: discs not seen edge-on, by their class, with votes enough for a bar.

    Parameters
    ----------
    fractions : ndarray
        (N,) expected fraction of "yes" among the votes on the bar; NaN counts as not barred.
    morphology : ndarray
        (N,) classes.
    min_fraction : float
    """
    with np.errstate(invalid="ignore"):
        return np.asarray((fractions >= min_fraction) & np.isin(morphology, DISCS))


def bar_values(
    rows: pa.Table,
    classes: pa.Table,
    psf: np.ndarray,
    found: MapBars,
    direct: tuple[np.ndarray, np.ndarray],
    evaluation: dict[str, Any],
    settings: Bars,
) -> dict[str, Any]:
    """Return the columns of the bars table.

    Both estimators are given wherever there is a stamp. The recommended `bar_length` is given for barred galaxies
    only: that of the better estimator or, where it has none, of the other.
    """
    scale = numpy_column(rows, "pixel_scale").astype(float)
    raw = {"saliency": (found.length, found.spread), "direct": (np.exp(direct[0]), direct[1])}
    calibrations = {name: LengthCalibration.from_dict(evaluation["bar_calibration"][name]) for name in raw}
    lengths = {name: calibrations[name].apply(length, psf) * scale for name, (length, _) in raw.items()}
    errors = {name: lengths[name] * calibrations[name].error(spread) for name, (_, spread) in raw.items()}
    fractions = numpy_column(classes, f"{question('bar').labels[0]}_fraction")
    bar = barred(fractions, classes["morphology"].cast(pa.string()).to_numpy(), settings.min_fraction)
    first = evaluation["recommended"]
    other = "direct" if first == "saliency" else "saliency"
    method = np.where(np.isfinite(lengths[first]), first, other)
    length = np.where(bar, np.where(method == first, lengths[first], lengths[other]), np.nan)
    error = np.where(method == first, errors[first], errors[other])
    given = np.isfinite(length)
    angle = pixel_to_sky_angle(found.angle, numpy_column(rows, "north_angle"), left_handed(rows["east_is_left"]))
    angle_error = calibrations["saliency"].angle_error(found.angle_spread)
    own = bar_flags(found.flags, length, psf * scale, np.isfinite(fractions) & ~bar)
    return {
        "source_id": rows["source_id"],
        "flags": numpy_column(rows, "flags") | numpy_column(classes, "flags") | own,
        "bar_length": length,
        "bar_length_error": np.where(given, error, np.nan),
        "bar_length_method": [name if has else None for name, has in zip(method, given, strict=True)],
        "bar_length_saliency": lengths["saliency"],
        "bar_length_saliency_error": errors["saliency"],
        "bar_length_saliency_raw": found.length * scale,
        "bar_length_direct": lengths["direct"],
        "bar_length_direct_error": errors["direct"],
        "bar_position_angle": angle,
        "bar_position_angle_error": np.where(np.isfinite(angle), angle_error, np.nan),
        "bar_width": found.width * scale,
    }


def bar_flags(of_maps: np.ndarray, length: np.ndarray, psf_fwhm: np.ndarray, unbarred: np.ndarray) -> np.ndarray:
    """Return the bits that this stage adds.

    Whether the bar is shorter than the PSF is judged by the published `length`, in the unit of `psf_fwhm`.
    """
    with np.errstate(invalid="ignore"):
        short = length < psf_fwhm
    flags = of_maps & ~np.int64(Flag.BAR_SHORTER_THAN_PSF)
    return np.asarray(
        flags | np.where(short, int(Flag.BAR_SHORTER_THAN_PSF), 0) | np.where(unbarred, int(Flag.NOT_BARRED), 0)
    )
