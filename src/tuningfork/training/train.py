"""Train one member of the ensemble of one task."""

import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from tuningfork.core.config.stages import Training
from tuningfork.core.errors import InputError
from tuningfork.core.parameters import Parameters
from tuningfork.core.seeds import generator_for, seed_for
from tuningfork.core.tables import lineage_of
from tuningfork.networks.ensemble import choose_device, mixed_precision
from tuningfork.networks.model_file import build, input_of, load, save
from tuningfork.networks.structure import TARGETS
from tuningfork.networks.trunk import Trunk
from tuningfork.training.data import TaskData, fix_threads, workers_for
from tuningfork.training.dataset import TrainingSet, open_training_set
from tuningfork.training.loop import Recipe, fit
from tuningfork.training.metrics import finite
from tuningfork.training.tasks import Task, structure_truth, task_called

STANDARDISING = 2000
"""Galaxies from which mean and spread of the conditions are taken."""
EDGES = (1.0, 99.0)
"""Percentiles of the training set beyond which a profile parameter counts as outside its range."""
RANGED = ("mag", "log_r_eff", "log_sersic_n")
"""Targets whose range in the training set is kept."""


def train_member(
    parameters: Parameters,
    task: str,
    member: int,
    training: Sequence[str | Path],
    encoder: str | Path,
    labels: str | Path | None,
    checkpoint: str | Path,
    output: str | Path,
    card: str | Path,
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
    encoder : path
        Card of the pretrained encoder; its architecture is that of the network's encoder.
    labels : path or None
        Human votes, learnt with the simulated ones.
    checkpoint : path
        Written every epoch, gone on from if it is there, removed in the end.
    output, card : path

    Raises
    ------
    InputError
        The training set is empty or of other bands than the encoder, or the loss is not finite.
    """
    begin = time.monotonic()
    fix_threads()
    settings: Training = getattr(parameters.configuration.train, task)
    data_set = open_training_set(training, labels if task == "morphology" else None)
    learnt = task_called(task, data_set.reference_band)
    device = choose_device()
    keys = ("train", task, member)
    model, architecture = start(task, data_set, encoder, parameters.configuration.seed, keys)
    data = TaskData(
        data_set, learnt.targets, settings.batch_size, parameters.configuration.seed, keys, workers_for(device)
    )
    recipe = Recipe(
        f"train.{task}", settings.epochs, settings.batch_size, settings.learning_rate, settings.weight_decay
    )
    lineage = parameters.lineage(lineage_of(*training, encoder))
    token = json.dumps([task, member, data_set.digest, lineage, recipe.__dict__], sort_keys=True)
    history = fit(model, learnt.loss, data, recipe, checkpoint, hashlib.sha256(token.encode()).hexdigest(), device)
    save(
        model,
        output,
        card,
        {
            "task": task,
            "architecture": architecture,
            "input": input_of(data_set.bands, data_set.reference_band, data_set.size),
            "heads": _heads(task, data_set),
            "training": {
                "set": data_set.digest,
                "galaxies": len(data_set.rows("train")),
                "member": member,
                "seed": parameters.configuration.seed,
                "device": str(device),
                "labels": labels is not None,
                "seconds": round(time.monotonic() - begin, 1),
                **{k: v for k, v in recipe.__dict__.items() if k != "section"},
            },
            "metrics": {split: _figures(model, learnt, data, split, device) for split in ("validation", "test")},
            "history": [finite(entry) for entry in history],
            "lineage": lineage,
        },
    )
    Path(checkpoint).unlink(missing_ok=True)


def start(
    task: str, data_set: TrainingSet, encoder: str | Path, seed: int, keys: tuple[str | int, ...]
) -> tuple[nn.Module, dict[str, Any]]:
    """Return the untrained network with the pretrained encoder and standardised conditions, and its architecture."""
    pretrained, card = load(encoder, "encoder")
    if card["input"]["bands"] != data_set.bands:
        raise InputError(
            f"{encoder}: an encoder for the bands {card['input']['bands']}, but the training set has {data_set.bands}; "
            "pretrain on this training set"
        )
    architecture = {
        "network": task,
        "bands": data_set.bands,
        "reference_band": data_set.reference_band,
        "width": card["architecture"]["width"],
        "size": data_set.size,
    }
    model = build(architecture, seed_for(seed, *keys))
    trunk = cast(Trunk, model.trunk)
    trunk.encoder.load_state_dict(pretrained.state_dict())
    trunk.standardise(_sample_of_conditions(data_set, seed))
    return model, architecture


def _sample_of_conditions(data_set: TrainingSet, seed: int) -> torch.Tensor:
    rows = data_set.rows("train")
    chosen = generator_for(seed, "train", "conditions").permutation(rows)[:STANDARDISING]
    parts = [
        data_set.batch(np.sort(chosen[first : first + 256]), lambda columns, turns: {})["conditions"]
        for first in range(0, len(chosen), 256)
    ]
    return torch.cat(parts)


@torch.no_grad()
def _figures(model: nn.Module, task: Task, data: TaskData, split: str, device: torch.device) -> dict[str, Any]:
    """Return the task's figures of merit on a split, each stamp seen once, as it is."""
    rows = data.training_set.rows(split)
    if not len(rows):
        return {}
    model.eval()
    parts: list[dict[str, np.ndarray]] = []
    for batch in data.of(rows):
        with mixed_precision(device):
            output = model(batch["inputs"].to(device), batch["conditions"].to(device))
        output = output if isinstance(output, dict) else {task.name: output}
        parts.append({name: value.float().cpu().numpy() for name, value in output.items()})
    outputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return dict(finite(task.figures(outputs, data.training_set, rows)))


def _heads(task: str, data_set: TrainingSet) -> dict[str, Any]:
    """Return what the card says of the outputs; for profile parameters, the range that was trained on."""
    if task == "morphology":
        return {
            "votes": "Dirichlet concentrations of all answers",
            "log_bar_length": "mean, ln sigma of ln(length / px)",
        }
    truth = structure_truth(data_set.take(data_set.rows("train")), data_set.reference_band)
    ranges = {
        name: np.percentile(known, EDGES).tolist()
        for name, values in zip(TARGETS, truth.T, strict=True)
        if name in RANGED and len(known := values[np.isfinite(values)])
    }
    return {"structure": "mean, ln sigma of the targets in tuningfork.networks.structure.TARGETS", "range": ranges}
