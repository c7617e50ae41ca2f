"""Bars from the second and fourth azimuthal harmonics of the light, without a network and without training.

A bar is where the second harmonic keeps its phase while its amplitude rises and falls (Ohta+ 1990, Aguerri+ 2000);
arms turn it. Its end is where the light along the bar is no longer above the mean of its ring. All galaxies of a batch
are measured at once. See :mod:`tuningfork.measure.bars.fourier_rings` for the frame and for the rings.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tuningfork.core.flags import Flag
from tuningfork.measure.bars.fourier_rings import (
    CENTRE_REACH,
    FLATTEST,
    HARMONICS,
    Rings,
    centroids,
    disc_ellipses,
    measure_rings,
)

BATCH = 128
INNER = 0.5
"""Smallest radius at which a bar is looked for, in units of the PSF's full width at half maximum: within its width the
PSF has made everything round. From one FWHM on instead, a bar of two FWHM would have no ring of its own."""
OUTER_SIGNAL = 3.0
"""A ring counts while the amplitude of its second harmonic is this many times its noise; further out its phase is that
of the noise. The galaxy itself ends at :data:`tuningfork.measure.bars.fourier_rings.SEEN`."""
TOLERANCE = 7.0
"""Position angles on the rings of a bar differ from that of one of them by no more than this (deg)."""
LARGEST_TOLERANCE = 15.0
"""The most (deg) that noise widens the tolerance."""
LEAST_STRENGTH, LEAST_SCORE = 0.05, 0.2
"""Below this A2 / A0, or this score of :func:`constant_phase`, no bar was found. Of simulated bars longer than two FWHM
5 % lie below, and half of these would point elsewhere; of unbarred galaxies of all kinds a third lies below, so whether
there is a bar is for the classifier to say."""
LEVELS = (0.75, 0.6, 0.45)
"""Heights, in units of its maximum, at which the excess of light along the bar marks the bar's end."""
RADIAL_POWER = 0.5
"""The excess is multiplied by this power of the radius, which takes the bulge's and the disc's rise out of it."""

LEAST_FREED = 0.3
"""Square of a width, in units of the PSF's, below which it cannot be told from none."""


@dataclass(frozen=True)
class LengthRelation:
    """ln(length / FWHM) = intercept + slope ln(u) + a4 A4 / A2, u^2 = (2 R / FWHM)^2 - 1, ln(u) the mean over `LEVELS`.

    Full length and radius are freed of the PSF as widths are; how much sharper than an ellipse's the bar's harmonics
    are, A4 / A2, tells how it ends.

    Its variance is that of the noise + variety^2 + (uneven (s - steepness))^2, with s = ln(R of the lowest level / R of
    the highest): an end that is sharper or softer than usual may be that of something else.
    """

    intercept: float
    slope: float
    a4: float
    steepness: float
    uneven: float
    variety: float


RELATION = LengthRelation(-0.046, 1.079, 0.261, 0.161, 2.0, 0.10)
"""Fitted (robust least squares) to 1,854 barred discs of the package's own simulations at 0.396 arcsec/px: FWHM of 0.75
to 2.2 arcsec, r of 13.5 to 18.5, bars longer than two FWHM, with bars that end more sharply and more softly, rings,
arms and neighbours. Calibrate the length for a survey as the other estimators are."""


@dataclass(frozen=True)
class FourierBars:
    """Bars of N galaxies.

    Attributes
    ----------
    length : ndarray
        (N,) full length as seen on the sky (px); NaN where no bar was found.
    spread : ndarray
        (N,) standard deviation of ln(length), from the noise and from the levels' disagreement.
    angle, angle_spread : ndarray
        (N,) position angle in the pixel frame and its standard error, from the scatter of the rings (deg).
    strength : ndarray
        (N,) largest A2 / A0 in the bar.
    flags : ndarray
        (N,) int64.
    """

    length: np.ndarray
    spread: np.ndarray
    angle: np.ndarray
    angle_spread: np.ndarray
    strength: np.ndarray
    flags: np.ndarray


