"""How small a change of the pixels changes the bar answer: the fast gradient sign method (Goodfellow+ 2015,
arXiv:1412.6572)."""

import numpy as np
import torch
from captum.robust import FGSM
from torch import Tensor, nn

from tuningfork.explain.saliency import bar_logit

FLIP_STEPS = np.geomspace(1e-3, 1.0, 31)
"""Steps that are tried, in units of the network's input, which near the sky are standard deviations of its noise."""


def smallest_flip(model: nn.Module, inputs: Tensor, conditions: Tensor) -> np.ndarray:
    """Return the smallest step along the sign of the derivative that changes the sign of the bar logit.

    Parameters
    ----------
    model : Module
        In evaluation mode.
    inputs : Tensor
        (K, B, S, S) network inputs.
    conditions : Tensor
        (K, C)

    Returns
    -------
    ndarray
        (K,) the first of `FLIP_STEPS` that changes the answer; NaN if none does.
    """
    steps = torch.from_numpy(FLIP_STEPS).to(inputs)
    flips = np.full(len(inputs), np.nan)
    with torch.no_grad():
        before = bar_logit(model(inputs, conditions))
    direction = _attack_direction(model, inputs, conditions, torch.sign(before))
    with torch.no_grad():
        for row in range(len(inputs)):
            tried = inputs[row] + steps[:, None, None, None] * direction[row]
            after = bar_logit(model(tried, conditions[row].expand(len(steps), -1)))
            flipped = (torch.sign(after) != torch.sign(before[row])).cpu().numpy()
            if flipped.any():
                flips[row] = FLIP_STEPS[np.argmax(flipped)]
    return flips


def _attack_direction(model: nn.Module, inputs: Tensor, conditions: Tensor, answer: Tensor) -> Tensor:
    """Return the direction (-1, 0 or 1 for every pixel) of captum's attack on the answer, the sign (K,) of the logit.

    A pixel without data, exactly zero in the input, stays so: the network cannot be shown light there.
    """

    def logit(images: Tensor) -> Tensor:
        return bar_logit(model(images, conditions))

    attack = FGSM(logit, loss_func=lambda logits, signs: -logits * signs)
    attack.zero_thresh = 0.0
    start = inputs.detach().requires_grad_()
    attacked = attack.perturb(start, epsilon=1.0, target=answer, mask=(inputs != 0).to(inputs.dtype))
    # The step has length one; the difference of the images is that up to rounding.
    return (attacked.detach() - inputs).round()
