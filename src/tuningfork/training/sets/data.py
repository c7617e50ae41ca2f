"""The batches of a task. Their order, faults and orientations depend on the seed and the epoch alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tuningfork.core.running.ahead import ahead
from tuningfork.core.seeds import generator_for
from tuningfork.training.sets.balance import balanced, classes_of
from tuningfork.training.sets.dataset import Targets, TrainingBatch, TrainingSet


@dataclass(frozen=True)
class TaskData:
    """Batches for :func:`tuningfork.training.loop.fit`.

    Attributes
    ----------
    training_set : TrainingSet
    targets : callable
    batch_size : int
    seed : int
        Of the configuration.
    keys : tuple
        Path of keys of the random numbers.
    workers : int
        Threads that prepare batches ahead.
    balance : float
        How strongly rare classes are repeated; see :mod:`tuningfork.training.sets.balance`.
    """

    training_set: TrainingSet
    targets: Targets
    batch_size: int
    seed: int
    keys: tuple[str | int, ...]
    workers: int = 0
    balance: float = 0.0

    @property
    def steps(self) -> int:
        """Batches per epoch; galaxies that do not fill a batch are seen in other epochs."""
        return max(len(self.training_set.rows("train")) // self.batch_size, 1)

    def training(self, epoch: int) -> Iterator[TrainingBatch]:
        """Yield the batches of an epoch."""
        order = self._order(epoch)
        numbered = list(enumerate(np.array_split(order[: self.steps * self.batch_size], self.steps)))

        def make(item: tuple[int, np.ndarray]) -> TrainingBatch:
            number, rows = item
            generator = generator_for(self.seed, *self.keys, "batch", epoch, number)
            return self.training_set.batch(np.sort(rows), self.targets, generator)

        return ahead(make, numbered, self.workers)

    def _order(self, epoch: int) -> np.ndarray:
        rows, generator = self.training_set.rows("train"), generator_for(self.seed, *self.keys, "order", epoch)
        if self.balance == 0:
            return generator.permutation(rows)
        return rows[balanced(generator, classes_of(self.training_set)[rows], self.balance)]

    def validation(self) -> Iterator[TrainingBatch]:
        """Yield the validation batches."""
        return self.of(self.training_set.rows("validation"))

    def of(self, rows: np.ndarray) -> Iterator[TrainingBatch]:
        """Yield some rows in order, neither turned nor degraded.

        Parameters
        ----------
        rows : ndarray
            int (N,)

        Yields
        ------
        dict
        """
        parts = [rows[first : first + self.batch_size] for first in range(0, len(rows), self.batch_size)]
        return ahead(lambda part: self.training_set.batch(part, self.targets), parts, self.workers)
