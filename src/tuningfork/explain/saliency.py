"""SmoothGrad: which pixels the bar answer hangs on.

Smilkov+ 2017 (arXiv:1706.03825), as used on galaxies by Bhambra, Joachimi & Lahav 2022 (MNRAS 511, 5032): the mean,
over noisy copies of the network's input, of the absolute derivative of the bar logit by each pixel.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tuningfork.networks.ensemble import mixed_precision
from tuningfork.networks.inputs import dihedral, undo_dihedral

Target = Callable[[Mapping[str, Tensor]], Tensor]
"""Takes a network's prediction for K stamps to the K numbers whose derivatives are wanted."""


def bar_logit(prediction: Mapping[str, Tensor]) -> Tensor:
    """Return the logit of "there is a bar"."""
    return prediction["bar_logit"]


def log_bar_length(prediction: Mapping[str, Tensor]) -> Tensor:
    """Return the regressed logarithm of the bar's length."""
    return prediction["log_bar_length"][:, 0]


TARGETS: dict[str, Target] = {"bar": bar_logit, "length": log_bar_length}
"""What the configuration's `saliency.target` may name."""


@dataclass(frozen=True)
class SmoothGrad:
    """How maps are made.

    Attributes
    ----------
    samples : int
        Noisy copies of each stamp.
    noise_level : float
        Standard deviation of the noise in units of (max - min) of that stamp's network input.
    batch_size : int
        Copies in one forward and backward pass; the maps do not depend on it.
    rotations : int
        Orientations of the square (1 to 8) that the copies take in turn; each derivative is turned back. The
        grid that a network's strides leave in a map is averaged down at no cost.
    half_precision : bool
        Whether the passes run in bfloat16 where the hardware has it.
    """

    samples: int
    noise_level: float
    batch_size: int
    rotations: int = 1
    half_precision: bool = False


def smoothgrad(
    models: Sequence[nn.Module],
    inputs: Tensor,
    conditions: Tensor,
    seeds: Sequence[int],
    settings: SmoothGrad,
    target: Target = bar_logit,
) -> Tensor:
    """Return the saliency maps of some stamps.

    The noisy copies are made once and shown to every model; the memory needed is that of one batch of copies a thread
    and of the maps. Conditions (PSF and the like) are held fixed.

    Parameters
    ----------
    models : sequence of Module
        The ensemble, in evaluation mode, called as ``model(inputs, conditions)``. Weights that want no derivatives,
        as :func:`tuningfork.networks.model_file.load` returns them, save a third of the backward pass.
    inputs : Tensor
        (N, B, S, S) network inputs.
    conditions : Tensor
        (N, C).
    seeds : sequence of int
        Seed of each stamp's noise, so that its map does not depend on the stamps beside it.
    settings : SmoothGrad
    target : callable
        Which output is explained.

    Returns
    -------
    Tensor
        (N, M, S, S) float32: for each model the mean absolute derivative, its maximum over the bands.
    """
    together = max(1, settings.batch_size // settings.samples)
    groups = [slice(first, first + together) for first in range(0, len(inputs), together)]

    def maps_of(rows: slice) -> Tensor:
        return _maps_of(models, inputs[rows], conditions[rows], seeds[rows], settings, target)

    return torch.cat(_side_by_side(maps_of, groups, inputs.device))


def _side_by_side(function: Callable[[slice], Tensor], groups: Sequence[slice], device: torch.device) -> list[Tensor]:
    """Apply `function` to each group, on a CPU as many at once as torch has threads, each in a thread of its own.

    The layers are too small to be shared well between threads; whole batches are not.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        return [function(rows) for rows in groups]
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(function, groups))
    finally:
        torch.set_num_threads(threads)


def _maps_of(
    models: Sequence[nn.Module],
    inputs: Tensor,
    conditions: Tensor,
    seeds: Sequence[int],
    settings: SmoothGrad,
    target: Target,
) -> Tensor:
    """Return the maps of so few stamps that at least one copy of each fits into a batch."""
    spread = settings.noise_level * (inputs.amax((1, 2, 3)) - inputs.amin((1, 2, 3)))
    total = torch.zeros(len(models), *inputs.shape, device=inputs.device)
    step = max(1, settings.batch_size // len(inputs))
    for first in range(0, settings.samples, step):
        copies = range(first, min(first + step, settings.samples))
        # Every rotations-th copy has the same orientation; slices of them are views.
        turns = [(place, (first + place) % settings.rotations) for place in range(min(settings.rotations, len(copies)))]
        noisy = _noise(inputs, seeds, copies).mul_(spread[:, None, None, None])
        for place, turn in turns:
            noisy[place :: settings.rotations] += dihedral(inputs, turn)
        repeated = conditions.expand(len(copies), -1, -1).flatten(0, 1)
        for member, model in enumerate(models):
            slopes = gradient(model, noisy.flatten(0, 1), repeated, target, settings.half_precision).abs_()
            slopes = slopes.unflatten(0, (len(copies), len(inputs)))
            for place, turn in turns:
                total[member] += undo_dihedral(slopes[place :: settings.rotations].sum(0), turn)
    return (total / settings.samples).amax(2).transpose(0, 1)


def _noise(inputs: Tensor, seeds: Sequence[int], copies: range) -> Tensor:
    """Return unit normal noise (K, N, B, S, S); that of one copy depends on its seed and number alone."""
    noise = torch.empty(len(copies), *inputs.shape)
    generator = torch.Generator()
    for row, seed in enumerate(seeds):
        for place, copy in enumerate(copies):
            generator.manual_seed((seed + copy) % 2**63)
            noise[place, row].normal_(generator=generator)
    return noise.to(inputs.device)


def gradient(
    model: nn.Module, inputs: Tensor, conditions: Tensor, target: Target, half_precision: bool = False
) -> Tensor:
    """Return the derivative of `target` of every stamp by its own pixels, (K, B, S, S) float32."""
    leaf = inputs.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    with mixed_precision(inputs.device) if half_precision else contextlib.nullcontext():
        answer = target(model(leaf, conditions)).float().sum()
    return torch.autograd.grad(answer, leaf)[0].float()


def scale_to_unit(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Scale each map (last two axes) to [0, 1].

    Returns
    -------
    maps : Tensor
        A constant map becomes zero.
    scale : Tensor
        max - min of each map before.
    """
    low = maps.amin((-2, -1), keepdim=True)
    scale = maps.amax((-2, -1), keepdim=True) - low
    scaled = (maps - low) / torch.where(scale > 0, scale, torch.ones_like(scale))
    return scaled, scale[..., 0, 0]
