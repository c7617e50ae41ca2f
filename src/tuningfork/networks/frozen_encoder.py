"""The encoder of a network that only answers."""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from tuningfork.networks.encoder import INPUT_SCALE, Encoder, Residual, SmoothDown
from tuningfork.networks.frozen_layers import FixedConv, channels_last, through_silu


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


class FixedStem(nn.Module):
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
        super().__init__()
        # (outputs, inputs, 6, 6) to (outputs, inputs x 2 x 2, 3, 3), in the order of pixel_unshuffle.
        self.conv = FixedConv(dtype, functional.pixel_unshuffle(scale * layer.kernel(), 2), layer.bias)
        self.back = self.conv.back()
        self.inputs = layer.weight.shape[1]

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W), or its cells (N, 4 x inputs, H / 2, W / 2), to (N, outputs, H / 2, W / 2)."""
        height, width = x.shape[-2:]
        if x.shape[1] != self.inputs:
            return cast(Tensor, _StemFunction.apply(x, self))
        cells = functional.pixel_unshuffle(functional.pad(x, (0, width % 2, 0, height % 2)), 2)
        y = cast(Tensor, _StemFunction.apply(cells, self))
        return channels_last(y[..., : height // 2, : width // 2])


class _StemFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: FixedStem) -> Tensor:
        y = layer.conv(channels_last(x.to(layer.conv.kernel.dtype)))
        ctx.save_for_backward(y)
        ctx.layer, ctx.dtype = layer, x.dtype
        return functional.silu(y)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        (y,) = ctx.saved_tensors
        return ctx.layer.back(torch.ops.aten.silu_backward(channels_last(slope), y)).to(ctx.dtype), None


class FixedStage(nn.Module):
    """A halving convolution, a residual block, its gain part of the second kernel, and an activation."""

    def __init__(self, down: SmoothDown, block: Residual, dtype: torch.dtype) -> None:
        super().__init__()
        self.down = FixedConv(dtype, down.kernel(), down.bias, stride=2)
        self.first = FixedConv(dtype, block.first.kernel(), block.first.bias)
        self.second = FixedConv(dtype, block.gain * block.second.kernel(), block.gain * block.second.bias)
        self.first_back, self.second_back = self.first.back(), self.second.back()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / 2, W / 2), rounded down."""
        return cast(Tensor, _StageFunction.apply(x, self))


class _StageFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: FixedStage) -> Tensor:
        halved = layer.down(x)
        middle = layer.first(functional.silu(halved))
        y = layer.second(functional.silu(middle)).add_(halved)
        ctx.save_for_backward(halved, middle, y)
        ctx.layer, ctx.odd = layer, tuple(length % 2 for length in x.shape[-2:])
        return functional.silu(y)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        layer: FixedStage = ctx.layer
        halved, middle, y = ctx.saved_tensors
        slope = torch.ops.aten.silu_backward(channels_last(slope), y)
        back = through_silu(layer.second_back(slope), middle)
        back = through_silu(layer.first_back(back), halved).add_(slope)
        return functional.conv_transpose2d(back, layer.down.kernel, None, 2, 1, ctx.odd), None
