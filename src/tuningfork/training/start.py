"""The network from which a training starts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from tuningfork.core.config.training import Training
from tuningfork.core.errors import InputError
from tuningfork.core.seeds import generator_for, seed_for
from tuningfork.networks.compact import start_card
from tuningfork.networks.encoder import Encoder
from tuningfork.networks.inputs import conditions_of
from tuningfork.networks.model_file import build, load
from tuningfork.networks.trunk import Trunk
from tuningfork.training.sets.dataset import TrainingSet

STANDARDISATION_GALAXIES = 2000
"""Galaxies from which mean and spread of the conditions are computed."""

Keys = tuple[str | int, ...]


def start(
    task: str, settings: Training, data_set: TrainingSet, encoder: Path | None, *, seed: int, keys: Keys
) -> tuple[nn.Module, dict[str, Any]]:
    """Return the network from which a training starts.

    Parameters
    ----------
    task : str
        morphology or structure.
    settings : Training
        Of the task.
    data_set : TrainingSet
    encoder : Path or None
        Card of the pretrained encoder.
    seed : int
        Of the configuration.
    keys : tuple
        Path of keys of the random numbers.

    Returns
    -------
    model : Module
    architecture : dict
        From which :func:`tuningfork.networks.model_file.build` makes such a network.

    Raises
    ------
    InputError
        The pretrained encoder is missing or has other bands, or the named network is for another task or for bands
        that the training set does not have.
    """
    architecture = {"network": task, "reference_band": data_set.reference_band, "size": data_set.size}
    if task == "morphology":
        architecture |= {"bands": data_set.bands}
    card = start_card(task, settings.start)
    if card is not None:
        return _trained(card, architecture, data_set, seed)
    if settings.start == "pretrained":
        return _fresh(architecture, _pretrained(encoder, data_set), data_set, seed, keys)
    return _fresh(architecture, settings.width, data_set, seed, keys)


def _trained(
    card: Path, architecture: dict[str, Any], data_set: TrainingSet, seed: int
) -> tuple[nn.Module, dict[str, Any]]:
    """Return the network of a card, to be trained further; one for a single band is extended to all bands."""
    trained, content = load(card, architecture["network"])
    architecture = architecture | {"width": content["architecture"]["width"]}
    model = build(architecture)
    weights, bands = trained.state_dict(), content["input"]["bands"]
    if len(data_set.bands) == len(bands):
        model.load_state_dict(weights)
    elif len(bands) == 1:
        cast(Trunk, model.trunk).standardise(_sample_of_conditions(data_set, seed))
        model.load_state_dict(with_more_bands(weights, model.state_dict(), data_set.bands, data_set.reference_band))
    else:
        raise InputError(
            f"{card}: a network for the bands {bands}, but the training set has {data_set.bands}; start from a network "
            "with as many bands, or with the reference band alone"
        )
    return model, architecture


def with_more_bands(
    weights: Mapping[str, Tensor], larger: Mapping[str, Tensor], bands: Sequence[str], reference_band: str
) -> dict[str, Tensor]:
    """Extend the weights of a network for a single band to several bands, such that it predicts the same.

    Parameters
    ----------
    weights : mapping
        Of the network for a single band, which becomes the reference band.
    larger : mapping
        Of any network for all bands; its mean and spread of the other bands' conditions are kept.
    bands : sequence of str
    reference_band : str

    Returns
    -------
    dict
        Name -> tensor.
    """
    place, number = list(bands).index(reference_band), len(bands)
    kept = conditions_of(place, number)
    result = dict(weights)
    stem = torch.zeros_like(larger["trunk.encoder.stem.weight"])
    stem[:, place] = weights["trunk.encoder.stem.weight"][:, 0]
    embed = torch.zeros_like(larger["trunk.embed.weight"])
    embed[:, kept] = weights["trunk.embed.weight"]
    result |= {"trunk.encoder.stem.weight": stem, "trunk.embed.weight": embed}
    for name in ("trunk.conditions_mean", "trunk.conditions_std"):
        values = larger[name].clone()
        values[kept] = weights[name]
        result[name] = values
    return result


def _fresh(
    architecture: dict[str, Any], encoder: Encoder | int, data_set: TrainingSet, seed: int, keys: Keys
) -> tuple[nn.Module, dict[str, Any]]:
    """Return a random network with standardised conditions; `encoder` is the pretrained one or the width of a new one."""
    architecture = architecture | {"width": encoder if isinstance(encoder, int) else encoder.width}
    model = build(architecture, seed_for(seed, *keys))
    trunk = cast(Trunk, model.trunk)
    if isinstance(encoder, Encoder):
        trunk.encoder.load_state_dict(encoder.state_dict())
    trunk.standardise(_sample_of_conditions(data_set, seed))
    return model, architecture


def _pretrained(path: Path | None, data_set: TrainingSet) -> Encoder:
    """Return the pretrained encoder; for one band alone, its first layer sees that band in the place of all."""
    if path is None:
        raise InputError("this training starts from the pretrained encoder, but none is given (--encoder)")
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
    chosen = generator_for(seed, "train", "conditions").permutation(rows)[:STANDARDISATION_GALAXIES]
    parts = [
        data_set.batch(np.sort(chosen[first : first + 256]), lambda columns, turns: {})["conditions"]
        for first in range(0, len(chosen), 256)
    ]
    return torch.cat(parts)
