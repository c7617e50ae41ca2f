"""Self-supervised training of the encoder from which the networks of all tasks can start."""

import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from tuningfork.core.errors import InputError
from tuningfork.core.seeds import seed_for
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import lineage_of
from tuningfork.networks.encoder import Encoder
from tuningfork.networks.ensemble import choose_device, workers_for
from tuningfork.networks.model_file import build, input_of, save
from tuningfork.stamps.store import StampFiles
from tuningfork.training.loop import Recipe, fit
from tuningfork.training.metrics import finite
from tuningfork.training.restoration import RestorationData, restoration_figures, restoration_loss, split_rows
from tuningfork.training.sets.dataset import TrainingSet, open_training_set
from tuningfork.training.threads import compute_with, hardware

PRETRAINING_WEIGHT_DECAY = 0.01


def pretrain_encoder(
    parameters: Parameters, *, training: Sequence[StampFiles], stamps: Sequence[StampFiles], output: Path, card: Path
) -> None:
    """Train an encoder to restore noisy stamps with hidden patches, and write its weights and card.

    Parameters
    ----------
    parameters : Parameters
        Of the stage pretrain.
    training : sequence of StampFiles
        The parts of the simulated training set.
    stamps : sequence of StampFiles
        The survey's own stamps.
    output, card : Path
        During the training a checkpoint stands beside `output`; a killed training continues from it.

    Raises
    ------
    InputError
        The training set is empty, the stamps have other bands, or the loss is not finite.
    """
    begin = time.monotonic()
    settings, seed = parameters.configuration.pretrain, parameters.configuration.seed
    compute_with(settings.threads)
    sets = _sets(training, stamps)
    device = choose_device()
    data = RestorationData(
        sets, split_rows(sets), settings.batch_size, settings.masked_fraction, seed, workers_for(device)
    )
    architecture = {"network": "encoder", "bands": len(sets[0].bands), "width": settings.width}
    model = build({**architecture, "network": "restorer"}, seed_for(seed, "pretrain"))
    recipe = Recipe("pretrain", settings.epochs, settings.batch_size, settings.learning_rate, PRETRAINING_WEIGHT_DECAY)
    lineage = parameters.lineage(lineage_of(*(files.table for files in (*training, *stamps))))
    digest = _hash("".join(entry.digest for entry in sets))
    token = _hash(json.dumps([digest, lineage]))
    checkpoint = output.with_name(f"{output.stem}-checkpoint.safetensors")
    history = fit(model, restoration_loss, data, recipe, checkpoint=checkpoint, token=token, device=device)
    facts = {
        "set": digest,
        "galaxies": sum(map(len, data.rows["train"])),
        "seed": seed,
        **hardware(device),
        **settings.model_dump(include={"masked_fraction", "epochs", "batch_size", "learning_rate"}),
        "seconds": round(time.monotonic() - begin, 1),
    }
    content = {
        "task": "encoder",
        "architecture": architecture,
        "input": input_of(sets[0].bands, sets[0].reference_band, sets[0].size),
        "heads": {},
        "training": facts,
        "metrics": _figures(model, data, device) if settings.epochs else {},
        "history": [finite(entry) for entry in history],
        "lineage": lineage,
    }
    save(cast(Encoder, model.encoder), output, card, content)
    checkpoint.unlink(missing_ok=True)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _sets(training: Sequence[StampFiles], stamps: Sequence[StampFiles]) -> list[TrainingSet]:
    """Return the training set, and the stamps of each shard that has any."""
    first = open_training_set(training)
    return [first, *(shard for files in stamps if (shard := _stamps_like(first, files)) is not None)]


def _figures(model: nn.Module, data: RestorationData, device: torch.device) -> dict[str, Any]:
    """Return the figures of merit of a trained restorer; none without validation stamps."""
    if not sum(map(len, data.rows["validation"])):
        return {}
    return {"validation": finite(restoration_figures(model, data.validation(), device))}


def _stamps_like(training_set: TrainingSet, files: StampFiles) -> TrainingSet | None:
    """Open a shard's stamps; return None if the shard has none.

    Raises
    ------
    InputError
        They have other bands or another size than the training set.
    """
    shard = open_training_set([files], needs_rows=False)
    if (shard.bands, shard.reference_band) != (training_set.bands, training_set.reference_band):
        raise InputError(
            f"{files.table}: stamps in the bands {shard.bands}, but the training set has {training_set.bands}; "
            "simulate with the survey's description"
        )
    if len(shard.split) and shard.size != training_set.size:
        raise InputError(
            f"{files.table}: stamps of {shard.size} px, but the training set has {training_set.size}; use one stamps.size"
        )
    return shard if len(shard.rows("")) else None
