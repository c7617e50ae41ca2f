"""The answers of an ensemble about every stamp of a store: each member is applied in several orientations."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from tuningfork.core.running.progress import track
from tuningfork.networks.ensemble import Ensemble, batches, mixed_precision
from tuningfork.networks.inputs import dihedral, measurable

ORIENTATION_ORDER = (0, 5, 2, 7, 1, 3, 4, 6)
"""Orientations in the order in which they are used; the first two and the first four of them each form a group."""


def answers_of(
    ensemble: Ensemble,
    table: pa.Table,
    stamps: np.ndarray,
    rotations: int,
    batch_size: int,
    read: Callable[[Any], Tensor],
) -> Iterator[tuple[np.ndarray, np.ndarray, list[int]]]:
    """Yield the answers of the members, one batch of stamps at a time.

    Parameters
    ----------
    ensemble : Ensemble
    table : pyarrow.Table
        Columns of the stamps table.
    stamps : ndarray
        (N, 2, B, S, S), usually memory-mapped.
    rotations : int
        Number of orientations of each stamp.
    batch_size : int
    read : callable
        Selects a tensor from a network's output.

    Yields
    ------
    rows : ndarray
        Rows of the table, without those that have no stamp.
    values : ndarray
        float64 (members x rotations, rows, ...).
    turns : list of int
        The orientation of each entry along the first axis.
    """
    turns = list(ORIENTATION_ORDER[:rotations])
    number = -(-int(measurable(table, ensemble.reference_band).sum()) // batch_size)
    for batch in track(batches(table, stamps, ensemble, batch_size), f"batches of {batch_size} stamps", number):
        values = []
        with torch.no_grad(), mixed_precision(ensemble.device):
            for turn in turns:
                turned = dihedral(batch.inputs, turn)
                values += [read(member(turned, batch.conditions)).float() for member in ensemble.members]
        stacked = torch.stack(values).cpu().numpy().astype(np.float64)
        yield batch.rows, stacked, [turn for turn in turns for _ in ensemble.members]


def mixture(mean: np.ndarray, sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of an equal mixture of normal distributions.

    Parameters
    ----------
    mean, sigma : ndarray
        (K, ...) means and standard deviations of the K distributions.

    Returns
    -------
    mean, sigma : ndarray
        (...)
    """
    return mean.mean(axis=0), np.sqrt((sigma**2).mean(axis=0) + mean.var(axis=0))
