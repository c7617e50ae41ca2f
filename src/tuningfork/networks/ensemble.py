"""Trained ensembles: loading, the device, and batches of bounded size from a stamp store."""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from tuningfork.core.errors import InputError
from tuningfork.core.running.ahead import ahead
from tuningfork.networks.inputs import measurable, prepare
from tuningfork.networks.model_file import load

MAX_WORKERS = 8


@dataclass(frozen=True)
class Ensemble:
    """The members of one task, on one device.

    Attributes
    ----------
    members : list of Module
    cards : list of dict
    device : torch.device
    """

    members: list[nn.Module]
    cards: list[dict[str, Any]]
    device: torch.device

    @property
    def bands(self) -> list[str]:
        """The bands that the members read."""
        return list(self.cards[0]["input"]["bands"])

    @property
    def reference_band(self) -> str:
        """The band in which profile parameters are given."""
        return str(self.cards[0]["input"]["reference_band"])


@dataclass(frozen=True)
class Batch:
    """Prepared stamps.

    Attributes
    ----------
    rows : ndarray
        int64 (N,), their rows in the table.
    inputs, conditions : Tensor
        See :func:`tuningfork.networks.inputs.prepare`; on the ensemble's device.
    """

    rows: np.ndarray
    inputs: Tensor
    conditions: Tensor


def choose_device() -> torch.device:
    """Return the GPU if there is one that can be used, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def workers_for(device: torch.device) -> int:
    """Return how many threads should prepare batches: none if the network itself computes on the CPU."""
    return 0 if device.type == "cpu" else min(max((os.cpu_count() or 2) - 1, 1), MAX_WORKERS)


def mixed_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Return bfloat16 autocast on hardware that computes in it, and plain float32 elsewhere."""
    fast = torch.cuda.is_bf16_supported() if device.type == "cuda" else torch.cpu._is_avx512_bf16_supported()
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=fast)


def load_ensemble(cards: Sequence[str | Path], task: str, device: torch.device | None = None) -> Ensemble:
    """Load the members of a task.

    Parameters
    ----------
    cards : sequence of path
        Model cards of the members.
    task : str
        morphology or structure.
    device : torch.device, optional
        By default that of :func:`choose_device`.

    Returns
    -------
    Ensemble

    Raises
    ------
    InputError
        There is no member, a file is wrong, or the members read different bands.
    """
    if not cards:
        raise InputError(f"no model cards for {task}; train at least one member")
    device = device or choose_device()
    loaded = [load(card, task) for card in cards]
    ensemble = Ensemble([model.to(device) for model, _ in loaded], [card for _, card in loaded], device)
    for path, card in zip(cards, ensemble.cards, strict=True):
        if card["input"]["bands"] != ensemble.bands or card["input"]["reference_band"] != ensemble.reference_band:
            raise InputError(
                f"{path}: reads the bands {card['input']['bands']}, {cards[0]} {ensemble.bands}; train them alike"
            )
    return ensemble


def batches(table: pa.Table, stamps: np.ndarray, ensemble: Ensemble, size: int) -> Iterator[Batch]:
    """Yield the measurable rows of a stamp store, prepared for an ensemble; memory holds a few batches.

    Parameters
    ----------
    table : pyarrow.Table
        Columns of the stamps table.
    stamps : ndarray
        (N, 2, B, S, S), usually memory-mapped.
    ensemble : Ensemble
    size : int
        Stamps per batch.

    Yields
    ------
    Batch
    """
    good = np.flatnonzero(measurable(table, ensemble.reference_band))

    def make(rows: np.ndarray) -> Batch:
        return Batch(rows, *prepare(stamps[rows], table.take(rows), ensemble.bands, ensemble.reference_band))

    parts = [good[first : first + size] for first in range(0, len(good), size)]
    for batch in ahead(make, parts, workers_for(ensemble.device)):
        yield Batch(batch.rows, batch.inputs.to(ensemble.device), batch.conditions.to(ensemble.device))
