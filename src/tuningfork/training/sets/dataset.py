"""Training sets: parts on disk, memory-mapped and read one batch at a time."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from tuningfork.core.decision_tree import vote_columns
from tuningfork.core.errors import InputError
from tuningfork.networks.inputs import ORIENTATIONS, dihedral, measurable, prepare_images
from tuningfork.stamps.store import StampFiles, open_store, survey_of
from tuningfork.training.sets.augment import spoil
from tuningfork.training.sets.pictures import as_pictures

TrainingBatch = dict[str, Tensor]
"""Inputs, conditions and targets of some galaxies, by name."""
Targets = Callable[[Mapping[str, np.ndarray], np.ndarray], TrainingBatch]
"""From the columns of some rows and the orientations of their stamps to what the network should predict."""

TRUTH_COLUMNS = (
    "mag", "r_eff", "sersic_n", "axis_ratio", "position_angle", "bulge_to_total", "bar_length", "bar_position_angle",
    "bar_axis_ratio", "bar_strength", "picture",
)  # fmt: skip
IMAGING_COLUMNS = ("zero_point", "pixel_scale", "psf_beta")


@dataclass(frozen=True)
class TrainingSet:
    """The parts of a training set, joined row after row.

    Attributes
    ----------
    stores : list of ndarray
        Memory-mapped stamps in all bands of the survey, one array per part.
    columns : dict
        Column -> values of all rows. Where a part lacks a column, its values are NaN, or zero for votes.
    split : ndarray
        train, validation or test for every row.
    kind : ndarray
        Simulated class of every row; empty for real galaxies.
    bands : list of str
        The bands that are read.
    first : int
        Index of the first of these bands in the stores.
    reference_band : str
    digest : str
        Hash of the parts' tables.
    pictures : float
        Share of the training stamps that are shown as JPEG pictures show them.
    """

    stores: list[np.ndarray]
    columns: dict[str, np.ndarray]
    split: np.ndarray
    kind: np.ndarray
    bands: list[str]
    first: int
    reference_band: str
    digest: str
    pictures: float = 0.0

    @property
    def size(self) -> int:
        """Width and height of a stamp (px)."""
        return int(self.stores[0].shape[-1])

    def rows(self, split: str) -> np.ndarray:
        """Return the rows of a split whose stamps a network can read.

        Returns
        -------
        ndarray
            int (N,)
        """
        return np.flatnonzero((self.split == split) & measurable(self.columns, self.reference_band))

    def images(self, rows: np.ndarray) -> np.ndarray:
        """Read the images of some rows into memory.

        Parameters
        ----------
        rows : ndarray
            int (N,)

        Returns
        -------
        ndarray
            float32 (N, B, S, S), flux units.
        """
        edges = np.cumsum([0, *(len(store) for store in self.stores)])
        part = np.searchsorted(edges, rows, side="right") - 1
        images = np.empty((len(rows), len(self.bands), self.size, self.size), dtype=np.float32)
        for place, (row, number) in enumerate(zip(rows, part, strict=True)):
            images[place] = _image(self.stores[number], int(row - edges[number]), self.first, len(self.bands))
        return images

    def take(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return the columns of some rows.

        Parameters
        ----------
        rows : ndarray
            int (N,)

        Returns
        -------
        dict
            Column -> values (N,).
        """
        return {name: values[rows] for name, values in self.columns.items()}

    def batch(self, rows: np.ndarray, targets: Targets, generator: np.random.Generator | None = None) -> TrainingBatch:
        """Prepare some rows for a network.

        Parameters
        ----------
        rows : ndarray
            int (N,)
        targets : callable
            Makes the tensors to learn.
        generator : numpy Generator, optional
            With it, stamps are turned, mirrored and degraded at random; without it they stay as they are.

        Returns
        -------
        dict
            `inputs`, `conditions` and the targets; with a generator also `noise_seed`, for losses that draw noise.
        """
        images, columns = self.images(rows), self.take(rows)
        turns = np.zeros(len(rows), dtype=int)
        if generator is not None:
            spoil(images, columns, self.bands, self.reference_band, generator)
            if self.pictures:
                stamps = np.flatnonzero(columns["picture"] != 1)
                as_pictures(images, columns, self.reference_band, self.pictures, generator, stamps)
            turns = generator.integers(0, ORIENTATIONS, len(rows))
        inputs, conditions = prepare_images(images, columns, self.bands, self.reference_band)
        for k in range(1, ORIENTATIONS):
            turned = torch.from_numpy(np.flatnonzero(turns == k))
            if len(turned):
                inputs[turned] = dihedral(inputs[turned], k)
        batch = {"inputs": inputs, "conditions": conditions, **targets(columns, turns)}
        if generator is not None:
            batch["noise_seed"] = torch.tensor([generator.integers(0, 2**62)])
        return batch


