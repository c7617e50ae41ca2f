"""What an answer loses when part of the evidence is taken away: a band, or the structure at some radius."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

Answer = Callable[[Tensor], Tensor]
"""Takes (K, B, S, S) network inputs to (K,) numbers, such as the expected vote fraction of an answer."""

RINGS = {"centre": (0.0, 1 / 16), "inner": (1 / 16, 1 / 6), "outer": (1 / 6, 1 / 2)}
"""Inner and outer radius of each region in units of the stamp's width."""


def band_importance(answer: Answer, inputs: Tensor) -> Tensor:
    """Return how much the answer falls without each band.

    The band's light is replaced by empty sky, which is zero in the network's input.

    Parameters
    ----------
    answer : callable
    inputs : Tensor
        (K, B, S, S).

    Returns
    -------
    Tensor
        (K, B): answer with all bands minus answer without the band.
    """
    full = answer(inputs)
    losses = []
    for band in range(inputs.shape[1]):
        without = inputs.clone()
        without[:, band] = 0
        losses.append(full - answer(without))
    return torch.stack(losses, dim=1)


def ring_importance(answer: Answer, inputs: Tensor) -> Tensor:
    """Return how much the answer falls when the structure of each region of `RINGS` is smoothed away.

    Every pixel of the region takes the mean of its circle, so the light profile stays and only what breaks the
    symmetry (bar, arms, companions, flattening) goes; an empty hole would be a structure of its own.

    Parameters
    ----------
    answer : callable
    inputs : Tensor
        (K, B, S, S).

    Returns
    -------
    Tensor
        (K, 3): answer as it is minus answer without the structure, in the order of `RINGS`.
    """
    size = inputs.shape[-1]
    rows, columns = np.indices((size, size))
    radius = torch.from_numpy(np.hypot(rows - size // 2, columns - size // 2))
    smooth = azimuthal_mean(inputs, radius)
    full = answer(inputs)
    losses = []
    for low, high in RINGS.values():
        region = (radius >= low * size) & (radius < high * size)
        losses.append(full - answer(torch.where(region.to(inputs.device), smooth, inputs)))
    return torch.stack(losses, dim=1)


def azimuthal_mean(inputs: Tensor, radius: Tensor) -> Tensor:
    """Return (K, B, S, S) stamps whose pixels all have the mean of their circle, one pixel wide; `radius` is (S, S)."""
    circle = radius.round().long().flatten().to(inputs.device)
    flat = inputs.flatten(2)
    number = torch.bincount(circle).to(flat.dtype)
    sums = torch.zeros(*flat.shape[:2], len(number), dtype=flat.dtype, device=flat.device).index_add_(2, circle, flat)
    return (sums / number.clamp(min=1))[:, :, circle].reshape(inputs.shape)
