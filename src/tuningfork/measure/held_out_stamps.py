"""Rows and stamps of the simulated galaxies that no network has learned from."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from tuningfork.networks.ensemble import Ensemble, open_store

CHUNK = 256
"""Galaxies whose stamps are in memory at once."""


def chunks(training: Sequence[Path], ensemble: Ensemble) -> Iterator[tuple[pa.Table, np.ndarray]]:
    """Yield rows and stamps of the held-out galaxies, a bounded number at a time."""
    for path in training:
        table, stamps = open_store(path, ensemble.bands, ensemble.reference_band)
        kept = np.flatnonzero(np.isin(table["split"].to_numpy(), ["validation", "test"]))
        for first in range(0, len(kept), CHUNK):
            rows = kept[first : first + CHUNK]
            yield table.take(rows), stamps[rows]
