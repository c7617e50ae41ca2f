"""Grad-CAM: which regions the deepest layer of the encoder counts for an answer (Selvaraju+ 2017, arXiv:1610.02391)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from tuningfork.explain.saliency import Target, scale_to_unit


def gradcam(model: nn.Module, layer: nn.Module, inputs: Tensor, conditions: Tensor, target: Target) -> Tensor:
    """Return the class-activation map of each stamp.

    Parameters
    ----------
    model : Module
        In evaluation mode.
    layer : Module
        The part of `model` whose output (K, F, h, w) is explained.
    inputs : Tensor
        (K, B, S, S) network inputs.
    conditions : Tensor
        (K, C).
    target : callable
        Prediction -> (K,) numbers.

    Returns
    -------
    Tensor
        (K, S, S) float32 in [0, 1]: the features weighted with their mean derivative, positive part, brought to
        the size of the stamp.
    """
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _arguments: tuple[Tensor, ...], output: Tensor) -> None:
        kept.append(output)

    handle = layer.register_forward_hook(keep)
    try:
        # The weights want no derivatives; only an input that does keeps the graph alive.
        answer = target(model(inputs.detach().requires_grad_(), conditions))
        slopes = torch.autograd.grad(answer.sum(), kept[0])[0]
    finally:
        handle.remove()
    weights = slopes.mean(dim=(-2, -1), keepdim=True)
    maps = functional.relu((weights * kept[0].detach()).sum(1, keepdim=True)).float()
    maps = functional.interpolate(maps, size=inputs.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    return scale_to_unit(maps)[0]
