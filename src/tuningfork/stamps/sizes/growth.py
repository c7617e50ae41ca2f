"""Centre and size of a galaxy, from the growth of its light with the radius. Arrays have row = y and column = x."""

import numpy as np
import sep

PETROSIAN_RATIO, PETROSIAN_APERTURE = 0.2, 2.0
"""Petrosian ratio that defines the radius, and the aperture of all light in such radii (Blanton+ 2001, AJ 121, 2358)."""
MIN_CENTRE_SNR, MIN_RING_SHARE = 3.0, 0.3
"""Least mean light near the centre in units of the noise, and least part of a ring that has data."""
NEIGHBOUR_SNR = 4.0
"""A pixel so many times the noise brighter than the opposite one, and half as bright again, is a neighbour's."""


def centre_of(above: np.ndarray, start: tuple[float, float], window: float, most: float) -> tuple[float, float]:
    """Return the centre of a galaxy: the centroid in a Gaussian window that follows it (as XWIN_IMAGE of SExtractor).

    Parameters
    ----------
    above : ndarray
        (H, W) light above the sky.
    start : tuple of float
        Where the galaxy should be, x and y (px); the result where the window moves too far from it.
    window : float
        Standard deviation of the window (px).
    most : float
        Farthest that it may move (px).

    Returns
    -------
    x, y : float
        px, 0 is the middle of the first pixel.
    """
    x, y, _ = sep.winpos(np.ascontiguousarray(above, dtype=np.float32), *start, window)
    distance = np.hypot(x - start[0], y - start[1])
    if not np.isfinite(distance) or distance > most:
        return start
    return float(x), float(y)


def sizes_of(above: np.ndarray, good: np.ndarray, noise: float, x: float, y: float) -> tuple[float, float, bool]:
    """Return the radii with half and with 90 % of the light of a galaxy, from the Petrosian radius as SDSS defines it.

    Parameters
    ----------
    above : ndarray
        (H, W) light above the sky.
    good : ndarray of bool
        (H, W), which pixels have data.
    noise : float
        Standard deviation of the sky.
    x, y : float
        The galaxy's centre (px).

    Returns
    -------
    r50, r90 : float
        px; NaN where no galaxy is seen.
    complete : bool
        Whether the Petrosian radius lies in the picture; if not, the light within the picture counts.
    """
    radius, light = _growth(*_without_neighbours(above, good, noise, x, y), x, y)
    near = max(3, round(0.01 * min(above.shape)))
    if len(radius) <= near or light[near] < MIN_CENTRE_SNR * noise * np.pi * radius[near] ** 2 / np.sqrt(near):
        return np.nan, np.nan, False
    ratio = _petrosian_ratio(radius, light)
    below = (ratio < PETROSIAN_RATIO) & (radius > 1)
    complete = bool(below.any())
    petrosian = radius[-1]
    if complete:
        end = int(np.argmax(below))
        petrosian = np.interp(-PETROSIAN_RATIO, -ratio[end - 1 : end + 1], radius[end - 1 : end + 1])
    total = np.interp(PETROSIAN_APERTURE * petrosian, radius, light)
    rising = np.maximum.accumulate(light)
    r50, r90 = (float(np.interp(part * total, rising, radius)) for part in (0.5, 0.9))
    return r50, r90, complete


def _petrosian_ratio(radius: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Return the mean light of the ring from 0.8 to 1.25 radii divided by that within the radius; 1 at the centre."""
    inner, outer = 0.8 * radius[1:], np.minimum(1.25 * radius[1:], radius[-1])
    ring = np.interp(outer, radius, light) - np.interp(inner, radius, light)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = ring / (outer**2 - inner**2) / (light[1:] / radius[1:] ** 2)
    return np.concatenate([[1.0], np.where(light[1:] > 0, ratio, 1.0)])


def _without_neighbours(
    above: np.ndarray, good: np.ndarray, noise: float, x: float, y: float
) -> tuple[np.ndarray, np.ndarray]:
    """Replace pixels without data, or far brighter than those on the other side of the centre, by these.

    Returns light and which pixels have data, both (H, W).
    """
    twice_x, twice_y = round(2 * x), round(2 * y)
    rows, columns = (twice - np.arange(length) for twice, length in zip((twice_y, twice_x), above.shape, strict=True))
    other = np.clip(rows, 0, above.shape[0] - 1)[:, None], np.clip(columns, 0, above.shape[1] - 1)
    known = ((rows >= 0) & (rows < above.shape[0]))[:, None] & (columns >= 0) & (columns < above.shape[1]) & good[other]
    opposite = above[other]
    foreign = known & (~good | (above - opposite > NEIGHBOUR_SNR * noise + 0.5 * np.maximum(opposite, 0)))
    return np.where(foreign, opposite, above), good | foreign


def _growth(above: np.ndarray, good: np.ndarray, x: float, y: float) -> tuple[np.ndarray, np.ndarray]:
    """Return radii 0, 1, 2, ... (px) and the light within them; a ring that lacks pixels is completed with its mean."""
    ring = np.hypot(np.arange(above.shape[1]) - x, (np.arange(above.shape[0]) - y)[:, None]).astype(int)[good]
    number = np.bincount(ring, minlength=1)
    mean = np.bincount(ring, above[good], minlength=1) / np.maximum(number, 1)
    area = np.pi * (2 * np.arange(len(number)) + 1)
    short = np.flatnonzero(number < MIN_RING_SHARE * area)
    # The innermost rings hold so few pixels that chance decides how many.
    end = short[short > 3][0] if (short > 3).any() else len(number)
    radius = np.arange(end + 1, dtype=float)
    return radius, np.concatenate([[0.0], np.cumsum(mean[:end] * area[:end])])
