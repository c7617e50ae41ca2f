"""What each estimator says about the bars of many sources, before calibration: arrays in, arrays out.

Lengths are full and in pixels, angles in degrees from the +y axis, counter-clockwise, in the pixel frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from tuningfork.core.flags import Flag
from tuningfork.core.progress import track
from tuningfork.core.tables import numpy_column
from tuningfork.measure.bars.fourier import measure_fourier
from tuningfork.measure.bars.maps import METHODS, BarShape, mask_shape
from tuningfork.networks.answers import answers_of, mixture
from tuningfork.networks.ensemble import Ensemble
from tuningfork.networks.inputs import undo_dihedral, undo_dihedral_angle

BATCH = 128
ORIENTATIONS = 8
"""Turns and mirror images of a stamp over which the network's answers are averaged."""
SHAPED = (Flag.BAR_SHORTER_THAN_PSF, Flag.BAR_REACHES_EDGE, Flag.BAR_OFF_CENTRE, Flag.BAR_IN_PIECES)


@dataclass(frozen=True)
class Estimate:
    """The bars of N sources.

    Attributes
    ----------
    length : ndarray
        (N,) full length (px); NaN where there is none.
    spread : ndarray
        (N,) standard deviation of ln(length) as far as the estimator knows it itself.
    angle, angle_spread : ndarray
        (N,) position angle in the pixel frame and its own standard deviation (deg).
    axis_ratio : ndarray
        (N,) width over length.
    strength : ndarray
        (N,) largest relative amplitude of the light's second harmonic in the bar; of `fourier` alone.
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


def nothing(number: int) -> Estimate:
    """Return an estimate of `number` sources none of which is measured."""
    values = {name: np.full(number, np.nan) for name in FLOATS}
    return Estimate(**values, flags=np.full(number, int(Flag.BAR_NOT_MEASURED), dtype=np.int64))


FOURIER = ("length", "spread", "angle", "angle_spread", "strength", "flags")
FLOATS = ("length", "spread", "angle", "angle_spread", "axis_ratio", "strength")


def of_maps(maps: np.ndarray, psf_fwhm: np.ndarray, method: str) -> Estimate:
    """Measure the bar on every saliency map and average over the networks.

    Parameters
    ----------
    maps : ndarray
        (N, M, S, S); an all-zero map is not measured.
    psf_fwhm : ndarray
        (N,) px.
    method : str
        A key of :data:`tuningfork.measure.bars.maps.METHODS`.
    """
    measure = METHODS[method]
    psf = np.where(np.isfinite(psf_fwhm), psf_fwhm, 0.0)
    shapes = [[measure(one, psf[row]) for one in maps[row]] for row in track(range(len(maps)), "bars")]
    return average(shapes)


def of_network(
    ensemble: Ensemble, rows: pa.Table, pixels: np.ndarray, psf_fwhm: np.ndarray
) -> tuple[Estimate, Estimate]:
    """Return what the networks regress, and what is measured on their masks.

    The lengths that members and orientations regress are an equal mixture of normal distributions. Masks are
    averaged over the orientations and measured for each member.

    Parameters
    ----------
    ensemble : Ensemble
        Of morphology networks.
    rows : pyarrow.Table
    pixels : ndarray
        (N, 2, B, S, S) stamps.
    psf_fwhm : ndarray
        (N,) px.

    Returns
    -------
    direct, mask : Estimate
        Nothing is measured where the stamp cannot be read.
    """
    number, members = len(pixels), len(ensemble.members)
    direct = nothing(number)
    masks = np.zeros((number, members, *(side // 4 for side in pixels.shape[-2:])), dtype=np.float32)
    psf = np.where(np.isfinite(psf_fwhm), psf_fwhm, 0.0)
    for places, answer, turns in answers_of(ensemble, rows, pixels, ORIENTATIONS, BATCH, _bar_answers):
        log_length, angle, mask = answer[..., :2], answer[..., 2:4], answer[..., 4:]
        mean, direct.spread[places] = mixture(log_length[..., 0], np.exp(log_length[..., 1]))
        direct.length[places] = np.exp(mean)
        direct.angle[places], direct.angle_spread[places] = _mean_angle(angle, turns)
        masks[places] = _mean_masks(mask, turns, members)
    direct.flags[np.isfinite(direct.length)] = 0
    return direct, average([[mask_shape(one, psf[row]) for one in masks[row]] for row in range(number)])


def of_light(rows: pa.Table, pixels: np.ndarray, bands: Sequence[str], reference_band: str) -> Estimate:
    """Measure the harmonics of the light in the reference band; see :mod:`tuningfork.measure.bars.fourier`.

    Parameters
    ----------
    rows : pyarrow.Table
    pixels : ndarray
        (N, 2, B, S, S) stamps.
    bands : sequence of str
    reference_band : str
    """
    place = list(bands).index(reference_band)
    psf, noise = psf_pixels(rows, reference_band), numpy_column(rows, f"sky_noise_{reference_band}").astype(float)
    noise = np.where(noise > 0, noise, np.nan)
    parts = []
    for first in range(0, len(pixels), BATCH):
        batch = slice(first, first + BATCH)
        stamps = np.asarray(pixels[batch, :, place])
        with np.errstate(invalid="ignore"):
            light = stamps[:, 0] / noise[batch, None, None]
        parts.append(measure_fourier(light, psf[batch], stamps[:, 1]))
    if not parts:
        return nothing(0)
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in FOURIER}
    return Estimate(axis_ratio=np.full(len(pixels), np.nan), **joined)


def psf_pixels(rows: pa.Table, band: str) -> np.ndarray:
    """Return the full width at half maximum of the PSF in pixels, NaN where it is not known."""
    return numpy_column(rows, f"psf_fwhm_{band}").astype(float) / numpy_column(rows, "pixel_scale")


def _bar_answers(output: dict[str, Tensor]) -> Tensor:
    """Return length (2), angle (2) and mask (all its cells) of a network's output in one tensor (N, ...)."""
    return torch.cat(
        [output["log_bar_length"], output["bar_angle"], torch.sigmoid(output["bar_mask"]).flatten(1)], dim=1
    )


