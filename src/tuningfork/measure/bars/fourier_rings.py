"""Harmonics of the light of many galaxies on rings that are round in the plane of their discs.

An image is a (S, S) array, row = y, column = x, the galaxy near index S // 2 in both, in units of the sky's noise.
Angles are in degrees from the +y axis, counter-clockwise (towards -x). A ring of radius r is an ellipse with the
position angle of the disc and the semi-major axis r (px), so that the disc itself has no second harmonic. Its axis
ratio is that of the disc far out; towards the centre the ring gets round, as the isophotes do for the PSF and because
bulges are rounder than discs.

Only even harmonics are taken, for which a point and the one opposite are the same: where the two differ by more than
the noise, the fainter one is right. This takes off neighbours, stars and knots without a model of the galaxy.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

RING_SAMPLES = 96
"""Samples of a ring; a multiple of 8, so that the samples of a turned or mirrored stamp are the same points."""
FINE_RADIUS, FINE_STEP, COARSE_STEP = 16.0, 0.5, 1.0
"""Rings are `FINE_STEP` px apart out to the radius `FINE_RADIUS`, where a bar spans few of them, and `COARSE_STEP` px beyond."""
ONE_SIDED_NOISE, ONE_SIDED_SHARE = 3.0, 0.15
"""Opposite points differ if it is by more than this many standard deviations of the sky and this share of the fainter
one: the light of a galaxy whose centre is off by a fraction of a pixel does not."""
SAMPLE_NOISE = 0.7
"""Noise of the mean of two opposite points, in units of a pixel's; interpolation lowers it, which is not counted on."""
MIN_VALID_SHARE = 0.7
"""A ring of which a smaller part can be seen has no harmonics."""
HARMONICS = (2, 4, 6)
CENTRE_STEPS, CENTRE_REACH = 4, 3.0
"""Iterations of the centroid, and how far from the middle of the stamp it may go (px)."""
ELLIPSE_STEPS, ELLIPSE_RINGS, MAX_ELLIPTICITY_STEP, MIN_DISC_AXIS_RATIO = 5, 2, 0.35, 0.3
"""Iterations of the disc's ellipse, on one ring of so many, the most that one changes its ellipticity, and the flattest disc that is
deprojected: beyond it the thickness, not the inclination, sets the shape."""
ROUND_RADIUS_PSF = 1.1
"""Radius, in units of the PSF's full width at half maximum, within which a ring is round. Of 0.7, 1, 1.1, 1.2, 1.4 and 2
this gives the best lengths and angles of simulated bars; with rings all of the disc's shape a third of the angles is
wrong, for a round centre looks like a bar across the disc."""
OUTSKIRTS_RADII = (0.65, 1.0)
"""Radii between which the disc's ellipse is measured, in units of the radius at which its light ends in the noise."""
EDGE_SIGNAL = 1.0
"""The galaxy ends where a ring's mean is below this many standard deviations of a pixel's noise."""


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
        (N, R) of the rings.
    position_angle : Tensor
        (N,) of the disc (deg).
    end : Tensor
        (N,) radius of the last ring before the galaxy is lost in the noise.
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
        (N, S, S), zero where there are no data.
    width : Tensor
        (N,) standard deviation (px) of the Gaussian weight, that follows the centre.

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
        # The weight pulls towards where it stands; for light of its own width twice the step is the answer.
        centre = (2 * mean - centre).clamp(-CENTRE_REACH, CENTRE_REACH)
    return centre


