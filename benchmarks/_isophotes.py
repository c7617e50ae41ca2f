"""Isophotes of many galaxies at once, and bar lengths from them; docs/development/isophotes.md says what they are worth.

At every semi-major axis an ellipse is turned and flattened until the light along it has no second harmonic (Jedrzejewski
1987). All ellipses of all galaxies take each step together. Opposite points are joined as for the Fourier rings, which
removes neighbours. The shapes are then those in the plane of the disc, where a bar is a stretch of radii with the same
position angle and a high ellipticity. Its length is that of the isophote on which the ellipticity has fallen to a share
of its maximum, or the angle has turned (Wozniak+ 1995, Erwin 2005).
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tuningfork.measure.bars.fourier_rings import EDGE_SIGNAL, centroids, disc_ellipses, harmonics, sample

AT_ONCE = 128
SMALLEST, GROWTH = 1.5, 1.08
"""Semi-major axis (px) of the innermost ellipse; ratio of the next to it."""
STEPS, DAMPING, LARGEST_STEP = 10, 0.8, 0.3
"""Steps of the fit; share of the computed step that is taken; largest change of the ellipticity."""
GRADIENT_REACH = 1.1
"""The gradient of the light is that between the ellipse times this number and the ellipse divided by it."""
FLATTEST, MIN_DISC_AXIS_RATIO = 0.15, 0.3
MIN_VALID_SHARE, LARGEST_ERROR = 0.6, 0.15
"""Smallest share of an ellipse with data; largest error of an ellipticity."""
ROUND_RADIUS_PSF = 1.1
"""Within so many FWHM of the PSF a disc looks round."""
ANGLE_TOLERANCE, MIN_ELLIPTICITY = 12.0, 0.1
"""Largest difference (deg) of the position angles within a bar, in the plane; least ellipticity."""
DROP, TURN = 0.5, 15.0
"""The bar ends where the ellipticity is below this share of its maximum, or the angle (deg) has turned so far."""
MIN_SQUARE = 0.3
"""Least squared width, in units of the PSF's, after subtraction of the PSF."""


@dataclass(frozen=True)
class Isophotes:
    """Isophotes of N galaxies: semi-major axes `radius` (R,) on the sky (px), and in the plane of the disc `ellipticity`
    and `angle` (deg from the disc's major axis), both (N, R); bool `usable` (N, R)."""

    radius: np.ndarray
    ellipticity: np.ndarray
    angle: np.ndarray
    usable: np.ndarray


