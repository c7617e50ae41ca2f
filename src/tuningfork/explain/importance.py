"""How much an answer falls when part of the evidence is removed: a band, or the structure at some radius.

By captum's feature ablation: each part of the input is replaced in turn by its value in a reference image.
"""

from collections.abc import Callable

import numpy as np
import torch
from captum.attr import FeatureAblation
from torch import Tensor

from tuningfork.explain.azimuthal import azimuthal_mean

Answer = Callable[[Tensor], Tensor]
"""From (K, B, S, S) network inputs to (K,) numbers, such as the expected vote fraction of an answer."""

REGIONS = {"centre": (0.0, 1 / 16), "inner": (1 / 16, 1 / 6), "outer": (1 / 6, 1 / 2)}
"""Inner and outer radius of each region in units of the stamp's width."""


def band_importance(answer: Answer, inputs: Tensor) -> Tensor:
    """Return how much the answer falls without each band.

    The light of the band is replaced by empty sky, which is zero in the network's input.

    Parameters
    ----------
    answer : callable
    inputs : Tensor
        (K, B, S, S) network inputs.

    Returns
    -------
    Tensor
        (K, B): answer with all bands minus answer without the band.
    """
    number = inputs.shape[1]
    parts = torch.arange(number, device=inputs.device)[None, :, None, None].expand(1, *inputs.shape[1:])
    falls = FeatureAblation(answer).attribute(inputs, baselines=0, feature_mask=parts)
    # Every pixel of a part holds how much the answer falls without that part.
    return falls[:, :, 0, 0]


def region_importance(answer: Answer, inputs: Tensor) -> Tensor:
    """Return how much the answer falls when the structure of each region of `REGIONS` is smoothed away.

    Every pixel of the region takes the mean of its circle. The light profile stays, and only what breaks the symmetry
    (bar, arms, companions, flattening) is removed; an empty hole would be a structure of its own.

    Parameters
    ----------
    answer : callable
    inputs : Tensor
        (K, B, S, S) network inputs.

    Returns
    -------
    Tensor
        (K, 3): answer as it is minus answer without the structure, in the order of `REGIONS`.
    """
    size = inputs.shape[-1]
    rows, columns = np.indices((size, size))
    radius = torch.from_numpy(np.hypot(rows - size // 2, columns - size // 2))
    parts = torch.full((size, size), len(REGIONS))
    for number, (low, high) in enumerate(REGIONS.values()):
        parts[(radius >= low * size) & (radius < high * size)] = number
    mask = parts.expand(1, *inputs.shape[1:]).to(inputs.device)
    smooth = azimuthal_mean(inputs, radius)
    falls = FeatureAblation(answer).attribute(inputs, baselines=smooth, feature_mask=mask)
    places = [divmod(int((parts.flatten() == number).nonzero()[0, 0]), size) for number in range(len(REGIONS))]
    return torch.stack([falls[:, 0, row, column] for row, column in places], dim=1)
