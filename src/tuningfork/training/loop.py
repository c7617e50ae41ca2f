"""The training loop: AdamW with one cycle of the learning rate, averaged weights and a checkpoint every epoch."""

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from tuningfork.core.errors import InputError
from tuningfork.core.running.progress import track
from tuningfork.networks.ensemble import mixed_precision
from tuningfork.training.checkpoints import TrainingState, restore_checkpoint, save_checkpoint
from tuningfork.training.sets.dataset import TrainingBatch

logger = logging.getLogger(__name__)

WARM_UP_FRACTION = 0.15
"""Fraction of the training during which the learning rate rises."""
AVERAGE_SPAN = 0.03
"""Time constant of the moving average of the weights, as a fraction of the training."""
MAX_GRADIENT_NORM = 20.0
"""Larger gradients are scaled down to this norm."""

Loss = Callable[[nn.Module, TrainingBatch], Tensor]
"""From a model and a batch to the mean loss."""


@dataclass(frozen=True)
class Recipe:
    """How long and how fast a network is trained.

    Attributes
    ----------
    section : str
        Of the configuration, for messages.
    epochs, batch_size : int
    learning_rate : float
        At its peak.
    weight_decay : float
    """

    section: str
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float


class TrainingData(Protocol):
    """What the loop learns from."""

    @property
    def steps(self) -> int:
        """Batches per epoch."""
        ...

    def training(self, epoch: int) -> Iterator[TrainingBatch]:
        """Yield the batches of an epoch; they are the same every time."""
        ...

    def validation(self) -> Iterator[TrainingBatch]:
        """Yield the validation batches."""
        ...


def learning_rate(recipe: Recipe, done: float) -> float:
    """Return the learning rate after the fraction `done` of the training: it rises and falls to zero as a cosine."""
    if done < WARM_UP_FRACTION:
        return recipe.learning_rate * (0.52 - 0.48 * math.cos(math.pi * done / WARM_UP_FRACTION))
    return recipe.learning_rate * (1 + math.cos(math.pi * (done - WARM_UP_FRACTION) / (1 - WARM_UP_FRACTION))) / 2


def fit(
    model: nn.Module,
    loss: Loss,
    data: TrainingData,
    recipe: Recipe,
    *,
    checkpoint: str | Path,
    token: str,
    device: torch.device,
) -> list[dict[str, Any]]:
    """Train a model in place; it ends with the averaged weights.

    Parameters
    ----------
    model : Module
    loss : callable
        (model, batch) -> mean loss.
    data : TrainingData
    recipe : Recipe
    checkpoint : path
        Written after every epoch. If it exists and has the same `token`, training continues from it. The caller
        removes it once the result is saved.
    token : str
        Identifies model, parameters and data.
    device : torch.device

    Returns
    -------
    list of dict
        One entry per epoch: losses, learning rate, seconds.

    Raises
    ------
    InputError
        The loss is not finite.
    """
    model.to(device)
    average = {name: value.detach().clone() for name, value in model.state_dict().items()}
    state = TrainingState(model, average, _optimiser(model, recipe))
    restore_checkpoint(checkpoint, state, token)
    while state.epoch < recipe.epochs:
        begin = time.monotonic()
        _train_epoch(state, loss, data, recipe, device)
        state.history[-1]["seconds"] = round(time.monotonic() - begin, 2)
        logger.info(
            "epoch %(epoch)d: loss %(train_loss).4f, validation %(validation_loss)s, %(seconds).1f s", state.history[-1]
        )
        save_checkpoint(checkpoint, state, token)
    model.load_state_dict(state.average)
    return state.history


def _train_epoch(state: TrainingState, loss: Loss, data: TrainingData, recipe: Recipe, device: torch.device) -> None:
    """Train for one epoch and add its losses to the history."""
    state.model.train()
    train_loss = _epoch(state, loss, data, recipe, device)
    validation_loss = _with_average(state, lambda: mean_loss(state.model, loss, data.validation(), device))
    _require_finite(train_loss, state.epoch, recipe)
    state.epoch += 1
    entry = {"epoch": state.epoch, "train_loss": train_loss, "validation_loss": validation_loss}
    state.history.append(entry | {"learning_rate": learning_rate(recipe, state.epoch / recipe.epochs)})


def _optimiser(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return AdamW with weight decay for matrices and kernels, but not for offsets and gains."""
    learned = [value for value in model.parameters() if value.requires_grad]
    weights = [value for value in learned if value.ndim > 1 and value[0].numel() > 1]
    others = [value for value in learned if value.ndim <= 1 or value[0].numel() == 1]
    groups = [{"params": weights, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.99))


def _epoch(state: TrainingState, loss: Loss, data: TrainingData, recipe: Recipe, device: torch.device) -> float:
    """Run one epoch and return the mean loss."""
    total, number = torch.zeros((), device=device), 0
    span = max(AVERAGE_SPAN * recipe.epochs * data.steps, 1)
    for batch in track(data.training(state.epoch), f"batches of epoch {state.epoch + 1}", data.steps):
        step = state.epoch * data.steps + number
        for group in state.optimiser.param_groups:
            group["lr"] = learning_rate(recipe, step / (recipe.epochs * data.steps))
        value = _forward(state.model, loss, batch, device)
        value.backward()
        nn.utils.clip_grad_norm_(state.model.parameters(), MAX_GRADIENT_NORM)
        state.optimiser.step()
        state.optimiser.zero_grad(set_to_none=True)
        _update_average(state, min(1 - 1 / span, (1 + step) / (10 + step)))
        total += value.detach()
        number += 1
    return float(total) / max(number, 1)


def _forward(model: nn.Module, loss: Loss, batch: TrainingBatch, device: torch.device) -> Tensor:
    moved = {name: value.to(device, non_blocking=True) for name, value in batch.items()}
    with mixed_precision(device):
        return loss(model, moved)


@torch.no_grad()
def _update_average(state: TrainingState, decay: float) -> None:
    current = state.model.state_dict()
    names = [name for name, value in current.items() if value.is_floating_point()]
    torch._foreach_lerp_([state.average[name] for name in names], [current[name] for name in names], 1 - decay)


def _with_average(state: TrainingState, function: Callable[[], float]) -> float:
    """Call `function` while the model has the averaged weights."""
    weights = {name: value.detach().clone() for name, value in state.model.state_dict().items()}
    state.model.load_state_dict(state.average)
    result = function()
    state.model.load_state_dict(weights)
    return result


@torch.no_grad()
def mean_loss(model: nn.Module, loss: Loss, batches: Iterator[TrainingBatch], device: torch.device) -> float:
    """Return the mean loss of all rows of some batches.

    Parameters
    ----------
    model : Module
    loss : callable
    batches : iterator of dict
    device : torch.device

    Returns
    -------
    float
        NaN without any row.
    """
    model.eval()
    total, number = 0.0, 0
    for batch in batches:
        rows = len(batch["inputs"])
        total += float(_forward(model, loss, batch, device)) * rows
        number += rows
    return total / number if number else math.nan


def _require_finite(value: float, epoch: int, recipe: Recipe) -> None:
    if not math.isfinite(value):
        raise InputError(
            f"the training loss is not finite in epoch {epoch + 1}; "
            f"lower {recipe.section}.learning_rate ({recipe.learning_rate})"
        )
