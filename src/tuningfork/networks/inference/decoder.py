"""Decoder and mask of an inference network."""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from tuningfork.networks.inference.layers import InferenceConv, channels_last, flattened, through_silu, unflattened
from tuningfork.networks.morphology import BarMask, Decoder, enlarged, share_of_bar


class InferenceDecoder(nn.Module):
    """The features of :class:`~tuningfork.networks.morphology.Decoder`."""

    def __init__(self, decoder: Decoder, dtype: torch.dtype) -> None:
        super().__init__()
        laterals = [cast(nn.Conv2d, layer) for layer in decoder.lateral]
        self.lateral = [InferenceConv(dtype, layer.weight, layer.bias) for layer in laterals]
        self.blend = InferenceConv(dtype, decoder.blend.kernel(), decoder.blend.bias)
        self.blend_back = self.blend.back()

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        """Combine the maps.

        Parameters
        ----------
        maps : tuple of Tensor
            From the encoder.

        Returns
        -------
        Tensor
            (N, depth, S / 4, S / 4)
        """
        quarter, eighth, sixteenth = (layer(x) for x, layer in zip(maps, self.lateral, strict=True))
        total = quarter + enlarged(eighth + enlarged(sixteenth, eighth), quarter)
        return cast(Tensor, _BlendFunction.apply(total, self))


class _BlendFunction(torch.autograd.Function):
    """silu(f + blend(f)) of f = silu(x)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: InferenceDecoder) -> Tensor:
        features = functional.silu(x)
        y = layer.blend(features).add_(features)
        ctx.save_for_backward(x, y)
        ctx.layer = layer
        return functional.silu(y)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        x, y = ctx.saved_tensors
        slope = torch.ops.aten.silu_backward(channels_last(slope), y)
        return through_silu(ctx.layer.blend_back(slope).add_(slope), x), None


class InferenceMask(nn.Module):
    """The mask and the means of :class:`~tuningfork.networks.morphology.BarMask`."""

    def __init__(self, mask: BarMask, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight = mask.weight.detach().flatten(1).to(dtype)
        self.bias = None if mask.bias is None else mask.bias.detach().to(dtype)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Find the bar.

        Parameters
        ----------
        features : Tensor
            (N, depth, H, W)

        Returns
        -------
        mask : Tensor
            float32 (N, 1, H, W), logits.
        means : Tensor
            float32 (N, 2 x depth), on the bar and over the stamp.
        """
        mask, means = _MaskFunction.apply(features, self.weight, self.bias)
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
