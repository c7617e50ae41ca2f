"""The card of a trained network. This module does not import torch, so that a plan can read cards fast."""

import hashlib
import json
from pathlib import Path
from typing import Any

from tuningfork.core.errors import InputError

MODEL_FORMAT = 2
MAX_CARD_BYTES = 2**24
NEEDED: dict[str, type] = {"task": str, "architecture": dict, "input": dict, "weights": str, "weights_sha256": str}
"""Keys that every card has, and the types of their values."""


def read_card(card_path: str | Path) -> dict[str, Any]:
    """Return a model card.

    Raises
    ------
    InputError
        It is missing, no model card, or of another format.
    """
    try:
        card = _content(Path(card_path))
        version_found = card["format"]
    except FileNotFoundError:
        raise InputError(f"{card_path}: no such model card; run the training stages") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise InputError(
            f"{card_path}: not a model card that a training has written; if a training has, delete it and train again"
        ) from None
    if version_found != MODEL_FORMAT:
        raise InputError(
            f"{card_path}: model format {str(version_found)[:20]}, but this version reads {MODEL_FORMAT}; train again"
        )
    for key, kind in NEEDED.items():
        if not isinstance(card.get(key), kind):
            raise InputError(
                f"{card_path}: not a model card of tuningfork: {key} is {'missing' if key not in card else 'wrong'}; give "
                "the card that a training has written"
            )
    bands, network = card["input"].get("bands"), card["architecture"].get("network")
    if not (isinstance(bands, list) and bands and all(isinstance(band, str) for band in bands)):
        raise InputError(f"{card_path}: input.bands must be a list of the names of bands; give another card")
    if card["input"].get("reference_band") not in bands:
        raise InputError(f"{card_path}: input.reference_band must be one of input.bands; give another card")
    if not isinstance(network, str) or Path(card["weights"]).name != card["weights"]:
        wrong = (
            "weights must be the name of a file beside it" if isinstance(network, str) else "no architecture.network"
        )
        raise InputError(f"{card_path}: {wrong}; give another card")
    return card


def _content(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        content = file.read(MAX_CARD_BYTES + 1)
    card = json.loads(content.decode("utf-8")) if len(content) <= MAX_CARD_BYTES else None
    if not isinstance(card, dict):
        raise ValueError("no card")
    return card


def require_weights(card_path: str | Path, card: dict[str, Any]) -> Path:
    """Return the file with the weights of a card.

    Raises
    ------
    InputError
        It is not there, or its content is not that of which the card has the hash.
    """
    weights = Path(card_path).with_name(card["weights"])
    if not weights.is_file():
        raise InputError(f"{weights}: no such file; {card_path} needs it: train again")
    if sha256(weights) != card["weights_sha256"]:
        raise InputError(f"{weights}: not the weights that {card_path} describes (sha256 differs); train again")
    return weights


def require_task(card_path: str | Path, card: dict[str, Any], task: str) -> None:
    """Check that a network is for a task.

    Parameters
    ----------
    card_path : str or Path
    card : dict
    task : str

    Raises
    ------
    InputError
        It is for another one.
    """
    if card["task"] != task:
        raise InputError(f"{card_path}: a network for {card['task'][:40]!r}, but one for {task!r} is needed here")


def sha256(path: Path) -> str:
    """Return the SHA-256 hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
