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
from tuningfork.measure.structure.fit.spectra import LOG_R, X, Y

MAX_OFFSET = 0.5
"""Largest distance of a galaxy's centre from that of its stamp along each axis (px): stamps are cut in whole pixels."""
REACH = 2.0
"""Distance along the isophotes within which light counts (half-light radii)."""
BOX, SIGNIFICANCE, EXCESS = 3, 5.0, 0.5
"""A neighbour's mean light over a box of so many pixels is so many standard deviations above that of the opposite box,
and by this part of it."""


def neighbour_light(
    profile: np.ndarray, centre: np.ndarray, images: np.ndarray, weights: np.ndarray, device: torch.device
) -> np.ndarray:
    """Return the light of neighbours on each galaxy, in units of the galaxy's light.

    Parameters
    ----------
    profile : ndarray
        (N, 5) profiles as in :attr:`tuningfork.measure.structure.fit.Fit.mean`.
    centre : ndarray
        (N, 2) x and y of the galaxies by the fit, relative to the pixel [S // 2, S // 2] (px). Between the partners of a
        merger a fit lies farther off than `MAX_OFFSET`, and counts as there. Not finite: as 0.
    images, weights : ndarray
        (N, S, S) images in units of the sky noise, and inverse variances in the corresponding unit (0 without data).
    device : torch.device

    Returns
    -------
    ndarray
        (N,) within `REACH`; pixels without data, or without data opposite to them, do not count.
    """
    image, weight = (torch.as_tensor(values, dtype=torch.float32, device=device) for values in (images, weights))
    parameters = free_parameters(np.asarray(profile, dtype=float), device)
    offset = torch.as_tensor(np.clip(np.nan_to_num(centre), -MAX_OFFSET, MAX_OFFSET), device=device)
    parameters[:, X], parameters[:, Y] = offset.unbind(1)
    light, sigma = box_mean(image, weight, BOX)
    other, other_sigma = opposite(light, offset), opposite(sigma, offset, fill=torch.inf)
    excess = light - other
    foreign = (excess > SIGNIFICANCE * torch.hypot(sigma, other_sigma)) & (excess > EXCESS * other.clamp_min(0))
    distance = isophote_distance(parameters, image.shape[-1])
    foreign &= distance < REACH * torch.exp(parameters[:, LOG_R]).float()[:, None, None]
    return ((excess * foreign).sum(dim=(1, 2)) / flux_of(parameters)).double().cpu().numpy()


def opposite(images: Tensor, centre: Tensor, fill: float = 0.0) -> Tensor:
    """Return images turned by 180 degrees.

    Parameters
    ----------
    images : Tensor
        (N, S, S)
    centre : Tensor
        (N, 2) x and y about which they are turned, relative to the pixel [S // 2, S // 2]; rounded to half a pixel.
    fill : float
        Value of pixels that have no opposite in the image.

    Returns
    -------
    Tensor
        (N, S, S)
    """
    number, size = images.shape[:2]
    twice = 2 * (size // 2) + torch.round(2 * centre).long()
    columns, rows = (twice[:, :, None] - torch.arange(size, device=images.device)).unbind(1)
    known = ((rows >= 0) & (rows < size))[:, :, None] & ((columns >= 0) & (columns < size))[:, None, :]
    which = torch.arange(number, device=images.device)[:, None, None]
    turned = images[which, rows.clamp(0, size - 1)[:, :, None], columns.clamp(0, size - 1)[:, None, :]]
    return torch.where(known, turned, fill)
