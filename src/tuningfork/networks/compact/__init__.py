"""The trained networks that come with the package, and the other networks from which a training can start.

This module does not import torch, so that planning a run stays fast.
"""

import hashlib
from pathlib import Path

from tuningfork.core.errors import ConfigurationError

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


def start_digest(task: str, start: str) -> str | None:
    """Return a hash of the model card from which the training starts; the card holds a hash of the weights.

    Raises
    ------
    ConfigurationError
        There is no such file.
    """
    card = start_card(task, start)
    if card is None:
        return None
    try:
        return hashlib.sha256(card.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigurationError(
            f"train.{task}.start: {card} cannot be read ({error.strerror}); expected {', '.join(NAMED_STARTS)} or the path "
            f"of the card (.json) of a {task} network"
        ) from None
