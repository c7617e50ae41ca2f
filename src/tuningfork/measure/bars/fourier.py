"""Bars from the second and fourth azimuthal harmonics of the light, without a network and without training.

In a bar the phase of the second harmonic is constant while its amplitude rises and falls (Ohta+ 1990, Aguerri+ 2000);
in spiral arms the phase changes with radius. All galaxies of a batch are measured at once. See
:mod:`tuningfork.measure.bars.fourier_rings` for the frame and the rings, and
:mod:`tuningfork.measure.bars.fourier_length` for the length.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tuningfork.core.flags import Flag
from tuningfork.measure.bars.fourier_length import MIN_BAR_STRENGTH, along_bar, bar_ends, full_length
from tuningfork.measure.bars.fourier_rings import (
    CENTRE_REACH,
    MIN_DISC_AXIS_RATIO,
    Rings,
    centroids,
    disc_ellipses,
    measure_rings,
)

GALAXIES_AT_ONCE = 128
"""Number of galaxies that are measured at once."""
INNER_RADIUS_PSF = 0.5
"""Smallest radius at which a bar is searched for, in units of the PSF's full width at half maximum. Within its width
the PSF makes all isophotes round, but a limit of one FWHM would leave no ring for a bar of two FWHM."""
MIN_RING_SIGNAL = 3.0
"""Smallest ratio of the amplitude of a ring's second harmonic to its noise; below it, noise determines the phase. The
galaxy itself ends at :data:`tuningfork.measure.bars.fourier_rings.EDGE_SIGNAL`."""
ANGLE_TOLERANCE = 7.0
"""Largest difference (deg) of the position angles on the rings of a bar from that of one of these rings."""
MAX_NOISE_TOLERANCE = 15.0
"""Largest amount (deg) by which noise widens the tolerance."""
CORE_SHARE = 0.1
"""Radius, in units of that at which the galaxy ends in the noise, within which a ring does not count for more because it
lies further in. Nuclear structure and dust lanes have a constant phase as well, but hardly any bar is so small."""
MIN_PHASE_SCORE = 0.17
"""Score of :func:`constant_phase` below which no bar counts as found."""


@dataclass(frozen=True)
class FourierBars:
    """Bars of N galaxies.

    Attributes
    ----------
    length : ndarray
        (N,) full length projected on the sky (px); NaN where no bar was found.
    spread : ndarray
        (N,) standard deviation of ln(length), from the noise and from the steepness of the bar's end.
    angle, angle_spread : ndarray
        (N,) position angle in the pixel frame and its standard error from the scatter of the rings (deg).
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
        (N, S, S) light of the reference band in units of the sky noise.
    psf_fwhm : ndarray
        (N,) full width at half maximum of the PSF (px); a galaxy without a PSF is not measured.
    inverse_variance : ndarray, optional
        (N, S, S), zero for pixels that are ignored.
    axis_ratio, position_angle : ndarray, optional
        (N,) axis ratios and position angles (deg) of the discs. Missing or non-finite values are measured in the
        outskirts of the image.
    device : torch.device or str

    Returns
    -------
    FourierBars
    """
    parts = []
    for first in range(0, len(images), GALAXIES_AT_ONCE):
        rows = slice(first, first + GALAXIES_AT_ONCE)
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
    """Return the bars whose values are the columns of a table (N, 5)."""
    length, spread, angle, angle_spread, strength = table.T
    return FourierBars(length, spread, angle, angle_spread, strength, flags)


def _rows(values: np.ndarray | None, rows: slice, number: int) -> np.ndarray:
    return np.full(number, np.nan, np.float32) if values is None else np.array(values[rows], dtype=np.float32)


@torch.inference_mode()
def _measure(
    images: Tensor, seen: Tensor, psf: Tensor, axis_ratio: Tensor, position_angle: Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """Return the values (N, 5) of :class:`FourierBars` and the flags of a batch.

    Images (N, S, S) are zero where `seen` is zero; unknown PSF widths, axis ratios and position angles are NaN.
    """
    known = torch.isfinite(psf) & (psf > 0)
    fwhm = torch.where(known, psf, 3.0)
    centre = centroids(images, fwhm.clamp_min(2.0))
    given = torch.isfinite(axis_ratio) & torch.isfinite(position_angle)
    if not bool(given.all()):
        measured_ratio, measured_angle = disc_ellipses(images, seen, centre)
        axis_ratio = torch.where(given, axis_ratio, measured_ratio)
        position_angle = torch.where(given, position_angle, measured_angle)
    rings = measure_rings(images, seen, fwhm, centre, axis_ratio.clamp(MIN_DISC_AXIS_RATIO, 1.0), position_angle)
    region, score = constant_phase(rings, fwhm)
    angle, angle_spread = mean_angle(rings, region, fwhm)
    light = along_bar(rings, angle)
    shares = torch.where(region[..., None], light.waves / rings.mean.clamp_min(1e-3)[..., None], 0.0).amax(1)
    measured = known & (region.sum(1) >= 2) & (shares[:, 0] >= MIN_BAR_STRENGTH) & (score >= MIN_PHASE_SCORE)
    ends = bar_ends(rings, light, region)
    length, spread = full_length(ends, fwhm, shares)
    flags = torch.where(length < fwhm, int(Flag.BAR_SHORTER_THAN_PSF), 0)
    flags |= torch.where(ends.open_ended, int(Flag.BAR_REACHES_EDGE), 0)
    flags |= torch.where(centre.abs().amax(1) >= CENTRE_REACH, int(Flag.BAR_OFF_CENTRE), 0)
    flags = torch.where(measured, flags, int(Flag.BAR_NOT_MEASURED))
    table = torch.stack([length, spread, angle, angle_spread, shares[:, 0]], dim=1)
    table = torch.where(measured[:, None], table, torch.nan)
    return table.double().cpu().numpy(), flags.cpu().numpy()


def constant_phase(rings: Rings, fwhm: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rings of each galaxy's bar, and a score of the bar.

    Every ring defines a region: the contiguous rings around it whose position angles agree with its own. The bar is the
    region with the largest integral of (A2 / A0)^(1/2) (R / FWHM)^(-1/2) over ln r, because a bar has a constant phase
    over a large ratio of radii and lies inside the spiral arms, which have a higher contrast. R is r and the radius of
    the core, see `CORE_SHARE`, added in quadrature.

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
        (N,) the integral over that region.
    """
    radius, second = rings.radius, rings.harmonics[..., 0]
    amplitude = second.abs()
    usable = rings.valid & (radius >= INNER_RADIUS_PSF * fwhm[:, None]) & (radius <= rings.end[:, None])
    usable &= amplitude > MIN_RING_SIGNAL * rings.noise
    phase = sky_phase(rings)
    allowed = ANGLE_TOLERANCE + torch.rad2deg(rings.noise / amplitude.clamp_min(1e-9) / 2).clamp_max(
        MAX_NOISE_TOLERANCE
    )
    alike = _turn(phase[:, None, :], phase[:, :, None]).abs() < torch.deg2rad(2 * allowed)[:, :, None]
    alike &= usable[:, None, :] & usable[:, :, None]
    number = torch.arange(len(radius), device=radius.device)
    outside = number[None, :] > number[:, None]
    outward = (alike | ~outside).to(torch.uint8).cumprod(2, dtype=torch.uint8)
    inward = (alike | outside).to(torch.uint8).flip(2).cumprod(2, dtype=torch.uint8).flip(2)
    regions = (outward * inward).bool() & alike
    share = (amplitude / rings.mean.clamp_min(1e-3)).clamp_max(1.5)
    reach = torch.hypot(radius[None], CORE_SHARE * rings.end[:, None])
    weight = (share * fwhm[:, None] / reach).sqrt() * torch.gradient(radius.log())[0]
    score, best = torch.bmm(regions.to(weight.dtype), weight[..., None])[..., 0].max(1)
    return regions[torch.arange(len(regions), device=radius.device), best], score


def sky_phase(rings: Rings) -> Tensor:
    """Return twice the position angle (rad) of the second harmonic, projected on the sky.

    Returns
    -------
    Tensor
        (N, R)
    """
    in_plane = rings.harmonics[..., 0].angle() / 2
    across = torch.atan2(rings.axis_ratio * torch.sin(in_plane), torch.cos(in_plane))
    return 2 * (torch.deg2rad(rings.position_angle)[:, None] + across)


def _turn(angle: Tensor, reference: Tensor) -> Tensor:
    """Return the difference of two angles (rad) in [-pi, pi)."""
    return torch.remainder(angle - reference + np.pi, 2 * np.pi) - np.pi


def mean_angle(rings: Rings, region: Tensor, fwhm: Tensor) -> tuple[Tensor, Tensor]:
    """Return the bar's position angle, projected on the sky, and its standard error.

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
    # Rings that are closer to each other than the PSF's width are not independent.
    independent = ((region * step).sum(1) / fwhm).clamp_min(1.0)
    return torch.rad2deg(mean / 2) % 180, torch.rad2deg((miss / independent).sqrt() / 2)
