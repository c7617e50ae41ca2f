"""Train one member of the ensemble of one task."""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tuningfork.core.config.training import MorphologyTraining, StructureTraining
from tuningfork.core.errors import InputError
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import lineage_of
from tuningfork.networks.ensemble import choose_device, workers_for
from tuningfork.networks.model_file import input_of, save
from tuningfork.networks.structure import TARGETS
from tuningfork.stamps.store import StampFiles
from tuningfork.training.adaptation import adapt
from tuningfork.training.figures import figures
from tuningfork.training.loop import Recipe, fit
from tuningfork.training.metrics import finite
from tuningfork.training.sets.balance import account, classes_of, with_simulated
from tuningfork.training.sets.data import TaskData
from tuningfork.training.sets.dataset import TrainingSet, open_training_set
from tuningfork.training.start import start
from tuningfork.training.tasks import Task, morphology_task, structure_task, structure_truth
from tuningfork.training.threads import compute_with, hardware

RANGE_PERCENTILES = (1.0, 99.0)
"""Percentiles of the training set beyond which a profile parameter counts as outside its range."""
RANGED_TARGETS = ("mag", "log_r_eff", "log_sersic_n")
"""Targets whose range in the training set the model card holds."""

Settings = MorphologyTraining | StructureTraining


@dataclass(frozen=True)
class TrainingInputs:
    """What a network is trained on.

    Attributes
    ----------
    simulated : sequence of StampFiles
        The parts of the simulated training set.
    encoder : Path or None
        Card of the pretrained encoder, for networks that start from it.
    expert_labels : StampFiles or None
        Labels of astronomers, for the morphology network.
    volunteer_votes : StampFiles or None
        From :func:`tuningfork.training.labels.votes.match_votes`, for the morphology network.
    measurements : StampFiles or None
        Measured galaxies of the survey, to which the structure network is adapted in the end.
    """

    simulated: Sequence[StampFiles]
    encoder: Path | None = None
    expert_labels: StampFiles | None = None
    volunteer_votes: StampFiles | None = None
    measurements: StampFiles | None = None


@dataclass(frozen=True)
class NetworkFiles:
    """Where a network is written.

    Attributes
    ----------
    weights, card : Path
    checkpoint : Path
        Written after every epoch, so that a killed training can go on, and removed in the end. The adaptation to
        measured galaxies has its own checkpoint beside it.
    """

    weights: Path
    card: Path
    checkpoint: Path

    @property
    def adaptation_checkpoint(self) -> Path:
        """The checkpoint of the adaptation."""
        return self.checkpoint.with_suffix(f".measured{self.checkpoint.suffix}")


def train_member(
    parameters: Parameters, *, task: str, member: int, inputs: TrainingInputs, outputs: NetworkFiles
) -> None:
    """Train a network and write its weights and card.

    Parameters
    ----------
    parameters : Parameters
        Of the stage train-morphology or train-structure.
    task : str
        morphology or structure.
    member : int
        Number in the ensemble; it decides the seed.
    inputs : TrainingInputs
    outputs : NetworkFiles

    Raises
    ------
    InputError
        The training set is empty or has other bands than the encoder, the training cannot start from the named
        network, or the loss is not finite.
    """
    begin = time.monotonic()
    settings: Settings = getattr(parameters.configuration.train, task)
    compute_with(settings.threads)
    seed, keys, device = parameters.configuration.seed, ("train", task, member), choose_device()
    training_set = _training_set(settings, inputs)
    learned = _task(settings, training_set.reference_band)
    model, architecture = start(task, settings, training_set, inputs.encoder, seed=seed, keys=keys)
    data = TaskData(
        training_set, learned.targets, settings.batch_size, seed, keys, workers_for(device), _balance(settings)
    )
    recipe = Recipe(
        f"train.{task}", settings.epochs, settings.batch_size, settings.learning_rate, settings.weight_decay
    )
    lineage = parameters.lineage(_upstream(settings, inputs))
    token = _token(task, member, training_set.digest, lineage, recipe.__dict__)
    history = fit(model, learned.loss, data, recipe, checkpoint=outputs.checkpoint, token=token, device=device)
    adaptation = _adapted(model, learned, data, settings, inputs, outputs.adaptation_checkpoint, token, device)
    card = {
        "task": task,
        "architecture": architecture,
        "input": input_of(training_set.bands, training_set.reference_band, training_set.size),
        "heads": _heads(settings, training_set),
        "training": _training_facts(settings, inputs, training_set, recipe)
        | {"member": member, "seed": seed, "seconds": round(time.monotonic() - begin, 1), **hardware(device)},
        "metrics": {split: figures(model, learned, data, split, device) for split in ("validation", "test")},
        "history": [finite(entry) for entry in history],
        **adaptation,
        "lineage": lineage,
    }
    save(model, outputs.weights, outputs.card, card)
    for checkpoint in (outputs.checkpoint, outputs.adaptation_checkpoint):
        checkpoint.unlink(missing_ok=True)


