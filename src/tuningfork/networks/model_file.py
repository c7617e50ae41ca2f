"""The format of a trained network: safetensors weights and a JSON card beside them. No pickles."""

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from tuningfork.core.errors import InputError
from tuningfork.core.files import replacing, write_json
from tuningfork.networks.card import MODEL_FORMAT, read_card, require_task, require_weights, sha256
from tuningfork.networks.encoder import Encoder
from tuningfork.networks.inputs import APERTURE_RADII, MOMENT_RADII
from tuningfork.networks.morphology import MorphologyNetwork
from tuningfork.networks.restorer import Restorer
from tuningfork.networks.structure import StructureNetwork

__all__ = ["MODEL_FORMAT", "build", "input_of", "load", "read_card", "save"]
NETWORK_CLASSES: dict[str, type[nn.Module]] = {
    "encoder": Encoder,
    "restorer": Restorer,
    "morphology": MorphologyNetwork,
    "structure": StructureNetwork,
}


def build(architecture: Mapping[str, Any], seed: int = 0) -> nn.Module:
    """Return a network with random weights.

    Parameters
    ----------
    architecture : mapping
        `network` (encoder, restorer, morphology or structure) and the arguments of its class.
    seed : int
        Seed of the weights; torch's own generator is left as it was.

    Returns
    -------
    Module
    """
    arguments = {key: value for key, value in architecture.items() if key != "network"}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % 2**63)
        return NETWORK_CLASSES[architecture["network"]](**arguments)


def input_of(bands: Sequence[str], reference_band: str, size: int) -> dict[str, Any]:
    """Return the part `input` of a card: what the network reads and how it is transformed.

    Parameters
    ----------
    bands : sequence of str
    reference_band : str
    size : int
        Width and height of a stamp (px).

    Returns
    -------
    dict
    """
    return {
        "bands": list(bands),
        "reference_band": reference_band,
        "size": size,
        "transform": "arcsinh(flux / sky_noise) in each band; masked pixels 0",
        "psf": "Moffat, full width at half maximum and exponent, without the response of a pixel",
        "aperture_radii": list(APERTURE_RADII),
        "moment_radii": list(MOMENT_RADII),
    }


def save(model: nn.Module, path: str | Path, card_path: str | Path, card: Mapping[str, Any]) -> None:
    """Write a network and its card, the card last, so that a card always has its weights.

    Parameters
    ----------
    model : Module
    path, card_path : path
        The weights (.safetensors) and the card (.json).
    card : mapping
        task, architecture, input, heads, training, metrics, history and lineage. `format`, `weights`,
        `weights_sha256` and `versions` (of the packages that decide the weights) are added.
    """
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    with replacing(path) as temporary:
        save_file(state, temporary)
    versions = {name: version(name) for name in ("tuningfork", "torch", "safetensors", "galsim")}
    write_json(
        card_path,
        {
            **card,
            "format": MODEL_FORMAT,
            "weights": Path(path).name,
            "weights_sha256": sha256(Path(path)),
            "versions": versions | {"numpy": numpy.__version__, "python": platform.python_version()},
        },
    )


def load(card_path: str | Path, task: str | None = None) -> tuple[nn.Module, dict[str, Any]]:
    """Load a network in evaluation mode and without derivatives with respect to its weights.

    Parameters
    ----------
    card_path : path
        The weights stand beside it.
    task : str, optional
        The task that the card must have.

    Returns
    -------
    network : Module
    card : dict

    Raises
    ------
    InputError
        A file is missing, the weights are not those of the card, the task is another one, or the network answers other
        questions than those of the decision tree.
    """
    card = read_card(card_path)
    if task is not None:
        require_task(card_path, card, task)
    weights = require_weights(card_path, card)
    try:
        network, state = build(card["architecture"]), load_file(weights)
        _require_same_questions(card_path, network, state)
        network.load_state_dict(state)
    except (SafetensorError, RuntimeError, KeyError, TypeError) as error:
        raise InputError(f"{weights}: cannot be read as the network of {card_path} ({error}); train again") from None
    return network.eval().requires_grad_(False), card


def _require_same_questions(card_path: str | Path, network: nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Check that the weights of a morphology network have an output for every answer and question of the tree."""
    if not isinstance(network, MorphologyNetwork):
        return
    found, needed = len(state["votes.bias"]), network.votes.out_features
    if found != needed:
        raise InputError(
            f"{card_path}: this network answers other questions: it has {found} outputs for votes, but "
            f"core/decision_tree.yaml needs {needed}; start from random weights (train.morphology.start: random), or train "
            "it anew (config/examples/bars.yaml with that start)"
        )
