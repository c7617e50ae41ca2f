"""Saliency maps: which pixels the answer about the bar hangs on.

Smilkov+ 2017 (arXiv:1706.03825), as used on galaxies by Bhambra, Joachimi & Lahav 2022 (MNRAS 511, 5032): the mean,
over noisy copies of the network's input, of the absolute derivative of the bar logit by each pixel. VarGrad
(Adebayo+ 2018, arXiv:1810.03292) and Integrated Gradients (Sundararajan+ 2017, arXiv:1703.01365) beside it.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import torch
from torch import Tensor, nn

from tuningfork.core.decision_tree import question
from tuningfork.core.memory import keep_freed_memory
from tuningfork.explain.copies import Attribution, Galaxy
from tuningfork.networks.ensemble import mixed_precision
from tuningfork.networks.inference.network import cell_width, frozen

Target = Callable[[Mapping[str, Tensor]], Tensor]
"""Takes a network's prediction for K stamps to the K numbers whose derivatives are wanted."""


def bar_logit(prediction: Mapping[str, Tensor]) -> Tensor:
    """Return the logit of "there is a bar"."""
    return prediction["bar_logit"]


def bar_evidence(prediction: Mapping[str, Tensor]) -> Tensor:
    """Return the logit of "there is a bar" by the head whose derivative is taught to lie on the bar."""
    return prediction["bar_evidence"]


def log_bar_length(prediction: Mapping[str, Tensor]) -> Tensor:
    """Return the regressed logarithm of the bar's length."""
    return prediction["log_bar_length"][:, 0]


def arms_logit(prediction: Mapping[str, Tensor]) -> Tensor:
    """Return the logit of "there are spiral arms", the log ratio of the expected votes."""
    yes, no = prediction["concentrations"][:, question("spiral_arms").slice].unbind(1)
    return torch.log(yes) - torch.log(no)


def bulge_logit(prediction: Mapping[str, Tensor]) -> Tensor:
    """Return the logit of the expected prominence of the bulge, from 0 (all say none) to 1 (all say dominant)."""
    votes = prediction["concentrations"][:, question("bulge_size").slice]
    step = torch.arange(votes.shape[1], dtype=votes.dtype, device=votes.device)
    return torch.log((votes * step).sum(1)) - torch.log((votes * step.flip(0)).sum(1))


TARGETS: dict[str, Target] = {"evidence": bar_evidence, "bar": bar_logit, "length": log_bar_length}
"""What the configuration's `saliency.target` may name."""


def attribute(
    models: Sequence[nn.Module],
    inputs: Tensor,
    conditions: Tensor,
    seeds: Sequence[int],
    how: Attribution,
    target: Target = bar_logit,
) -> tuple[Tensor, Tensor]:
    """Return the saliency maps of some stamps, and the number of copies that each took.

    The copies are made once and shown to every model; the memory needed is that of one batch of copies a thread and of
    the sums of the stamps in it, however many copies there are. Conditions (PSF and the like) are held fixed. On a
    CPU, each of torch's threads works on batches of its own: the layers are too small to be shared well.

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
    how : Attribution
    target : callable
        Which output is explained.

    Returns
    -------
    maps : Tensor
        (N, M, S, S) float32, not negative: one for each model, the maximum over the bands.
    copies : Tensor
        (N,) int64.
    """
    keep_freed_memory()
    members = _prepared(models, inputs.device, how.half_precision)
    cell = cell_width(members, inputs.shape[-1])
    maps = torch.empty(len(inputs), len(models), *inputs.shape[-2:], device=inputs.device)
    copies = torch.zeros(len(inputs), dtype=torch.int64)

    def work(rows: range) -> None:
        galaxies = (Galaxy(row, inputs[row], seeds[row], how, len(models), cell) for row in rows)
        for galaxy in _finished(galaxies, members, conditions, how, target):
            maps[galaxy.row], copies[galaxy.row] = galaxy.maps(), galaxy.shown

    threads = torch.get_num_threads() if inputs.device.type == "cpu" else 1
    shares = [range(first, len(inputs), threads) for first in range(min(threads, len(inputs)))]
    if len(shares) < 2:
        work(range(len(inputs)))
        return maps, copies
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            list(pool.map(work, shares))
    finally:
        torch.set_num_threads(threads)
    return maps, copies


def _prepared(models: Sequence[nn.Module], device: torch.device, half_precision: bool) -> list[nn.Module]:
    """Return the models with kernels that are made once, in the precision of the passes."""
    with mixed_precision(device) if half_precision else contextlib.nullcontext():
        half = torch.is_autocast_enabled(device.type)
    return [frozen(model, torch.bfloat16 if half else torch.float32) for model in models]


def _finished(
    waiting: Iterator[Galaxy], models: Sequence[nn.Module], conditions: Tensor, how: Attribution, target: Target
) -> Iterator[Galaxy]:
    """Work on as many galaxies at once as fit into a batch, and yield those that are done; others take their place."""
    at_work: list[Galaxy] = []
    room = max(1, how.batch_size // how.block)
    while True:
        at_work += islice(waiting, room - len(at_work))
        if not at_work:
            return
        # The last block of a galaxy may be shorter.
        chosen = [galaxy for galaxy in at_work if galaxy.due == at_work[0].due]
        _add_block(chosen, models, conditions, how, target)
        done = {galaxy.row for galaxy in chosen if galaxy.done()}
        yield from (galaxy for galaxy in chosen if galaxy.row in done)
        at_work = [galaxy for galaxy in at_work if galaxy.row not in done]


def _add_block(
    galaxies: Sequence[Galaxy], models: Sequence[nn.Module], conditions: Tensor, how: Attribution, target: Target
) -> None:
    """Show every model the next block of copies of some galaxies, equally many of each."""
    number, shape, device = galaxies[0].due, galaxies[0].turned.shape[1:], conditions.device
    cells = torch.empty(len(galaxies), number, *shape, device=device)
    for galaxy, copies in zip(galaxies, cells, strict=True):
        galaxy.copy_to(copies)
    rows = torch.tensor([galaxy.row for galaxy in galaxies], device=device)
    repeated = conditions[rows].repeat_interleave(number, dim=0)
    for place, model in enumerate(models):
        pieces = zip(
            cells.flatten(0, 1).permute(0, 3, 1, 2).split(how.batch_size), repeated.split(how.batch_size), strict=True
        )
        found = [gradient(model, *piece, target, how.half_precision).permute(0, 2, 3, 1) for piece in pieces]
        slopes = found[0] if len(found) == 1 else torch.cat(found)
        for galaxy, own in zip(galaxies, slopes.split(number), strict=True):
            galaxy.add(place, own)
    for galaxy in galaxies:
        galaxy.shown += number


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
