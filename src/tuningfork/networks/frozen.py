"""Networks that only answer: the same outputs and derivatives by the input, at less cost.

A network in training makes its standardised and blurred kernels anew in every pass, because its weights change. Here
they are made once.
"""

import copy
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from tuningfork.networks.encoder import SmoothDown, StandardisedConv

FEW = 8
"""Channels below which the derivative of a halving layer by its input is taken phase by phase."""


def frozen(model: nn.Module, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Return a network with the outputs of `model` that shares its weights, its convolutions' kernels made once.

    Parameters
    ----------
    model : Module
        Any network; parts that it does not share with :mod:`tuningfork.networks.encoder` stay as they are.
    dtype : torch.dtype
        In which the kernels are kept: that of the autocast in which the network will be called.

    Returns
    -------
    Module
        In evaluation mode. Weights that change afterwards leave it as it is: make it again.
    """
    if isinstance(model, SmoothDown):
        few = model.weight.shape[1] < FEW
        return FixedConv(model, 2, model.size // 2 - 1, dtype) if not few else FewChannelsDown(model, dtype)
    if isinstance(model, StandardisedConv):
        return FixedConv(model, 1, 1, dtype)
    twin = copy.copy(model)
    twin._modules = {name: child and frozen(child, dtype) for name, child in model._modules.items()}
    twin.training = False
    return twin


class FixedConv(nn.Module):
    """A convolution with a kernel that does not change.

    Parameters
    ----------
    layer : SmoothDown or StandardisedConv
    stride, padding : int
    dtype : torch.dtype
    """

    def __init__(self, layer: SmoothDown | StandardisedConv, stride: int, padding: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.stride, self.padding = stride, padding
        with torch.no_grad():
            self.register_buffer("kernel", layer.kernel().to(dtype), persistent=False)
            self.register_buffer("bias", layer.bias.detach().to(dtype), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, inputs, H, W)."""
        return functional.conv2d(x, self.kernel, self.bias, stride=self.stride, padding=self.padding)


class FewChannelsDown(nn.Module):
    """A halving convolution of few channels whose derivative by its input costs no more than the convolution.

    The usual derivative of a strided convolution works in blocks of 16 channels of the input, most of which would be
    empty. Here the 2 x 2 phases of the pixels become channels of an image of half the size, and the derivative by them
    is a plain convolution.
    """

    kernel: Tensor
    bias: Tensor
    phases: Tensor

    def __init__(self, layer: SmoothDown, dtype: torch.dtype) -> None:
        super().__init__()
        with torch.no_grad():
            kernel = layer.kernel()
            self.padding = layer.size // 2 - 1
            self.register_buffer("kernel", kernel.to(dtype), persistent=False)
            self.register_buffer("bias", layer.bias.detach().to(dtype), persistent=False)
            self.register_buffer("phases", _phases(kernel, self.padding).to(dtype), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / 2, W / 2)."""
        return cast(Tensor, _ByPhases.apply(x, self.kernel, self.bias, self.phases, self.padding))


class _ByPhases(torch.autograd.Function):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu", cast_inputs=None)
    def forward(ctx: Any, x: Tensor, kernel: Tensor, bias: Tensor, phases: Tensor, padding: int) -> Tensor:
        ctx.save_for_backward(phases)
        ctx.dtype = x.dtype
        return functional.conv2d(x, kernel, bias, stride=2, padding=padding)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None, None, None, None]:
        (phases,) = ctx.saved_tensors
        rows, _, height, width = slope.shape
        found = functional.conv2d(slope, phases, padding=1)
        # (N, h, w, 2, 2, C) to (N, C, 2 h, 2 w).
        found = found.permute(0, 2, 3, 1).unflatten(3, (2, 2, -1)).permute(0, 5, 1, 3, 2, 4)
        return found.to(ctx.dtype).reshape(rows, -1, 2 * height, 2 * width), None, None, None, None


def _phases(kernel: Tensor, padding: int) -> Tensor:
    """Return the kernel (4 x inputs, outputs, 3, 3) that takes slopes by the output to those by the input's phases.

    Pixel 2 i + p - padding + ... of the input meets entry k of the kernel in output i, so that
    2 i + k - padding = 2 j + p, which is to say that output j + d meets phase p with k = p + padding - 2 d.
    """
    outputs, inputs, size, _ = kernel.shape
    found = torch.zeros(2, 2, inputs, outputs, 3, 3, dtype=kernel.dtype, device=kernel.device)
    places = [(p, d, p + padding - 2 * d) for p in (0, 1) for d in (-1, 0, 1) if 0 <= p + padding - 2 * d < size]
    for p, d, k in places:
        for q, e, m in places:
            found[p, q, :, :, d + 1, e + 1] = kernel[:, :, k, m].T
    return found.flatten(0, 2).contiguous(memory_format=torch.channels_last)
