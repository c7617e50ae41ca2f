"""Neighbours of the galaxy: light that its model cannot explain is left out of the fit."""

import torch.nn.functional as F
from torch import Tensor

from tuningfork.measure.structure.fit.settings import FitSettings

GROWTH_SIGMA, GROWTH_BOX, GROWTH_SHARE, GROWTH_STEPS = 1.5, 7, 0.4, 10
"""A neighbour reaches from its significant pixels, in steps of a pixel, as far as the mean of a box is seen to have
light that the model lacks: this many standard deviations, and this part of the share that is asked of the first."""


def neighbours(residual: Tensor, model: Tensor, weight: Tensor, outside: Tensor, settings: FitSettings) -> Tensor:
    """Return which pixels hold light of neighbours.

    Parameters
    ----------
    residual, model, weight : Tensor
        (N, S, S): image minus model, the galaxy's model without the sky, and inverse variance (0 = no data).
    outside : Tensor
        bool (N, S, S): beyond the galaxy's core, within which nothing is masked, because the model's own failures are
        there.
    settings : FitSettings

    Returns
    -------
    Tensor
        bool (N, S, S).
    """
    excess, sigma = _mean(residual, weight, 3)
    found = outside & (excess > settings.mask_share * model) & (excess > settings.mask_threshold * sigma)
    some = found.flatten(1).any(dim=1)
    if not bool(some.any()):
        return found
    excess, sigma = _mean(residual[some], weight[some], GROWTH_BOX)
    seen = (excess > GROWTH_SHARE * settings.mask_share * model[some]) & (excess > GROWTH_SIGMA * sigma)
    reached = found[some].float()
    allowed = ((outside[some] & seen) | found[some]).to(reached.dtype)
    for _ in range(GROWTH_STEPS):
        reached = _dilated(reached) * allowed
    found[some] = (_dilated(reached) > 0) & outside[some]
    return found


def _mean(images: Tensor, weight: Tensor, box: int) -> tuple[Tensor, Tensor]:
    """Return weighted means over boxes around every pixel and their standard deviations."""
    total = _box(weight, box).clamp_min(1e-20)
    return _box(images * weight, box) / total, total.rsqrt()


def _box(images: Tensor, width: int) -> Tensor:
    """Return sums over squares of pixels."""
    rows = F.avg_pool2d(images[:, None], (1, width), stride=1, padding=(0, width // 2), divisor_override=1)
    return F.avg_pool2d(rows, (width, 1), stride=1, padding=(width // 2, 0), divisor_override=1)[:, 0]


def _dilated(mask: Tensor) -> Tensor:
    return F.max_pool2d(mask[:, None], 3, stride=1, padding=1)[:, 0]
