"""Saliency maps: the pixels on which an answer depends.

SmoothGrad (Smilkov+ 2017, arXiv:1706.03825), as used on galaxies by Bhambra, Joachimi & Lahav 2022 (MNRAS 511, 5032), is
the mean, over noisy copies of the network's input, of the absolute derivative of the bar logit with respect to each
pixel. VarGrad (Adebayo+ 2018, arXiv:1810.03292) and Integrated Gradients (Sundararajan+ 2017, arXiv:1703.01365) are
offered too. All three are tested against captum, which is slower (docs/development/inference-networks.md).
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import torch
from torch import Tensor, nn

from tuningfork.core.decision_tree import question
from tuningfork.core.running.memory import keep_freed_memory
from tuningfork.explain.copies import Attribution, MapInProgress
from tuningfork.networks.ensemble import mixed_precision
from tuningfork.networks.inference.network import cell_width, inference_network

Target = Callable[[Mapping[str, Tensor]], Tensor]
"""From a network's prediction for K stamps to the K numbers that are explained."""


def bar_logit(prediction: Mapping[str, Tensor]) -> Tensor:
    """Return the logit of "there is a bar".

    Parameters
    ----------
    prediction : mapping
        Of a morphology network for K stamps.

    Returns
    -------
    Tensor
        (K,)
    """
    return prediction["bar_logit"]


def bar_evidence(prediction: Mapping[str, Tensor]) -> Tensor:
    """Return the logit of "there is a bar" by the head whose derivative is trained to lie on the bar.

    Parameters
    ----------
    prediction : mapping
        Of a morphology network for K stamps.

    Returns
    -------
    Tensor
        (K,)
    """
    return prediction["bar_evidence"]


def log_bar_length(prediction: Mapping[str, Tensor]) -> Tensor:
    """Return the predicted logarithm of the bar's length.

    Parameters
    ----------
    prediction : mapping
        Of a morphology network for K stamps.

    Returns
    -------
    Tensor
        (K,)
    """
    return prediction["log_bar_length"][:, 0]


def arms_logit(prediction: Mapping[str, Tensor]) -> Tensor:
    """Return the logit of "there are spiral arms", the log ratio of the expected votes.

    Parameters
    ----------
    prediction : mapping
        Of a morphology network for K stamps.

    Returns
    -------
    Tensor
        (K,)
    """
    yes, no = prediction["concentrations"][:, question("spiral_arms").slice].unbind(1)
    return torch.log(yes) - torch.log(no)


def bulge_logit(prediction: Mapping[str, Tensor]) -> Tensor:
    """Return the logit of the expected prominence of the bulge, from 0 (all say none) to 1 (all say dominant).

    Parameters
    ----------
    prediction : mapping
        Of a morphology network for K stamps.

    Returns
    -------
    Tensor
        (K,)
    """
    votes = prediction["concentrations"][:, question("bulge_size").slice]
    step = torch.arange(votes.shape[1], dtype=votes.dtype, device=votes.device)
    return torch.log((votes * step).sum(1)) - torch.log((votes * step.flip(0)).sum(1))


SALIENCY_TARGETS: dict[str, Target] = {"evidence": bar_evidence, "bar": bar_logit, "length": log_bar_length}
"""Values of `saliency.target` in the configuration."""


def attribute(
    models: Sequence[nn.Module],
    inputs: Tensor,
    conditions: Tensor,
    seeds: Sequence[int],
    how: Attribution,
    target: Target = bar_logit,
) -> tuple[Tensor, Tensor]:
    """Make the saliency maps of some stamps.

    The copies are made once and shown to every model. The memory needed is that of one batch of copies per thread and
    of the sums of the stamps in it, however many copies there are. Conditions (such as the PSF) are held fixed. On a
    CPU, each of torch's threads works on its own batches, because the layers are too small to be shared well.

    Parameters
    ----------
    models : sequence of Module
        The ensemble, in evaluation mode, called as ``model(inputs, conditions)``. Weights that need no derivatives, as
        :func:`tuningfork.networks.model_file.load` returns them, save a third of the backward pass.
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
        float32 (N, M, S, S), not negative: one per model, the maximum over the bands.
    copies : Tensor
        int64 (N,), the number of copies that each map took.
    """
    keep_freed_memory()
    members = _prepared(models, inputs.device, how.half_precision)
    cell = cell_width(members, inputs.shape[-1])
    maps = torch.empty(len(inputs), len(models), *inputs.shape[-2:], device=inputs.device)
    copies = torch.zeros(len(inputs), dtype=torch.int64)

    def work(rows: range) -> None:
        waiting = (MapInProgress(row, inputs[row], seeds[row], how, len(models), cell) for row in rows)
        for stamp in _finished(waiting, members, conditions, how, target):
            maps[stamp.row], copies[stamp.row] = stamp.maps(), stamp.shown

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
    """Return the inference networks of the models, in the precision of the passes."""
    with mixed_precision(device) if half_precision else contextlib.nullcontext():
        half = torch.is_autocast_enabled(device.type)
    return [inference_network(model, torch.bfloat16 if half else torch.float32) for model in models]


