"""The encoder of a network that only answers."""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from tuningfork.networks.encoder import INPUT_SCALE, Encoder, Residual, SmoothDown
from tuningfork.networks.frozen_layers import Fixed, channels_last, halved_back, mirrored, through_silu


class FixedEncoder(nn.Module):
    """The feature maps of :class:`~tuningfork.networks.encoder.Encoder`."""

    def __init__(self, encoder: Encoder, dtype: torch.dtype) -> None:
        super().__init__()
        self.stem = FixedStem(encoder.stem, INPUT_SCALE, dtype)
        stages = (encoder.quarter, encoder.eighth, encoder.sixteenth)
        self.stages = nn.ModuleList(
            FixedStage(cast(SmoothDown, down), cast(Residual, residual), dtype) for down, residual in stages
        )

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Map images (N, B, S, S), or their cells (see :class:`FixedStem`), to features of S/4, S/8 and S/16."""
        maps = [self.stem(inputs)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return tuple(maps[1:])


class FixedStem(Fixed):
    """The first halving convolution and its activation, of few channels, at the cost of one that has many.

    Convolutions and their derivatives work on blocks of 16 channels of the input, most of which are empty in an image.
    So cells of 2 x 2 pixels become channels, and the kernel of 6 x 6 pixels one of 3 x 3 cells, without a stride.

    Parameters
    ----------
    layer : SmoothDown
        With a blur of 4.
    scale : float
        By which the image is multiplied before.
    dtype : torch.dtype
    """

    def __init__(self, layer: SmoothDown, scale: float, dtype: torch.dtype) -> None:
        # (outputs, inputs, 6, 6) to (outputs, inputs x 2 x 2, 3, 3), in the order of pixel_unshuffle.
        kernel = functional.pixel_unshuffle(scale * layer.kernel(), 2)
        super().__init__(dtype, kernel=kernel, bias=layer.bias, back=mirrored(kernel))
        self.inputs = layer.weight.shape[1]

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W), or its cells (N, 4 x inputs, H / 2, W / 2), to (N, outputs, H / 2, W / 2)."""
        height, width = x.shape[-2:]
        if x.shape[1] != self.inputs:
            return cast(Tensor, _StemFunction.apply(x, *self.tensors()))
        cells = functional.pixel_unshuffle(functional.pad(x, (0, width % 2, 0, height % 2)), 2)
        y = cast(Tensor, _StemFunction.apply(cells, *self.tensors()))
        return channels_last(y[..., : height // 2, : width // 2])


class _StemFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, bias: Tensor, back: Tensor) -> Tensor:
        y = functional.conv2d(channels_last(x.to(kernel.dtype)), kernel, bias, padding=1)
        ctx.save_for_backward(y, back)
        ctx.dtype = x.dtype
        return functional.silu(y)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        y, back = ctx.saved_tensors
        slope = torch.ops.aten.silu_backward(channels_last(slope), y)
        return functional.conv2d(slope, back, padding=1).to(ctx.dtype), None, None, None


class FixedStage(Fixed):
    """A halving convolution, a residual block, its gain part of the second kernel, and an activation."""

    def __init__(self, down: SmoothDown, block: Residual, dtype: torch.dtype) -> None:
        first, second = block.first.kernel(), block.gain * block.second.kernel()
        super().__init__(
            dtype,
            down=down.kernel(),
            down_bias=down.bias,
            first=first,
            first_bias=block.first.bias,
            second=second,
            second_bias=block.gain * block.second.bias,
            first_back=mirrored(first),
            second_back=mirrored(second),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / 2, W / 2), rounded down."""
        return cast(Tensor, _StageFunction.apply(x, *self.tensors()))


class _StageFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, *kernels: Tensor) -> Tensor:
        down, down_bias, first, first_bias, second, second_bias, first_back, second_back = kernels
        halved = functional.conv2d(x, down, down_bias, stride=2, padding=1)
        middle = functional.conv2d(functional.silu(halved), first, first_bias, padding=1)
        y = functional.conv2d(functional.silu(middle), second, second_bias, padding=1).add_(halved)
        ctx.save_for_backward(halved, middle, y, down, first_back, second_back)
        ctx.size = x.shape[-2:]
        return functional.silu(y)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        halved, middle, y, down, first_back, second_back = ctx.saved_tensors
        slope = torch.ops.aten.silu_backward(channels_last(slope), y)
        back = through_silu(functional.conv2d(slope, second_back, padding=1), middle)
        back = through_silu(functional.conv2d(back, first_back, padding=1), halved)
        return halved_back(back.add_(slope), down, *ctx.size), *[None] * 8
