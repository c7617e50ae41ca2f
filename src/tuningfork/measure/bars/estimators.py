"""The raw estimates of the bars of many sources by each estimator, before calibration: arrays in, arrays out.

Lengths are full and in pixels, angles in degrees from the +y axis, counter-clockwise, in the pixel frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tuningfork.core.flags import Flag
from tuningfork.core.running.progress import track
from tuningfork.core.statistics import circular_deviation
from tuningfork.core.tables import numpy_column
from tuningfork.infer.answers import MorphologyAnswers
from tuningfork.measure.bars.fourier import measure_fourier
from tuningfork.measure.bars.maps import METHODS, BarShape, mask_shape

STAMPS_AT_ONCE = 128
"""Number of stamps whose harmonics are measured at once."""
SHAPE_FLAGS = (Flag.BAR_SHORTER_THAN_PSF, Flag.BAR_REACHES_EDGE, Flag.BAR_OFF_CENTRE, Flag.BAR_IN_PIECES)


@dataclass(frozen=True)
class BarEstimate:
    """The bars of N sources.

    Attributes
    ----------
    length : ndarray
        (N,) full length (px); NaN without a measurement.
    spread : ndarray
        (N,) standard deviation of ln(length) that the estimator states itself.
    angle, angle_spread : ndarray
        (N,) position angle in the pixel frame and the standard deviation that the estimator states (deg).
    axis_ratio : ndarray
        (N,) ratio of width to length.
    strength : ndarray
        (N,) largest relative amplitude of the light's second harmonic in the bar; `fourier` alone measures it.
    flags : ndarray
        (N,) int64, bits of :class:`tuningfork.core.flags.Flag`.
    """

    length: np.ndarray
    spread: np.ndarray
    angle: np.ndarray
    angle_spread: np.ndarray
    axis_ratio: np.ndarray
    strength: np.ndarray
    flags: np.ndarray


def nothing(number: int) -> BarEstimate:
    """Return the estimate of `number` sources without a measurement."""
    values = {name: np.full(number, np.nan) for name in FLOAT_FIELDS}
    return BarEstimate(**values, flags=np.full(number, int(Flag.BAR_NOT_MEASURED), dtype=np.int64))


FOURIER_FIELDS = ("length", "spread", "angle", "angle_spread", "strength", "flags")
FLOAT_FIELDS = ("length", "spread", "angle", "angle_spread", "axis_ratio", "strength")


def of_maps(maps: np.ndarray, psf_fwhm: np.ndarray, method: str) -> BarEstimate:
    """Measure the bar on every saliency map and average over the networks.

    Parameters
    ----------
    maps : ndarray
        (N, M, S, S) maps; an all-zero map is not measured.
    psf_fwhm : ndarray
        (N,) full width at half maximum of the PSF (px).
    method : str
        A key of :data:`tuningfork.measure.bars.maps.METHODS`.

    Returns
    -------
    BarEstimate
    """
    measure = METHODS[method]
    psf = np.where(np.isfinite(psf_fwhm), psf_fwhm, 0.0)
    shapes = [[measure(map_, psf[row]) for map_ in maps[row]] for row in track(range(len(maps)), "bars")]
    return average(shapes)


def of_network(answers: MorphologyAnswers) -> BarEstimate:
    """Return the bars that the networks regress.

    Parameters
    ----------
    answers : MorphologyAnswers
        About N stamps.

    Returns
    -------
    BarEstimate
        Without a measurement where the stamp could not be read.
    """
    number = len(answers.bar_length)
    measured = np.isfinite(answers.bar_length)
    return BarEstimate(
        length=np.array(answers.bar_length),
        spread=np.array(answers.bar_length_spread),
        angle=np.array(answers.bar_angle),
        angle_spread=np.array(answers.bar_angle_spread),
        axis_ratio=np.full(number, np.nan),
        strength=np.full(number, np.nan),
        flags=np.where(measured, 0, int(Flag.BAR_NOT_MEASURED)).astype(np.int64),
    )


def of_masks(masks: np.ndarray, psf_fwhm: np.ndarray) -> BarEstimate:
    """Measure the bar on the mask of every network, and average over the networks.

    Parameters
    ----------
    masks : ndarray
        (N, M, s, s) probabilities that a cell lies on the bar.
    psf_fwhm : ndarray
        (N,) full width at half maximum of the PSF (px of the stamp).

    Returns
    -------
    BarEstimate
    """
    psf = np.where(np.isfinite(psf_fwhm), psf_fwhm, 0.0)
    return average([[mask_shape(mask, psf[row]) for mask in masks[row]] for row in range(len(masks))])


def of_light(rows: pa.Table, light: np.ndarray, band: str) -> BarEstimate:
    """Measure the harmonics of the light in the reference band; see :mod:`tuningfork.measure.bars.fourier`.

    Parameters
    ----------
    rows : pyarrow.Table
        The stamps' table.
    light : ndarray
        (N, 2, 1, S, S) stamps in the reference band.
    band : str
        The reference band.

    Returns
    -------
    BarEstimate
    """
    psf, noise = psf_pixels(rows, band), numpy_column(rows, f"sky_noise_{band}").astype(float)
    noise = np.where(noise > 0, noise, np.nan)
    parts = []
    for first in range(0, len(light), STAMPS_AT_ONCE):
        batch = slice(first, first + STAMPS_AT_ONCE)
        stamps = np.asarray(light[batch, :, 0])
        with np.errstate(invalid="ignore"):
            flux = stamps[:, 0] / noise[batch, None, None]
        parts.append(measure_fourier(flux, psf[batch], stamps[:, 1]))
    if not parts:
        return nothing(0)
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in FOURIER_FIELDS}
    return BarEstimate(axis_ratio=np.full(len(light), np.nan), **joined)


def psf_pixels(rows: pa.Table, band: str) -> np.ndarray:
    """Return the full width at half maximum of the PSF in pixels, NaN where it is unknown.

    Parameters
    ----------
    rows : pyarrow.Table
        N rows of a stamp store.
    band : str

    Returns
    -------
    ndarray
        (N,)
    """
    return numpy_column(rows, f"psf_fwhm_{band}").astype(float) / numpy_column(rows, "pixel_scale")


def average(shapes: Sequence[Sequence[BarShape]]) -> BarEstimate:
    """Average the measurements of each source's maps; maps without a measurement do not count."""
    table = np.array([[(s.length, s.width, s.angle) for s in row] for row in shapes], dtype=float)
    table = table.reshape(len(shapes), len(shapes[0]) if shapes else 0, 3)
    bits = np.array([[s.flags for s in row] for row in shapes], dtype=np.int64).reshape(table.shape[:2])
    length, width, angle = np.moveaxis(table, 2, 0)
    good = np.isfinite(length)
    number = good.sum(axis=1)
    doubled = np.where(good, np.exp(2j * np.deg2rad(angle)), 0).sum(axis=1) / np.maximum(number, 1)
    few = number < 2
    flags = np.zeros(len(shapes), dtype=np.int64)
    for flag in SHAPE_FLAGS:
        votes = (((bits & flag) > 0) & good).sum(axis=1)
        flags |= np.where((votes > 0) & (2 * votes >= number), int(flag), 0)
    flags[number == 0] = int(Flag.BAR_NOT_MEASURED)
    with np.errstate(invalid="ignore"):
        ratio = width / length
    return BarEstimate(
        length=_mean(length, number),
        spread=np.where(few, 0.0, _deviation(np.log(length), number)),
        angle=np.where(number > 0, np.rad2deg(np.angle(doubled)) / 2 % 180, np.nan),
        angle_spread=np.where(few, 0.0, circular_deviation(np.abs(doubled)) / np.sqrt(np.maximum(number, 1))),
        axis_ratio=_mean(ratio, np.isfinite(ratio).sum(axis=1)),
        strength=np.full(len(shapes), np.nan),
        flags=flags,
    )


def _mean(values: np.ndarray, number: np.ndarray) -> np.ndarray:
    return np.where(number > 0, np.nansum(values, axis=1) / np.maximum(number, 1), np.nan)


def _deviation(values: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Return the standard error of the mean of each row of `values`, of which `number` are finite."""
    miss = values - _mean(values, number)[:, None]
    return np.sqrt(np.nansum(miss**2, axis=1) / np.maximum(number - 1, 1) / np.maximum(number, 1))