def _mean_masks(masks: np.ndarray, turns: Sequence[int], members: int) -> np.ndarray:
    """Return each member's mask (N, M, s, s), turned back and averaged over the orientations."""
    side = round(masks.shape[-1] ** 0.5)
    back = [
        undo_dihedral(torch.from_numpy(one.reshape(-1, side, side)), turn).numpy()
        for one, turn in zip(masks, turns, strict=True)
    ]
    return np.stack([np.mean(back[member::members], axis=0) for member in range(members)], axis=1)


def _mean_angle(doubled: np.ndarray, turns: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard error (deg) of the angles behind cosines and sines of their double (K, N, 2)."""
    angles = np.stack(
        [
            undo_dihedral_angle(np.rad2deg(np.arctan2(one[:, 1], one[:, 0])) / 2, turn)
            for one, turn in zip(doubled, turns, strict=True)
        ]
    )
    weight = np.hypot(doubled[..., 0], doubled[..., 1])
    total = (weight * np.exp(2j * np.deg2rad(angles))).sum(axis=0)
    coherence = np.abs(total) / np.maximum(weight.sum(axis=0), 1e-9)
    return np.rad2deg(np.angle(total)) / 2 % 180, _circular(coherence) / np.sqrt(len(turns))


def _circular(coherence: np.ndarray) -> np.ndarray:
    """Return the circular standard deviation (deg) of angles, halved because they were doubled."""
    return np.asarray(np.rad2deg(np.sqrt(-2 * np.log(np.clip(coherence, 1e-6, 1)))) / 2)


def average(shapes: Sequence[Sequence[BarShape]]) -> Estimate:
    """Average the measurements of each source's maps; those that were not measured do not count."""
    table = np.array([[(s.length, s.width, s.angle) for s in row] for row in shapes], dtype=float)
    table = table.reshape(len(shapes), len(shapes[0]) if shapes else 0, 3)
    bits = np.array([[s.flags for s in row] for row in shapes], dtype=np.int64).reshape(table.shape[:2])
    length, width, angle = np.moveaxis(table, 2, 0)
    good = np.isfinite(length)
    number = good.sum(axis=1)
    doubled = np.where(good, np.exp(2j * np.deg2rad(angle)), 0).sum(axis=1) / np.maximum(number, 1)
    few = number < 2
    flags = np.zeros(len(shapes), dtype=np.int64)
    for flag in SHAPED:
        votes = (((bits & flag) > 0) & good).sum(axis=1)
        flags |= np.where((votes > 0) & (2 * votes >= number), int(flag), 0)
    flags[number == 0] = int(Flag.BAR_NOT_MEASURED)
    with np.errstate(invalid="ignore"):
        ratio = width / length
    return Estimate(
        length=_mean(length, number),
        spread=np.where(few, 0.0, _deviation(np.log(length), number)),
        angle=np.where(number > 0, np.rad2deg(np.angle(doubled)) / 2 % 180, np.nan),
        angle_spread=np.where(few, 0.0, _circular(np.abs(doubled)) / np.sqrt(np.maximum(number, 1))),
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
