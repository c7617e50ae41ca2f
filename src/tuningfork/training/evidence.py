"""How the morphology network learns where a bar is: its mask, its angle, and the evidence for it.

A network that learns from votes alone recognises bars by anything that correlates with them, and its saliency maps
scatter over the galaxy. Therefore a second head answers the bar question, and the derivative of its logit with respect
to the pixels is itself trained to lie on the simulated bar ("right for the right reasons", Ross+ 2017,
arXiv:1703.03717). SmoothGrad of this head then shows the bar. The first head is trained without this constraint,
because the constraint makes its vote fractions less accurate.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from tuningfork.networks.losses import mean_of_known
from tuningfork.networks.morphology import MASK_SHRINK
from tuningfork.training.sets.dataset import TrainingBatch

EVIDENCE_NOISE_LEVEL = 0.1
"""Standard deviation of the noise added before the derivative is taken, in units of (max - min) of each input."""
EVIDENCE_BLUR_PX = 1.0
"""Gaussian sigma (px) with which derivative and bar are smoothed before they are compared."""
SQUARED_DIFFERENCE_WEIGHT = 0.1
"""Weight of the squared difference with respect to the divergence."""
MAX_EVIDENCE_SHARE = 1 / 3
"""Largest share of a batch whose derivatives are taken; each costs three times as much as a stamp without."""
MASK_WEIGHT = 0.1
"""Weight of the mask's loss, which is a sum over the cells of the stamp."""
BAR_EDGE_PX = 0.25
"""Softness of the edge of a bar's image (px)."""
EPSILON = 1e-6
"""Keeps roots and logarithms finite."""


