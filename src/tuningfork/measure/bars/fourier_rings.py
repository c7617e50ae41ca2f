"""Harmonics of the light of many galaxies on rings that are round in the plane of their discs.

An image is a (S, S) array in units of the sky noise, row = y, column = x, with the galaxy near index S // 2 along both
axes. Angles are in degrees from the +y axis, counter-clockwise (towards -x). A ring of radius r is an ellipse with the
position angle of the disc and the semi-major axis r (px), so that the disc itself has no second harmonic. At large
radii its axis ratio is that of the disc. Towards the centre the rings become round, as the isophotes do because of the
PSF and because bulges are rounder than discs.

Only even harmonics are measured, to which opposite points contribute equally. Where two opposite points differ by more
than the noise, only the fainter one is used. This removes neighbours, stars and knots without a model of the galaxy.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

RING_SAMPLES = 96
"""Number of samples on a ring; a multiple of 8, so that a rotated or mirrored stamp is sampled at the same points."""
FINE_RADIUS, FINE_STEP, COARSE_STEP = 16.0, 0.5, 1.0
"""Rings are `FINE_STEP` px apart out to the radius `FINE_RADIUS` (px), where a bar spans few rings, and `COARSE_STEP`
px apart beyond."""
ONE_SIDED_NOISE, ONE_SIDED_SHARE = 3.0, 0.15
"""Opposite points count as different if their difference exceeds this number of standard deviations of the sky and this
share of the fainter point. An error of the centre by a fraction of a pixel does not reach these limits."""
SAMPLE_NOISE = 0.7
"""Noise of the mean of two opposite points in units of a pixel's noise; the reduction by interpolation is ignored."""
MIN_VALID_SHARE = 0.7
"""Smallest share of a ring with data for which harmonics are measured."""
HARMONICS = (2, 4, 6)
"""Orders of the harmonics that are measured."""
CENTRE_STEPS, CENTRE_REACH = 4, 3.0
"""Number of iterations of the centroid, and its largest distance from the middle of the stamp (px)."""
ELLIPSE_STEPS, ELLIPSE_RINGS, MAX_ELLIPTICITY_STEP, MIN_DISC_AXIS_RATIO = 5, 2, 0.35, 0.3
"""Settings of the disc's ellipse: the number of iterations, the step between the rings that are used, the largest
change of the ellipticity in one iteration, and the smallest axis ratio of a disc that is deprojected. The shape of
flatter discs depends on their thickness rather than on the inclination."""
ROUND_RADIUS_PSF = 1.1
"""Radius, in units of the PSF's full width at half maximum, within which rings are round. Of 0.7, 1, 1.1, 1.2, 1.4 and
2 this value gives the best lengths and angles of simulated bars. If all rings have the shape of the disc, a third of
the angles is wrong, because a round centre then resembles a bar perpendicular to the disc's major axis."""
OUTSKIRTS_RADII = (0.65, 1.0)
"""Radii between which the disc's ellipse is measured, in units of the radius at which the galaxy ends in the noise."""
EDGE_SIGNAL = 1.0
"""Mean light of a ring, in standard deviations of a pixel's noise, below which the galaxy has ended."""


@dataclass(frozen=True)
class Rings:
    """Harmonics of N galaxies on R rings.

    Attributes
    ----------
    radius : Tensor
        (R,) semi-major axes (px).
    mean : Tensor
        (N, R) mean light.
    harmonics : Tensor
        complex (N, R, 3): the light is mean + Re sum h_m exp(-i m (theta - position_angle)), m in `HARMONICS`, theta
        in the plane of the disc.
    noise : Tensor
        (N, R) standard deviation of the real part of a harmonic.
    valid : Tensor
        bool (N, R).
    axis_ratio : Tensor
        (N, R) axis ratios of the rings.
    position_angle : Tensor
        (N,) position angle of the disc (deg).
    end : Tensor
        (N,) radius of the last ring before the galaxy ends in the noise (px).
    """

    radius: Tensor
    mean: Tensor
    harmonics: Tensor
    noise: Tensor
    valid: Tensor
    axis_ratio: Tensor
    position_angle: Tensor
    end: Tensor


