"""The encoder of a network that only answers."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from tuningfork.networks.encoder import INPUT_SCALE, Encoder, Residual, SmoothDown
from tuningfork.networks.inference.layers import FixedConv, channels_last, through_silu

PIECE = 16
"""Images that the first layers take at once: their maps, the largest, stay in the processor's cache."""


class FixedEncoder(nn.Module):
    """The feature maps of :class:`~tuningfork.networks.encoder.Encoder`."""

    def __init__(self, encoder: Encoder, dtype: torch.dtype) -> None:
        super().__init__()
        downs, blocks = zip(*(encoder.quarter, encoder.eighth, encoder.sixteenth), strict=True)
        self.start = FixedStart(encoder.stem, cast(SmoothDown, downs[0]), dtype)
        self.downs = [FixedDown(cast(SmoothDown, down), dtype) for down in downs[1:]]
        self.blocks = [FixedResidual(cast(Residual, block), dtype) for block in blocks]

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Map images (N, B, S, S), or their cells (see :class:`FixedStart`), to features of S/4, S/8 and S/16."""
        maps = [self.blocks[0](self.start(inputs))]
        for down, block in zip(self.downs, self.blocks[1:], strict=True):
            maps.append(block(down(maps[-1])))
        return tuple(maps)


class FixedStart:
    """The first two halving convolutions.

    Convolutions and their derivatives work on blocks of 16 channels of the input, most of which are empty in an image.
    So cells of 2 x 2 pixels become channels, and the first kernel of 6 x 6 pixels one of 3 x 3 cells, without a stride.

    Parameters
    ----------
    stem : SmoothDown
        With a blur of 4.
    down : SmoothDown
    dtype : torch.dtype
    """

    def __init__(self, stem: SmoothDown, down: SmoothDown, dtype: torch.dtype) -> None:
        self.inputs = stem.weight.shape[1]
        # (outputs, inputs, 6, 6) to (outputs, inputs x 2 x 2, 3, 3), in the order of pixel_unshuffle.
        kernel = functional.pixel_unshuffle(INPUT_SCALE * stem.kernel(), 2)
        self.stem, self.down = FixedConv(dtype, kernel, stem.bias), FixedDown(down, dtype)
        self.stem_back = self.stem.back()

    def __call__(self, x: Tensor) -> Tensor:
        """Map images (N, B, S, S), or their cells (N, 4 B, S / 2, S / 2), to (N, outputs, S / 4, S / 4)."""
        height, width = x.shape[-2:]
        if x.shape[1] != self.inputs:
            return cast(Tensor, _StartFunction.apply(x, (height, width), self))
        cells = functional.pixel_unshuffle(functional.pad(x, (0, width % 2, 0, height % 2)), 2)
        return cast(Tensor, _StartFunction.apply(cells, (height // 2, width // 2), self))


class _StartFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, size: tuple[int, int], layer: FixedStart) -> Tensor:
        kept, found = [], []
        for piece in x.split(PIECE):
            y = layer.stem(channels_last(piece.to(layer.stem.kernel.dtype)))
            # Cells that are not whole have no place in the next map.
            kept.append(channels_last(y[..., : size[0], : size[1]]))
            found.append(layer.down.conv(functional.silu(kept[-1])))
        ctx.save_for_backward(*kept)
        ctx.layer, ctx.rest = layer, (0, x.shape[3] - size[1], 0, x.shape[2] - size[0])
        return torch.cat(found)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        layer: FixedStart = ctx.layer
        found = []
        for piece, y in zip(channels_last(slope).split(PIECE), ctx.saved_tensors, strict=True):
            back = through_silu(layer.down.back(piece, y.shape[2:]), y)
            back = channels_last(functional.pad(back, ctx.rest)) if any(ctx.rest) else back
            found.append(layer.stem_back(back))
        return torch.cat(found), None, None


class FixedDown:
    """A halving convolution with a kernel of 4 x 4."""

    def __init__(self, layer: SmoothDown, dtype: torch.dtype) -> None:
        self.conv = FixedConv(dtype, layer.kernel(), layer.bias, stride=2)

    def __call__(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / 2, W / 2), rounded down."""
        return cast(Tensor, _DownFunction.apply(x, self))

    def back(self, slope: Tensor, size: Sequence[int]) -> Tensor:
        """Return slopes by the input, of that height and width."""
        return functional.conv_transpose2d(slope, self.conv.kernel, None, 2, 1, [length % 2 for length in size])


class _DownFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: FixedDown) -> Tensor:
        ctx.layer, ctx.size = layer, x.shape[2:]
        return layer.conv(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        return ctx.layer.back(channels_last(slope), ctx.size), None


class FixedResidual:
    """A residual block, its gain part of the second kernel, and an activation."""

    def __init__(self, block: Residual, dtype: torch.dtype) -> None:
        self.first = FixedConv(dtype, block.first.kernel(), block.first.bias)
        self.second = FixedConv(dtype, block.gain * block.second.kernel(), block.gain * block.second.bias)
        self.first_back, self.second_back = self.first.back(), self.second.back()

    def __call__(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        return cast(Tensor, _ResidualFunction.apply(x, self))


class _ResidualFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: FixedResidual) -> Tensor:
        middle = layer.first(functional.silu(x))
        y = layer.second(functional.silu(middle)).add_(x)
        ctx.save_for_backward(x, middle, y)
        ctx.layer = layer
        return functional.silu(y)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        layer: FixedResidual = ctx.layer
        x, middle, y = ctx.saved_tensors
        slope = torch.ops.aten.silu_backward(channels_last(slope), y)
        back = through_silu(layer.second_back(slope), middle)
        return through_silu(layer.first_back(back), x).add_(slope), None
