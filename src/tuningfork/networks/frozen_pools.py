"""The pools of a network that only answers."""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from tuningfork.networks.frozen_layers import Fixed, channels_last, flattened, unflattened
from tuningfork.networks.trunk import AttentionPool, HarmonicPool, Pools, amplitudes


class FixedPools(nn.Module):
    """All that :class:`~tuningfork.networks.trunk.Pools` takes from the encoder's maps."""

    def __init__(self, pools: Pools, dtype: torch.dtype) -> None:
        super().__init__()
        self.pools = nn.ModuleList(
            FixedPool(cast(AttentionPool, attention), cast(HarmonicPool, harmonic), dtype)
            for attention, harmonic in zip(*pools.pairs(), strict=True)
        )

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        """Pool (N, C, H, W) each to (N, length), float32."""
        sums = [pool(x) for pool, x in zip(self.pools, maps, strict=True)]
        return torch.cat([*(x[:, -1] for x in sums), *(amplitudes(x[:, :-1]) for x in sums)], dim=1)


class FixedPool(Fixed):
    """The harmonics of a map and, last, its mean by attention."""

    score: Tensor

    def __init__(self, attention: AttentionPool, harmonic: HarmonicPool, dtype: torch.dtype) -> None:
        super().__init__(dtype, score=attention.score.weight)
        self.harmonic = harmonic

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, 5 x rings + 1, C), float32."""
        weights = self.harmonic.weights(*x.shape[2:], x.device).to(self.score.dtype)
        sums: Tensor = _PoolFunction.apply(x, self.score, weights)
        return sums


class _PoolFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, score: Tensor, weights: Tensor) -> Tensor:
        flat = flattened(channels_last(x))
        # A bias would add the same to all scores.
        attention = torch.softmax(functional.linear(flat, score)[..., 0].float(), dim=1)
        ctx.save_for_backward(flat, attention, score, weights)
        ctx.size = x.shape[-2:]
        rings = torch.matmul(weights, flat)
        return torch.cat([rings, torch.bmm(attention[:, None].to(flat.dtype), flat)], dim=1).float()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        flat, attention, score, weights = ctx.saved_tensors
        slope = slope.to(flat.dtype)
        by_attention = torch.bmm(flat, slope[:, -1, :, None])[..., 0].float()
        by_score = attention * (by_attention - (by_attention * attention).sum(1, keepdim=True))
        parts = torch.stack([attention, by_score], dim=2).to(flat.dtype)
        towards = torch.cat([slope[:, -1:], score.expand(len(slope), 1, -1)], dim=1)
        # A transposed view would be copied once for every image.
        rings = weights.T.contiguous().expand(len(slope), -1, -1)
        found = torch.bmm(rings, slope[:, :-1]).baddbmm_(parts, towards)
        return unflattened(found, *ctx.size), None, None
