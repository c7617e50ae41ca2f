"""Networks that only answer: the same outputs and derivatives by the input, at less cost.

A network in training makes its standardised and blurred kernels anew in every pass, because its weights change, and
keeps what the derivatives by the weights need. Here kernels are made once, and layers know derivatives by their input
alone.
"""

import copy
from collections import OrderedDict
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from tuningfork.networks.encoder import INPUT_SCALE, Encoder, Residual, SmoothDown, StandardisedConv

silu_backward = torch.ops.aten.silu_backward.grad_input


def frozen(model: nn.Module, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Return a network that answers as `model` does and shares its weights, but for the kernels, which are made once.

    Parameters
    ----------
    model : Module
        Any network; parts that it does not share with :mod:`tuningfork.networks.encoder` stay as they are.
    dtype : torch.dtype
        In which the kernels are kept: that of the autocast in which the network will be called.

    Returns
    -------
    Module
        In evaluation mode; derivatives are by its inputs, and once. Weights that change afterwards leave it as it is:
        make it again.
    """
    if isinstance(model, Residual):
        return FixedResidual(model, dtype)
    if isinstance(model, SmoothDown | StandardisedConv):
        return FixedConv(model, dtype)
    twin = copy.copy(model)
    twin._modules = {name: child and frozen(child, dtype) for name, child in model._modules.items()}
    if isinstance(twin, Encoder) and isinstance(model, Encoder):
        twin.input_scale, twin.stem = 1.0, FixedStem(model.stem, INPUT_SCALE, dtype)  # type: ignore[assignment]
    twin.training = False
    twin._forward_hooks = OrderedDict()
    twin.register_forward_hook(_keep_layout)
    return twin


def _keep_layout(module: nn.Module, arguments: Any, output: Any) -> None:
    """Have derivatives by images in the layout of the images.

    Means over an image hand back slopes in another layout; every layer before them would then be several times slower.
    """
    if isinstance(output, Tensor) and output.ndim == 4 and output.requires_grad:
        output.register_hook(_channels_last)


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


class Fixed(nn.Module):
    """Tensors that do not change, by name."""

    def __init__(self, dtype: torch.dtype, **tensors: Tensor) -> None:
        super().__init__()
        for name, tensor in tensors.items():
            tensor = tensor.detach().to(dtype)
            self.register_buffer(name, _channels_last(tensor) if tensor.ndim == 4 else tensor, persistent=False)


class FixedConv(Fixed):
    """A convolution with a kernel that does not change."""

    kernel: Tensor
    bias: Tensor

    def __init__(self, layer: SmoothDown | StandardisedConv, dtype: torch.dtype) -> None:
        super().__init__(dtype, kernel=layer.kernel(), bias=layer.bias)
        self.stride = 2 if isinstance(layer, SmoothDown) else 1

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, inputs, H, W)."""
        return functional.conv2d(x, self.kernel, self.bias, self.stride, (self.kernel.shape[-1] - 1) // 2)


class FixedResidual(Fixed):
    """A residual block as one layer, its gain part of the second kernel."""

    def __init__(self, block: Residual, dtype: torch.dtype) -> None:
        first, second = block.first.kernel(), block.gain * block.second.kernel()
        super().__init__(
            dtype,
            first=first,
            first_bias=block.first.bias,
            second=second,
            second_bias=block.gain * block.second.bias,
            # The derivative of a convolution is the convolution with the mirrored kernel.
            first_back=first.flip(2, 3).transpose(0, 1),
            second_back=second.flip(2, 3).transpose(0, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        return cast(Tensor, _ResidualFunction.apply(x, *self._buffers.values()))


class _ResidualFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, *kernels: Tensor) -> Tensor:
        first, first_bias, second, second_bias, first_back, second_back = kernels
        middle = functional.conv2d(functional.silu(x), first, first_bias, padding=1)
        ctx.save_for_backward(x, middle, first_back, second_back)
        return functional.conv2d(functional.silu(middle), second, second_bias, padding=1).add_(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        x, middle, first_back, second_back = ctx.saved_tensors
        slope = _channels_last(slope)
        back = functional.conv2d(slope, second_back, padding=1)
        silu_backward(back, middle, grad_input=back)
        back = functional.conv2d(back, first_back, padding=1)
        silu_backward(back, x, grad_input=back)
        return back.add_(slope), *[None] * 6


class FixedStem(Fixed):
    """The first halving convolution, of few channels, at the cost of one that has many.

    Convolutions and their derivatives work on blocks of 16 channels of the input, most of which are empty in an image.
    So pairs of neighbouring pixels become channels, and for the derivative the 2 x 2 phases of the pixels.

    Parameters
    ----------
    layer : SmoothDown
        With a blur of 4.
    scale : float
        By which the image is multiplied before.
    dtype : torch.dtype
    """

    pairs: Tensor
    bias: Tensor
    phases: Tensor

    def __init__(self, layer: SmoothDown, scale: float, dtype: torch.dtype) -> None:
        kernel = scale * layer.kernel()
        # (outputs, inputs, 6, 3 x 2) to (outputs, 2 x inputs, 6, 3).
        pairs = kernel.unflatten(3, (-1, 2)).permute(0, 4, 1, 2, 3).flatten(1, 2)
        super().__init__(dtype, pairs=pairs, bias=layer.bias, phases=_phases(kernel, layer.size // 2 - 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / 2, W / 2), rounded down."""
        height, width = x.shape[-2:]
        if height % 2 or width % 2:
            x = functional.pad(x, (0, width % 2, 0, height % 2))
        y = cast(Tensor, _StemFunction.apply(x, self.pairs, self.bias, self.phases))
        return y[..., : height // 2, : width // 2]


class _StemFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, pairs: Tensor, bias: Tensor, phases: Tensor) -> Tensor:
        ctx.save_for_backward(phases)
        ctx.dtype = x.dtype
        rows, channels, height, width = x.shape
        pixels = _channels_last(x.to(pairs.dtype)).permute(0, 2, 3, 1)
        paired = pixels.reshape(rows, height, width // 2, 2 * channels).permute(0, 3, 1, 2)
        return functional.conv2d(paired, pairs, bias, stride=(2, 1), padding=(2, 1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        (phases,) = ctx.saved_tensors
        rows, _, height, width = slope.shape
        found = functional.conv2d(_channels_last(slope), phases, padding=1)
        # (N, h, w, 2, 2, C) to (N, C, 2 h, 2 w).
        found = found.permute(0, 2, 3, 1).unflatten(3, (2, 2, -1)).permute(0, 5, 1, 3, 2, 4)
        # The cast last: together with the permutation it takes longer.
        return found.reshape(rows, -1, 2 * height, 2 * width).to(ctx.dtype), None, None, None


def _phases(kernel: Tensor, padding: int) -> Tensor:
    """Return the kernel (4 x inputs, outputs, 3, 3) that takes slopes by the output to those by the input's phases.

    Output i meets pixel 2 i + k - padding with entry k of the kernel. That is pixel 2 j + p, phase p at position j, for
    output i = j + d if k = p + padding - 2 d.
    """
    outputs, inputs, size, _ = kernel.shape
    found = kernel.new_zeros(2, 2, inputs, outputs, 3, 3)
    places = [(p, d, p + padding - 2 * d) for p in (0, 1) for d in (-1, 0, 1) if 0 <= p + padding - 2 * d < size]
    for p, d, k in places:
        for q, e, m in places:
            found[p, q, :, :, d + 1, e + 1] = kernel[:, :, k, m].T
    return found.flatten(0, 2)
