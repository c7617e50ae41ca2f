"""Masks of neighbours: the fit ignores light that the galaxy's model cannot explain."""

import torch.nn.functional as F
from torch import Tensor

from tuningfork.measure.structure.fit.settings import FitSettings

GROWTH_SIGMA, GROWTH_BOX, GROWTH_SHARE, GROWTH_STEPS = 1.5, 7, 0.4, 10
"""Growth of a mask from its significant pixels, by one pixel per step: the mean excess in a box around a pixel must
exceed this number of standard deviations and this part of the `mask_share` required of the first pixels. The values
are the significance, the width of the box (pixel), the part of the share, and the number of steps."""


def neighbours(residual: Tensor, model: Tensor, weight: Tensor, outside: Tensor, settings: FitSettings) -> Tensor:
    """Return which pixels contain light of neighbours.

    Parameters
    ----------
    residual, model, weight : Tensor
        (N, S, S): image minus model, the galaxy's model without the sky, and inverse variance (0 = no data).
    outside : Tensor
        bool (N, S, S): pixels beyond the galaxy's core. Nothing is masked within the core, where residuals come from
        errors of the model.
    settings : FitSettings

    Returns
    -------
    Tensor
        bool (N, S, S).
    """
    excess, sigma = box_mean(residual, weight, 3)
    masks = outside & (excess > settings.mask_share * model) & (excess > settings.mask_threshold * sigma)
    some = masks.flatten(1).any(dim=1)
    if not bool(some.any()):
        return masks
    excess, sigma = box_mean(residual[some], weight[some], GROWTH_BOX)
    seen = (excess > GROWTH_SHARE * settings.mask_share * model[some]) & (excess > GROWTH_SIGMA * sigma)
    reached = masks[some].float()
    allowed = ((outside[some] & seen) | masks[some]).to(reached.dtype)
    for _ in range(GROWTH_STEPS):
        reached = _dilated(reached) * allowed
    masks[some] = (_dilated(reached) > 0) & outside[some]
    return masks


def box_mean(images: Tensor, weight: Tensor, box: int) -> tuple[Tensor, Tensor]:
    """Return the weighted means over boxes around all pixels, and their standard deviations.

    Parameters
    ----------
    images, weight : Tensor
        (N, S, S) images and inverse variances (0 = no data).
    box : int
        Width of the boxes (pixel).

    Returns
    -------
    mean, sigma : Tensor
        (N, S, S)
    """
    total = _box(weight, box).clamp_min(1e-20)
    return _box(images * weight, box) / total, total.rsqrt()


def _box(images: Tensor, width: int) -> Tensor:
    """Return sums over squares of pixels."""
    rows = F.avg_pool2d(images[:, None], (1, width), stride=1, padding=(0, width // 2), divisor_override=1)
    return F.avg_pool2d(rows, (width, 1), stride=1, padding=(width // 2, 0), divisor_override=1)[:, 0]


def _dilated(mask: Tensor) -> Tensor:
    return F.max_pool2d(mask[:, None], 3, stride=1, padding=1)[:, 0]
