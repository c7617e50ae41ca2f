"""The encoder of an inference network."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from tuningfork.networks.encoder import INPUT_SCALE, Encoder, Residual, SmoothDown
from tuningfork.networks.inference.layers import InferenceConv, channels_last, through_silu

START_BATCH = 16
"""Images that the first layers process at once, so that their maps, the largest, stay in the processor's cache."""


class InferenceEncoder(nn.Module):
    """The feature maps of :class:`~tuningfork.networks.encoder.Encoder`."""

    def __init__(self, encoder: Encoder, dtype: torch.dtype) -> None:
        super().__init__()
        downs, blocks = zip(*(encoder.quarter, encoder.eighth, encoder.sixteenth), strict=True)
        self.start = InferenceStart(encoder.stem, cast(SmoothDown, downs[0]), dtype)
        self.downs = [InferenceDown(cast(SmoothDown, down), dtype) for down in downs[1:]]
        self.blocks = [InferenceResidual(cast(Residual, block), dtype) for block in blocks]

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Compute the features.

        Parameters
        ----------
        inputs : Tensor
            Images (N, B, S, S), or their cells (see :class:`InferenceStart`).

        Returns
        -------
        tuple of Tensor
            Features of size S / 4, S / 8 and S / 16.
        """
        maps = [self.blocks[0](self.start(inputs))]
        for down, block in zip(self.downs, self.blocks[1:], strict=True):
            maps.append(block(down(maps[-1])))
        return tuple(maps)


class InferenceStart:
    """The first two halving convolutions.

    Convolutions and their derivatives work on blocks of 16 input channels, most of which are empty for an image.
    Therefore cells of 2 x 2 pixels become channels, and the first kernel of 6 x 6 pixels becomes one of 3 x 3 cells
    without a stride.

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
        self.stem, self.down = InferenceConv(dtype, kernel, stem.bias), InferenceDown(down, dtype)
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
    def forward(ctx: Any, x: Tensor, size: tuple[int, int], layer: InferenceStart) -> Tensor:
        kept, parts = [], []
        for piece in x.split(START_BATCH):
            y = layer.stem(channels_last(piece.to(layer.stem.kernel.dtype)))
            # Incomplete cells at the edges are dropped, as a stride would drop them.
            kept.append(channels_last(y[..., : size[0], : size[1]]))
            parts.append(layer.down.conv(functional.silu(kept[-1])))
        ctx.save_for_backward(*kept)
        ctx.layer, ctx.rest = layer, (0, x.shape[3] - size[1], 0, x.shape[2] - size[0])
        return torch.cat(parts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        layer: InferenceStart = ctx.layer
        parts = []
        for piece, y in zip(channels_last(slope).split(START_BATCH), ctx.saved_tensors, strict=True):
            back = through_silu(layer.down.back(piece, y.shape[2:]), y)
            back = channels_last(functional.pad(back, ctx.rest)) if any(ctx.rest) else back
            parts.append(layer.stem_back(back))
        return torch.cat(parts), None, None


class InferenceDown:
    """A halving convolution with a kernel of 4 x 4."""

    def __init__(self, layer: SmoothDown, dtype: torch.dtype) -> None:
        self.conv = InferenceConv(dtype, layer.kernel(), layer.bias, stride=2)

    def __call__(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / 2, W / 2), rounded down."""
        return cast(Tensor, _DownFunction.apply(x, self))

    def back(self, slope: Tensor, size: Sequence[int]) -> Tensor:
        """Turn derivatives by the output into those by the input.

        Parameters
        ----------
        slope : Tensor
            (N, outputs, h, w)
        size : sequence of int
            Height and width of the input.

        Returns
        -------
        Tensor
            (N, inputs, H, W)
        """
        return functional.conv_transpose2d(slope, self.conv.kernel, None, 2, 1, [length % 2 for length in size])


class _DownFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: InferenceDown) -> Tensor:
        ctx.layer, ctx.size = layer, x.shape[2:]
        return layer.conv(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        return ctx.layer.back(channels_last(slope), ctx.size), None


class InferenceResidual:
    """A residual block, whose gain is part of the second kernel, and an activation."""

    def __init__(self, block: Residual, dtype: torch.dtype) -> None:
        self.first = InferenceConv(dtype, block.first.kernel(), block.first.bias)
        self.second = InferenceConv(dtype, block.gain * block.second.kernel(), block.gain * block.second.bias)
        self.first_back, self.second_back = self.first.back(), self.second.back()

    def __call__(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to the same shape."""
        return cast(Tensor, _ResidualFunction.apply(x, self))


class _ResidualFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: InferenceResidual) -> Tensor:
        middle = layer.first(functional.silu(x))
        y = layer.second(functional.silu(middle)).add_(x)
        ctx.save_for_backward(x, middle, y)
        ctx.layer = layer
        return functional.silu(y)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        layer: InferenceResidual = ctx.layer
        x, middle, y = ctx.saved_tensors
        slope = torch.ops.aten.silu_backward(channels_last(slope), y)
        back = through_silu(layer.second_back(slope), middle)
        return through_silu(layer.first_back(back), x).add_(slope), None
