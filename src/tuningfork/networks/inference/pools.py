"""The pools of an inference network."""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from tuningfork.networks.inference.layers import channels_last, flattened, unflattened
from tuningfork.networks.trunk import AttentionPool, HarmonicPool, Pools, amplitudes


class InferencePools(nn.Module):
    """The pooled features of :class:`~tuningfork.networks.trunk.Pools`."""

    def __init__(self, pools: Pools, dtype: torch.dtype) -> None:
        super().__init__()
        self.pools = nn.ModuleList(
            InferencePool(cast(AttentionPool, attention), cast(HarmonicPool, harmonic), dtype)
            for attention, harmonic in zip(*pools.pairs(), strict=True)
        )

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        """Pool.

        Parameters
        ----------
        maps : tuple of Tensor
            (N, C, H, W) each.

        Returns
        -------
        Tensor
            float32 (N, length)
        """
        means, rings = zip(*(pool(x) for pool, x in zip(self.pools, maps, strict=True)), strict=True)
        return torch.cat([*means, *rings], dim=1)


class InferencePool(nn.Module):
    """The mean of a map by attention, and its harmonics in rings."""

    def __init__(self, attention: AttentionPool, harmonic: HarmonicPool, dtype: torch.dtype) -> None:
        super().__init__()
        self.score, self.harmonic = attention.score.weight.detach().to(dtype), harmonic

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pool.

        Parameters
        ----------
        x : Tensor
            (N, C, H, W)

        Returns
        -------
        mean : Tensor
            float32 (N, C), by attention.
        rings : Tensor
            float32 (N, 5 x rings x C)
        """
        weights = self.harmonic.weights(x.shape[2], x.shape[3], x.device).to(self.score.dtype)
        mean, rings = _PoolFunction.apply(x, self.score, weights)
        return mean, rings


class _PoolFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, score: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        flat = flattened(channels_last(x))
        # A bias would add the same to all scores and so change nothing.
        attention = torch.softmax(functional.linear(flat, score)[..., 0].float(), dim=1)
        waves = torch.matmul(weights, flat).float()
        rings = amplitudes(waves)
        ctx.save_for_backward(flat, attention, score, weights, waves, rings)
        ctx.size = x.shape[-2:]
        return torch.bmm(attention[:, None].to(flat.dtype), flat)[:, 0].float(), rings.flatten(1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, mean_slope: Tensor, ring_slope: Tensor) -> tuple[Tensor | None, ...]:
        flat, attention, score, weights, waves, rings = ctx.saved_tensors
        mean_slope = mean_slope[:, None].to(flat.dtype)
        by_attention = torch.bmm(flat, mean_slope.transpose(1, 2))[..., 0].float()
        by_score = attention * (by_attention - (by_attention * attention).sum(1, keepdim=True))
        parts = torch.stack([attention, by_score], dim=2).to(flat.dtype)
        towards = torch.cat([mean_slope, score.expand(len(flat), 1, -1)], dim=1)
        by_waves = _by_waves(ring_slope.view_as(waves), waves, rings).to(flat.dtype)
        # A transposed view would be copied once for every image.
        back = weights.T.contiguous().expand(len(flat), -1, -1)
        return unflattened(torch.bmm(back, by_waves).baddbmm_(parts, towards), *ctx.size), None, None


def _by_waves(slope: Tensor, waves: Tensor, rings: Tensor) -> Tensor:
    """Turn derivatives by the output of :func:`~tuningfork.networks.trunk.amplitudes` into those by its input."""
    mean, lopsided, cosine, sine, elongated = slope.chunk(5, dim=1)
    _, across, along, across_twice, along_twice = waves.chunk(5, dim=1)
    lopsided = lopsided / rings.chunk(5, dim=1)[1]
    elongated = elongated / rings.chunk(5, dim=1)[4]
    return torch.cat(
        [
            mean,
            lopsided * across,
            lopsided * along,
            torch.addcmul(cosine, elongated, across_twice),
            torch.addcmul(sine, elongated, along_twice),
        ],
        dim=1,
    )
