"""Stamps to restore, with hidden patches and added noise, and a simple restoration to compare with."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tuningfork.core.running.ahead import ahead
from tuningfork.core.seeds import generator_for
from tuningfork.networks.ensemble import mixed_precision
from tuningfork.networks.inputs import ORIENTATIONS, dihedral, prepare_images
from tuningfork.training.sets.dataset import TrainingBatch, TrainingSet

HIDDEN_PATCH_PX = 8
"""Width of the patches of which some are hidden (px)."""
ADDED_NOISE = 1.0
"""Standard deviation of the added noise in units of the sky noise."""


@dataclass(frozen=True)
class RestorationData:
    """Batches for :func:`tuningfork.training.loop.fit`, from training sets and from the survey's own stamps.

    Attributes
    ----------
    sets : list of TrainingSet
    rows : dict
        Split -> its rows in each set.
    batch_size : int
    masked_fraction : float
        Of the patches.
    seed : int
        Of the configuration.
    workers : int
    """

    sets: list[TrainingSet]
    rows: dict[str, list[np.ndarray]]
    batch_size: int
    masked_fraction: float
    seed: int
    workers: int = 0

    @property
    def steps(self) -> int:
        """Batches per epoch."""
        return max(sum(map(len, self.rows["train"])) // self.batch_size, 1)

    def training(self, epoch: int) -> Iterator[TrainingBatch]:
        """Yield the batches of an epoch."""
        order = generator_for(self.seed, "pretrain", "order", epoch).permutation(self._places("train"))
        parts = np.array_split(order[: self.steps * self.batch_size], self.steps)
        return ahead(lambda item: self._batch(item[1], "train", epoch, item[0]), list(enumerate(parts)), self.workers)

    def validation(self) -> Iterator[TrainingBatch]:
        """Yield the validation batches, with the same patches and noise every time."""
        places = self._places("validation")
        parts = [places[first : first + self.batch_size] for first in range(0, len(places), self.batch_size)]
        return ahead(lambda item: self._batch(item[1], "validation", 0, item[0]), list(enumerate(parts)), self.workers)

    def _places(self, split: str) -> np.ndarray:
        """Return (set, row) of every stamp of a split, int (N, 2)."""
        pairs = [np.stack([np.full(len(rows), k), rows], axis=1) for k, rows in enumerate(self.rows[split])]
        return np.concatenate(pairs) if pairs else np.empty((0, 2), dtype=int)

    def _batch(self, places: np.ndarray, split: str, epoch: int, number: int) -> TrainingBatch:
        generator = generator_for(self.seed, "pretrain", split, epoch, number)
        parts = []
        for k, training_set in enumerate(self.sets):
            rows = np.sort(places[places[:, 0] == k, 1])
            if len(rows):
                columns = training_set.take(rows)
                stamps = training_set.images(rows)
                parts.append(prepare_images(stamps, columns, training_set.bands, training_set.reference_band)[0])
        images = torch.cat(parts)
        if split == "train":
            images = dihedral(images, int(generator.integers(ORIENTATIONS)))
        return hide(images, self.masked_fraction, generator)


def hide(images: Tensor, fraction: float, generator: np.random.Generator) -> TrainingBatch:
    """Hide patches and add noise.

    The target is the image smoothed by less than a PSF, because the noise of single pixels cannot be restored and
    would dominate the loss.

    Parameters
    ----------
    images : Tensor
        (N, B, S, S), arcsinh units.
    fraction : float
        Of the patches that are hidden.
    generator : numpy Generator

    Returns
    -------
    dict
        `inputs` (noisy, hidden patches are zero), `target` (what to restore), `guess` (see :func:`local_mean`), each
        (N, B, S, S), and `seen` (N, 1, S, S), 1 where not hidden.
    """
    rows, _, height, width = images.shape
    grid = generator.random((rows, 1, -(-height // HIDDEN_PATCH_PX), -(-width // HIDDEN_PATCH_PX))) >= fraction
    patch = np.ones((1, 1, HIDDEN_PATCH_PX, HIDDEN_PATCH_PX), dtype=np.float32)
    seen = torch.from_numpy(np.kron(grid, patch)[..., :height, :width].copy())
    noisy = np.sinh(images.numpy())
    target = arcsinh(smoothed(torch.from_numpy(noisy)))
    noisy += ADDED_NOISE * generator.standard_normal(images.shape, dtype=np.float32)
    inputs = torch.from_numpy(np.arcsinh(noisy)) * seen
    return {"inputs": inputs, "target": target, "seen": seen, "guess": local_mean(torch.from_numpy(noisy), seen)}


def restoration_loss(model: nn.Module, batch: TrainingBatch) -> Tensor:
    """Return the mean absolute error.

    Parameters
    ----------
    model : Module
    batch : dict
        From :func:`hide`.

    Returns
    -------
    Tensor
        A scalar, arcsinh units.
    """
    return (model(batch["inputs"], batch["guess"]) - batch["target"]).abs().mean()


def smoothed(images: Tensor) -> Tensor:
    """Smooth images with the binomial filter 1 4 6 4 1 along both axes.

    Parameters
    ----------
    images : Tensor
        (N, B, S, S), linear units; beyond the edges they count as zero.

    Returns
    -------
    Tensor
        (N, B, S, S)
    """
    values = images
    for axis in (-2, -1):
        for _ in range(2):
            total = 2 * values
            size = values.shape[axis]
            total.narrow(axis, 1, size - 1).add_(values.narrow(axis, 0, size - 1))
            total.narrow(axis, 0, size - 1).add_(values.narrow(axis, 1, size - 1))
            values = total.mul_(0.25)
    return values


def local_mean(flux: Tensor, seen: Tensor) -> Tensor:
    """Return the restoration that needs no network: hidden patches are filled from those around and all is smoothed.

    Parameters
    ----------
    flux : Tensor
        (N, B, S, S), linear units.
    seen : Tensor
        (N, 1, S, S), 1 where not hidden.

    Returns
    -------
    Tensor
        (N, B, S, S), arcsinh units.
    """
    total = functional.avg_pool2d(functional.avg_pool2d(flux * seen, HIDDEN_PATCH_PX), 3, 1, 1)
    weight = functional.avg_pool2d(functional.avg_pool2d(seen, HIDDEN_PATCH_PX), 3, 1, 1)
    around = functional.interpolate(total / weight.clamp(min=1e-3), size=flux.shape[-2:], mode="nearest")
    return arcsinh(smoothed(around + seen * (flux - around)))


def arcsinh(images: Tensor) -> Tensor:
    """Return arcsinh, computed by NumPy, which is much faster than torch on a CPU.

    Parameters
    ----------
    images : Tensor

    Returns
    -------
    Tensor
        Of the same shape.
    """
    return torch.from_numpy(np.arcsinh(images.numpy()))


@torch.no_grad()
def restoration_figures(model: nn.Module, batches: Iterator[TrainingBatch], device: torch.device) -> dict[str, float]:
    """Compare the restoration by a network with the local mean.

    Parameters
    ----------
    model : Module
    batches : iterator of dict
    device : torch.device

    Returns
    -------
    dict
        Mean absolute errors (arcsinh units) of both, over all pixels and over the hidden ones.
    """
    model.eval()
    sums = np.zeros(6)
    for batch in batches:
        moved = {name: value.to(device) for name, value in batch.items()}
        hidden = (1 - moved["seen"]).expand_as(moved["target"])
        with mixed_precision(device):
            predicted = model(moved["inputs"], moved["guess"])
        for place, restored in enumerate((predicted, moved["guess"])):
            error = (restored - moved["target"]).abs()
            sums[place] += float(error.sum())
            sums[2 + place] += float((error * hidden).sum())
        sums[4:] += hidden.numel(), float(hidden.sum())
    pixels, hidden_pixels = max(sums[4], 1), max(sums[5], 1)
    return {
        "mean_absolute_error": sums[0] / pixels,
        "mean_absolute_error_of_local_mean": sums[1] / pixels,
        "hidden_mean_absolute_error": sums[2] / hidden_pixels,
        "hidden_mean_absolute_error_of_local_mean": sums[3] / hidden_pixels,
    }


def split_rows(sets: Sequence[TrainingSet]) -> dict[str, list[np.ndarray]]:
    """Return the rows of every set for training and validation.

    The survey's own stamps have no split; every tenth of them is for validation.

    Parameters
    ----------
    sets : sequence of TrainingSet

    Returns
    -------
    dict
        Split -> rows, int (N,), one array per set.
    """
    rows: dict[str, list[np.ndarray]] = {"train": [], "validation": []}
    for training_set in sets:
        stamps = training_set.rows("")
        held_out = np.arange(len(stamps)) % 10 == 8
        rows["train"].append(np.concatenate([training_set.rows("train"), stamps[~held_out]]))
        rows["validation"].append(np.concatenate([training_set.rows("validation"), stamps[held_out]]))
    return rows
