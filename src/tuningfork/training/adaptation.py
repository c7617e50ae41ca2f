"""Adaptation of a trained structure network to measured galaxies of the survey.

A second, short and slow training on a few measured galaxies teaches the network what the simulations lack
(Tuccillo+ 2018: 0.1 to 0.8 % of the number of simulated ones). Simulated galaxies fill the rest of each batch,
so that it does not forget the galaxies that nobody has measured.
"""

import hashlib
import json
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tuningfork.core.ahead import ahead
from tuningfork.core.config.stages import StructureTraining
from tuningfork.core.errors import InputError
from tuningfork.core.seeds import generator_for
from tuningfork.training.figures import figures
from tuningfork.training.loop import Recipe, fit, mean_loss
from tuningfork.training.metrics import finite
from tuningfork.training.sets.data import TaskData
from tuningfork.training.sets.dataset import Batch, TrainingSet, open_training_set
from tuningfork.training.tasks import Task

logger = logging.getLogger(__name__)

SECTION = "train.structure.measurements"
FEWEST = 5
"""With fewer measured galaxies for validation, nothing can say that the adaptation has made the network worse."""


@dataclass(frozen=True)
class MixedData:
    """Batches of measured galaxies, each of them once an epoch, among simulated ones that change with the epoch.

    Attributes
    ----------
    measured, simulated : TaskData
        Of one batch size.
    share : float
        Share of measured galaxies in a batch.
    """

    measured: TaskData
    simulated: TaskData
    share: float

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return math.ceil(len(self.measured.training_set.rows("train")) / self._measured_in_batch)

    @property
    def _measured_in_batch(self) -> int:
        return max(round(self.share * self.measured.batch_size), 1)

    def training(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of an epoch."""
        own = np.array_split(_shuffled(self.measured, epoch), self.steps)
        beside = self.simulated.batch_size - self._measured_in_batch
        # A small simulated set is gone through as often as it takes.
        others = np.resize(_shuffled(self.simulated, epoch), self.steps * beside).reshape(self.steps, beside)

        def make(item: tuple[int, np.ndarray, np.ndarray]) -> Batch:
            number, *rows = item
            parts = [
                _spoiled(data, chosen, epoch, number)
                for data, chosen in zip((self.measured, self.simulated), rows, strict=True)
                if len(chosen)
            ]
            return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

        numbers = range(self.steps)
        yield from ahead(make, list(zip(numbers, own, others, strict=True)), self.measured.workers)

    def validation(self) -> Iterator[Batch]:
        """Yield the measured galaxies of the validation tenth."""
        return self.measured.validation()


def _shuffled(data: TaskData, epoch: int) -> np.ndarray:
    return generator_for(data.seed, *data.keys, "order", epoch).permutation(data.training_set.rows("train"))


def _spoiled(data: TaskData, rows: np.ndarray, epoch: int, number: int) -> Batch:
    generator = generator_for(data.seed, *data.keys, "batch", epoch, number)
    return data.training_set.batch(np.sort(rows), data.targets, generator)


def adapt(
    model: nn.Module,
    task: Task,
    simulated: TaskData,
    table: str | Path,
    settings: StructureTraining,
    checkpoint: str | Path,
    token: str,
    device: torch.device,
) -> dict[str, Any]:
    """Adapt a trained network in place, unless the measured galaxies of the validation tenth say that it is worse then.

    Parameters
    ----------
    model : Module
    task : Task
        What it has learnt.
    simulated : TaskData
        What it has learnt from.
    table : path
        Measured galaxies, from :func:`tuningfork.training.labels.measurements.match_measurements`.
    settings : StructureTraining
    checkpoint : path
        Written every epoch, gone on from if it is there; the caller removes it.
    token : str
        Identifies the trained network.
    device : torch.device

    Returns
    -------
    dict
        For the model card: the number of galaxies, the figures of the measured test tenth before and after, the
        losses of the measured validation tenth, whether the adapted network is kept, the history.

    Raises
    ------
    InputError
        No measured galaxy can be learnt from, their stamps are unlike the simulated ones, or the loss is not finite.
    """
    measured_set = _open_measured(table, simulated.training_set)
    measured = replace(simulated, training_set=measured_set, keys=(*simulated.keys, "measured"))
    data = MixedData(measured, replace(simulated, keys=(*simulated.keys, "beside")), settings.measurements.share)
    recipe = _recipe(settings)
    before = figures(model, task, measured, "test", device)
    loss_before = mean_loss(model, task.loss, data.validation(), device)
    trained = {name: value.detach().clone() for name, value in model.state_dict().items()}
    name = json.dumps([token, measured_set.digest, settings.measurements.share, recipe.__dict__], sort_keys=True)
    history = fit(model, task.loss, data, recipe, checkpoint, hashlib.sha256(name.encode()).hexdigest(), device)
    loss = mean_loss(model, task.loss, data.validation(), device)
    after = figures(model, task, measured, "test", device)
    kept = len(measured_set.rows("validation")) < FEWEST or loss <= loss_before
    if not kept:
        logger.warning("the adapted network is worse on measured validation galaxies; the one before it is kept")
        model.load_state_dict(trained)
    return {
        "galaxies": {split: len(measured_set.rows(split)) for split in ("train", "validation", "test")},
        "kept": kept,
        "validation_loss": finite({"before": loss_before, "after": loss}),
        "test": {"before": before, "after": after},
        "history": [finite(entry) for entry in history],
    }


def _open_measured(table: str | Path, simulated: TrainingSet) -> TrainingSet:
    measured = open_training_set([table], needs_rows=False, reference_alone=True)
    if not len(measured.rows("train")):
        raise InputError(f"{table}: no measured galaxy to train on (of ten, eight are); give more of them")
    if (measured.bands, measured.size) != (simulated.bands, simulated.size):
        raise InputError(
            f"{table}: stamps of {measured.size} px in {measured.bands}, but the simulated ones have "
            f"{simulated.size} px in {simulated.bands}; use one stamps.size and one survey for both"
        )
    return measured


def _recipe(settings: StructureTraining) -> Recipe:
    own = settings.measurements
    return Recipe(SECTION, own.epochs, settings.batch_size, own.learning_rate, settings.weight_decay)
