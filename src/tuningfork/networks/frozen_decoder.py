"""Decoder and mask of a network that only answers."""

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from tuningfork.networks.frozen_layers import Fixed, channels_last, flattened, mirrored, unflattened
from tuningfork.networks.morphology import BarMask, Decoder, enlarged, share_of_bar


class FixedDecoder(Fixed):
    """The features of :class:`~tuningfork.networks.morphology.Decoder`."""

    def __init__(self, decoder: Decoder, dtype: torch.dtype) -> None:
        blend = decoder.blend.kernel()
        tensors = {"blend": blend, "blend_bias": decoder.blend.bias, "blend_back": mirrored(blend)}
        for level, layer in enumerate(decoder.lateral):
            tensors |= {f"lateral_{level}": layer.weight, f"bias_{level}": layer.bias}
        super().__init__(dtype, **tensors)

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        """Map the encoder's maps to (N, depth, S / 4, S / 4)."""
        blend, blend_bias, blend_back, *lateral = self.tensors()
        levels = list(zip(maps, lateral[0::2], lateral[1::2], strict=True))
        quarter, eighth, sixteenth = (functional.conv2d(*level) for level in levels)
        total = quarter + enlarged(eighth + enlarged(sixteenth, eighth), quarter)
        return cast(Tensor, _BlendFunction.apply(total, blend, blend_bias, blend_back))


class _BlendFunction(torch.autograd.Function):
    """silu(f + blend(f)) of f = silu(x)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, bias: Tensor, back: Tensor) -> Tensor:
        features = functional.silu(x)
        y = functional.conv2d(features, kernel, bias, padding=1).add_(features)
        ctx.save_for_backward(x, y, back)
        return functional.silu(y)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        x, y, back = ctx.saved_tensors
        slope = torch.ops.aten.silu_backward(channels_last(slope), y)
        found = functional.conv2d(slope, back, padding=1).add_(slope)
        return torch.ops.aten.silu_backward.grad_input(found, x, grad_input=found), None, None, None


class FixedMask(Fixed):
    """The mask and the means of :class:`~tuningfork.networks.morphology.BarMask`."""

    def __init__(self, mask: BarMask, dtype: torch.dtype) -> None:
        super().__init__(dtype, weight=mask.weight.flatten(1), bias=mask.bias)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, depth, H, W) to the mask's logits (N, 1, H, W) and the two means (N, 2 x depth), float32."""
        mask, means = _MaskFunction.apply(features, *self.tensors())
        return mask, means


class _MaskFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        flat = flattened(channels_last(x))
        mask = unflattened(functional.linear(flat, weight, bias).float(), *x.shape[-2:])
        share = share_of_bar(mask).flatten(1)
        shares = torch.stack([share, torch.full_like(share, 1 / share.shape[1])], dim=1)
        ctx.save_for_backward(flat, mask, shares, weight)
        return mask, torch.bmm(shares.to(flat.dtype), flat).float().flatten(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, mask_slope: Tensor, slope: Tensor) -> tuple[Tensor | None, ...]:
        flat, mask, shares, weight = ctx.saved_tensors
        slope = slope.unflatten(1, (2, -1)).to(flat.dtype)
        # The share is sigmoid(mask) over its sum.
        by_share = torch.bmm(flat, slope[:, 0, :, None])[..., 0].float()
        share = shares[:, 0]
        by_mask = share * (1 - mask.flatten(1).sigmoid()) * (by_share - (by_share * share).sum(1, keepdim=True))
        by_mask = by_mask + mask_slope.flatten(1)
        parts = torch.cat([shares, by_mask[:, None]], dim=1).to(flat.dtype)
        towards = torch.cat([slope, weight.expand(len(slope), 1, -1)], dim=1)
        return unflattened(torch.bmm(parts.transpose(1, 2), towards), *mask.shape[-2:]), None, None
