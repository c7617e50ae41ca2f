"""The network from which a training starts."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from tuningfork.core.config.stages import StructureTraining, Training
from tuningfork.core.errors import InputError
from tuningfork.core.seeds import generator_for, seed_for
from tuningfork.networks.compact import start_card
from tuningfork.networks.encoder import Encoder
from tuningfork.networks.model_file import build, load
from tuningfork.networks.trunk import Trunk
from tuningfork.training.dataset import TrainingSet

STANDARDISING = 2000
"""Galaxies from which mean and spread of the conditions are taken."""

Keys = tuple[str | int, ...]


def start(
    settings: Training, data_set: TrainingSet, encoder: str | Path | None, seed: int, keys: Keys
) -> tuple[nn.Module, dict[str, Any]]:
    """Return the network from which a training starts, and its architecture.

    Parameters
    ----------
    settings : Training
        Of the task.
    data_set : TrainingSet
    encoder : path or None
        Card of the pretrained encoder.
    seed : int
        Of the configuration.
    keys : tuple
        Path of keys of the random numbers.

    Raises
    ------
    InputError
        There is no pretrained encoder where one is asked for, it is of other bands, or the network that is named is
        not one of profile parameters.
    """
    common = {"reference_band": data_set.reference_band, "size": data_set.size}
    if not isinstance(settings, StructureTraining):
        architecture = {"network": "morphology", "bands": data_set.bands, **common}
        return _fresh(architecture, _pretrained(encoder, data_set), data_set, seed, keys)
    architecture = {"network": "structure", **common}
    card = start_card(settings.start)
    if card is not None:
        return _trained(card, architecture)
    if settings.start == "pretrained":
        return _fresh(architecture, _pretrained(encoder, data_set), data_set, seed, keys)
    return _fresh(architecture, settings.width, data_set, seed, keys)


def _trained(card: Path, architecture: dict[str, Any]) -> tuple[nn.Module, dict[str, Any]]:
    """Return the network of a card, to be trained further."""
    trained, found = load(card, "structure")
    architecture = architecture | {"width": found["architecture"]["width"]}
    model = build(architecture)
    model.load_state_dict(trained.state_dict())
    return model, architecture


def _fresh(
    architecture: dict[str, Any], encoder: Encoder | int, data_set: TrainingSet, seed: int, keys: Keys
) -> tuple[nn.Module, dict[str, Any]]:
    """Return a random network with standardised conditions, and with an encoder if there is one, else of a width."""
    architecture = architecture | {"width": encoder if isinstance(encoder, int) else encoder.width}
    model = build(architecture, seed_for(seed, *keys))
    trunk = cast(Trunk, model.trunk)
    if isinstance(encoder, Encoder):
        trunk.encoder.load_state_dict(encoder.state_dict())
    trunk.standardise(_sample_of_conditions(data_set, seed))
    return model, architecture


def _pretrained(path: str | Path | None, data_set: TrainingSet) -> Encoder:
    """Return the pretrained encoder; for one band alone, its first layer sees that band in the place of all."""
    if path is None:
        raise InputError("this training starts from the pretrained encoder, and none is given (--encoder)")
    loaded, card = load(path, "encoder")
    encoder = cast(Encoder, loaded)
    bands = card["input"]["bands"]
    if bands == data_set.bands:
        return encoder
    if len(data_set.bands) > 1 or data_set.bands[0] not in bands:
        raise InputError(
            f"{path}: an encoder for the bands {bands}, but the training set has {data_set.bands}; "
            "pretrain on this training set"
        )
    single = Encoder(1, encoder.width)
    weights = encoder.state_dict()
    single.load_state_dict(weights | {"stem.weight": weights["stem.weight"].sum(1, keepdim=True)})
    return single


def _sample_of_conditions(data_set: TrainingSet, seed: int) -> torch.Tensor:
    rows = data_set.rows("train")
    chosen = generator_for(seed, "train", "conditions").permutation(rows)[:STANDARDISING]
    parts = [
        data_set.batch(np.sort(chosen[first : first + 256]), lambda columns, turns: {})["conditions"]
        for first in range(0, len(chosen), 256)
    ]
    return torch.cat(parts)
