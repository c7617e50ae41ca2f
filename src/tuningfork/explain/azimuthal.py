"""The azimuthal mean of a stamp: what is left of a galaxy without bar, arms, companions and flattening."""

import torch
from torch import Tensor


def azimuthal_mean(inputs: Tensor, radius: Tensor) -> Tensor:
    """Replace every pixel by the mean of its circle, one pixel wide.

    Parameters
    ----------
    inputs : Tensor
        (K, B, S, S)
    radius : Tensor
        (S, S), distance of every pixel from the centre (px).

    Returns
    -------
    Tensor
        (K, B, S, S)
    """
    circle = radius.round().long().flatten().to(inputs.device)
    flat = inputs.flatten(2)
    number = torch.bincount(circle).to(flat.dtype)
    sums = torch.zeros(*flat.shape[:2], len(number), dtype=flat.dtype, device=flat.device).index_add_(2, circle, flat)
    return (sums / number.clamp(min=1))[:, :, circle].reshape(inputs.shape)
