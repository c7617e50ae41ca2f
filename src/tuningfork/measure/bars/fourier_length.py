"""The length of a bar from the harmonics of the light along it.

A bar ends where the light along it no longer exceeds the mean light of its ring. See
:mod:`tuningfork.measure.bars.fourier` for the rings that belong to the bar.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tuningfork.measure.bars.fourier_rings import HARMONICS, Rings

MIN_BAR_STRENGTH = 0.05
"""A2 / A0 below which no bar counts as found. Of simulated bars longer than two FWHM, 5 % lie below this strength or
below :data:`tuningfork.measure.bars.fourier.MIN_PHASE_SCORE`, and half of these would get a wrong position angle. A
third of unbarred galaxies of all kinds lies below either limit; the classifier decides whether there is a bar."""
END_LEVELS = (0.75, 0.6, 0.45)
"""Fractions of its maximum to which the excess of light along the bar falls at the bar's end."""
RADIAL_POWER = 0.5
"""Power of the radius by which the excess is multiplied, which compensates the rise of bulge and disc to the centre."""

MIN_DECONVOLVED_SQUARE = 0.3
"""Smallest squared width, in units of the PSF's, after subtraction of the PSF; smaller widths cannot be told from 0."""


@dataclass(frozen=True)
class LengthRelation:
    """The relation between the length of a bar and the radii at which the excess of light falls to `END_LEVELS`.

    ln(length / FWHM) = intercept + slope ln(u) + a4 A4 / A2, with u^2 = (2 R / FWHM)^2 - 1 and ln(u) averaged over
    `END_LEVELS`. The subtraction of 1 removes the width of the PSF in quadrature. A4 / A2 measures how much more
    sharply than an ellipse the bar ends.

    The variance of ln(length) is that of the noise + variety^2 + (uneven (s - steepness))^2, with s = ln(R of the
    lowest level / R of the highest level): an end that is unusually sharp or soft may not be that of a bar.
    """

    intercept: float
    slope: float
    a4: float
    steepness: float
    uneven: float
    variety: float


LENGTH_RELATION = LengthRelation(-0.046, 1.079, 0.261, 0.161, 2.0, 0.10)
"""Fitted (robust least squares) to 1,854 barred discs of the package's own simulations at 0.396 arcsec/px: FWHM of 0.75
to 2.2 arcsec, r of 13.5 to 18.5, bars longer than two FWHM, with bars that end more sharply and more softly, rings,
arms and neighbours. Calibrate the length for a survey as the other estimators are."""


@dataclass(frozen=True)
class BarLight:
    """Light along the bar: `radius` (N, R) on the sky (px), and harmonics in phase with the bar, `waves` (N, R, 3)."""

    radius: Tensor
    waves: Tensor


def along_bar(rings: Rings, angle: Tensor) -> BarLight:
    """Return the values of the harmonics along a position angle, and the radii at which this direction meets the rings.

    Parameters
    ----------
    rings : Rings
        Of N galaxies.
    angle : Tensor
        (N,) position angle (deg).
    """
    off = torch.deg2rad(angle - rings.position_angle)[:, None]
    in_plane = torch.atan2(torch.sin(off), rings.axis_ratio * torch.cos(off))
    radius = rings.radius * torch.hypot(torch.cos(in_plane), rings.axis_ratio * torch.sin(in_plane))
    order = torch.tensor(HARMONICS, device=angle.device)
    waves = rings.harmonics * torch.polar(torch.ones_like(in_plane)[..., None], -in_plane[..., None] * order)
    return BarLight(radius, waves.real)


@dataclass(frozen=True)
class Ends:
    """Ends of N bars.

    Attributes
    ----------
    radius : Tensor
        (N, 3) radius on the sky (px) for each of `END_LEVELS`.
    noise : Tensor
        (N,) relative standard deviation of the excess at the middle level, divided by the fall of ln(excess) from the
        first level to the last.
    open_ended : Tensor
        bool (N,): whether the data end before the excess has fallen to the last level.
    """

    radius: Tensor
    noise: Tensor
    open_ended: Tensor


def bar_ends(rings: Rings, light: BarLight, region: Tensor) -> Ends:
    """Return the radii at which the excess of the light along the bar over its ring falls to each of `END_LEVELS`.

    Parameters
    ----------
    rings : Rings
        Of N galaxies.
    light : BarLight
        Along the bar.
    region : Tensor
        bool (N, R), whether a ring belongs to the bar.

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
    for level in END_LEVELS:
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
    noise = deviation / (END_LEVELS[1] * height) / np.log(END_LEVELS[0] / END_LEVELS[-1])
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
    a4 = (shares[:, 1] / shares[:, 0].clamp_min(MIN_BAR_STRENGTH)).clamp(0, 1)
    deconvolved = ((2 * ends.radius / fwhm[:, None]).square() - 1).clamp_min(MIN_DECONVOLVED_SQUARE)
    length = fwhm * torch.exp(
        LENGTH_RELATION.intercept + LENGTH_RELATION.slope / 2 * deconvolved.log().mean(1) + LENGTH_RELATION.a4 * a4
    )
    steepness = (ends.radius[:, -1] / ends.radius[:, 0]).log()
    uneven = LENGTH_RELATION.uneven * (steepness - LENGTH_RELATION.steepness)
    return length, ((ends.noise * steepness).square() + uneven.square() + LENGTH_RELATION.variety**2).sqrt()
