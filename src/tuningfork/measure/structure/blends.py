"""Light of neighbours on a galaxy: what is far brighter than the light on the other side of the centre.

Bulges, bars and most arms look the same after half a turn, and neighbours, stars in front and the partners of mergers do
not. A fit cannot tell them apart that well: it masks what a Sersic profile does not explain, arms as well, and nothing
near the centre.
"""

import numpy as np
import torch
from torch import Tensor

from tuningfork.measure.structure.fit.batch import flux_of, free_parameters, isophote_distance
from tuningfork.measure.structure.fit.masks import box_mean
from tuningfork.measure.structure.fit.spectra import LOG_R

REACH = 2.0
"""Distance along the isophotes within which light counts (half-light radii)."""
BOX, SIGNIFICANCE, EXCESS = 3, 5.0, 0.5
"""A neighbour's mean light over a box of so many pixels is so many standard deviations above that of the opposite box,
and by this part of it."""


def neighbour_light(
    profile: np.ndarray, images: np.ndarray, weights: np.ndarray, fwhm: np.ndarray, device: torch.device
) -> np.ndarray:
    """Return the light of neighbours on each galaxy, in units of the galaxy's light.

    Parameters
    ----------
    profile : ndarray
        (N, 5) profiles as in :attr:`tuningfork.measure.structure.fit.Fit.mean`, about the pixel [S // 2, S // 2].
    images, weights : ndarray
        (N, S, S) images in units of the sky noise, and inverse variances in the corresponding unit (0 without data).
    fwhm : ndarray
        (N,) full widths at half maximum of the PSFs (px). Nearer the centre nothing counts, because the centre of a
        galaxy may lie off that of its stamp.
    device : torch.device

    Returns
    -------
    ndarray
        (N,) within `REACH`; pixels without data, or without data opposite to them, do not count.
    """
    image, weight = (torch.as_tensor(values, dtype=torch.float32, device=device) for values in (images, weights))
    parameters = free_parameters(np.asarray(profile, dtype=float), device)
    light, sigma = box_mean(image, weight, BOX)
    other, other_sigma = opposite(light), opposite(sigma, fill=torch.inf)
    excess = light - other
    foreign = (excess > SIGNIFICANCE * torch.hypot(sigma, other_sigma)) & (excess > EXCESS * other.clamp_min(0))
    distance = isophote_distance(parameters, image.shape[-1])
    beside = distance < REACH * torch.exp(parameters[:, LOG_R]).float()[:, None, None]
    foreign &= beside & (_radius(image) > torch.as_tensor(fwhm, device=device)[:, None, None])
    return ((excess * foreign).sum(dim=(1, 2)) / flux_of(parameters)).double().cpu().numpy()


def opposite(images: Tensor, fill: float = 0.0) -> Tensor:
    """Return images turned by 180 degrees about the pixel [S // 2, S // 2].

    Parameters
    ----------
    images : Tensor
        (N, S, S)
    fill : float
        Value of the first row and column if S is even; they have no opposite.

    Returns
    -------
    Tensor
        (N, S, S)
    """
    first = 1 - images.shape[-1] % 2
    turned = torch.full_like(images, fill)
    turned[:, first:, first:] = images[:, first:, first:].flip(1, 2)
    return turned


def _radius(images: Tensor) -> Tensor:
    axis = torch.arange(images.shape[-1], device=images.device) - images.shape[-1] // 2
    return torch.hypot(axis[:, None].float(), axis[None, :].float())
