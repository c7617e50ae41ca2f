"""Train one member of the ensemble of one task."""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tuningfork.core.config.stages import MorphologyTraining, StructureTraining, Training
from tuningfork.core.errors import InputError
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import lineage_of
from tuningfork.networks.ensemble import choose_device, workers_for
from tuningfork.networks.model_file import input_of, save
from tuningfork.networks.structure import TARGETS
from tuningfork.training.adaptation import adapt
from tuningfork.training.figures import figures
from tuningfork.training.loop import Recipe, fit
from tuningfork.training.metrics import finite
from tuningfork.training.sets.balance import account, classes_of, with_simulated
from tuningfork.training.sets.data import TaskData, fix_threads
from tuningfork.training.sets.dataset import TrainingSet, open_training_set
from tuningfork.training.start import start
from tuningfork.training.tasks import morphology_task, structure_task, structure_truth

EDGES = (1.0, 99.0)
"""Percentiles of the training set beyond which a profile parameter counts as outside its range."""
RANGED = ("mag", "log_r_eff", "log_sersic_n")
"""Targets whose range in the training set is kept."""


def train_member(
    parameters: Parameters,
    task: str,
    member: int,
    training: Sequence[str | Path],
    encoder: str | Path | None,
    labels: str | Path | None,
    checkpoint: str | Path,
    output: str | Path,
    card: str | Path,
    measurements: str | Path | None = None,
    people: str | Path | None = None,
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
    training : sequence of path
        Tables of the training set's parts.
    encoder : path or None
        Card of the pretrained encoder, for the networks that start from it.
    labels : path or None
        Human votes, learnt with the simulated ones.
    checkpoint : path
        Written every epoch, gone on from if it is there, removed in the end. The adaptation has its own beside it.
    output, card : path
    measurements : path, optional
        Measured galaxies of the survey, to which the structure network is adapted in the end.
    people : path, optional
        Votes of people, from :func:`tuningfork.training.labels.votes.match_votes`, for the morphology network.

    Raises
    ------
    InputError
        The training set is empty or of other bands than the encoder, the training cannot start from the network that
        is named, or the loss is not finite.
    """
    begin = time.monotonic()
    fix_threads()
    seed = parameters.configuration.seed
    settings: MorphologyTraining | StructureTraining = getattr(parameters.configuration.train, task)
    structure = settings if isinstance(settings, StructureTraining) else None
    parts = [*training, *([people] if people is not None else [])]
    data_set = open_training_set(parts, None if structure else labels, reference_alone=structure is not None)
    balance = 0.0
    if isinstance(settings, MorphologyTraining):
        data_set, balance = with_simulated(data_set, settings.votes.simulated), settings.balance
        data_set = with_pictures(data_set, settings.pictures)
    learnt = (
        structure_task(data_set.reference_band, settings.targets)
        if isinstance(settings, StructureTraining)
        else morphology_task(settings.evidence)
    )
    device = choose_device()
    keys = ("train", task, member)
    model, architecture = start(task, settings, data_set, encoder, seed, keys)
    data = TaskData(data_set, learnt.targets, settings.batch_size, seed, keys, workers_for(device), balance)
    recipe = Recipe(
        f"train.{task}", settings.epochs, settings.batch_size, settings.learning_rate, settings.weight_decay
    )
    lineage = parameters.lineage(lineage_of(*parts, *(path for path in (encoder, measurements) if path)))
    token = json.dumps([task, member, data_set.digest, lineage, recipe.__dict__], sort_keys=True)
    digest = hashlib.sha256(token.encode()).hexdigest()
    history = fit(model, learnt.loss, data, recipe, checkpoint, digest, device)
    own = Path(checkpoint).with_suffix(f".measured{Path(checkpoint).suffix}")
    adapted = {}
    if structure and measurements is not None:
        adapted = {"adaptation": adapt(model, learnt, data, measurements, structure, own, digest, device)}
    save(
        model,
        output,
        card,
        {
            "task": task,
            "architecture": architecture,
            "input": input_of(data_set.bands, data_set.reference_band, data_set.size),
            "heads": _heads(settings, data_set),
            "training": {
                "set": data_set.digest,
                "galaxies": len(data_set.rows("train")),
                "member": member,
                "seed": seed,
                "device": str(device),
                "labels": labels is not None,
                "people": people is not None,
                "classes": account(classes_of(data_set)[data_set.rows("train")], balance),
                "start": settings.start,
                "seconds": round(time.monotonic() - begin, 1),
                **{k: v for k, v in recipe.__dict__.items() if k != "section"},
            },
            "metrics": {split: figures(model, learnt, data, split, device) for split in ("validation", "test")},
            "history": [finite(entry) for entry in history],
            **adapted,
            "lineage": lineage,
        },
    )
    for path in (Path(checkpoint), own):
        path.unlink(missing_ok=True)


def with_pictures(training: TrainingSet, share: float) -> TrainingSet:
    """Return a training set of which a share is learnt as pictures show it.

    Raises
    ------
    InputError
        It has several bands.
    """
    if share and len(training.bands) > 1:
        raise InputError(
            f"train.morphology.pictures: {share:g} of the stamps as pictures, but the training set has the bands "
            f"{training.bands}; expected one (survey.simulated.bands), or 0"
        )
    return replace(training, pictures=share)


def _heads(settings: Training, data_set: TrainingSet) -> dict[str, Any]:
    """Return what the card says of the outputs; for profile parameters, the range that was trained on."""
    if not isinstance(settings, StructureTraining):
        return {
            "votes": "Dirichlet concentrations of all answers",
            "log_bar_length": "mean, ln sigma of ln(length / px)",
            "bar_evidence": "logit of a bar, of the head whose derivatives lie on the bar",
            "bar_mask": "logit that a cell of 4 x 4 px lies on the bar",
            "bar_angle": "cosine and sine of twice the position angle in the pixel frame",
        }
    truth = structure_truth(data_set.take(data_set.rows("train")), data_set.reference_band)
    ranges = {
        name: np.percentile(known, EDGES).tolist()
        for name, values in zip(TARGETS, truth.T, strict=True)
        if name in RANGED and len(known := values[np.isfinite(values)])
    }
    return {
        "structure": "mean and Cholesky factor of the covariance of `space`",
        "space": list(TARGETS),
        "targets": list(settings.targets),
        "range": ranges,
    }