def sample(
    images: Tensor, seen: Tensor, centre: Tensor, axis_ratio: Tensor, position_angle: Tensor, radius: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the light on half of every ring, joined with the half opposite to it.

    Parameters
    ----------
    images, seen : Tensor
        (N, S, S) light, and 1 where there are data, else 0.
    centre : Tensor
        (N, 2), see :func:`centroids`.
    axis_ratio : Tensor
        (N, R) of the rings.
    position_angle : Tensor
        (N,) deg.
    radius : Tensor
        (R,) px.

    Returns
    -------
    light : Tensor
        (N, R, RING_SAMPLES / 2).
    valid : Tensor
        bool, same shape: at least one of the two points is seen.
    """
    size = images.shape[-1]
    theta = torch.arange(RING_SAMPLES, device=images.device) * (2 * np.pi / RING_SAMPLES)
    along, across = torch.cos(theta), axis_ratio[..., None] * torch.sin(theta)
    turn = torch.deg2rad(position_angle)[:, None, None]
    # Theta runs from the major axis, at the position angle from +y, towards -x.
    x = -along * torch.sin(turn) - across * torch.cos(turn)
    y = along * torch.cos(turn) - across * torch.sin(turn)
    places = torch.stack([x, y], dim=-1) * radius[:, None, None] + centre[:, None, None]
    places = (places + size // 2) * (2 / (size - 1)) - 1
    found = F.grid_sample(torch.stack([images, seen], dim=1), places, "bilinear", "zeros", align_corners=True)
    light, there = found[:, 0], found[:, 1] > 0.99
    (one, other), (here, opposite) = light.chunk(2, dim=2), there.chunk(2, dim=2)
    low, high = torch.minimum(one, other), torch.maximum(one, other)
    lopsided = high - low > torch.clamp(ONE_SIDED_SHARE * low, min=ONE_SIDED_NOISE)
    both = torch.where(lopsided, low, (one + other) / 2)
    joined = torch.where(here & opposite, both, torch.where(here, one, other))
    return torch.where(here | opposite, joined, joined.new_zeros(())), here | opposite


def harmonics(light: Tensor, valid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean, harmonics and the scatter about them of half rings.

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
    """Return axis ratio and position angle (deg) of the discs, chosen such that their outskirts have no second harmonic.

    A small ellipticity e gives a disc the second harmonic -(e / 2) dI / d ln r (Jedrzejewski 1987), summed here over
    all rings of the outskirts.

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
    """Return the radius (N,) of the last ring before the light of the galaxy is lost in the noise.

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
    """Return the ellipse that an ellipse (`more`, `towards`) in the plane of another one is on the sky."""
    turn, own = torch.deg2rad(angle), torch.deg2rad(towards)
    plane, other = _stretch(turn, axis_ratio), _stretch(own, more)
    # `towards` counts from the major axis of the plane.
    frame = _rotation(turn)
    whole = plane @ frame @ other @ frame.mT
    vectors, values, _ = torch.linalg.svd(whole)
    ratio = (values[:, 1] / values[:, 0]).clamp_min(MIN_DISC_AXIS_RATIO)
    # Components are (y, -x): the angle of the vector is the position angle.
    found = torch.rad2deg(torch.atan2(vectors[:, 1, 0], vectors[:, 0, 0])) % 180
    return ratio, found


def _rotation(angle: Tensor) -> Tensor:
    c, s = torch.cos(angle), torch.sin(angle)
    return torch.stack([torch.stack([c, -s], -1), torch.stack([s, c], -1)], -2)


def _stretch(angle: Tensor, ratio: Tensor) -> Tensor:
    turn = _rotation(angle)
    return turn @ torch.diag_embed(torch.stack([torch.ones_like(ratio), ratio], -1)) @ turn.mT


def measure_rings(
    images: Tensor, seen: Tensor, psf_fwhm: Tensor, centre: Tensor, axis_ratio: Tensor, position_angle: Tensor
) -> Rings:
    """Return the harmonics on every ring of the given discs.

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
    # Neighbouring samples share pixels: there are no more independent ones than the ring has pixels.
    pixels = (np.pi * radius * (1 + ratio)).clamp_max(RING_SAMPLES)
    noise = scatter.clamp_min(SAMPLE_NOISE) * (2 / pixels).sqrt()
    usable = valid.float().mean(2) >= MIN_VALID_SHARE
    return Rings(radius, mean, waves, noise, usable, ratio, position_angle, edge(radius, mean, usable))
