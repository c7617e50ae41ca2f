"""One galaxy on its way to a saliency map: the copies that a network is shown, and what they have added up to."""

import math
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from tuningfork.explain.azimuthal import azimuthal_mean
from tuningfork.explain.orientations import orientations

BLOCK = 8
"""Fewest copies of a stamp that are added at once."""


@dataclass(frozen=True)
class Attribution:
    """How maps are made.

    Attributes
    ----------
    samples : int
        Copies of each stamp, at most; for integrated gradients the steps of the path.
    noise_level : float
        Standard deviation of the noise in units of (max - min) of that stamp's network input.
    batch_size : int
        Copies in one forward and backward pass; the maps do not depend on it.
    method : {"smoothgrad", "vargrad", "integrated_gradients"}
        Mean (Smilkov+ 2017) or variance (Adebayo+ 2018) of the derivatives over noisy copies, or their mean on the
        way from the galaxy's azimuthal mean, times what the galaxy has beyond that (Sundararajan+ 2017).
    sign : {"absolute", "signed"}
        Whether SmoothGrad takes the mean of absolute derivatives or the absolute value of their mean. The other two
        are defined by signed derivatives.
    rotations : int
        Orientations of the square (1 to 8) that the copies take in turn; each derivative is turned back. The
        grid that a network's strides leave in a map is averaged down at no cost.
    tolerance : float
        Relative standard error of a map, root mean square over its pixels, at which no further copies of that stamp
        are made; 0: never. The path of integrated gradients is always walked to its end.
    half_precision : bool
        Whether the passes run in bfloat16 where the hardware has it.
    """

    samples: int
    noise_level: float
    batch_size: int
    method: Literal["smoothgrad", "vargrad", "integrated_gradients"] = "smoothgrad"
    sign: Literal["absolute", "signed"] = "absolute"
    rotations: int = 1
    tolerance: float = 0.0
    half_precision: bool = False

    @property
    def block(self) -> int:
        """Copies that are added at once: whole pairs of opposite noise, every orientation equally often, in turn."""
        step = math.lcm(2, self.rotations)
        return step * -(-BLOCK // step)

    @property
    def takes_absolute(self) -> bool:
        """Whether each copy adds the absolute value of its derivatives."""
        return self.method == "smoothgrad" and self.sign == "absolute"


class Galaxy:
    """The copies of one stamp and the sums of their derivatives.

    Noise comes in pairs of opposite sign, which is as random for each copy and cancels what is odd in the noise
    (antithetic variates, Hammersley & Morton 1956). It depends on the seed and the number of the block alone. Even and
    odd blocks are summed apart: how far these halves of the copies differ tells the error of the map.

    Parameters
    ----------
    row : int
        Where the stamp stands among the others.
    image : Tensor
        (B, S, S) network input.
    seed : int
    how : Attribution
    models : int
        Networks in the ensemble.
    cell : int
        Width (px) of the cells whose pixels become channels, in the order of torch's pixel_unshuffle; 1: none do. What
        is seen of the copies is their cells, channels last.
    """

    def __init__(self, row: int, image: Tensor, seed: int, how: Attribution, models: int, cell: int = 1) -> None:
        self.row, self.image, self.seed, self.how = row, image, seed, how
        self.views = orientations(tuple(image.shape), cell, how.rotations, image.device)
        self.shown = 0
        self.turned = self.views.turned(image)
        self.sums = torch.zeros(2, models, *self.turned.shape, device=image.device)
        self.squares = torch.zeros_like(self.sums) if how.method == "vargrad" else None
        self.spread = how.noise_level * float(image.max() - image.min())
        self.excess = image - _without_bar(image) if how.method == "integrated_gradients" else None

    @property
    def due(self) -> int:
        """Copies in the next block; 0 if there is none."""
        return min(self.how.block, self.how.samples - self.shown)

    def copy_to(self, copies: Tensor) -> None:
        """Write the cells of the copies of the next block, each in its orientation, to (K, S / cell, S / cell, C)."""
        images, turned = self._in_turn(self.turned), copies.shape[1:]
        if self.excess is not None:
            excess = self._in_turn(self.views.turned(self.excess))
            torch.sub(images, self._before_the_end()[:, None, None, None] * excess, out=copies)
            return
        generator = torch.Generator(self.image.device)
        generator.manual_seed((self.seed + self.shown // self.how.block) % 2**63)
        noise = gaussian(((self.due + 1) // 2, *turned), self.spread, generator)
        # Noise is as random in any orientation, so that of a pair is drawn in the orientation of the first copy.
        torch.add(images[0::2], noise, out=copies[0::2])
        opposite = self.views.partners(noise.flatten(1)[: self.due // 2])
        torch.sub(images[1::2], opposite.unflatten(1, turned), out=copies[1::2])

    def _in_turn(self, turned: Tensor) -> Tensor:
        """Return from what (rotations, ...) stands in every orientation what the copies of the next block show."""
        if self.due == self.how.rotations:
            return turned
        return turned[torch.arange(self.due, device=turned.device) % self.how.rotations]

    def _before_the_end(self) -> Tensor:
        """Return how far from the end of the path each copy of the next block is, from 1 (its start) to 0.

        Every orientation walks the whole path, in steps of equal length, evaluated in their middle.
        """
        copy = torch.arange(self.shown, self.shown + self.due)
        turn = copy % self.how.rotations
        steps = (self.how.samples - turn + self.how.rotations - 1) // self.how.rotations
        return (1 - (copy // self.how.rotations + 0.5) / steps).to(self.image)

    def add(self, model: int, slopes: Tensor) -> None:
        """Add a model's derivatives (K, S / cell, S / cell, C) by the copies of a block, which are overwritten."""
        half = self.shown // self.how.block % 2
        for first in range(0, len(slopes), self.how.rotations):
            part = slopes[first : first + self.how.rotations]
            self.sums[half, model, : len(part)] += part.abs_() if self.how.takes_absolute else part
            if self.squares is not None:
                self.squares[half, model, : len(part)] += part.square()

    def done(self) -> bool:
        """Return whether no further copy is needed."""
        if self.due == 0:
            return True
        whole_pairs_of_blocks = self.shown % (2 * self.how.block) == 0
        if self.how.tolerance == 0 or self.excess is not None or not whole_pairs_of_blocks:
            return False
        difference = self._maps(slice(0, 1)) - self._maps(slice(1, 2))
        limit = 2 * self.how.tolerance * self.maps().square().mean((1, 2)).sqrt()
        return bool((difference.square().mean((1, 2)).sqrt() <= limit).all())

    def maps(self) -> Tensor:
        """Return the maps (M, S, S) of the copies so far, the maximum over the bands."""
        return self._maps(slice(0, 2))

    def _maps(self, halves: slice) -> Tensor:
        number = self.shown * (halves.stop - halves.start) / 2
        mean = self.views.turned_back(self.sums[halves].sum(0)) / number
        if self.squares is not None:
            mean = (self.views.turned_back(self.squares[halves].sum(0)) / number - mean.square()).clamp(min=0)
        elif self.excess is not None:
            mean = mean * self.excess
        return mean.abs().amax(1)


def gaussian(shape: tuple[int, ...], spread: float, generator: torch.Generator) -> Tensor:
    """Return Gaussian noise: quantiles of the distribution, chosen by 16 random bits each.

    Less than half the time of torch's `normal_`; no number is beyond 4.3 times `spread`.
    """
    bits = torch.empty(-(-math.prod(shape) // 4), dtype=torch.int64, device=generator.device)
    bits.random_(-(2**63), None, generator=generator)
    chosen = bits.view(torch.int16).int().add_(2**15)[: math.prod(shape)]
    return (spread * _quantiles(generator.device)).index_select(1, chosen).reshape(shape)


@cache
@torch.inference_mode(False)
def _quantiles(device: torch.device) -> Tensor:
    """Return as many quantiles (1, 2^16) of the normal distribution as 16 bits can tell apart, of unit variance."""
    found = torch.special.ndtri((torch.arange(2**16, dtype=torch.float64) + 0.5) / 2**16)
    return (found / found.std(correction=0)).float()[None].to(device)


def _without_bar(image: Tensor) -> Tensor:
    """Return the image with every pixel replaced by the mean of its circle about the centre."""
    size = image.shape[-1]
    rows, columns = np.indices((size, size)) - size // 2
    return azimuthal_mean(image[None], torch.from_numpy(np.hypot(rows, columns)))[0]
