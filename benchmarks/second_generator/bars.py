"""Bars: generalised ellipses (Athanassoula+ 1990) whose light is flat or falls gently, and then ends.

Length is defined by the light of the bar alone: it reaches to where, along the major axis, the surface brightness of
the bar falls for the last time to `END_LEVEL` of its value in the centre. Barlens, lens, peanut, rings and arms are no
part of the bar in this sense. On the sky the axis is the principal axis of the isophote of that level, and the length
is the isophote's full extent along it.
"""

from dataclasses import dataclass, replace

import numpy as np

from second_generator.frame import Plane, log_uniform, rotated

END_LEVEL = 0.1
"""Part of the central surface brightness at which a bar ends."""
HALF_LEVEL = 0.5
"""The level of `half_length`, for those who prefer to say that the bar ends there."""
FAMILIES = {"fermi": 0.35, "cut": 0.3, "ferrers": 0.2, "exponential": 0.15}
"""Radial profiles and how often they occur."""
FERRERS_INDICES = (0.5, 2.0, 2.5)
ANSAE_PLACE, ANSAE_WIDTHS = 0.86, (0.055, 0.5)
"""Place of ansae, and their width along the bar, in semi-axes; width across the bar in its semi-minor axes."""
DIRECTIONS = 7200


@dataclass(frozen=True)
class BarShape:
    """A bar with semi-major axis 1 at its end.

    Attributes
    ----------
    family : str
        `fermi`: 1 / (1 + exp((m - 1) / softness)); `cut`: flat within m = 1, exp(-(m - 1) / softness) outside;
        `ferrers`: (1 - m^2)^softness; `exponential`: a Fermi profile times exp(-m / 0.9).
    softness : float
        Width of the edge, or the index of Ferrers.
    axis_ratio : float
        In the plane.
    boxiness : float
        Exponent c of |x|^c + |y / q|^c = m^c.
    ansae : float
        Central brightness of the ansae over that of the bar.
    reach : float
        The m at which the profile as written above ends.
    """

    family: str
    softness: float
    axis_ratio: float
    boxiness: float
    ansae: float = 0.0
    reach: float = 1.0

    def radius(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the generalised radius m of places in units of the semi-major axis.

        Parameters
        ----------
        x, y : ndarray
            Along and across the bar.

        Returns
        -------
        ndarray
        """
        c = np.float32(self.boxiness)
        return (np.abs(x) ** c + np.abs(y / np.float32(self.axis_ratio)) ** c) ** (1 / c)

    def light(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the surface brightness at places in units of the semi-major axis.

        Parameters
        ----------
        x, y : ndarray
            Along and across the bar.

        Returns
        -------
        ndarray
        """
        value = self._profile(self.radius(x, y) * np.float32(self.reach))
        if self.ansae:
            along, across = ANSAE_WIDTHS
            place = (np.abs(x) - ANSAE_PLACE) / along
            value = value + self.ansae * np.exp(-0.5 * (place**2 + (y / (across * self.axis_ratio)) ** 2))
        return value

    def _profile(self, m: np.ndarray) -> np.ndarray:
        if self.family == "ferrers":
            return np.clip(1 - m**2, 0, None) ** self.softness
        if self.family == "cut":
            return np.exp(-np.clip(m - 1, 0, None) / self.softness)
        edge = 1 / (1 + np.exp(np.clip((m - 1) / self.softness, -40, 40)))
        return edge * np.exp(-m / 0.9) if self.family == "exponential" else edge

    def end(self, level: float) -> float:
        """Return the place on the axis, in semi-axes, where the light falls for the last time to a level."""
        places = np.linspace(0, 3, 60001)
        values = self.light(places, np.zeros(1))
        return float(places[np.flatnonzero(values >= level * values[0])[-1]])


@dataclass(frozen=True)
class SkyBar:
    """A bar as seen: full lengths (arcsec), position angle (deg), width over length, and semi-major axis in the plane."""

    length: float
    half_length: float
    position_angle: float
    axis_ratio: float
    plane_semi: float


def draw_shape(rng: np.random.Generator) -> BarShape:
    """Return a random shape, scaled to end at 1."""
    family = str(rng.choice(list(FAMILIES), p=list(FAMILIES.values())))
    softness = {
        "fermi": rng.uniform(0.03, 0.1),
        "cut": log_uniform(rng, 0.04, 0.15),
        "ferrers": float(rng.choice(FERRERS_INDICES)),
        "exponential": rng.uniform(0.05, 0.1),
    }[family]
    form = family, softness, rng.uniform(0.16, 0.5), rng.uniform(2.0, 4.0)
    ansae = rng.uniform(0.3, 1.0) if rng.uniform() < 0.2 else 0.0
    return ending_at_one(BarShape(*form, ansae))


def ending_at_one(shape: BarShape) -> BarShape:
    """Return the shape with the `reach` that makes it end at one semi-axis."""
    for _ in range(30):
        shape = replace(shape, reach=shape.reach * shape.end(END_LEVEL))
    return shape


def on_sky(shape: BarShape, semi: float, angle: float, plane: Plane) -> SkyBar:
    """Return a bar of a disc as it is seen.

    Parameters
    ----------
    shape : BarShape
    semi : float
        Semi-major axis in the plane (arcsec).
    angle : float
        In the plane, from the line of nodes (rad).
    plane : Plane

    Returns
    -------
    SkyBar
    """
    direction = np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    extent = _extent(shape, direction, angle, plane)
    cosine, sine = np.mean(extent**4 * np.cos(2 * direction)), np.mean(extent**4 * np.sin(2 * direction))
    axis = 0.5 * np.arctan2(sine, cosine)
    spread, whole = np.hypot(cosine, sine), np.mean(extent**4)
    length = 2 * semi * float(_extent(shape, np.array([axis]), angle, plane)[0])
    ratio = float(np.sqrt((whole - spread) / (whole + spread)))
    return SkyBar(length, length * shape.end(HALF_LEVEL), float(np.rad2deg(axis) % 180), ratio, semi)


def _extent(shape: BarShape, direction: np.ndarray, angle: float, plane: Plane) -> np.ndarray:
    """Return how far the outermost isophote reaches in directions on the sky (rad, north through east), in semi-axes."""
    x, y = plane.inside(-np.sin(direction), np.cos(direction))
    return 1 / shape.radius(*rotated(x, y, angle))
