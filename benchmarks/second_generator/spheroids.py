"""Bulges and ellipticals: core-Sersic profiles with isophotes that twist, flatten and are boxy or discy."""

from dataclasses import dataclass

import numpy as np

from second_generator.frame import Brightness, turned

FADE = (5.5, 7.0)
"""Light ends between so many half-light radii: no profile reaches to infinity."""


@dataclass(frozen=True)
class Spheroid:
    """A spheroid.

    Attributes
    ----------
    radius : float
        Scale that would hold half of the light of the Sersic profile without an end (arcsec, along the major axis).
    index : float
        Sersic's n.
    axis_ratio, position_angle : float
        At the radius; deg.
    core : float
        Radius of a core in which the light is almost flat, in units of `radius`; 0 without.
    boxiness : float
        Exponent of generalised ellipses: below 2 discy, above boxy.
    twist : float
        Change of the position angle by a factor of e in radius (deg).
    """

    radius: float
    index: float
    axis_ratio: float = 1.0
    position_angle: float = 0.0
    core: float = 0.0
    boxiness: float = 2.0
    twist: float = 0.0

    def brightness(self) -> Brightness:
        """Return the surface brightness (Graham+ 2003, with an inner slope of 0.1)."""

        def value(west: np.ndarray, north: np.ndarray) -> np.ndarray:
            m = self.ellipse_radius(west, north) / np.float32(self.radius)
            b = 2 * self.index - 1 / 3 + 0.009876 / self.index
            core = self.core or 1e-3
            softened = (m**4 + core**4) ** 0.25
            light = np.exp(-b * (softened ** (1 / self.index) - 1))
            if self.core:
                light = light * (softened / np.maximum(m, 1e-4)) ** 0.1
            low, high = FADE
            return light * np.clip((high - m) / (high - low), 0, 1)

        return value

    def ellipse_radius(self, west: np.ndarray, north: np.ndarray) -> np.ndarray:
        """Return the semi-major axes of the isophotes through places on the sky.

        Parameters
        ----------
        west, north : ndarray
            arcsec.

        Returns
        -------
        ndarray
            arcsec.
        """
        angle: float | np.ndarray = self.position_angle
        if self.twist:
            ratio = np.clip(np.hypot(west, north) / self.radius, 0.1, 6.0)
            angle = self.position_angle + self.twist * np.log(ratio)
            sine, cosine = np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))
            along, across = north * cosine - west * sine, -north * sine - west * cosine
        else:
            along, across = turned(west, north, float(angle))
        c = np.float32(self.boxiness)
        if c == 2:
            return np.hypot(along, across / np.float32(self.axis_ratio))
        return (np.abs(along) ** c + np.abs(across / np.float32(self.axis_ratio)) ** c) ** (1 / c)
