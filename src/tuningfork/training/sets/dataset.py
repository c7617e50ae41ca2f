"""Training sets: memory-mapped parts, read a batch at a time."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from tuningfork.core.columns import vote_columns
from tuningfork.core.errors import InputError
from tuningfork.networks.inputs import ORIENTATIONS, dihedral, measurable, prepare_images
from tuningfork.stamps.store import StampFiles, open_store, survey_of
from tuningfork.training.sets.augment import spoil
from tuningfork.training.sets.pictures import as_pictures

Batch = dict[str, Tensor]
Targets = Callable[[Mapping[str, np.ndarray], np.ndarray], Batch]
"""From the columns of some rows and their orientations to what the network should say."""

TRUTH = (
    "mag", "r_eff", "sersic_n", "axis_ratio", "position_angle", "bulge_to_total", "bar_length", "bar_position_angle",
    "bar_axis_ratio", "bar_strength",
)  # fmt: skip
IMAGING = ("zero_point", "pixel_scale", "psf_beta")


@dataclass(frozen=True)
class TrainingSet:
    """Parts, joined row after row.

    Attributes
    ----------
    stores : list of ndarray
        Memory-mapped stamps in all bands of the survey, one a part.
    columns : dict
        Column -> values of all rows; what a part does not have is NaN, and zero for votes.
    split, kind : ndarray
        train, validation or test, and the class of every row.
    bands : list of str
        The bands that are read.
    first : int
        Place of the first of them in the stores.
    reference_band : str
    digest : str
        Hash of the parts' tables.
    pictures : float
        Share of the stamps of a batch that pass through a picture made for the eye, where stamps are spoilt.
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
        """Return the rows of a split whose stamps can be read."""
        return np.flatnonzero((self.split == split) & measurable(self.columns, self.reference_band))

    def images(self, rows: np.ndarray) -> np.ndarray:
        """Return the images (n, B, S, S), a copy in memory."""
        edges = np.cumsum([0, *(len(store) for store in self.stores)])
        part = np.searchsorted(edges, rows, side="right") - 1
        result = np.empty((len(rows), len(self.bands), self.size, self.size), dtype=np.float32)
        for place, (row, number) in enumerate(zip(rows, part, strict=True)):
            result[place] = _image(self.stores[number], int(row - edges[number]), self.first, len(self.bands))
        return result

    def take(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return the columns of some rows."""
        return {name: values[rows] for name, values in self.columns.items()}

    def batch(self, rows: np.ndarray, targets: Targets, generator: np.random.Generator | None = None) -> Batch:
        """Prepare some rows for a network.

        Parameters
        ----------
        rows : ndarray
            int (N,)
        targets : callable
            Makes the tensors to learn.
        generator : numpy Generator, optional
            Turns, mirrors and spoils the stamps at random; without it they are left as they are.

        Returns
        -------
        dict
            `inputs`, `conditions` and the targets, and with a generator `noise_seed`, for losses that draw noise.
        """
        images, columns = self.images(rows), self.take(rows)
        turns = np.zeros(len(rows), dtype=int)
        if generator is not None:
            spoil(images, columns, self.bands, self.reference_band, generator)
            if self.pictures:
                as_pictures(images, columns, self.reference_band, self.pictures, generator)
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
    tables: Sequence[str | Path],
    labels: str | Path | None = None,
    needs_rows: bool = True,
    reference_alone: bool = False,
) -> TrainingSet:
    """Open the parts of a training set, and human votes to be learnt with them.

    Parameters
    ----------
    tables : sequence of path
        The parts' tables; the stamps stand beside them.
    labels : path, optional
        Table of human votes, with the columns of the stamps, votes and `split`.
    needs_rows : bool
        Whether a set without a training galaxy is a fault.
    reference_alone : bool
        Whether only the reference band is read.

    Raises
    ------
    InputError
        There is no part, no galaxy to train on, a file is wrong or lacks a column that describes the imaging, or the
        parts differ in bands or stamp size.
    """
    if not tables:
        raise InputError("no training set; simulate at least one part (simulate.size)")
    bands, reference = survey_of(tables[0])
    opened = [open_store(StampFiles.beside(path), bands, reference) for path in tables]
    if labels is not None:
        opened.append(open_store(StampFiles.beside(labels), bands, reference))
    shapes = {store.shape[1:] for _, store in opened}
    if len(shapes) > 1:
        raise InputError(
            f"training stamps of different shapes {sorted(shapes)}; simulate and label with one stamps.size"
        )
    parts = [table for table, _ in opened]
    digest = hashlib.sha256(b"".join(Path(path).read_bytes() for path in [*tables, *([labels] if labels else [])]))
    chosen = [reference] if reference_alone else bands
    for path, part in zip([*tables, labels], parts, strict=False):
        _require_imaging(path, part)
    training = TrainingSet(
        [store for _, store in opened],
        _columns(parts, chosen),
        _text(parts, "split"),
        _text(parts, "class"),
        chosen,
        bands.index(chosen[0]),
        reference,
        digest.hexdigest(),
    )
    if needs_rows and not len(training.rows("train")):
        raise InputError(f"{tables[0]}: no galaxy to train on; raise simulate.size")
    return training


def _require_imaging(path: str | Path | None, part: pa.Table) -> None:
    missing = [name for name in IMAGING if name not in part.column_names]
    if missing:
        raise InputError(f"{path}: no column {', '.join(missing)}; delete the table and make it again")


def _columns(parts: Sequence[pa.Table], bands: Sequence[str]) -> dict[str, np.ndarray]:
    facts = [name for band in bands for name in (f"psf_fwhm_{band}", f"sky_noise_{band}")]
    columns = {name: _joined(parts, name, np.nan) for name in [*TRUTH, *IMAGING, *facts]}
    return columns | {name: _joined(parts, name, 0) for name in vote_columns()}


def _joined(parts: Sequence[pa.Table], name: str, missing: float) -> np.ndarray:
    values = [
        np.nan_to_num(table[name].to_numpy().astype(np.float64), nan=missing)
        if name in table.column_names
        else np.full(table.num_rows, missing)
        for table in parts
    ]
    return np.concatenate(values)


def _text(parts: Sequence[pa.Table], name: str) -> np.ndarray:
    return np.concatenate(
        [
            table[name].to_numpy().astype(str) if name in table.column_names else np.full(table.num_rows, "")
            for table in parts
        ]
    )


def _image(store: np.ndarray, row: int, first: int, bands: int) -> np.ndarray:
    """Read the image of one row in some bands that follow each other, (bands, S, S).

    A plain read leaves no page of the file in the process: through the map, a job would come to hold the whole set.
    """
    if not isinstance(store, np.memmap) or store.filename is None:
        return np.asarray(store[row, 0, first : first + bands])
    plane = math.prod(store.shape[3:])
    offset = store.offset + (2 * row * store.shape[2] + first) * plane * store.itemsize
    return np.fromfile(store.filename, store.dtype, bands * plane, offset=offset).reshape(bands, *store.shape[3:])