def measure_fourier(
    images: np.ndarray,
    psf_fwhm: np.ndarray,
    inverse_variance: np.ndarray | None = None,
    axis_ratio: np.ndarray | None = None,
    position_angle: np.ndarray | None = None,
    device: torch.device | str = "cpu",
) -> FourierBars:
    """Measure the bars of a batch of galaxies.

    Parameters
    ----------
    images : ndarray
        (N, S, S) light of the reference band in units of the sky's noise.
    psf_fwhm : ndarray
        (N,) px; a galaxy without a PSF is not measured.
    inverse_variance : ndarray, optional
        (N, S, S) zero where a pixel is not to be used.
    axis_ratio, position_angle : ndarray, optional
        (N,) of the discs; deg. Without them, or where they are not finite, the outskirts of the image give them.
    device : torch.device or str

    Returns
    -------
    FourierBars
    """
    parts = []
    for first in range(0, len(images), BATCH):
        rows = slice(first, first + BATCH)
        light = torch.as_tensor(np.array(images[rows], dtype=np.float32), device=device)
        seen = torch.isfinite(light)
        if inverse_variance is not None:
            seen &= torch.as_tensor(np.asarray(inverse_variance[rows]) > 0, device=device)
        psf, ratio, angle = (
            torch.as_tensor(_rows(values, rows, len(light)), device=device)
            for values in (psf_fwhm, axis_ratio, position_angle)
        )
        parts.append(_measure(torch.where(seen, light, 0.0), seen.float(), psf, ratio, angle))
    if not parts:
        return _bars(np.zeros((0, 5)), np.zeros(0, dtype=np.int64))
    return _bars(*(np.concatenate(of_batches) for of_batches in zip(*parts, strict=True)))


def _bars(table: np.ndarray, flags: np.ndarray) -> FourierBars:
    """Return what the columns of a table (N, 5) hold."""
    length, spread, angle, angle_spread, strength = table.T
    return FourierBars(length, spread, angle, angle_spread, strength, flags)


def _rows(values: np.ndarray | None, rows: slice, number: int) -> np.ndarray:
    return np.full(number, np.nan, np.float32) if values is None else np.array(values[rows], dtype=np.float32)