def ellipses(length: Tensor, axis_ratio: Tensor, angle: Tensor, size: int) -> Tensor:
    """Return images of filled ellipses with edges about a pixel wide.

    Parameters
    ----------
    length, axis_ratio, angle : Tensor
        (N,) full length (px), width divided by length, and position angle (deg, from +y counter-clockwise).
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
    radius = torch.sqrt((along / half) ** 2 + (across / minor) ** 2 + EPSILON)
    # How much the elliptical radius grows per pixel gives the distance of the edge to first order.
    growth = torch.sqrt((along / half**2) ** 2 + (across / minor**2) ** 2 + EPSILON) / radius
    return torch.sigmoid((1 - radius) / growth.clamp(min=1e-3) / BAR_EDGE_PX)


def bars_of(batch: TrainingBatch) -> tuple[Tensor, Tensor]:
    """Return the images of the bars of a batch.

    Parameters
    ----------
    batch : dict
        `inputs`, `log_bar_length`, `bar_axis_ratio` and `bar_angle`.

    Returns
    -------
    known : Tensor
        bool (N,), whether the galaxy has a bar whose ellipse is known.
    bars : Tensor
        (N, S, S) ellipses in [0, 1]; zero where not known.
    """
    known = torch.isfinite(batch["log_bar_length"] + batch["bar_axis_ratio"] + batch["bar_angle"])
    length, ratio, angle = (
        torch.where(known, batch[name], value)
        for name, value in (("log_bar_length", 1.0), ("bar_axis_ratio", 0.5), ("bar_angle", 0.0))
    )
    size = batch["inputs"].shape[-1]
    return known, torch.where(known[:, None, None], ellipses(length.exp(), ratio, angle, size), 0)


def mask_loss(logits: Tensor, bars: Tensor, known: Tensor) -> Tensor:
    """Return the mean cross-entropy of the masks, summed over their cells.

    Parameters
    ----------
    logits : Tensor
        (N, S / 4, S / 4) of the cells.
    bars : Tensor
        (N, S, S) ellipses.
    known : Tensor
        bool (N,), the galaxies that count.

    Returns
    -------
    Tensor
        A scalar.
    """
    cells = functional.avg_pool2d(bars[:, None], MASK_SHRINK)[:, 0]
    each = functional.binary_cross_entropy_with_logits(logits, cells, reduction="none").sum((1, 2))
    return MASK_WEIGHT * torch.where(known, each, 0).sum() / known.sum().clamp(min=1)


def angle_loss(prediction: Tensor, angle: Tensor) -> Tensor:
    """Return the mean squared error of the cosine and sine of twice the bar's position angle.

    Parameters
    ----------
    prediction : Tensor
        (N, 2), cosine and sine.
    angle : Tensor
        (N,) deg; NaN where it is not known.

    Returns
    -------
    Tensor
        A scalar.
    """
    doubled = 2 * torch.deg2rad(torch.nan_to_num(angle))
    miss = prediction - torch.stack([torch.cos(doubled), torch.sin(doubled)], dim=1)
    return mean_of_known(torch.where(torch.isfinite(angle), miss.square().sum(1), 0), angle)


def answer_loss(logit: Tensor, votes: Tensor) -> Tensor:
    """Return the mean cross-entropy of the answers to a question with two answers.

    Parameters
    ----------
    logit : Tensor
        (N,) of the first answer.
    votes : Tensor
        (N, 2); galaxies without votes do not count.

    Returns
    -------
    Tensor
        A scalar.
    """
    asked = votes.sum(1)
    fraction = votes[:, 0] / asked.clamp(min=1)
    each = functional.binary_cross_entropy_with_logits(logit, fraction, reduction="none")
    return torch.where(asked > 0, each, 0).sum() / (asked > 0).sum().clamp(min=1)


def presence_loss(logit: Tensor, barred: Tensor, known: Tensor) -> Tensor:
    """Return the mean cross-entropy of the probability that a galaxy has a bar.

    Parameters
    ----------
    logit : Tensor
        (N,)
    barred, known : Tensor
        bool (N,), whether the galaxy has a bar, and the galaxies that count.

    Returns
    -------
    Tensor
        A scalar.
    """
    each = functional.binary_cross_entropy_with_logits(logit, barred.float(), reduction="none")
    return torch.where(known, each, 0).sum() / known.sum().clamp(min=1)


def evidence_loss(model: nn.Module, batch: TrainingBatch, barred: Tensor, bars: Tensor) -> Tensor:
    """Return how much the derivative of the evidence for a bar differs from the bar; see :func:`divergence`.

    Parameters
    ----------
    model : Module
    batch : dict
        `inputs`, `conditions` and `noise_seed`.
    barred : Tensor
        bool (N,), galaxies with a known bar; at most `MAX_EVIDENCE_SHARE` of the batch is used.
    bars : Tensor
        (N, S, S) ellipses.

    Returns
    -------
    Tensor
        A scalar; zero without a known bar.
    """
    inputs = batch["inputs"]
    chosen = torch.nonzero(barred)[: max(int(MAX_EVIDENCE_SHARE * len(inputs)), 1), 0]
    if not len(chosen):
        return inputs.new_zeros(())
    seen = inputs[chosen]
    spread = EVIDENCE_NOISE_LEVEL * (seen.amax((1, 2, 3), keepdim=True) - seen.amin((1, 2, 3), keepdim=True))
    generator = torch.Generator().manual_seed(int(batch["noise_seed"][0]))
    noise = torch.randn(seen.shape, generator=generator).to(seen.device)
    leaf = (seen + spread * noise).contiguous(memory_format=torch.channels_last).requires_grad_()
    logit = model(leaf, batch["conditions"][chosen])["bar_evidence"]
    slopes = torch.autograd.grad(logit.sum(), leaf, create_graph=True)[0].float()
    with torch.autocast(inputs.device.type, enabled=False):
        return divergence(torch.sqrt(slopes.square().sum(1) + EPSILON**2), bars[chosen])


def divergence(maps: Tensor, bars: Tensor) -> Tensor:
    """Return the mean difference between maps and bars, both smoothed and normalised to a sum of one.

    The Kullback-Leibler divergence demands evidence everywhere on the bar but hardly penalises a spike; the squared
    difference, which does, is added.

    Parameters
    ----------
    maps, bars : Tensor
        (N, S, S), not negative.

    Returns
    -------
    Tensor
        A scalar.
    """
    shares, wanted = (x / x.sum((1, 2), keepdim=True) for x in (_smoothed(maps), _smoothed(bars)))
    entropy = (wanted * (torch.log(wanted + EPSILON) - torch.log(shares + EPSILON))).sum((1, 2))
    squares = (shares - wanted).square().sum((1, 2)) / wanted.square().sum((1, 2))
    return (entropy + SQUARED_DIFFERENCE_WEIGHT * squares).mean()


def _smoothed(maps: Tensor) -> Tensor:
    reach = torch.arange(-5, 6, dtype=maps.dtype, device=maps.device)
    line = torch.exp(-(reach**2) / (2 * EVIDENCE_BLUR_PX**2))
    line = line / line.sum()
    blurred = functional.conv2d(maps[:, None], line[None, None, :, None], padding=(len(line) // 2, 0))
    return functional.conv2d(blurred, line[None, None, None], padding=(0, len(line) // 2))[:, 0]