def _parts(settings: Settings, inputs: TrainingInputs) -> list[StampFiles]:
    """Return the parts that a network learns from; votes and labels are for the morphology network alone."""
    parts = list(inputs.simulated)
    if isinstance(settings, MorphologyTraining):
        parts += [part for part in (inputs.volunteer_votes, inputs.expert_labels) if part is not None]
        parts += [_picture_votes(settings.picture_votes)] if settings.picture_votes is not None else []
    return parts


def _picture_votes(table: str) -> StampFiles:
    return StampFiles(Path(table), Path(table).with_suffix(".npy"))


def _training_set(settings: Settings, inputs: TrainingInputs) -> TrainingSet:
    parts = _parts(settings, inputs)
    if isinstance(settings, StructureTraining):
        return open_training_set(parts, reference_alone=True)
    return with_pictures(with_simulated(open_training_set(parts), settings.votes.simulated), settings.pictures)


def _task(settings: Settings, reference_band: str) -> Task:
    if isinstance(settings, MorphologyTraining):
        return morphology_task(settings.evidence)
    return structure_task(reference_band, settings.targets)


def _balance(settings: Settings) -> float:
    return settings.balance if isinstance(settings, MorphologyTraining) else 0.0


def _upstream(settings: Settings, inputs: TrainingInputs) -> dict[str, str]:
    """Return the lineage of what stages have made of the training set; labels and pictures of the user have none."""
    votes = inputs.volunteer_votes if isinstance(settings, MorphologyTraining) else None
    tables = [part.table for part in (*inputs.simulated, votes, inputs.measurements) if part is not None]
    return lineage_of(*tables, *([inputs.encoder] if inputs.encoder is not None else []))


def _token(*facts: Any) -> str:
    """Return a hash of all that decides the result of a training."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _adapted(
    model: nn.Module,
    task: Task,
    simulated: TaskData,
    settings: Settings,
    inputs: TrainingInputs,
    checkpoint: Path,
    token: str,
    device: torch.device,
) -> dict[str, Any]:
    """Adapt a structure network to measured galaxies, if there are any, and return what its card says of that."""
    if not isinstance(settings, StructureTraining) or inputs.measurements is None:
        return {}
    adaptation = adapt(
        model,
        task,
        simulated,
        measured=inputs.measurements,
        settings=settings,
        checkpoint=checkpoint,
        token=token,
        device=device,
    )
    return {"adaptation": adaptation}


def _training_facts(
    settings: Settings, inputs: TrainingInputs, training_set: TrainingSet, recipe: Recipe
) -> dict[str, Any]:
    """Return what the card says of the training set and of the recipe."""
    rows = training_set.rows("train")
    return {
        "set": training_set.digest,
        "galaxies": len(rows),
        "expert_labels": inputs.expert_labels is not None,
        "volunteer_votes": inputs.volunteer_votes is not None,
        "picture_votes": isinstance(settings, MorphologyTraining) and settings.picture_votes is not None,
        "classes": account(classes_of(training_set)[rows], _balance(settings)),
        "start": settings.start,
        **{name: value for name, value in recipe.__dict__.items() if name != "section"},
    }


def with_pictures(training: TrainingSet, share: float) -> TrainingSet:
    """Return a training set of which a share is shown as JPEG pictures show it.

    Raises
    ------
    InputError
        It has several bands.
    """
    if share and len(training.bands) > 1:
        raise InputError(
            f"train.morphology.pictures: {share:g} of the stamps as pictures, but the training set has the bands "
            f"{training.bands}; use a survey with one band (survey.simulated.bands), or set it to 0"
        )
    return replace(training, pictures=share)


def _heads(settings: Settings, training_set: TrainingSet) -> dict[str, Any]:
    """Return what the card says of the outputs; for profile parameters also the range of the training set."""
    if not isinstance(settings, StructureTraining):
        return {
            "votes": "Dirichlet concentrations of all answers",
            "log_bar_length": "mean and ln(sigma) of ln(length / px)",
            "bar_evidence": "logit of a bar, by the head whose derivative is trained to lie on the bar",
            "barred": "logit of the probability that there is a bar, seen by volunteers or not",
            "bar_mask": "logit that a cell of 4 x 4 px lies on the bar",
            "bar_angle": "cosine and sine of twice the position angle in the pixel frame",
        }
    truth = structure_truth(training_set.take(training_set.rows("train")), training_set.reference_band)
    ranges = {
        name: np.percentile(known, RANGE_PERCENTILES).tolist()
        for name, values in zip(TARGETS, truth.T, strict=True)
        if name in RANGED_TARGETS and len(known := values[np.isfinite(values)])
    }
    return {
        "structure": "mean and Cholesky factor of the covariance of `space`",
        "space": list(TARGETS),
        "targets": list(settings.targets),
        "range": ranges,
    }