def _finished(
    waiting: Iterator[MapInProgress], models: Sequence[nn.Module], conditions: Tensor, how: Attribution, target: Target
) -> Iterator[MapInProgress]:
    """Work on as many stamps at once as fit into a batch; yield each that is done, and start another in its place."""
    at_work: list[MapInProgress] = []
    room = max(1, how.batch_size // how.block)
    while True:
        at_work += islice(waiting, room - len(at_work))
        if not at_work:
            return
        # The last block of a stamp may be shorter.
        chosen = [stamp for stamp in at_work if stamp.due == at_work[0].due]
        _add_block(chosen, models, conditions, how, target)
        done = {stamp.row for stamp in chosen if stamp.done()}
        yield from (stamp for stamp in chosen if stamp.row in done)
        at_work = [stamp for stamp in at_work if stamp.row not in done]


def _add_block(
    at_work: Sequence[MapInProgress], models: Sequence[nn.Module], conditions: Tensor, how: Attribution, target: Target
) -> None:
    """Show every model the next block of copies of some stamps, with equally many copies of each."""
    number, shape, device = at_work[0].due, at_work[0].turned.shape[1:], conditions.device
    cells = torch.empty(len(at_work), number, *shape, device=device)
    for stamp, copies in zip(at_work, cells, strict=True):
        stamp.copy_to(copies)
    rows = torch.tensor([stamp.row for stamp in at_work], device=device)
    repeated = conditions[rows].repeat_interleave(number, dim=0)
    for member, model in enumerate(models):
        pieces = zip(
            cells.flatten(0, 1).permute(0, 3, 1, 2).split(how.batch_size), repeated.split(how.batch_size), strict=True
        )
        parts = [gradient(model, *piece, target, how.half_precision).permute(0, 2, 3, 1) for piece in pieces]
        slopes = parts[0] if len(parts) == 1 else torch.cat(parts)
        for stamp, slopes_of_stamp in zip(at_work, slopes.split(number), strict=True):
            stamp.add(member, slopes_of_stamp)
    for stamp in at_work:
        stamp.shown += number


def gradient(
    model: nn.Module, inputs: Tensor, conditions: Tensor, target: Target, half_precision: bool = False
) -> Tensor:
    """Return the derivative of the explained output of every stamp with respect to its own pixels.

    Parameters
    ----------
    model : Module
    inputs : Tensor
        (K, B, S, S) network inputs.
    conditions : Tensor
        (K, C)
    target : callable
    half_precision : bool
        Whether to compute in bfloat16 on hardware that does.

    Returns
    -------
    Tensor
        float32 (K, B, S, S)
    """
    leaf = inputs.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    with mixed_precision(inputs.device) if half_precision else contextlib.nullcontext():
        answer = target(model(leaf, conditions)).float().sum()
    return torch.autograd.grad(answer, leaf)[0].float()


def scale_to_unit(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Scale each map to [0, 1].

    Parameters
    ----------
    maps : Tensor
        (..., S, S)

    Returns
    -------
    maps : Tensor
        (..., S, S); a constant map becomes zero.
    scale : Tensor
        (...), the range of each map before.
    """
    low = maps.amin((-2, -1), keepdim=True)
    scale = maps.amax((-2, -1), keepdim=True) - low
    scaled = (maps - low) / torch.where(scale > 0, scale, torch.ones_like(scale))
    return scaled, scale[..., 0, 0]
