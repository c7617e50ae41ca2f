"""Trained ensembles at work: loading, the device, and batches of bounded size from a stamp store."""

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

from tuningfork.core.ahead import ahead
from tuningfork.core.errors import InputError
from tuningfork.core.files import open_array
from tuningfork.core.tables import detail_of, read_table
from tuningfork.networks.inputs import measurable, prepare
from tuningfork.networks.model_file import load

MOST_WORKERS = 8


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
    """Return how many threads should prepare batches: none beside a network that computes on the CPU itself."""
    return 0 if device.type == "cpu" else min(max((os.cpu_count() or 2) - 1, 1), MOST_WORKERS)


def mixed_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Return bfloat16 autocast where the hardware computes in it, and plain float32 elsewhere."""
    fast = torch.cuda.is_bf16_supported() if device.type == "cuda" else torch.cpu._is_avx512_bf16_supported()
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=fast)


def load_ensemble(cards: Sequence[str | Path], task: str, device: torch.device | None = None) -> Ensemble:
    """Return the members of a task.

    Raises
    ------
    InputError
        There is none, a file is wrong, or the members read different bands.
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


def survey_of(table_path: str | Path) -> tuple[list[str], str]:
    """Return the bands and the reference band of a table of stamps.

    Raises
    ------
    InputError
        It is missing or says nothing of them.
    """
    try:
        return detail_of(table_path, "bands"), detail_of(table_path, "reference_band")
    except FileNotFoundError:
        raise InputError(f"{table_path}: no such file") from None
    except (KeyError, ValueError, OSError) as error:
        raise InputError(f"{table_path}: not a table of stamps ({error}); delete it and run again") from None


def open_store(table_path: str | Path, bands: Sequence[str], reference_band: str) -> tuple[pa.Table, np.ndarray]:
    """Return a table of stamps (of a shard, or a training part) and the memory-mapped stamps beside it.

    Parameters
    ----------
    table_path : path
    bands : sequence of str
        The table's bands, or one of them: of the others nothing is read from the disk.
    reference_band : str

    Returns
    -------
    table : pyarrow.Table
    stamps : ndarray
        (N, 2, B, S, S) with the planes of `bands` alone.

    Raises
    ------
    InputError
        The stamps lack a band, have another reference band, or are fewer than the rows.
    """
    table = read_table(table_path)
    found, reference = survey_of(table_path)
    if reference != reference_band or (list(bands) != found and not (len(bands) == 1 and bands[0] in found)):
        raise InputError(
            f"{table_path}: stamps in the bands {found} (reference {reference}), but the network was trained on "
            f"{list(bands)} (reference {reference_band}); train on this survey"
        )
    path = Path(table_path).with_suffix(".npy")
    try:
        stamps = open_array(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); delete it and run again") from None
    # Votes append the stamp before the row: a stamp without a row is what a killed labelling leaves.
    if len(stamps) < table.num_rows:
        raise InputError(
            f"{path}: {len(stamps)} stamps for {table.num_rows} rows of {table_path}; delete both and run again"
        )
    return table, in_bands(stamps, found, bands)


def in_bands(stamps: np.ndarray, bands: Sequence[str], chosen: Sequence[str]) -> np.ndarray:
    """Return a view of stamps (N, 2, B, S, S) in the bands `bands` with all of them, or the one that is `chosen`."""
    if list(chosen) == list(bands):
        return stamps
    place = list(bands).index(chosen[0])
    return stamps[:, :, place : place + 1]


def batches(table: pa.Table, stamps: np.ndarray, ensemble: Ensemble, size: int) -> Iterator[Batch]:
    """Yield the measurable rows, `size` at a time, prepared for the ensemble; memory holds a few batches."""
    good = np.flatnonzero(measurable(table, ensemble.reference_band))

    def make(rows: np.ndarray) -> Batch:
        return Batch(rows, *prepare(stamps[rows], table.take(rows), ensemble.bands, ensemble.reference_band))

    parts = [good[first : first + size] for first in range(0, len(good), size)]
    for batch in ahead(make, parts, workers_for(ensemble.device)):
        yield Batch(batch.rows, batch.inputs.to(ensemble.device), batch.conditions.to(ensemble.device))
