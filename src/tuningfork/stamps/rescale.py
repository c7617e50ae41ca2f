"""Put the pixels around a source on wider or narrower ones that are aligned with those of its tile.

Aligned grids make the resampling separable: image -> A image B^T, with one matrix per direction. A wider pixel sums the
flux of the tile's pixels by the exact overlap of the areas; a narrower one is interpolated between the edges of the
tile's pixels. Both keep the flux and treat a pixel as an integral over its area. (A Lanczos-3 kernel, whose weights must
be made to sum to one, changes the flux by some 0.01 %.) Pixels without data are left out, and the others get
correspondingly more weight; variances follow from the squared weights.
"""

import numpy as np
from scipy import sparse

EDGE_TAPS = 3
"""Edges of the tile's pixels on each side of a narrower pixel's that it is interpolated from."""
MIN_VALID_AREA = 0.5
"""Fraction of a pixel's area that must have data."""


def window_size(size: int, step: float) -> int:
    """Return the width of the square of the tile that :func:`rescale` needs (pixel).

    Its pixel [W // 2, W // 2] is the one that holds the source.

    Parameters
    ----------
    size : int
        Width of the stamp (pixel).
    step : float
        Width of its pixels in pixels of the tile; with 1 the window is the stamp.

    Returns
    -------
    int
    """
    if step == 1:
        return size
    reach = (size // 2 + 0.5) * step + 0.5 * abs(1 - step)
    return 2 * int(np.ceil(reach + (EDGE_TAPS if step < 1 else 0))) + 1


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
    weight = area if step > 1 else _apply(along.weight, good, across.weight)
    kept = (area >= MIN_VALID_AREA) & (weight > MIN_VALID_AREA)
    noise = _apply(along.square, variance, across.square)
    kept &= noise > 0
    scaled = np.where(kept, step**2 / np.where(kept, weight, 1), 0)
    values = _apply(along.weight, np.where(good > 0, flux, 0), across.weight) * scaled
    inverse = np.divide(1, noise * scaled**2, out=np.zeros_like(values), where=kept)
    return values.astype(np.float32), inverse.astype(np.float32)


class _Axis:
    """The matrices (S, W) of one direction.

    Attributes
    ----------
    weight : scipy.sparse.csr_array
        Weights that give the mean of the tile's pixels in a pixel of the stamp; each row sums to one.
    square : scipy.sparse.csr_array
        Their squares.
    overlap : scipy.sparse.csr_array
        Fraction of the stamp's pixel that each pixel of the tile covers.
    """

    def __init__(self, weight: np.ndarray, overlap: np.ndarray) -> None:
        # Few weights are not zero; and a sum over these alone does not depend on the number of threads, as BLAS does.
        self.weight = sparse.csr_array(weight.astype(np.float32))
        self.square = sparse.csr_array((weight**2).astype(np.float32))
        self.overlap = sparse.csr_array(overlap.astype(np.float32))

    @classmethod
    def of(cls, window: int, size: int, step: float, offset: float) -> "_Axis":
        first = window // 2 + offset * (1 - step) - (size // 2) * step
        apart = np.abs(first + np.arange(size)[:, None] * step - np.arange(window))
        overlap = np.clip((step + 1) / 2 - apart, 0, min(step, 1)) / step
        if step > 1:
            return cls(overlap, overlap)
        return cls(_interpolation(first + (np.arange(size + 1) - 0.5) * step, window), overlap)


def _interpolation(edges: np.ndarray, window: int) -> np.ndarray:
    """Return the weights (S, W) of narrow pixels between `edges` (S + 1,).

    The flux up to an edge is interpolated from its values at the six nearest edges of the tile's pixels (Lagrange), and the
    flux of a pixel is the difference of two such values. So no flux is lost, and a constant stays constant.
    """
    before = np.floor(edges + 0.5).astype(int)
    place, nodes = (edges + 0.5 - before)[:, None], np.arange(1 - EDGE_TAPS, EDGE_TAPS + 1)
    basis = [np.prod([(place - other) / (node - other) for other in nodes if other != node], axis=0) for node in nodes]
    beyond = np.cumsum(np.concatenate(basis, axis=1)[:, :0:-1], axis=1)[:, ::-1]
    column = np.arange(window) - (before[:, None] + 1 - EDGE_TAPS)
    near = np.take_along_axis(beyond, np.clip(column, 0, beyond.shape[1] - 1), axis=1)
    until = np.where(column < 0, 1.0, np.where(column < beyond.shape[1], near, 0.0))
    return np.diff(until, axis=0) / np.diff(edges)[:, None]


def _apply(along: sparse.csr_array, image: np.ndarray, across: sparse.csr_array) -> np.ndarray:
    """Return along @ image @ across^T for each of the planes of `image` (..., W, W)."""
    planes = [(across @ (along @ plane).T).T for plane in image.reshape(-1, *image.shape[-2:])]
    return np.array(planes, dtype=np.float32).reshape(*image.shape[:-2], *planes[0].shape)
