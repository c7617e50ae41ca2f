"""Checkpoints: all that an unfinished training needs to continue as if it had never stopped. No pickles.

One safetensors file holds the weights, the averaged weights and the optimiser's moments; its metadata hold the rest as
JSON. Random numbers need not be saved: those of an epoch derive from the seed and the epoch's number.
"""

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from tuningfork.core.files import replacing

logger = logging.getLogger(__name__)


@dataclass
class TrainingState:
    """An unfinished training.

    Attributes
    ----------
    model : Module
    average : dict of str to Tensor
        Moving average of the weights.
    optimiser : torch.optim.Optimizer
    epoch : int
        Number of finished epochs.
    history : list of dict
        One entry per epoch.
    """

    model: nn.Module
    average: dict[str, Tensor]
    optimiser: torch.optim.Optimizer
    epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)


def save_checkpoint(path: str | Path, state: TrainingState, token: str) -> None:
    """Write a checkpoint atomically.

    Parameters
    ----------
    path : path
    state : TrainingState
    token : str
        Identifies what is trained, with which parameters and data.
    """
    tensors = {f"model.{name}": value for name, value in state.model.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in state.average.items()}
    for number, moments in state.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": torch.as_tensor(value) for name, value in moments.items()}
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    metadata = {"token": token, "epoch": str(state.epoch), "history": json.dumps(state.history)}
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata=metadata)


def restore_checkpoint(path: str | Path, state: TrainingState, token: str) -> bool:
    """Bring a training to the state of a checkpoint.

    A checkpoint of other parameters or data, or one that cannot be read, is ignored with a line in the log.

    Parameters
    ----------
    path : path
    state : TrainingState
        Changed in place.
    token : str
        Identifies what is trained, with which parameters and data.

    Returns
    -------
    bool
        Whether there was a checkpoint with this token.
    """
    if not Path(path).is_file():
        return False
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("token") != token:
                logger.info("%s belongs to other parameters or data; training starts anew", path)
                return False
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        logger.warning("%s cannot be read (%s); training starts anew", path, error)
        return False
    state.model.load_state_dict(_under("model.", tensors))
    for name, value in _under("average.", tensors).items():
        state.average[name].copy_(value)
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in _under("optimiser.", tensors).items():
        number, _, key = name.partition(".")
        moments.setdefault(int(number), {})[key] = value
    state.optimiser.load_state_dict({**state.optimiser.state_dict(), "state": moments})
    state.epoch, state.history = int(metadata["epoch"]), json.loads(metadata["history"])
    logger.info("%s: training continues after epoch %d", path, state.epoch)
    return True


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