def isophote_bars(images: np.ndarray, seen: np.ndarray, psf_fwhm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bars' full lengths on the sky, without the width of the PSF, and the rise of the ellipticity.

    Parameters
    ----------
    images : ndarray
        (N, S, S) light in units of the sky noise.
    seen : ndarray
        bool (N, S, S), pixels with data.
    psf_fwhm : ndarray
        (N,) px.

    Returns
    -------
    length, rise : ndarray
        (N,) px, NaN without a bar; maximum of the ellipticity less its minimum outside the bar.
    """
    parts = []
    for first in range(0, len(images), AT_ONCE):
        rows = slice(first, first + AT_ONCE)
        parts.append(_bars(_isophotes(images[rows], seen[rows], psf_fwhm[rows]), psf_fwhm[rows]))
    length, rise = np.concatenate(parts, axis=1)
    return length, rise


@torch.inference_mode()
def _isophotes(images: np.ndarray, seen: np.ndarray, psf_fwhm: np.ndarray) -> Isophotes:
    data, fwhm = torch.as_tensor(seen), torch.as_tensor(psf_fwhm).float()
    light = torch.where(data, torch.as_tensor(images).float(), 0.0)
    data, centre = data.float(), centroids(light, fwhm.clamp_min(2.0))
    steps = int(np.log((light.shape[-1] / 2 - 2) / SMALLEST) / np.log(GROWTH)) + 1
    radius = SMALLEST * GROWTH ** torch.arange(steps, dtype=torch.float32)
    ratio, angle, mean, error, valid = _fit(light, data, centre, radius)
    bright = (((mean > EDGE_SIGNAL) & valid) | (radius < fwhm[:, None])).long().cumprod(1) > 0
    usable = bright & valid & (radius >= fwhm[:, None]) & (error < LARGEST_ERROR)
    disc_ratio, disc_angle = disc_ellipses(light, data, centre)
    # The PSF makes the disc itself round near the centre.
    inner = torch.minimum((ROUND_RADIUS_PSF * fwhm[:, None]) ** 2, radius**2)
    flat = disc_ratio.clamp(MIN_DISC_AXIS_RATIO, 1.0)[:, None]
    seen_ratio = ((flat**2 * (radius**2 - inner) + inner) / radius**2).sqrt()
    in_plane, turned = _deprojected(ratio, torch.deg2rad(angle - disc_angle[:, None]), seen_ratio)
    return Isophotes(*(values.numpy() for values in (radius, 1 - in_plane, torch.rad2deg(turned), usable)))


def _fit(light: Tensor, seen: Tensor, centre: Tensor, radius: Tensor) -> tuple[Tensor, ...]:
    """Return axis ratio, position angle (deg), mean light, error of the ellipticity and validity (N, R)."""
    ratio = torch.full((len(light), len(radius)), 0.8)
    angle = torch.zeros_like(ratio)
    for step in range(STEPS + 1):
        values, points = sample(light, seen, centre, ratio, angle, radius)
        mean, waves, scatter = harmonics(values, points)
        inside, outside = (
            sample(light, seen, centre, ratio, angle, radius * factor)[0].mean(2)
            for factor in (1 / GRADIENT_REACH, GRADIENT_REACH)
        )
        slope = ((inside - outside) / (2 * np.log(GRADIENT_REACH))).clamp_min(0.05 * mean.clamp_min(0.3))
        # An ellipticity e gives the second harmonic e / 2 times the slope.
        change = 2 * waves[..., 0] / slope
        if step < STEPS:
            size = (DAMPING * change.abs()).clamp_max(LARGEST_STEP)
            ratio, angle = _joined(ratio, angle, 1 - size, change.angle() / 2)
    pixels = (np.pi * radius * (1 + ratio)).clamp_max(2 * values.shape[2])
    error = scatter.clamp_min(0.7) * (2 / pixels).sqrt() * 2 / slope
    return ratio, angle, mean, error, points.float().mean(2) >= MIN_VALID_SHARE


def _joined(ratio: Tensor, angle: Tensor, more: Tensor, towards: Tensor) -> tuple[Tensor, Tensor]:
    """Return the shapes of ellipses (`more`, `towards` in rad) in planes that are seen as (`ratio`, `angle` in deg)."""
    xx, xy, yy = _moments(more, towards)
    new, turn = _shape(xx, ratio * xy, ratio**2 * yy)
    return new.clamp(FLATTEST, 1), (angle + torch.rad2deg(turn)) % 180


def _deprojected(ratio: Tensor, angle: Tensor, disc: Tensor) -> tuple[Tensor, Tensor]:
    xx, xy, yy = _moments(ratio, angle)
    return _shape(xx, xy / disc, yy / disc**2)


def _moments(ratio: Tensor, angle: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    c, s = torch.cos(angle), torch.sin(angle)
    return c**2 + (ratio * s) ** 2, (1 - ratio**2) * c * s, s**2 + (ratio * c) ** 2


def _shape(xx: Tensor, xy: Tensor, yy: Tensor) -> tuple[Tensor, Tensor]:
    """Return axis ratio and angle (rad) of the ellipse with these second moments."""
    middle, difference = (xx + yy) / 2, torch.hypot((xx - yy) / 2, xy)
    return ((middle - difference) / (middle + difference)).clamp_min(1e-3).sqrt(), torch.atan2(2 * xy, xx - yy) / 2


def _bars(isophotes: Isophotes, psf_fwhm: np.ndarray) -> np.ndarray:
    """Return lengths (px) and rises of the ellipticity (2, N)."""
    radius, ellipticity, usable = isophotes.radius, isophotes.ellipticity, isophotes.usable
    region = _region(isophotes, psf_fwhm)
    rows, number = np.arange(len(region)), np.arange(len(radius))
    top = np.where(region, ellipticity, -1).argmax(1)
    highest, weight = ellipticity[rows, top], region * ellipticity
    mean = np.rad2deg(np.angle((weight * np.exp(2j * np.deg2rad(isophotes.angle))).sum(1))) / 2
    turned = np.abs(_difference(isophotes.angle, mean[:, None]))
    outside = number > top[:, None]
    ended = outside & ((ellipticity < DROP * highest[:, None]) | (turned > TURN) | ~usable)
    ended[:, -1] = True
    end = ended.argmax(1)
    # Between the last isophote of the bar and the first beyond it.
    width = 2 * np.sqrt(radius[np.maximum(end - 1, top)] * radius[end])
    length = psf_fwhm * np.sqrt(np.maximum((width / psf_fwhm) ** 2 - 1, MIN_SQUARE))
    beyond = np.where(outside & usable, ellipticity, np.inf).min(1)
    rise = np.where(np.isfinite(beyond), highest - beyond, 0.0)
    found = region.sum(1) >= 2
    return np.stack([np.where(found, length, np.nan), np.where(found, rise, np.nan)])


def _region(isophotes: Isophotes, psf_fwhm: np.ndarray) -> np.ndarray:
    """Return which isophotes (N, R) belong to the bar: the contiguous ones of one angle with the largest integral of
    ellipticity^(1/2) (r / FWHM)^(-1/2) over ln r."""
    ellipticity, radius = isophotes.ellipticity, isophotes.radius
    usable = isophotes.usable & (ellipticity > MIN_ELLIPTICITY)
    angle, number = isophotes.angle, np.arange(len(radius))
    alike = np.abs(_difference(angle[:, None, :], angle[:, :, None])) < ANGLE_TOLERANCE
    alike &= usable[:, None, :] & usable[:, :, None]
    beyond = number[None, :] > number[:, None]
    outward = np.cumprod(alike | ~beyond, axis=2, dtype=np.uint8)
    inward = np.cumprod((alike | beyond)[:, :, ::-1], axis=2, dtype=np.uint8)[:, :, ::-1]
    regions = (outward * inward).astype(bool) & alike
    weight = np.sqrt(np.clip(ellipticity, 0, 1) * psf_fwhm[:, None] / radius) * np.gradient(np.log(radius))
    best = (regions * weight[:, None, :]).sum(2).argmax(1)
    return np.asarray(regions[np.arange(len(regions)), best])


def _difference(angle: np.ndarray, reference: np.ndarray) -> np.ndarray:
    return np.asarray((angle - reference + 90) % 180 - 90)
