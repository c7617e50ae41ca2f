"""Adaptation of a trained structure network to measured galaxies of the survey.

A second, short and slow training on a few measured galaxies teaches the network what the simulations lack
(Tuccillo+ 2018 used 0.1 to 0.8 % as many as simulated ones). Simulated galaxies fill the rest of each batch, so that
the network does not forget the kinds of galaxies that nobody has measured.
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

from tuningfork.core.config.training import StructureTraining
from tuningfork.core.errors import InputError
from tuningfork.core.running.ahead import ahead
from tuningfork.core.seeds import generator_for
from tuningfork.stamps.store import StampFiles
from tuningfork.training.figures import figures
from tuningfork.training.loop import Recipe, fit, mean_loss
from tuningfork.training.metrics import finite
from tuningfork.training.sets.data import TaskData
from tuningfork.training.sets.dataset import TrainingBatch, TrainingSet, open_training_set
from tuningfork.training.tasks import Task

logger = logging.getLogger(__name__)

ADAPTATION_SECTION = "train.structure.measurements"
MIN_VALIDATION_GALAXIES = 5
"""With fewer measured validation galaxies, their loss cannot tell whether the adaptation has made the network worse."""


@dataclass(frozen=True)
class MixedData:
    """Batches of measured galaxies, each shown once per epoch, filled up with simulated ones.

    Attributes
    ----------
    measured, simulated : TaskData
        With the same batch size.
    share : float
        Share of measured galaxies in a batch.
    """

    measured: TaskData
    simulated: TaskData
    share: float

    @property
    def steps(self) -> int:
        """Batches per epoch."""
        return math.ceil(len(self.measured.training_set.rows("train")) / self._measured_in_batch)

    @property
    def _measured_in_batch(self) -> int:
        return max(round(self.share * self.measured.batch_size), 1)

    def training(self, epoch: int) -> Iterator[TrainingBatch]:
        """Yield the batches of an epoch."""
        measured = np.array_split(_shuffled(self.measured, epoch), self.steps)
        rest = self.simulated.batch_size - self._measured_in_batch
        # A simulated set that is too small is repeated.
        simulated = np.resize(_shuffled(self.simulated, epoch), self.steps * rest).reshape(self.steps, rest)

        def make(item: tuple[int, np.ndarray, np.ndarray]) -> TrainingBatch:
            number, *rows = item
            parts = [
                _augmented(data, chosen, epoch, number)
                for data, chosen in zip((self.measured, self.simulated), rows, strict=True)
                if len(chosen)
            ]
            return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

        numbers = range(self.steps)
        yield from ahead(make, list(zip(numbers, measured, simulated, strict=True)), self.measured.workers)

    def validation(self) -> Iterator[TrainingBatch]:
        """Yield the measured validation galaxies."""
        return self.measured.validation()


def _shuffled(data: TaskData, epoch: int) -> np.ndarray:
    return generator_for(data.seed, *data.keys, "order", epoch).permutation(data.training_set.rows("train"))


def _augmented(data: TaskData, rows: np.ndarray, epoch: int, number: int) -> TrainingBatch:
    generator = generator_for(data.seed, *data.keys, "batch", epoch, number)
    return data.training_set.batch(np.sort(rows), data.targets, generator)


def adapt(
    model: nn.Module,
    task: Task,
    simulated: TaskData,
    *,
    measured: StampFiles,
    settings: StructureTraining,
    checkpoint: Path,
    token: str,
    device: torch.device,
) -> dict[str, Any]:
    """Adapt a trained network in place; undo it if the loss of the measured validation galaxies grows.

    Parameters
    ----------
    model : Module
    task : Task
    simulated : TaskData
        What the network has learned, and from what.
    measured : StampFiles
        From :func:`tuningfork.training.labels.measurements.match_measurements`.
    settings : StructureTraining
    checkpoint, token, device
        See :func:`tuningfork.training.loop.fit`; the token identifies the trained network.

    Returns
    -------
    dict
        For the model card: number of galaxies, figures of the test galaxies and losses of the validation galaxies
        before and after, whether the adapted network is kept, and the history.

    Raises
    ------
    InputError
        No measured galaxy to learn from, stamps of other bands or size than the simulated ones, or no finite loss.
    """
    measured_set = _open_measured(measured, simulated.training_set)
    measured_data = replace(simulated, training_set=measured_set, keys=(*simulated.keys, "measured"))
    data = MixedData(measured_data, replace(simulated, keys=(*simulated.keys, "beside")), settings.measurements.share)
    recipe = _recipe(settings)
    before = figures(model, task, measured_data, "test", device)
    loss_before = mean_loss(model, task.loss, data.validation(), device)
    trained = {name: value.detach().clone() for name, value in model.state_dict().items()}
    facts = [token, measured_set.digest, settings.measurements.share, recipe.__dict__]
    token = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    history = fit(model, task.loss, data, recipe, checkpoint=checkpoint, token=token, device=device)
    loss = mean_loss(model, task.loss, data.validation(), device)
    after = figures(model, task, measured_data, "test", device)
    kept = len(measured_set.rows("validation")) < MIN_VALIDATION_GALAXIES or loss <= loss_before
    if not kept:
        logger.warning("the adaptation makes the measured validation galaxies worse; the network stays as it was")
        model.load_state_dict(trained)
    return {
        "galaxies": {split: len(measured_set.rows(split)) for split in ("train", "validation", "test")},
        "kept": kept,
        "validation_loss": finite({"before": loss_before, "after": loss}),
        "test": {"before": before, "after": after},
        "history": [finite(entry) for entry in history],
    }


def _open_measured(files: StampFiles, simulated: TrainingSet) -> TrainingSet:
    measured = open_training_set([files], needs_rows=False, reference_alone=True)
    if not len(measured.rows("train")):
        raise InputError(
            f"{files.table}: no measured galaxy to train on; eight in ten are for training, so add more of them"
        )
    if (measured.bands, measured.size) != (simulated.bands, simulated.size):
        raise InputError(
            f"{files.table}: stamps of {measured.size} px in {measured.bands}, but the simulated ones have "
            f"{simulated.size} px in {simulated.bands}; use one stamps.size and one survey for both"
        )
    return measured


def _recipe(settings: StructureTraining) -> Recipe:
    section = settings.measurements
    return Recipe(ADAPTATION_SECTION, section.epochs, settings.batch_size, section.learning_rate, settings.weight_decay)
