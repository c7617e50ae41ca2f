"""Bars whose isophotes are generalised ellipses, |x/a|^c + |y/b|^c = m^c: boxy for c > 2 (Athanassoula+ 1990)."""

from dataclasses import dataclass, replace
from functools import cache, lru_cache

import numpy as np

from tuningfork.simulate.light.axes import from_axes, to_axes
from tuningfork.simulate.light.points import SECTORS, strata
from tuningfork.simulate.light.profiles import Ferrers

BOXINESS_STEP = 0.25
"""Exponents c are multiples of this, so that few transforms are ever computed."""
WAVE_STEP, MAX_WAVE = 0.1, 80.0
"""Grid of the transform, in wave number times semi-axis; beyond it less than 1e-3 of the flux is left."""
TRANSFORM_PIXELS = 320
"""Cells of the quadrant that is transformed, on a side."""


@dataclass(frozen=True)
class BoxyBar:
    """Flat bar that ends: (1 - m^2)^index inside a generalised ellipse, nothing outside.

    Attributes
    ----------
    length : float
        Full length: twice the semi-major axis at which the light ends (arcsec).
    axis_ratio : float
    position_angle : float
        deg.
    index : float
    boxiness : float
        The exponent c: 2 is the ellipse of :class:`tuningfork.simulate.light.profiles.Ferrers`.
    """

    length: float
    axis_ratio: float
    position_angle: float
    index: float = 1.0
    boxiness: float = 3.0

    def scaled(self, factor: float) -> "BoxyBar":
        """Return the profile with all lengths multiplied by `factor`."""
        return replace(self, length=self.length * factor)

    def amplitude(self, kx: np.ndarray, ky: np.ndarray) -> np.ndarray:
        """Return the Fourier amplitude.

        Parameters
        ----------
        kx, ky : ndarray
            Wave vectors in the sky's frame (rad/arcsec), float32, (H, W).

        Returns
        -------
        ndarray
            float32 (H, W).
        """
        along, across = to_axes(kx, ky, self.position_angle)
        semi = self.length / 2
        table = _transform(self.index, self.boxiness)
        return _bilinear(
            table, np.abs(along) * (semi / WAVE_STEP), np.abs(across) * (semi * self.axis_ratio / WAVE_STEP)
        )

    def points(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return points that represent the light.

        Returns
        -------
        x, y : ndarray
            arcsec, (K,).
        weight : ndarray
            (K,), sum 1.
        """
        fraction, angle = _strata(self.boxiness)
        radius = np.sqrt(1 - (1 - fraction) ** (1 / (self.index + 1))) * self.length / 2
        radius = radius / _generalised_radius(np.cos(angle), np.sin(angle), self.boxiness)
        x, y = from_axes(radius * np.cos(angle), self.axis_ratio * radius * np.sin(angle), self.position_angle)
        return x, y, np.full(x.size, 1 / x.size)


Bar = Ferrers | BoxyBar


def draw_boxiness(rng: np.random.Generator, largest: float) -> float:
    """Return an exponent between 2 and `largest`, a multiple of `BOXINESS_STEP`."""
    return 2 + BOXINESS_STEP * int(rng.integers(int((largest - 2) / BOXINESS_STEP) + 1))


def _generalised_radius(x: np.ndarray, y: np.ndarray, boxiness: float) -> np.ndarray:
    return np.asarray((np.abs(x) ** boxiness + np.abs(y) ** boxiness) ** (1 / boxiness))


@lru_cache(maxsize=32)
def _transform(index: float, boxiness: float) -> np.ndarray:
    """Return the Fourier amplitude, float32 (K, K), of the bar with semi-axes 1 on the grid of wave numbers."""
    position = (np.arange(TRANSFORM_PIXELS) + 0.5) / TRANSFORM_PIXELS
    light = np.maximum(1 - _generalised_radius(position[:, None], position[None, :], boxiness) ** 2, 0) ** index
    wave = WAVE_STEP * np.arange(round(MAX_WAVE / WAVE_STEP) + 1)
    # The light is even in both axes, so that cosines are enough.
    cosines = np.cos(wave[:, None] * position[None, :])
    return np.asarray(cosines @ (light / light.sum()) @ cosines.T, dtype=np.float32)


def _bilinear(table: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Return bilinear interpolations of the table, zero beyond its end."""
    last = table.shape[0] - 1
    inside = (row < last) & (column < last)
    row, column = np.where(inside, row, 0).astype(np.float32), np.where(inside, column, 0).astype(np.float32)
    i, j = row.astype(np.int32), column.astype(np.int32)
    row -= i
    column -= j
    position = i * table.shape[1] + j
    flat = table.ravel()
    low = flat[position] * (1 - column) + flat[position + 1] * column
    position += table.shape[1]
    high = flat[position] * (1 - column) + flat[position + 1] * column
    return np.asarray(inside * (low + (high - low) * row), dtype=np.float32)


@cache
def _strata(boxiness: float) -> tuple[np.ndarray, np.ndarray]:
    """Return flux fraction and polar angle (semi-axes 1) of points of equal light."""
    fine = np.linspace(0, 2 * np.pi, 20_001)
    area = np.cumsum(_generalised_radius(np.cos(fine), np.sin(fine), boxiness) ** -2)
    angle = np.interp((np.arange(SECTORS) + 0.5) / SECTORS, (area - area[0]) / (area[-1] - area[0]), fine)
    fraction, sector = strata()
    return fraction, angle[sector]
