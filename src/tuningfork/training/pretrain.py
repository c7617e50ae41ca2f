"""Self-supervised training of the encoder that all tasks start from."""

import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from tuningfork.core.errors import InputError
from tuningfork.core.seeds import seed_for
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import lineage_of
from tuningfork.networks.encoder import Encoder
from tuningfork.networks.ensemble import choose_device, workers_for
from tuningfork.networks.model_file import build, input_of, save
from tuningfork.training.loop import Recipe, fit
from tuningfork.training.metrics import finite
from tuningfork.training.restoration import RestorationData, restoration_figures, restoration_loss, split_rows
from tuningfork.training.sets.data import fix_threads
from tuningfork.training.sets.dataset import TrainingSet, open_training_set

WEIGHT_DECAY = 0.01


def pretrain_encoder(
    parameters: Parameters,
    training: Sequence[str | Path],
    stamps: Sequence[str | Path],
    output: str | Path,
    card: str | Path,
) -> None:
    """Train an encoder to restore noisy stamps with hidden patches, and write its weights and card.

    Parameters
    ----------
    parameters : Parameters
        Of the stage pretrain.
    training : sequence of path
        Tables of the training set's parts.
    stamps : sequence of path
        Tables of the survey's own stamps.
    output, card : path
        While it trains, a checkpoint stands beside `output`; a killed training goes on from it.

    Raises
    ------
    InputError
        The training set is empty, stamps are of other bands, or the loss is not finite.
    """
    begin = time.monotonic()
    fix_threads()
    settings, seed = parameters.configuration.pretrain, parameters.configuration.seed
    sets = [open_training_set(training)]
    sets += [found for path in stamps if (found := _stamps_like(sets[0], path)) is not None]
    device = choose_device()
    data = RestorationData(
        sets, split_rows(sets), settings.batch_size, settings.masked_fraction, seed, workers_for(device)
    )
    architecture = {"network": "encoder", "bands": len(sets[0].bands), "width": settings.width}
    model = build({**architecture, "network": "restorer"}, seed_for(seed, "pretrain"))
    recipe = Recipe("pretrain", settings.epochs, settings.batch_size, settings.learning_rate, WEIGHT_DECAY)
    lineage = parameters.lineage(lineage_of(*training, *stamps))
    digest = hashlib.sha256("".join(entry.digest for entry in sets).encode()).hexdigest()
    token = hashlib.sha256(json.dumps([digest, lineage]).encode()).hexdigest()
    checkpoint = Path(output).with_name(f"{Path(output).stem}-checkpoint.safetensors")
    history = fit(model, restoration_loss, data, recipe, checkpoint, token, device)
    trained = bool(settings.epochs) and bool(sum(map(len, data.rows["validation"])))
    save(
        cast(Encoder, model.encoder),
        output,
        card,
        {
            "task": "encoder",
            "architecture": architecture,
            "input": input_of(sets[0].bands, sets[0].reference_band, sets[0].size),
            "heads": {},
            "training": {
                "set": digest,
                "galaxies": sum(map(len, data.rows["train"])),
                "seed": seed,
                "device": str(device),
                "masked_fraction": settings.masked_fraction,
                "epochs": settings.epochs,
                "batch_size": settings.batch_size,
                "learning_rate": settings.learning_rate,
                "seconds": round(time.monotonic() - begin, 1),
            },
            "metrics": {"validation": finite(restoration_figures(model, data.validation(), device))} if trained else {},
            "history": [finite(entry) for entry in history],
            "lineage": lineage,
        },
    )
    checkpoint.unlink(missing_ok=True)


def _stamps_like(training_set: TrainingSet, path: str | Path) -> TrainingSet | None:
    """Open a shard's stamps; None if the shard has none.

    Raises
    ------
    InputError
        They are of other bands or of another size than the training set.
    """
    found = open_training_set([path], needs_rows=False)
    if (found.bands, found.reference_band) != (training_set.bands, training_set.reference_band):
        raise InputError(
            f"{path}: stamps in the bands {found.bands}, the training set has {training_set.bands}; "
            "simulate with the survey's description"
        )
    if len(found.split) and found.size != training_set.size:
        raise InputError(
            f"{path}: stamps of {found.size} px, the training set has {training_set.size}; use one stamps.size"
        )
    return found if len(found.rows("")) else None
