"""The common part of the task networks: the encoder, pooled over the image, joined with the conditions."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from tuningfork.networks.encoder import Encoder
from tuningfork.networks.inputs import conditions_size

Rings = Sequence[Sequence[float]]
"""Radii (px) of the rings in which the three maps of the encoder are pooled."""
POOL_RINGS: Rings = ((2.0, 6.0, 12.0, 22.0, 40.0), (2.0, 8.0, 16.0, 28.0, 46.0), (6.0, 20.0, 42.0))
RING_LOG_WIDTH = 0.35
"""Standard deviation of a ring in ln(radius)."""
RADIUS_SOFTENING = 2.0
"""Added to radii before the logarithm (px)."""
VECTOR_LENGTH = 128
"""Length of the vector that the heads read, unless a network has its own."""


class AttentionPool(nn.Module):
    """Mean of a map weighted by a learned attention over its positions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.score = nn.Linear(channels, 1)

    def forward(self, flat: Tensor) -> Tensor:
        """Pool.

        Parameters
        ----------
        flat : Tensor
            (N, H x W, channels)

        Returns
        -------
        Tensor
            (N, channels)
        """
        weight = torch.softmax(self.score(flat), dim=1)
        return (weight.transpose(1, 2) @ flat)[:, 0]


class HarmonicPool(nn.Module):
    """The lowest three circular harmonics of a map in rings about its centre.

    The second harmonic of the light in rings is the classical measure of bars and of ellipticity (Ohta+ 1990,
    Laurikainen+ 2004); here it is computed for every feature. Its amplitude does not depend on the orientation.

    Parameters
    ----------
    shrink : int
        Width of a position of the map in pixels of the stamp.
    rings : sequence of float
        Radii of the rings (px of the stamp), which are Gaussians in ln(radius).
    """

    def __init__(self, shrink: int, rings: Sequence[float]) -> None:
        super().__init__()
        self.shrink, self.rings = shrink, tuple(rings)

    def forward(self, flat: Tensor, height: int, width: int) -> Tensor:
        """Pool.

        Parameters
        ----------
        flat : Tensor
            (N, H x W, channels)
        height, width : int
            Of the map.

        Returns
        -------
        Tensor
            (N, 5 x rings x channels): mean, lopsidedness, cosine, sine and amplitude.
        """
        return amplitudes(self.weights(height, width, flat.device) @ flat).flatten(1)

    def weights(self, height: int, width: int, device: torch.device) -> Tensor:
        """Return the weights of the positions: mean, and the waves once and twice around.

        Parameters
        ----------
        height, width : int
            Of the map.
        device : torch.device

        Returns
        -------
        Tensor
            (5 x rings, H x W)
        """
        return _harmonics(height, width, self.shrink, self.rings, device)


def amplitudes(waves: Tensor) -> Tensor:
    """Turn waves into features that depend on the orientation only where they must.

    Parameters
    ----------
    waves : Tensor
        (N, 5 x rings, C): mean, and the waves once and twice around.

    Returns
    -------
    Tensor
        (N, 5 x rings, C): mean, lopsidedness, cosine, sine and amplitude.
    """
    mean, across, along, cosine, sine = waves.chunk(5, dim=1)
    lopsided = torch.sqrt(across**2 + along**2 + 1e-4)
    elongated = torch.sqrt(cosine**2 + sine**2 + 1e-4)
    return torch.cat([mean, lopsided, cosine, sine, elongated], dim=1)


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def _harmonics(height: int, width: int, shrink: int, rings: tuple[float, ...], device: torch.device) -> Tensor:
    """Return the weights (5 x rings, height * width).

    Outside of inference mode, so that the cached tensor can be used where derivatives are taken.
    """
    y = (torch.arange(height) - (height - 1) / 2)[:, None] * shrink
    x = (torch.arange(width) - (width - 1) / 2)[None] * shrink
    radius = torch.hypot(x.expand(height, width), y.expand(height, width))
    # The innermost position lies at shrink / sqrt(2). Thanks to the softening, a ring of radius 0 is a disc.
    scale = torch.log((radius + RADIUS_SOFTENING)[None] / (torch.tensor(rings) + RADIUS_SOFTENING)[:, None, None])
    window = torch.exp(-(scale**2) / (2 * RING_LOG_WIDTH**2))
    window = window / window.sum((1, 2), keepdim=True)
    angle = torch.atan2(y, x)
    waves = [torch.ones_like(angle), *(wave(m * angle) for m in (1, 2) for wave in (torch.cos, torch.sin))]
    return torch.cat([window * wave for wave in waves]).flatten(1).to(device)


