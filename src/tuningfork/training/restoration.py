"""Stamps to restore: patches are hidden, noise is added; and what a restorer must beat."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tuningfork.core.ahead import ahead
from tuningfork.core.seeds import generator_for
from tuningfork.networks.ensemble import mixed_precision
from tuningfork.networks.inputs import ORIENTATIONS, dihedral, prepare_images
from tuningfork.training.sets.dataset import Batch, TrainingSet

PATCH = 8
"""Width of a patch that is hidden or not (px)."""
NOISE = 1.0
"""Standard deviation of the noise that is added, in units of the sky noise."""


@dataclass(frozen=True)
class RestorationData:
    """Batches for :func:`tuningfork.training.loop.fit`, from training sets and the survey's own stamps alike.

    Attributes
    ----------
    sets : list of TrainingSet
    rows : dict
        Split -> for each set the rows that belong to it.
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
        """Batches in an epoch."""
        return max(sum(map(len, self.rows["train"])) // self.batch_size, 1)

    def training(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of an epoch."""
        order = generator_for(self.seed, "pretrain", "order", epoch).permutation(self._places("train"))
        parts = np.array_split(order[: self.steps * self.batch_size], self.steps)
        return ahead(lambda item: self._batch(item[1], "train", epoch, item[0]), list(enumerate(parts)), self.workers)

    def validation(self) -> Iterator[Batch]:
        """Yield the validation batches, hidden and noisy in the same way every time."""
        places = self._places("validation")
        parts = [places[first : first + self.batch_size] for first in range(0, len(places), self.batch_size)]
        return ahead(lambda item: self._batch(item[1], "validation", 0, item[0]), list(enumerate(parts)), self.workers)

    def _places(self, split: str) -> np.ndarray:
        """Return (set, row) of every stamp of a split, shape (N, 2)."""
        pairs = [np.stack([np.full(len(rows), k), rows], axis=1) for k, rows in enumerate(self.rows[split])]
        return np.concatenate(pairs) if pairs else np.empty((0, 2), dtype=int)

    def _batch(self, places: np.ndarray, split: str, epoch: int, number: int) -> Batch:
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


def hide(images: Tensor, fraction: float, generator: np.random.Generator) -> Batch:
    """Hide patches and add noise.

    Returns `inputs` (noisy, patches set to zero), `target` (what to restore), `seen` (N, 1, S, S), 1 if not hidden, and
    `guess` (see :func:`local_mean`).

    The target is the image smoothed by less than a PSF: the noise of single pixels cannot be restored, and would
    drown what can.
    """
    rows, _, height, width = images.shape
    grid = generator.random((rows, 1, -(-height // PATCH), -(-width // PATCH))) >= fraction
    seen = torch.from_numpy(np.kron(grid, np.ones((1, 1, PATCH, PATCH), dtype=np.float32))[..., :height, :width].copy())
    noisy = np.sinh(images.numpy())
    target = arcsinh(smoothed(torch.from_numpy(noisy)))
    noisy += NOISE * generator.standard_normal(images.shape, dtype=np.float32)
    inputs = torch.from_numpy(np.arcsinh(noisy)) * seen
    return {"inputs": inputs, "target": target, "seen": seen, "guess": local_mean(torch.from_numpy(noisy), seen)}


def restoration_loss(model: nn.Module, batch: Batch) -> Tensor:
    """Return the mean absolute error in arcsinh units."""
    return (model(batch["inputs"], batch["guess"]) - batch["target"]).abs().mean()


def smoothed(images: Tensor) -> Tensor:
    """Return images (N, B, S, S) in linear units after the binomial filter 1 4 6 4 1 along both axes; edges are zero."""
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
    """Return the restoration that needs no network, in arcsinh units.

    Hidden patches (`seen` is zero) are filled from those around, then the image (linear units) is smoothed.
    """
    total = functional.avg_pool2d(functional.avg_pool2d(flux * seen, PATCH), 3, 1, 1)
    weight = functional.avg_pool2d(functional.avg_pool2d(seen, PATCH), 3, 1, 1)
    around = functional.interpolate(total / weight.clamp(min=1e-3), size=flux.shape[-2:], mode="nearest")
    return arcsinh(smoothed(around + seen * (flux - around)))


def arcsinh(images: Tensor) -> Tensor:
    """Return arcsinh, by NumPy, which is much faster than torch on a CPU."""
    return torch.from_numpy(np.arcsinh(images.numpy()))


@torch.no_grad()
def restoration_figures(model: nn.Module, batches: Iterator[Batch], device: torch.device) -> dict[str, float]:
    """Return the mean absolute error over all and over hidden pixels, of the network and of the local mean."""
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

    A survey's own stamps have no split: every tenth validates.
    """
    rows: dict[str, list[np.ndarray]] = {"train": [], "validation": []}
    for training_set in sets:
        everything = training_set.rows("")
        own = np.arange(len(everything)) % 10 == 8
        rows["train"].append(np.concatenate([training_set.rows("train"), everything[~own]]))
        rows["validation"].append(np.concatenate([training_set.rows("validation"), everything[own]]))
    return rows
