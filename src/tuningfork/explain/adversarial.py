"""How small a change of the pixels turns the bar answer: the fast gradient sign method (Goodfellow+ 2015, arXiv:1412.6572)."""

import numpy as np
import torch
from torch import Tensor, nn

from tuningfork.explain.saliency import bar_logit, gradient

STEPS = np.geomspace(1e-3, 1.0, 31)
"""The steps that are tried, in units of the network's input, which near the sky are standard deviations of its noise."""


def smallest_flip(model: nn.Module, inputs: Tensor, conditions: Tensor) -> np.ndarray:
    """Return the smallest step in the direction of the derivative's sign that changes the sign of the bar logit.

    Parameters
    ----------
    model : Module
        In evaluation mode.
    inputs : Tensor
        (K, B, S, S) network inputs.
    conditions : Tensor
        (K, C).

    Returns
    -------
    ndarray
        (K,) the first of `STEPS` that flips the answer; NaN if none does.
    """
    steps = torch.from_numpy(STEPS).to(inputs)
    found = np.full(len(inputs), np.nan)
    slopes = gradient(model, inputs, conditions, bar_logit)
    with torch.no_grad():
        before = bar_logit(model(inputs, conditions))
        # A pixel without data (exactly zero in all bands' input) stays so: the network cannot be shown light there.
        direction = -torch.sign(before)[:, None, None, None] * torch.sign(slopes) * (inputs != 0)
        for row in range(len(inputs)):
            tried = inputs[row] + steps[:, None, None, None] * direction[row]
            after = bar_logit(model(tried, conditions[row].expand(len(steps), -1)))
            flipped = (torch.sign(after) != torch.sign(before[row])).cpu().numpy()
            if flipped.any():
                found[row] = STEPS[np.argmax(flipped)]
    return found