@torch.inference_mode()
def _measure(
    images: Tensor, seen: Tensor, psf: Tensor, axis_ratio: Tensor, position_angle: Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """Return the values (N, 5) of :class:`FourierBars` and the flags of a batch.

    Images (N, S, S) are zero where they are not seen; what is not known is NaN.
    """
    known = torch.isfinite(psf) & (psf > 0)
    fwhm = torch.where(known, psf, 3.0)
    centre = centroids(images, fwhm.clamp_min(2.0))
    given = torch.isfinite(axis_ratio) & torch.isfinite(position_angle)
    if not bool(given.all()):
        own = disc_ellipses(images, seen, centre)
        axis_ratio, position_angle = torch.where(given, axis_ratio, own[0]), torch.where(given, position_angle, own[1])
    rings = measure_rings(images, seen, fwhm, centre, axis_ratio.clamp(FLATTEST, 1.0), position_angle)
    region, score = constant_phase(rings, fwhm)
    angle, angle_spread = mean_angle(rings, region, fwhm)
    light = along_bar(rings, angle)
    shares = torch.where(region[..., None], light.waves / rings.mean.clamp_min(1e-3)[..., None], 0.0).amax(1)
    found = known & (region.sum(1) >= 2) & (shares[:, 0] >= LEAST_STRENGTH) & (score >= LEAST_SCORE)
    ends = bar_ends(rings, light, region)
    length, spread = full_length(ends, fwhm, shares)
    flags = torch.where(length < fwhm, int(Flag.BAR_SHORTER_THAN_PSF), 0)
    flags |= torch.where(ends.open_ended, int(Flag.BAR_REACHES_EDGE), 0)
    flags |= torch.where(centre.abs().amax(1) >= CENTRE_REACH, int(Flag.BAR_OFF_CENTRE), 0)
    flags = torch.where(found, flags, int(Flag.BAR_NOT_MEASURED))
    table = torch.stack([length, spread, angle, angle_spread, shares[:, 0]], dim=1)
    table = torch.where(found[:, None], table, torch.nan)
    return table.double().cpu().numpy(), flags.cpu().numpy()


def constant_phase(rings: Rings, fwhm: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rings of each galaxy's bar, and how much speaks for it.

    Around every ring the neighbouring ones are taken for as long as their position angle is that of the ring. Of these
    regions the bar is the one with the largest integral of (A2 / A0)^(1/2) (r / FWHM)^(-1/2) over ln r: a bar keeps its
    phase over a large ratio of radii, and lies within the arms, which have more contrast.

    Parameters
    ----------
    rings : Rings
        Of N galaxies.
    fwhm : Tensor
        (N,) px.

    Returns
    -------
    region : Tensor
        bool (N, R).
    score : Tensor
        (N,) the integral.
    """
    radius, second = rings.radius, rings.harmonics[..., 0]
    amplitude = second.abs()
    usable = rings.valid & (radius >= INNER * fwhm[:, None]) & (radius <= rings.end[:, None])
    usable &= amplitude > OUTER_SIGNAL * rings.noise
    phase = sky_phase(rings)
    allowed = TOLERANCE + torch.rad2deg(rings.noise / amplitude.clamp_min(1e-9) / 2).clamp_max(LARGEST_TOLERANCE)
    alike = _turn(phase[:, None, :], phase[:, :, None]).abs() < torch.deg2rad(2 * allowed)[:, :, None]
    alike &= usable[:, None, :] & usable[:, :, None]
    place = torch.arange(len(radius), device=radius.device)
    outside = place[None, :] > place[:, None]
    outward = (alike | ~outside).to(torch.uint8).cumprod(2, dtype=torch.uint8)
    inward = (alike | outside).to(torch.uint8).flip(2).cumprod(2, dtype=torch.uint8).flip(2)
    regions = (outward * inward).bool() & alike
    share = (amplitude / rings.mean.clamp_min(1e-3)).clamp_max(1.5)
    weight = (share * fwhm[:, None] / radius).sqrt() * torch.gradient(radius.log())[0]
    score, best = torch.bmm(regions.to(weight.dtype), weight[..., None])[..., 0].max(1)
    return regions[torch.arange(len(regions), device=radius.device), best], score


def sky_phase(rings: Rings) -> Tensor:
    """Return twice the position angle on the sky (rad) of the second harmonic.

    Returns
    -------
    Tensor
        (N, R)
    """
    own = rings.harmonics[..., 0].angle() / 2
    across = torch.atan2(rings.axis_ratio * torch.sin(own), torch.cos(own))
    return 2 * (torch.deg2rad(rings.position_angle)[:, None] + across)


def _turn(one: Tensor, other: Tensor) -> Tensor:
    """Return the difference of two angles (rad) in [-pi, pi)."""
    return torch.remainder(one - other + np.pi, 2 * np.pi) - np.pi


def mean_angle(rings: Rings, region: Tensor, fwhm: Tensor) -> tuple[Tensor, Tensor]:
    """Return the bar's position angle on the sky and its standard error.

    Parameters
    ----------
    rings : Rings
        Of N galaxies.
    region : Tensor
        bool (N, R), the rings of the bar.
    fwhm : Tensor
        (N,) px.

    Returns
    -------
    angle, error : Tensor
        (N,) deg.
    """
    phase = sky_phase(rings)
    step = torch.gradient(rings.radius)[0]
    weight = region * rings.harmonics[..., 0].abs() * rings.radius * step
    mean = torch.polar(weight, phase).sum(1).angle()
    miss = (weight * _turn(phase, mean[:, None]).square()).sum(1) / weight.sum(1).clamp_min(1e-9)
    # Rings closer than the PSF share their light.
    independent = ((region * step).sum(1) / fwhm).clamp_min(1.0)
    return torch.rad2deg(mean / 2) % 180, torch.rad2deg((miss / independent).sqrt() / 2)


@dataclass(frozen=True)
class BarLight:
    """Light along the bar: `radius` (N, R) on the sky (px), and harmonics in the bar's phase, `waves` (N, R, 3)."""

    radius: Tensor
    waves: Tensor


def along_bar(rings: Rings, angle: Tensor) -> BarLight:
    """Return how the harmonics add up along a position angle, and where that line meets the rings.

    Parameters
    ----------
    rings : Rings
        Of N galaxies.
    angle : Tensor
        (N,) position angle (deg).
    """
    off = torch.deg2rad(angle - rings.position_angle)[:, None]
    own = torch.atan2(torch.sin(off), rings.axis_ratio * torch.cos(off))
    radius = rings.radius * torch.hypot(torch.cos(own), rings.axis_ratio * torch.sin(own))
    order = torch.tensor(HARMONICS, device=angle.device)
    waves = rings.harmonics * torch.polar(torch.ones_like(own)[..., None], -own[..., None] * order)
    return BarLight(radius, waves.real)


@dataclass(frozen=True)
class Ends:
    """Ends of N bars.

    Attributes
    ----------
    radius : Tensor
        (N, 3) on the sky (px), for each of `LEVELS`.
    noise : Tensor
        (N,) standard deviation of the excess at the middle level, in units of its fall in ln from the first level to
        the last.
    open_ended : Tensor
        bool (N,): the stamp ends before the excess has fallen.
    """

    radius: Tensor
    noise: Tensor
    open_ended: Tensor


def bar_ends(rings: Rings, light: BarLight, region: Tensor) -> Ends:
    """Return where the excess of the light along the bar over the mean of its ring falls to each of `LEVELS`.

    Parameters
    ----------
    rings : Rings
        Of N galaxies.
    light : BarLight
        Along the bar.
    region : Tensor
        bool (N, R), the rings of the bar.

    Returns
    -------
    Ends
    """
    weight = rings.radius**RADIAL_POWER
    excess = light.waves.sum(2) * weight
    height, peak = torch.where(region, excess, 0.0).max(1)
    height = height.clamp_min(1e-9)
    usable = rings.valid & (rings.radius <= rings.end[:, None])
    outside = torch.arange(len(weight), device=weight.device) > peak[:, None]
    radii = []
    for level in LEVELS:
        over = excess - level * height[:, None]
        fallen = outside & ((over < 0) | ~usable)
        fallen[:, -1] = True
        after = fallen.to(torch.uint8).argmax(1, keepdim=True)
        before = (after - 1).clamp_min(0)
        high, low = over.gather(1, before), over.gather(1, after)
        part = torch.where(usable.gather(1, after), high / (high - low).clamp_min(1e-9), 0.0).clamp(0, 1)
        radii.append(torch.lerp(light.radius.gather(1, before), light.radius.gather(1, after), part))
    unseen = ~rings.valid.gather(1, after)[:, 0] | (after[:, 0] == len(weight) - 1)
    deviation = (rings.noise * weight).gather(1, before)[:, 0] * len(HARMONICS) ** 0.5
    noise = deviation / (LEVELS[1] * height) / np.log(LEVELS[0] / LEVELS[-1])
    return Ends(torch.cat(radii, dim=1), noise, unseen)


def full_length(ends: Ends, fwhm: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    """Return the length (px) and the standard deviation of its logarithm; see :class:`LengthRelation`.

    Parameters
    ----------
    ends : Ends
    fwhm : Tensor
        (N,) px.
    shares : Tensor
        (N, 3) largest ratio of each harmonic to the mean light.

    Returns
    -------
    length, spread : Tensor
        (N,)
    """
    a4 = (shares[:, 1] / shares[:, 0].clamp_min(LEAST_STRENGTH)).clamp(0, 1)
    freed = ((2 * ends.radius / fwhm[:, None]).square() - 1).clamp_min(LEAST_FREED)
    length = fwhm * torch.exp(RELATION.intercept + RELATION.slope / 2 * freed.log().mean(1) + RELATION.a4 * a4)
    steepness = (ends.radius[:, -1] / ends.radius[:, 0]).log()
    uneven = RELATION.uneven * (steepness - RELATION.steepness)
    return length, ((ends.noise * steepness).square() + uneven.square() + RELATION.variety**2).sqrt()