def radii(size: int) -> Tensor:
    """Return the semi-major axes (px) of the rings of a stamp of `size` pixels.

    Returns
    -------
    Tensor
        (R,)
    """
    fine = torch.arange(2 * FINE_STEP, FINE_RADIUS, FINE_STEP)
    return torch.cat([fine, torch.arange(FINE_RADIUS, size // 2 - 1, COARSE_STEP)])


def centroids(images: Tensor, width: Tensor) -> Tensor:
    """Return the centre of the light near the middle of every stamp.

    Parameters
    ----------
    images : Tensor
        (N, S, S), zero without data.
    width : Tensor
        (N,) standard deviation (px) of the Gaussian weight, which follows the centre.

    Returns
    -------
    Tensor
        (N, 2) x and y (px) relative to the index S // 2.
    """
    half = min(images.shape[-1] // 2, int(3 * float(width.max()) + CENTRE_REACH) + 1)
    middle = images.shape[-1] // 2
    low, high = middle - half, min(middle + half + 1, images.shape[-1])
    window = images[:, low:high, low:high].clamp_min(0)
    axis = torch.arange(low - middle, high - middle, dtype=images.dtype, device=images.device)
    centre = images.new_zeros(len(images), 2)
    for _ in range(CENTRE_STEPS):
        of_x, of_y = (torch.exp(-((axis - centre[:, k, None]) ** 2) / (2 * width[:, None] ** 2)) for k in (0, 1))
        weight = window * of_y[:, :, None] * of_x[:, None, :]
        total = weight.sum((1, 2)).clamp_min(1e-20)
        mean = torch.stack([(weight.sum(1) @ axis), (weight.sum(2) @ axis)], dim=1) / total[:, None]
        # The weight biases the mean towards its own centre; for light of the same width, twice the step is correct.
        centre = (2 * mean - centre).clamp(-CENTRE_REACH, CENTRE_REACH)
    return centre


def sample(
    images: Tensor, seen: Tensor, centre: Tensor, axis_ratio: Tensor, position_angle: Tensor, radius: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the light on half of every ring, combined with that on the opposite half.

    Parameters
    ----------
    images, seen : Tensor
        (N, S, S) light, and 1 for pixels with data, else 0.
    centre : Tensor
        (N, 2), see :func:`centroids`.
    axis_ratio : Tensor
        (N, R) of the rings.
    position_angle : Tensor
        (N,) of the galaxies or (N, R) of the rings; deg.
    radius : Tensor
        (R,) px.

    Returns
    -------
    light : Tensor
        (N, R, RING_SAMPLES / 2).
    valid : Tensor
        bool, same shape: whether at least one of the two points has data.
    """
    size = images.shape[-1]
    theta = torch.arange(RING_SAMPLES, device=images.device) * (2 * np.pi / RING_SAMPLES)
    along, across = torch.cos(theta), axis_ratio[..., None] * torch.sin(theta)
    turn = torch.deg2rad(position_angle).reshape(len(images), -1, 1)
    # Theta runs from the major axis, at the position angle from +y, towards -x.
    x = -along * torch.sin(turn) - across * torch.cos(turn)
    y = along * torch.cos(turn) - across * torch.sin(turn)
    points = torch.stack([x, y], dim=-1) * radius[:, None, None] + centre[:, None, None]
    points = (points + size // 2) * (2 / (size - 1)) - 1
    sampled = F.grid_sample(torch.stack([images, seen], dim=1), points, "bilinear", "zeros", align_corners=True)
    (near, far), (near_seen, far_seen) = sampled[:, 0].chunk(2, dim=2), (sampled[:, 1] > 0.99).chunk(2, dim=2)
    low, high = torch.minimum(near, far), torch.maximum(near, far)
    lopsided = high - low > torch.clamp(ONE_SIDED_SHARE * low, min=ONE_SIDED_NOISE)
    both = torch.where(lopsided, low, (near + far) / 2)
    joined = torch.where(near_seen & far_seen, both, torch.where(near_seen, near, far))
    return torch.where(near_seen | far_seen, joined, joined.new_zeros(())), near_seen | far_seen


def harmonics(light: Tensor, valid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the mean, the harmonics and the scatter about them for half rings.

    Parameters
    ----------
    light, valid : Tensor
        (N, R, RING_SAMPLES / 2), from :func:`sample`.

    Returns
    -------
    mean : Tensor
        (N, R).
    waves : Tensor
        complex (N, R, 3), see :class:`Rings`.
    scatter : Tensor
        (N, R) standard deviation of a sample.
    """
    theta = torch.arange(RING_SAMPLES // 2, device=light.device) * (2 * np.pi / RING_SAMPLES)
    basis = torch.stack([torch.ones_like(theta)] + [f(m * theta) for m in HARMONICS for f in (torch.cos, torch.sin)])
    analysis = (basis / basis.square().sum(1, keepdim=True)).T
    share = valid.float().mean(2).clamp_min(1 / RING_SAMPLES)
    filled = torch.where(valid, light, (light.sum(2) / (share * RING_SAMPLES / 2))[..., None])
    waves = filled @ analysis
    if not bool(valid.all()):
        for _ in range(3):
            filled = torch.where(valid, light, waves @ basis)
            waves = filled @ analysis
    scatter = ((filled - waves @ basis).square().sum(2) / (share * RING_SAMPLES / 2 - len(basis)).clamp_min(1)).sqrt()
    return waves[..., 0], torch.complex(waves[..., 1::2], waves[..., 2::2]), scatter


def disc_ellipses(images: Tensor, seen: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
    """Return the axis ratios and position angles (deg) of the discs for which the outskirts have no second harmonic.

    A small ellipticity e gives a disc the second harmonic -(e / 2) dI / d ln r (Jedrzejewski 1987), which is summed
    over all rings of the outskirts.

    Parameters
    ----------
    images, seen, centre : Tensor
        See :func:`sample`.

    Returns
    -------
    axis_ratio, position_angle : Tensor
        (N,)
    """
    radius = radii(images.shape[-1])[::ELLIPSE_RINGS].to(images.device)
    axis_ratio, angle = images.new_ones(len(images)), images.new_zeros(len(images))
    for _ in range(ELLIPSE_STEPS):
        light, valid = sample(images, seen, centre, axis_ratio[:, None].expand(-1, len(radius)), angle, radius)
        mean, waves, _ = harmonics(light, valid)
        usable = valid.float().mean(2) >= MIN_VALID_SHARE
        end = edge(radius, mean, usable)
        weight = usable & (radius >= OUTSKIRTS_RADII[0] * end[:, None]) & (radius <= OUTSKIRTS_RADII[1] * end[:, None])
        slope = -torch.gradient(mean, spacing=(torch.log(radius),), dim=1)[0]
        step = 2 * (waves[..., 0] * weight).sum(1) / (slope * weight).sum(1).clamp_min(1e-6)
        size = step.abs().clamp_max(MAX_ELLIPTICITY_STEP)
        axis_ratio, angle = _joined(axis_ratio, angle, 1 - size, torch.rad2deg(step.angle()) / 2)
    return axis_ratio, angle


def edge(radius: Tensor, mean: Tensor, usable: Tensor) -> Tensor:
    """Return the radius (N,) of the last ring before the light of the galaxy ends in the noise.

    Parameters
    ----------
    radius : Tensor
        (R,) px.
    mean : Tensor
        (N, R) mean light of the rings.
    usable : Tensor
        bool (N, R).

    Returns
    -------
    Tensor
        (N,) px.
    """
    inside = ((mean > EDGE_SIGNAL) & usable).to(torch.int64).cumprod(1).sum(1)
    return radius[(inside - 1).clamp_min(0)]


def _joined(axis_ratio: Tensor, angle: Tensor, more: Tensor, towards: Tensor) -> tuple[Tensor, Tensor]:
    """Return the projection on the sky of an ellipse (`more`, `towards`) in the plane of an inclined disc."""
    turn = torch.deg2rad(angle)
    plane, inner = _stretch(turn, axis_ratio), _stretch(torch.deg2rad(towards), more)
    # `towards` is measured from the major axis of the plane.
    frame = _rotation(turn)
    whole = plane @ frame @ inner @ frame.mT
    vectors, values, _ = torch.linalg.svd(whole)
    ratio = (values[:, 1] / values[:, 0]).clamp_min(MIN_DISC_AXIS_RATIO)
    # The components are (y, -x), so that the angle of the vector is the position angle.
    return ratio, torch.rad2deg(torch.atan2(vectors[:, 1, 0], vectors[:, 0, 0])) % 180


def _rotation(angle: Tensor) -> Tensor:
    c, s = torch.cos(angle), torch.sin(angle)
    return torch.stack([torch.stack([c, -s], -1), torch.stack([s, c], -1)], -2)


def _stretch(angle: Tensor, ratio: Tensor) -> Tensor:
    turn = _rotation(angle)
    return turn @ torch.diag_embed(torch.stack([torch.ones_like(ratio), ratio], -1)) @ turn.mT


def measure_rings(
    images: Tensor, seen: Tensor, psf_fwhm: Tensor, centre: Tensor, axis_ratio: Tensor, position_angle: Tensor
) -> Rings:
    """Return the harmonics on all rings of given discs.

    Parameters
    ----------
    images, seen, centre : Tensor
        See :func:`sample`.
    psf_fwhm : Tensor
        (N,) px.
    axis_ratio, position_angle : Tensor
        (N,) of the discs; deg.

    Returns
    -------
    Rings
    """
    radius = radii(images.shape[-1]).to(images.device)
    inner = torch.minimum((ROUND_RADIUS_PSF * psf_fwhm[:, None]) ** 2, radius**2)
    ratio = ((axis_ratio[:, None] ** 2 * (radius**2 - inner) + inner) / radius**2).sqrt()
    light, valid = sample(images, seen, centre, ratio, position_angle, radius)
    mean, waves, scatter = harmonics(light, valid)
    # Neighbouring samples share pixels: a ring has at most as many independent samples as pixels.
    pixels = (np.pi * radius * (1 + ratio)).clamp_max(RING_SAMPLES)
    noise = scatter.clamp_min(SAMPLE_NOISE) * (2 / pixels).sqrt()
    usable = valid.float().mean(2) >= MIN_VALID_SHARE
    return Rings(radius, mean, waves, noise, usable, ratio, position_angle, edge(radius, mean, usable))
