"""What a galaxy is made of before it is observed: layers of light, dust in front of them, and the truth."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from second_generator.bars import SkyBar
from second_generator.frame import Grid, turned

BANDS = ("g", "r", "i")
REFERENCE = BANDS.index("r")
COLOURS = {"old": (0.80, 0.40), "disc": (0.58, 0.28), "young": (0.25, 0.08)}
"""Colours g - r and r - i (mag) of the populations."""
COLOUR_SCATTER = 0.06
"""Standard deviation of the shift of all colours of a galaxy (mag)."""
EXTINCTION = (1.4, 1.0, 0.75)
"""Optical depth of dust in the bands, in that of r."""


@dataclass(frozen=True)
class Layer:
    """A component: its population, its part of the light in r before dust, and its light with a sum of one."""

    population: str
    share: float
    light: np.ndarray


@dataclass(frozen=True)
class Model:
    """A galaxy on a grid.

    Attributes
    ----------
    layers : list of Layer
    axis_ratio, position_angle : float
        Of the outer isophotes; deg.
    depth : ndarray or None
        Optical depth in r of the dust in front, (n, n).
    cos_inclination : float
        NaN for galaxies that are no discs.
    bar : SkyBar or None
    shares : dict
        Parts of the light in r that some components have.
    details : str
        Words about what it shows.
    """

    layers: list[Layer]
    axis_ratio: float
    position_angle: float
    depth: np.ndarray | None = None
    cos_inclination: float = np.nan
    bar: SkyBar | None = None
    shares: dict[str, float] = field(default_factory=dict)
    details: str = ""

    def images(self, redder: float) -> np.ndarray:
        """Return the light in the bands, with a sum of one in r.

        Parameters
        ----------
        redder : float
            Shift of the colour g - r (mag).

        Returns
        -------
        ndarray
            float32 (bands, n, n).
        """
        planes = []
        for band in range(len(BANDS)):
            plane = sum(
                layer.light * np.float32(layer.share * _flux(layer.population, band, redder)) for layer in self.layers
            )
            if self.depth is not None:
                plane = plane * np.exp(-np.float32(EXTINCTION[band]) * self.depth)
            planes.append(plane)
        stack = np.stack(planes)
        return stack / stack[REFERENCE].sum(dtype=float).astype(np.float32)


def _flux(population: str, band: int, redder: float) -> float:
    """Return the flux of a population in a band, in that in r."""
    blue, red = COLOURS[population]
    colour = (blue + redder, 0.0, -(red + 0.5 * redder))[band]
    return float(10 ** (-0.4 * colour))


@dataclass(frozen=True)
class Plan:
    """What will be drawn.

    Attributes
    ----------
    kind : str
    extent : float
        Half the width of an image that shows it (arcsec).
    build : callable
        Draws it on a grid.
    """

    kind: str
    extent: float
    build: Callable[[Grid], Model]


def half_light_radius(light: np.ndarray, grid: Grid, axis_ratio: float, position_angle: float) -> float:
    """Return the semi-major axis of the ellipse with half of the light.

    Parameters
    ----------
    light : ndarray
        (n, n).
    grid : Grid
    axis_ratio : float
        Of the ellipse.
    position_angle : float
        deg.

    Returns
    -------
    float
        arcsec.
    """
    along, across = turned(grid.west, grid.north, position_angle)
    radius = np.hypot(along, across / axis_ratio)
    bins = np.minimum((radius / (grid.step / 2)).astype(np.int64), 20_000)
    inside = np.cumsum(np.bincount(bins.ravel(), weights=light.ravel()))
    return float(np.interp(inside[-1] / 2, inside, (np.arange(inside.size) + 1) * grid.step / 2))
