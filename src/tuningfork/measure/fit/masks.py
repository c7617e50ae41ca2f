"""Neighbours of the galaxy: light that its model cannot explain is left out of the fit."""

import torch.nn.functional as F
from torch import Tensor

from tuningfork.measure.fit.settings import FitSettings

GROWTH_SIGMA, GROWTH_STEPS = 2.0, 6
"""A neighbour reaches from its significant pixels, in steps of a pixel, as far as its light is seen at all."""


def neighbours(
    residual: Tensor, model: Tensor, weight: Tensor, distance: Tensor, core: Tensor, settings: FitSettings
) -> Tensor:
    """Return which pixels hold light of neighbours.

    Parameters
    ----------
    residual, model, weight : Tensor
        (N, S, S): image minus model, the galaxy's model without the sky, and inverse variance (0 = no data).
    distance : Tensor
        (N, S, S), from the galaxy's centre (pixel), along its isophotes.
    core : Tensor
        (N,): distance within which nothing is masked, because the model's own failures are there.
    settings : FitSettings

    Returns
    -------
    Tensor
        bool (N, S, S).
    """
    total = _box(weight)
    excess = _box(residual * weight) / total.clamp_min(1e-20)
    significance = excess * total.sqrt()
    outside = distance > core[:, None, None]
    above = outside & (excess > settings.mask_share * model)
    found = above & (significance > settings.mask_threshold)
    reached = found.float()
    allowed = (above & (significance > GROWTH_SIGMA)).float()
    if not bool(found.any()):
        return found
    for _ in range(GROWTH_STEPS):
        reached = _dilated(reached) * allowed
    return (_dilated(reached) > 0) & outside


def _box(images: Tensor) -> Tensor:
    """Return sums over 3 x 3 pixels."""
    return F.avg_pool2d(images[:, None], 3, stride=1, padding=1, divisor_override=1)[:, 0]


def _dilated(mask: Tensor) -> Tensor:
    return F.max_pool2d(mask[:, None], 3, stride=1, padding=1)[:, 0]
