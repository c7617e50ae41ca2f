"""Azimuthal profiles of galaxies: the elliptical radius of every pixel and the mean light at this radius.

The rings are those of :mod:`tuningfork.measure.bars.fourier_rings`: round in the plane of the disc, and round on the
sky within the width of the PSF.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tuningfork.measure.bars.fourier_rings import (
    MIN_DISC_AXIS_RATIO,
    ROUND_RADIUS_PSF,
    centroids,
    disc_ellipses,
    measure_rings,
)

GALAXIES_AT_ONCE = 64
"""Number of galaxies that are measured at once."""


@dataclass(frozen=True)
class Azimuthal:
    """N galaxies in units of the sky noise.

    Attributes
    ----------
    light : ndarray
        float32 (N, S, S), zero without data.
    profile : ndarray
        float32 (N, S, S), the mean light on the ring through every pixel, without light on only one side of the galaxy.
    radius : ndarray
        float32 (N, S, S), semi-major axis of that ring (px).
    end : ndarray
        (N,) radius at which the galaxy ends in the noise (px).
    """

    light: np.ndarray
    profile: np.ndarray
    radius: np.ndarray
    end: np.ndarray

    @property
    def inside(self) -> np.ndarray:
        """Which pixels lie within the end of the galaxy, bool (N, S, S)."""
        return np.asarray(self.radius <= self.end[:, None, None])

    @property
    def total(self) -> np.ndarray:
        """The total light of the profile (N,), which contains no neighbours."""
        return np.asarray(np.where(self.inside, self.profile, 0).sum((1, 2), dtype=np.float64))


def azimuthal(images: np.ndarray, inverse_variance: np.ndarray, psf_fwhm: np.ndarray) -> Azimuthal:
    """Return the azimuthal profiles of stamps.

    Parameters
    ----------
    images : ndarray
        (N, S, S) light in units of the sky noise.
    inverse_variance : ndarray
        (N, S, S), zero for pixels that are ignored.
    psf_fwhm : ndarray
        (N,) full width at half maximum of the PSF (px), positive.

    Returns
    -------
    Azimuthal
    """
    parts = []
    for first in range(0, len(images), GALAXIES_AT_ONCE):
        rows = slice(first, first + GALAXIES_AT_ONCE)
        seen = torch.from_numpy((inverse_variance[rows] > 0) & np.isfinite(images[rows]))
        light = torch.where(seen, torch.from_numpy(np.asarray(images[rows], dtype=np.float32)), 0.0)
        parts.append(_frames(light, seen.float(), torch.from_numpy(np.asarray(psf_fwhm[rows], dtype=np.float32))))
    if not parts:
        empty = np.zeros(np.shape(images), np.float32)
        return Azimuthal(empty, empty, empty, np.zeros(0))
    return Azimuthal(*(torch.cat(values).numpy() for values in zip(*parts, strict=True)))


@torch.inference_mode()
def _frames(light: Tensor, seen: Tensor, psf: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    centre = centroids(light, psf.clamp_min(2.0))
    ratio, angle = disc_ellipses(light, seen, centre)
    ratio = ratio.clamp(MIN_DISC_AXIS_RATIO, 1.0)
    rings = measure_rings(light, seen, psf, centre, ratio, angle)
    radius = elliptical_radius(light.shape[-1], centre, ratio, angle, psf)
    flat = radius.flatten(1)
    above = torch.searchsorted(rings.radius, flat).clamp(1, len(rings.radius) - 1)
    low, high = rings.radius[above - 1], rings.radius[above]
    part = ((flat - low) / (high - low)).clamp(0, 1)
    profile = torch.lerp(rings.mean.gather(1, above - 1), rings.mean.gather(1, above), part)
    return light, profile.reshape(radius.shape), radius, rings.end


def elliptical_radius(
    size: int, centre: Tensor, axis_ratio: Tensor, position_angle: Tensor, psf_fwhm: Tensor
) -> Tensor:
    """Return the semi-major axis (px) of the ring through every pixel.

    With i = (ROUND_RADIUS_PSF x PSF width)^2, a ring of semi-major axis r is a circle for r^2 < i; for larger r its
    axis ratio q(r) follows from q(r)^2 r^2 = q^2 (r^2 - i) + i. This is a quadratic equation for r^2.

    Parameters
    ----------
    size : int
        Width of the stamps (px).
    centre : Tensor
        (N, 2) x and y (px) relative to the index size // 2.
    axis_ratio, position_angle, psf_fwhm : Tensor
        (N,) shape of the discs, with angles in deg from +y, counter-clockwise, and PSF widths in px.

    Returns
    -------
    Tensor
        (N, size, size)
    """
    axis = torch.arange(size, dtype=torch.float32) - size // 2
    dx, dy = axis - centre[:, 0, None, None], axis[:, None] - centre[:, 1, None, None]
    turn = torch.deg2rad(position_angle)[:, None, None]
    along = (dy * torch.cos(turn) - dx * torch.sin(turn)).square()
    across = (dx * torch.cos(turn) + dy * torch.sin(turn)).square()
    square, inner = axis_ratio[:, None, None] ** 2, (ROUND_RADIUS_PSF * psf_fwhm[:, None, None]) ** 2
    rest = (1 - square) * inner
    half = (square * along + across - rest) / 2
    outside = (half + (half.square() + square * along * rest).sqrt()) / square
    return torch.where(along + across <= inner, along + across, outside).sqrt()
