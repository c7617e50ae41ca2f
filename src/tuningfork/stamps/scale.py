"""Put the pixels around a source on wider or narrower ones, which are aligned with those of its tile.

Aligned grids make the resampling separable: image -> A image B^T, with one matrix a direction. Wider pixels gather
what lies under them, the exact overlap of the areas; narrower ones are interpolated with a Lanczos-3 kernel whose
weights sum to one, times the ratio of the areas. Both keep the flux. Pixels without data are left out and the
rest is weighted up; variances follow through the squared weights.
"""

import numpy as np

TAPS = 3
"""Half of the width (pixel) of the Lanczos kernel."""
LEAST_AREA = 0.5
"""Fraction of a pixel's area that must have data."""


def window_size(size: int, step: float) -> int:
    """Return the width of the square of the tile that :func:`rescale` needs (pixel).

    Its pixel [W // 2, W // 2] is to be the one that holds the source.

    Parameters
    ----------
    size : int
        Width of the stamp (pixel).
    step : float
        Width of its pixels in pixels of the tile; with 1 the window is the stamp.
    """
    if step == 1:
        return size
    reach = (size // 2 + 0.5) * step + 0.5 * abs(1 - step)
    return 2 * int(np.ceil(reach + (TAPS if step < 1 else 0))) + 1


def rescale(
    flux: np.ndarray, inverse_variance: np.ndarray, step: float, offset: tuple[float, float], size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return a stamp whose pixels are `step` pixels of the tile wide.

    The source keeps its place within its pixel, which is [S // 2, S // 2] of the stamp: off the centre by the same
    fraction of the pixel's width as in the tile.

    Parameters
    ----------
    flux, inverse_variance : ndarray
        Shape (..., W, W) with W at least :func:`window_size`: flux in each pixel of the tile, and its inverse
        variance, zero without data. The source lies in the pixel [W // 2, W // 2].
    step : float
        Above 0; with 1 the middle of the window is returned as it is.
    offset : tuple of float
        Column and row of the source less the central pixel's (pixel of the tile), from -0.5 to 0.5.
    size : int
        S, width of the stamp (pixel).

    Returns
    -------
    flux, inverse_variance : ndarray
        float32 (..., S, S), flux in each pixel of the stamp; both are zero where less than half of a pixel's area
        has data.
    """
    window = flux.shape[-1]
    if step == 1:
        first = window // 2 - size // 2
        middle = (..., slice(first, first + size), slice(first, first + size))
        good = inverse_variance[middle] > 0
        return np.where(good, flux[middle], 0).astype(np.float32), np.where(good, inverse_variance[middle], 0).astype(
            np.float32
        )
    across, along = (_Axis.of(window, size, step, value) for value in offset)
    good = (inverse_variance > 0).astype(np.float32)
    variance = np.divide(1, inverse_variance, out=np.zeros_like(good), where=good > 0)
    area = _apply(along.overlap, good, across.overlap)
    weight = _apply(along.weight, good, across.weight)
    kept = (area >= LEAST_AREA) & (weight > LEAST_AREA)
    noise = _apply(along.weight**2, variance, across.weight**2)
    kept &= noise > 0
    scaled = np.where(kept, step**2 / np.where(kept, weight, 1), 0)
    values = _apply(along.weight, np.where(good > 0, flux, 0), across.weight) * scaled
    inverse = np.divide(1, noise * scaled**2, out=np.zeros_like(values), where=kept)
    return values.astype(np.float32), inverse.astype(np.float32)


class _Axis:
    """The matrices of one direction, (S, W); the rows of each sum to one.

    Attributes
    ----------
    weight : ndarray
        Weights that give the mean of the tile's pixels in a pixel of the stamp.
    overlap : ndarray
        Part of the stamp's pixel that each pixel of the tile covers.
    """

    def __init__(self, weight: np.ndarray, overlap: np.ndarray) -> None:
        self.weight = weight
        self.overlap = overlap

    @classmethod
    def of(cls, window: int, size: int, step: float, offset: float) -> "_Axis":
        first = window // 2 + offset * (1 - step) - (size // 2) * step
        apart = np.abs(first + np.arange(size)[:, None] * step - np.arange(window))
        overlap = np.clip((step + 1) / 2 - apart, 0, min(step, 1)) / step
        weight = _lanczos(first, step, size, window) if step < 1 else overlap
        return cls(weight.astype(np.float32), overlap.astype(np.float32))


def _lanczos(first: float, step: float, size: int, window: int) -> np.ndarray:
    """Return the weights (S, W) of pixels at first, first + step, ...

    All that a pixel of the tile gives adds up to its flux (columns), and a constant stays constant (rows): both sums
    are made right in turn (Sinkhorn 1967), on a grid that is larger by the reach of the kernel.
    """
    more, beyond = int(np.ceil(2 * TAPS / step)), 3 * TAPS
    place = first + np.arange(-more, size + more)[:, None] * step
    apart = np.abs(place - np.arange(-beyond, window + beyond))
    weight = np.where(apart < TAPS, np.sinc(apart) * np.sinc(apart / TAPS), 0)
    whole = (apart[0] >= TAPS) & (apart[-1] >= TAPS) & (weight.sum(axis=0) > LEAST_AREA)
    for _ in range(3):
        weight[:, whole] /= step * weight[:, whole].sum(axis=0)
        weight /= weight.sum(axis=1, keepdims=True)
    return weight[more : more + size, beyond : beyond + window]


def _apply(along: np.ndarray, image: np.ndarray, across: np.ndarray) -> np.ndarray:
    return np.asarray(along @ image @ across.T)
