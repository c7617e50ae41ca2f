"""What a galaxy is made of before it has a brightness and its final size."""

from dataclasses import dataclass

import numpy as np

from tuningfork.simulate.galaxies.boxy import Bar
from tuningfork.simulate.truth import Part


@dataclass(frozen=True)
class Shape:
    """A galaxy of relative fluxes, and what is known about it; :class:`tuningfork.simulate.galaxies.draw.Galaxy` explains it."""

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
    """Return the axis ratio of an oblate body, `thickness` seen edge-on, that is seen inclined (Hubble 1926)."""
    return float(np.sqrt(cos_inclination**2 + thickness**2 * (1 - cos_inclination**2)))