class Pools(nn.ModuleList):
    """The pools of the encoder's three maps: by attention, and in rings.

    Parameters
    ----------
    channels : sequence of int
        Of the three maps.
    rings : sequence of sequences of float
        Radii (px) of the rings in each map.
    """

    def __init__(self, channels: Sequence[int], rings: Rings) -> None:
        super().__init__(AttentionPool(number) for number in channels)
        self.extend(HarmonicPool(4 * 2**level, radii) for level, radii in enumerate(rings))
        self.length = sum(number * (1 + 5 * len(radii)) for number, radii in zip(channels, rings, strict=True))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Pool.

        Parameters
        ----------
        maps : sequence of Tensor
            (N, C, H, W) each.

        Returns
        -------
        Tensor
            float32 (N, `length`)
        """
        attentions, harmonics = self.pairs()
        flat = [x.permute(0, 2, 3, 1).flatten(1, 2).float() for x in maps]
        pooled = [pool(x) for pool, x in zip(attentions, flat, strict=True)]
        pooled += [pool(x, *whole.shape[-2:]) for pool, x, whole in zip(harmonics, flat, maps, strict=True)]
        return torch.cat(pooled, dim=1)

    def pairs(self) -> tuple[list[nn.Module], list[nn.Module]]:
        """Return the attention pools and the harmonic pools."""
        layers = list(self)
        return layers[: len(layers) // 2], layers[len(layers) // 2 :]


class Trunk(nn.Module):
    """Encoder, pooling and conditions: from image and conditions to one vector and the standardised conditions.

    Parameters
    ----------
    bands : sequence of str
        The survey's bands.
    reference_band : str
    width : int
        Of the encoder.
    size : int
        Width and height of the stamps that the network was trained on (px); it can read others too.
    profile : bool
        Whether the last part of the conditions is read, which holds the second moments. They depend on bars; a network
        that is given them need not look for the bar in the image, and its saliency map does not show it.
    hidden : int
        Length of the vector.
    rings : sequence of sequences of float
        Radii (px) of the rings in which the three maps of the encoder are pooled.
    further : int
        Number of values that a network adds to the pooled ones.
    """

    conditions_mean: Tensor
    conditions_std: Tensor

    def __init__(
        self,
        bands: Sequence[str],
        reference_band: str,
        width: int,
        size: int = 128,
        profile: bool = True,
        hidden: int = VECTOR_LENGTH,
        rings: Rings = POOL_RINGS,
        further: int = 0,
    ) -> None:
        super().__init__()
        self.bands, self.reference_band, self.width, self.size = list(bands), reference_band, width, size
        self.encoder = Encoder(len(bands), width)
        count = conditions_size(len(bands), profile)
        self.register_buffer("conditions_mean", torch.zeros(count))
        self.register_buffer("conditions_std", torch.ones(count))
        self.pools = Pools(self.encoder.channels, rings)
        self.embed = nn.Linear(count, hidden)
        self.join = nn.Linear(self.pools.length + further + hidden, hidden)
        self.mix = nn.Linear(hidden, hidden)

    def standardise(self, conditions: Tensor) -> None:
        """Compute mean and spread of the conditions.

        Parameters
        ----------
        conditions : Tensor
            (N, C), a sample of the training set.
        """
        conditions = conditions[:, : len(self.conditions_mean)]
        self.conditions_mean.copy_(conditions.mean(0))
        self.conditions_std.copy_(conditions.std(0, unbiased=False).clamp(min=0.05))

    def forward(self, inputs: Tensor, conditions: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the vector that the heads read.

        Parameters
        ----------
        inputs : Tensor
            (N, B, S, S), from :func:`tuningfork.networks.inputs.prepare`.
        conditions : Tensor
            (N, C), likewise.

        Returns
        -------
        vector : Tensor
            float32 (N, hidden)
        facts : Tensor
            float32, the standardised conditions that are read.
        """
        return self.join_up(self.encoder(inputs), conditions)

    def join_up(self, maps: Sequence[Tensor], conditions: Tensor, *further: Tensor) -> tuple[Tensor, Tensor]:
        """Do the work of :meth:`forward` on the encoder's maps.

        Parameters
        ----------
        maps : sequence of Tensor
            From the encoder.
        conditions : Tensor
            (N, C)
        *further : Tensor
            (N, K), values that a network adds to the pooled ones.

        Returns
        -------
        vector, facts : Tensor
            See :meth:`forward`.
        """
        with torch.autocast(maps[0].device.type, enabled=False):
            pooled = self.pools(maps)
            facts = conditions[:, : len(self.conditions_mean)].float()
            facts = ((facts - self.conditions_mean) / self.conditions_std).clamp(-6, 6)
            joined = torch.cat([pooled, *further, functional.silu(self.embed(facts))], dim=1)
            vector = functional.silu(self.join(joined))
            return vector + functional.silu(self.mix(vector)), facts


def bounded(x: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
    """Map numbers smoothly into (low, high), with unit slope at zero, which maps to the middle.

    Parameters
    ----------
    x : Tensor
    low, high : float or Tensor

    Returns
    -------
    Tensor
        Of the shape of `x`.
    """
    half = (high - low) / 2
    return (low + high) / 2 + half * torch.tanh(x / half)
