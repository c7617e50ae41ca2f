"""Faults of real stamps that some training stamps are given, so that the networks tolerate them."""

from collections.abc import Mapping, Sequence

import numpy as np

MISSING_BAND_CHANCE = 0.04
"""Chance that a band other than the reference band is missing."""
PADDED_SIDE_CHANCE = 0.04
"""Chance that one side of the stamp lies outside the imaging."""


def spoil(
    images: np.ndarray,
    columns: Mapping[str, np.ndarray],
    bands: Sequence[str],
    reference_band: str,
    generator: np.random.Generator,
) -> None:
    """Remove a band or one side of some stamps, in place.

    Parameters
    ----------
    images : ndarray
        (N, B, S, S), flux units.
    columns : mapping
        `sky_noise_{band}` of the N rows; it becomes NaN where the band is removed.
    bands : sequence of str
    reference_band : str
    generator : numpy Generator
    """
    rows, _, size, _ = images.shape
    others = [band for band in bands if band != reference_band]
    missing = generator.random(rows) < MISSING_BAND_CHANCE
    chosen = generator.integers(0, max(len(others), 1), size=(rows,))
    padded = generator.random(rows) < PADDED_SIDE_CHANCE
    side = generator.integers(0, 4, size=(rows,))
    depth = generator.integers(1, max(size // 3, 2), size=(rows,))
    for row in np.flatnonzero(missing) if others else ():
        band = others[int(chosen[row])]
        images[row, list(bands).index(band)] = 0
        columns[f"sky_noise_{band}"][row] = np.nan
    for row in np.flatnonzero(padded):
        turned = np.rot90(images[row], side[row], axes=(-2, -1))
        turned[:, : depth[row]] = 0
