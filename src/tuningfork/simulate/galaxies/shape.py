"""The components of a galaxy before it has a magnitude and its final size."""

from dataclasses import dataclass

import numpy as np

from tuningfork.simulate.galaxies.bars import Bar
from tuningfork.simulate.truth import Part


@dataclass(frozen=True)
class Shape:
    """A galaxy of relative fluxes, and its properties; :class:`tuningfork.simulate.galaxies.draw.Galaxy` describes them."""

    parts: list[Part]
    axis_ratio: float
    position_angle: float
    bar: Bar | None = None
    bar_strength: float = 0.0
    bulge_fraction: float = 0.0
    arm_strength: float = 0.0
    cos_inclination: float = 1.0
    disturbance: float = 0.0
    ring_strength: float = 0.0


def flattened(cos_inclination: float, thickness: float) -> float:
    """Return the axis ratio of an inclined oblate body whose axis ratio is `thickness` edge-on (Hubble 1926)."""
    return float(np.sqrt(cos_inclination**2 + thickness**2 * (1 - cos_inclination**2)))
