"""The trained networks that come with the package, and the other networks from which a training can start.

This module does not import torch, so that planning a run stays fast.
"""

from collections.abc import Sequence
from pathlib import Path

from tuningfork.core.errors import ConfigurationError, InputError
from tuningfork.networks.card import read_card, require_task, require_weights, sha256

NAMED_STARTS = ("compact", "pretrained", "random")
"""Values of train.{task}.start that are not a path."""


def compact_card(task: str) -> Path:
    """Return the card of the network of a task that comes with the package; its weights stand beside it."""
    return Path(__file__).with_name(f"{task}.json")


def start_card(task: str, start: str) -> Path | None:
    """Return the model card from which `train.{task}.start` lets the training start, if it starts from one."""
    if start == "compact":
        return compact_card(task)
    return None if start in NAMED_STARTS else Path(start)


def start_digest(task: str, start: str, bands: Sequence[str]) -> str | None:
    """Return a hash of the model card from which the training starts; the card holds a hash of the weights.

    Parameters
    ----------
    task : str
        morphology or structure.
    start : str
        Value of `train.{task}.start`.
    bands : sequence of str
        Bands of the training set.

    Returns
    -------
    str or None
        None if the training starts from no card.

    Raises
    ------
    ConfigurationError
        There is no such card, it is not that of a network of the task, its weights are missing, or the network is for
        several bands that are not as many as those of the training set.
    """
    path = start_card(task, start)
    if path is None:
        return None
    try:
        card = read_card(path)
        require_task(path, card, task)
        require_weights(path, card)
    except InputError as error:
        raise ConfigurationError(
            f"train.{task}.start: {error}; expected {', '.join(NAMED_STARTS)} or the path of the card (.json) of a {task} "
            "network"
        ) from None
    of_card = card["input"]["bands"]
    if len(of_card) not in (1, len(bands)):
        raise ConfigurationError(
            f"train.{task}.start: {path}: a network for the bands {of_card}, but the training set has {list(bands)}; start "
            "from a network with as many bands, or with the reference band alone"
        )
    return sha256(path)
