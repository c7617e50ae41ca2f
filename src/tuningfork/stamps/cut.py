"""Put one image on the pixels of another: exact copies where the grids agree, Lanczos interpolation elsewhere.

Integer alignment would leave up to half a pixel between the bands, which a bulge shows as a false colour gradient.
Lanczos-3 keeps the flux (its weights sum to one) and the PSF; the variance of each output pixel follows from the squared
weights.
"""

from dataclasses import dataclass

import numpy as np

LANCZOS_TAPS = np.arange(-2, 4)
MAX_COPY_OFFSET = 0.05
"""Offset (px) below which pixels are copied as they are."""


@dataclass(frozen=True)
class Mapping:
    """Where the pixels of a stamp lie in an image.

    Attributes
    ----------
    x, y : float
        Pixel position in the image of the stamp's pixel (0, 0).
    matrix : ndarray
        Shape (2, 2): change of (x, y) in the image for one step along the stamp's columns and rows.
    """

    x: float
    y: float
    matrix: np.ndarray

    def is_shift(self, size: int) -> bool:
        """Return whether the grids differ by a shift alone, to `MAX_COPY_OFFSET` pixels at the corners of a stamp of `size` pixels."""
        return bool(np.abs(self.matrix - np.eye(2)).sum(axis=1).max() * size / 2 < MAX_COPY_OFFSET)

    def is_copy(self, size: int) -> bool:
        """Return whether the pixels of the stamp are pixels of the image."""
        off = max(abs(self.x - round(self.x)), abs(self.y - round(self.y)))
        return off < MAX_COPY_OFFSET and self.is_shift(size)

    def centred(self, size: int) -> "Mapping":
        """Return the pure shift that agrees with this mapping at the middle of the stamp."""
        middle = size // 2
        step = (self.matrix - np.eye(2)) @ np.array([middle, middle])
        return Mapping(self.x + step[0], self.y + step[1], np.eye(2))


def extract(pixels: np.ndarray, inverse_variance: np.ndarray, mapping: Mapping, size: int) -> np.ndarray:
    """Return the stamp that `mapping` defines in an image.

    Parameters
    ----------
    pixels, inverse_variance : ndarray
        (H, W); pixels of zero inverse variance are not used.
    mapping : Mapping
    size : int
        Width of the stamp (px).

    Returns
    -------
    ndarray
        float32 (2, size, size): flux in the same unit per stamp pixel, inverse variance; both zero without data.
    """
    if mapping.is_copy(size):
        shift = mapping.centred(size)
        return copy(pixels, inverse_variance, round(shift.x), round(shift.y), size)
    if mapping.is_shift(size):
        return _shifted(pixels, inverse_variance, mapping.centred(size), size)
    return _interpolated(pixels, inverse_variance, mapping, size)


def copy(pixels: np.ndarray, inverse_variance: np.ndarray, left: int, bottom: int, size: int) -> np.ndarray:
    """Return a square of an image, padded with zeros.

    Parameters
    ----------
    pixels, inverse_variance : ndarray
        (H, W).
    left, bottom : int
        Column and row of the square's first pixel; it may lie beyond the image.
    size : int
        Width of the square (px).

    Returns
    -------
    ndarray
        float32 (2, size, size): flux and inverse variance, both zero without data.
    """
    stamp = np.zeros((2, size, size), dtype=np.float32)
    inside, window = overlap(left, bottom, (size, size), pixels.shape)
    stamp[0][inside] = pixels[window]
    stamp[1][inside] = inverse_variance[window]
    stamp[0][stamp[1] <= 0] = 0
    return stamp