def open_training_set(
    parts: Sequence[StampFiles], *, needs_rows: bool = True, reference_alone: bool = False
) -> TrainingSet:
    """Open the parts of a training set: simulated galaxies, volunteer votes, expert labels or measured galaxies.

    Parameters
    ----------
    parts : sequence of StampFiles
        The first one decides the bands. Each table has the columns that describe the imaging, and where they are
        known the truth, the votes, `split` and `class`.
    needs_rows : bool
        Whether a set without a galaxy to train on is an error.
    reference_alone : bool
        Whether only the reference band is read.

    Returns
    -------
    TrainingSet

    Raises
    ------
    InputError
        There is no part or no galaxy to train on, a file is wrong or lacks a column that describes the imaging, or
        the parts differ in bands or stamp size.
    """
    if not parts:
        raise InputError("no training set; simulate at least one part (simulate.size)")
    bands, reference = survey_of(parts[0].table)
    opened = [open_store(part, bands, reference) for part in parts]
    shapes = {store.shape[1:] for _, store in opened}
    if len(shapes) > 1:
        raise InputError(
            f"training stamps of different shapes {sorted(shapes)}; use one stamps.size to simulate and to label"
        )
    tables = [table for table, _ in opened]
    digest = hashlib.sha256(b"".join(part.table.read_bytes() for part in parts))
    chosen = [reference] if reference_alone else bands
    for part, table in zip(parts, tables, strict=True):
        _require_imaging(part.table, table)
    training = TrainingSet(
        [store for _, store in opened],
        _columns(tables, chosen),
        _text(tables, "split"),
        _text(tables, "class"),
        chosen,
        bands.index(chosen[0]),
        reference,
        digest.hexdigest(),
    )
    if needs_rows and not len(training.rows("train")):
        raise InputError(f"{parts[0].table}: no galaxy to train on; raise simulate.size")
    return training


def _require_imaging(path: Path, table: pa.Table) -> None:
    missing = [name for name in IMAGING_COLUMNS if name not in table.column_names]
    if missing:
        raise InputError(f"{path}: no column {', '.join(missing)}; delete the table and make it again")


def _columns(tables: Sequence[pa.Table], bands: Sequence[str]) -> dict[str, np.ndarray]:
    imaging = [name for band in bands for name in (f"psf_fwhm_{band}", f"sky_noise_{band}")]
    columns = {name: _joined(tables, name, np.nan) for name in [*TRUTH_COLUMNS, *IMAGING_COLUMNS, *imaging]}
    return columns | {name: _joined(tables, name, 0) for name in vote_columns()}


def _joined(tables: Sequence[pa.Table], name: str, missing: float) -> np.ndarray:
    values = [
        np.nan_to_num(table[name].to_numpy().astype(np.float64), nan=missing)
        if name in table.column_names
        else np.full(table.num_rows, missing)
        for table in tables
    ]
    return np.concatenate(values)


def _text(tables: Sequence[pa.Table], name: str) -> np.ndarray:
    return np.concatenate(
        [
            table[name].to_numpy().astype(str) if name in table.column_names else np.full(table.num_rows, "")
            for table in tables
        ]
    )


def _image(store: np.ndarray, row: int, first: int, bands: int) -> np.ndarray:
    """Read the image of one row in some neighbouring bands, (bands, S, S).

    A plain read keeps no page of the file in the process; through the memory map, a job would in time hold the whole
    training set.
    """
    if not isinstance(store, np.memmap) or store.filename is None:
        return np.asarray(store[row, 0, first : first + bands])
    plane = math.prod(store.shape[3:])
    offset = store.offset + (2 * row * store.shape[2] + first) * plane * store.itemsize
    return np.fromfile(store.filename, store.dtype, bands * plane, offset=offset).reshape(bands, *store.shape[3:])
