"""What teaches the morphology network where a bar is: its mask, its angle, and where the bar answer may come from.

A network that is only told how people voted finds bars by whatever goes with them, and its saliency maps scatter over
the galaxy. So a second head answers the bar question, the derivative of whose logit by the pixels is itself trained to
lie on the simulated bar ("right for the right reasons", Ross+ 2017, arXiv:1703.03717): SmoothGrad then draws the bar.
The first head is left free, because such an answer predicts votes less well.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from tuningfork.networks.losses import mean_of_known
from tuningfork.networks.morphology import MASK_SHRINK
from tuningfork.training.sets.dataset import Batch

NOISE_LEVEL = 0.1
"""Standard deviation of the noise under which the derivative is taken, in units of (max - min) of each input."""
BLUR = 1.0
"""Gaussian width (px) to which derivative and bar are smoothed before they are compared."""
SPIKES = 0.1
"""Weight of the squared difference beside the divergence."""
EVIDENCE_SHARE = 1 / 3
"""Part of a batch, at most, whose derivatives are taken: each costs three times a stamp without."""
MASK_WEIGHT = 0.1
"""Weight of the mask's loss, a sum over the cells of the stamp."""
EDGE = 0.25
"""Softness of the edge of the bar (px)."""
TINY = 1e-6


def ellipses(length: Tensor, axis_ratio: Tensor, angle: Tensor, size: int) -> Tensor:
    """Return images of filled ellipses with an edge about a pixel wide.

    Parameters
    ----------
    length, axis_ratio, angle : Tensor
        (N,) full length (px), width over length, angle (deg) from +y counter-clockwise.
    size : int

    Returns
    -------
    Tensor
        (N, size, size) in [0, 1], centred on the pixel size // 2.
    """
    axis = torch.arange(size, dtype=torch.float32, device=length.device) - size // 2
    y, x = axis[:, None], axis[None]
    theta = torch.deg2rad(angle)[:, None, None]
    along, across = y * torch.cos(theta) - x * torch.sin(theta), x * torch.cos(theta) + y * torch.sin(theta)
    half = length[:, None, None] / 2
    minor = half * axis_ratio[:, None, None]
    radius = torch.sqrt((along / half) ** 2 + (across / minor) ** 2 + TINY)
    # First order: how far the edge is, where the elliptical radius grows by so much a pixel.
    growth = torch.sqrt((along / half**2) ** 2 + (across / minor**2) ** 2 + TINY) / radius
    return torch.sigmoid((1 - radius) / growth.clamp(min=1e-3) / EDGE)


def bars_of(batch: Batch) -> tuple[Tensor, Tensor]:
    """Return which galaxies have a bar whose ellipse is known, (N,) bool, and the ellipses (N, S, S), else zero."""
    known = torch.isfinite(batch["log_bar_length"] + batch["bar_axis_ratio"] + batch["bar_angle"])
    length, ratio, angle = (
        torch.where(known, batch[name], value)
        for name, value in (("log_bar_length", 1.0), ("bar_axis_ratio", 0.5), ("bar_angle", 0.0))
    )
    size = batch["inputs"].shape[-1]
    return known, torch.where(known[:, None, None], ellipses(length.exp(), ratio, angle, size), 0)


def mask_loss(logits: Tensor, bars: Tensor, known: Tensor) -> Tensor:
    """Return the mean cross-entropy of the masks, summed over their cells, of galaxies of which it is `known`."""
    cells = functional.avg_pool2d(bars[:, None], MASK_SHRINK)[:, 0]
    each = functional.binary_cross_entropy_with_logits(logits, cells, reduction="none").sum((1, 2))
    return MASK_WEIGHT * torch.where(known, each, 0).sum() / known.sum().clamp(min=1)


def angle_loss(prediction: Tensor, angle: Tensor) -> Tensor:
    """Return the mean squared error of cosine and sine of twice the angle (deg), where it is known."""
    doubled = 2 * torch.deg2rad(torch.nan_to_num(angle))
    miss = prediction - torch.stack([torch.cos(doubled), torch.sin(doubled)], dim=1)
    return mean_of_known(torch.where(torch.isfinite(angle), miss.square().sum(1), 0), angle)


def answer_loss(logit: Tensor, votes: Tensor) -> Tensor:
    """Return the mean cross-entropy of a vote for (first) and against (second of `votes`, (N, 2)) where there are any."""
    asked = votes.sum(1)
    fraction = votes[:, 0] / asked.clamp(min=1)
    each = functional.binary_cross_entropy_with_logits(logit, fraction, reduction="none")
    return torch.where(asked > 0, each, 0).sum() / (asked > 0).sum().clamp(min=1)


def evidence_loss(model: nn.Module, batch: Batch, barred: Tensor, bars: Tensor) -> Tensor:
    """Return how far the derivative of the evidence for a bar lies from the bar: see :func:`divergence`.

    Parameters
    ----------
    model : Module
    batch : dict
        `inputs`, `conditions` and `noise_seed`.
    barred : Tensor
        (N,) bool, galaxies with a known bar; a third of the batch at most is taken.
    bars : Tensor
        (N, S, S) ellipses.
    """
    inputs = batch["inputs"]
    chosen = torch.nonzero(barred)[: max(int(EVIDENCE_SHARE * len(inputs)), 1), 0]
    if not len(chosen):
        return inputs.new_zeros(())
    seen = inputs[chosen]
    spread = NOISE_LEVEL * (seen.amax((1, 2, 3), keepdim=True) - seen.amin((1, 2, 3), keepdim=True))
    generator = torch.Generator().manual_seed(int(batch["noise_seed"][0]))
    noise = torch.randn(seen.shape, generator=generator).to(seen.device)
    leaf = (seen + spread * noise).contiguous(memory_format=torch.channels_last).requires_grad_()
    logit = model(leaf, batch["conditions"][chosen])["bar_evidence"]
    slopes = torch.autograd.grad(logit.sum(), leaf, create_graph=True)[0].float()
    with torch.autocast(inputs.device.type, enabled=False):
        return divergence(torch.sqrt(slopes.square().sum(1) + TINY**2), bars[chosen])


def divergence(maps: Tensor, bars: Tensor) -> Tensor:
    """Return how far maps are from bars, both (N, S, S), smoothed and brought to a sum of one; the mean over both.

    The Kullback-Leibler divergence asks for evidence everywhere on the bar, but hardly minds a spike; so the squared
    difference, which does, is added.
    """
    found, wanted = (x / x.sum((1, 2), keepdim=True) for x in (_smoothed(maps), _smoothed(bars)))
    entropy = (wanted * (torch.log(wanted + TINY) - torch.log(found + TINY))).sum((1, 2))
    squares = (found - wanted).square().sum((1, 2)) / wanted.square().sum((1, 2))
    return (entropy + SPIKES * squares).mean()


def _smoothed(maps: Tensor) -> Tensor:
    reach = torch.arange(-5, 6, dtype=maps.dtype, device=maps.device)
    line = torch.exp(-(reach**2) / (2 * BLUR**2))
    line = line / line.sum()
    blurred = functional.conv2d(maps[:, None], line[None, None, :, None], padding=(len(line) // 2, 0))
    return functional.conv2d(blurred, line[None, None, None], padding=(0, len(line) // 2))[:, 0]