def overlap(
    left: int, bottom: int, window_shape: tuple[int, int], shape: tuple[int, ...]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return the slices of a window and of an image that show the same pixels.

    Parameters
    ----------
    left, bottom : int
        Column and row of the image in which the window begins; it may lie beyond the image.
    window_shape, shape : tuple of int
        Height and width of the window and of the image.

    Returns
    -------
    inside, window : tuple of slice
        Rows and columns of the window and of the image; empty if they do not overlap.
    """
    inside, window = [], []
    for start, size, length in zip((bottom, left), window_shape, shape, strict=True):
        low = min(max(start, 0), length)
        high = max(min(start + size, length), low)
        inside.append(slice(low - start, high - start) if high > low else slice(0, 0))
        window.append(slice(low, high))
    return (inside[0], inside[1]), (window[0], window[1])


def _lanczos(distance: np.ndarray) -> np.ndarray:
    return np.where(np.abs(distance) < 3, np.sinc(distance) * np.sinc(distance / 3), 0.0)


def _weights(fraction: np.ndarray) -> np.ndarray:
    """Return the weights, summing to one, of the six taps around a position `fraction` past the third of them."""
    weights = _lanczos(LANCZOS_TAPS - np.asarray(fraction)[..., None])
    return weights / weights.sum(axis=-1, keepdims=True)


def _finish(flux: np.ndarray, weight: np.ndarray, variance: np.ndarray, nearest: np.ndarray) -> np.ndarray:
    """Divide by the weight of the good pixels; a pixel whose nearest neighbour is bad stays without data."""
    good = nearest & (weight > 0.5) & (variance > 0)
    stamp = np.zeros((2, *flux.shape), dtype=np.float32)
    stamp[0][good] = flux[good] / weight[good]
    stamp[1][good] = weight[good] ** 2 / variance[good]
    return stamp


def _shifted(pixels: np.ndarray, inverse_variance: np.ndarray, mapping: Mapping, size: int) -> np.ndarray:
    left, bottom = int(np.floor(mapping.x)), int(np.floor(mapping.y))
    across, along = _weights(np.array(mapping.x - left)), _weights(np.array(mapping.y - bottom))
    flux, weight = copy(pixels, inverse_variance, left - 2, bottom - 2, size + 5)
    good = (weight > 0).astype(np.float32)
    variance = np.divide(1, weight, out=np.zeros_like(weight), where=weight > 0)
    near_x, near_y = 2 + round(mapping.x - left), 2 + round(mapping.y - bottom)
    nearest = good[near_y : near_y + size, near_x : near_x + size] > 0
    return _finish(
        _convolved(flux, across, along, size),
        _convolved(good, across, along, size),
        _convolved(variance, across**2, along**2, size),
        nearest,
    )


def _convolved(values: np.ndarray, across: np.ndarray, along: np.ndarray, size: int) -> np.ndarray:
    rows = np.zeros((size, values.shape[1]), dtype=np.float32)
    result = np.zeros((size, size), dtype=np.float32)
    for k in range(len(LANCZOS_TAPS)):
        rows += np.float32(along[k]) * values[k : k + size]
    for k in range(len(LANCZOS_TAPS)):
        result += np.float32(across[k]) * rows[:, k : k + size]
    return result


def _interpolated(pixels: np.ndarray, inverse_variance: np.ndarray, mapping: Mapping, size: int) -> np.ndarray:
    row, column = np.mgrid[:size, :size]
    x = mapping.x + mapping.matrix[0, 0] * column + mapping.matrix[0, 1] * row
    y = mapping.y + mapping.matrix[1, 0] * column + mapping.matrix[1, 1] * row
    left, bottom = np.floor(x).astype(int), np.floor(y).astype(int)
    across, along = (_weights(part).astype(np.float32) for part in (x - left, y - bottom))
    planes, first, width = _surroundings(pixels, inverse_variance, left + LANCZOS_TAPS[0], bottom + LANCZOS_TAPS[0])
    sums = np.zeros((3, size, size), dtype=np.float32)
    for j in range(len(LANCZOS_TAPS)):
        for i in range(len(LANCZOS_TAPS)):
            factor = across[..., i] * along[..., j]
            tap = first + (j * width + i)
            for total, plane, power in zip(sums, planes, (factor, factor, factor**2), strict=True):
                total += power * plane[tap]
    near = (
        first
        + (np.rint(y).astype(int) - bottom - LANCZOS_TAPS[0]) * width
        + np.rint(x).astype(int)
        - left
        - LANCZOS_TAPS[0]
    )
    flux, weight, variance = sums
    stamp = _finish(flux, weight, variance, planes[1][near] > 0)
    # A stamp pixel that covers more sky than an image pixel holds more flux.
    area = abs(float(np.linalg.det(mapping.matrix)))
    stamp[0] *= area
    stamp[1] /= area**2
    return stamp


def _surroundings(
    pixels: np.ndarray, inverse_variance: np.ndarray, left: np.ndarray, bottom: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray, int]:
    """Return the planes that squares of taps are read from: flux, whether there are data, and variance.

    Parameters
    ----------
    pixels, inverse_variance : ndarray
        (H, W).
    left, bottom : ndarray of int
        First column and row of each square, (S, S); it may lie beyond the image.

    Returns
    -------
    planes : list of ndarray
        The three, flat, float32; zero without data.
    first : ndarray of int
        Index in them at which each square begins, (S, S).
    width : int
        Their width.
    """
    lowest, leftmost = int(bottom.min()), int(left.min())
    height, width = (int(first.max()) - low + len(LANCZOS_TAPS) for first, low in ((bottom, lowest), (left, leftmost)))
    window = np.zeros((2, height, width), dtype=np.float32)
    inside, source = overlap(leftmost, lowest, (height, width), pixels.shape)
    window[0][inside], window[1][inside] = pixels[source], inverse_variance[source]
    good = window[1] > 0
    variance = np.divide(1, window[1], out=np.zeros_like(window[1]), where=good)
    planes = [np.where(good, window[0], np.float32(0)), good.astype(np.float32), variance]
    return [plane.ravel() for plane in planes], (bottom - lowest) * width + left - leftmost, width
