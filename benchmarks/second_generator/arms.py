"""Spiral arms, flocculent patches and rings: what stands out from a disc, with random patchiness.

The patchiness is a smooth random field in the logarithm of the radius and the angle, sheared as discs shear.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from second_generator.discs import Disc
from second_generator.frame import rotated

RADII, ANGLES = 96, 192
"""Cells of a field; it repeats in both coordinates."""
PERIOD = 4.0
"""Range of ln(radius) that a field covers."""


@dataclass(frozen=True)
class Texture:
    """A field of mean 0 and variance 1.

    Attributes
    ----------
    field : ndarray
        (RADII, ANGLES).
    shear : float
        Radians by which the pattern turns where the radius grows by a factor of e.
    scale : float
        A radius of the disc (arcsec).
    """

    field: np.ndarray
    shear: float
    scale: float

    def at(self, radius: np.ndarray, angle: np.ndarray) -> np.ndarray:
        """Return the field at places in the disc.

        Parameters
        ----------
        radius : ndarray
            arcsec.
        angle : ndarray
            rad.

        Returns
        -------
        ndarray
        """
        logarithm = np.log(np.maximum(radius, 1e-2 * self.scale) / np.float32(self.scale))
        rows = logarithm * (RADII / PERIOD)
        columns = (angle - self.shear * logarithm) * (ANGLES / (2 * np.pi))
        return ndimage.map_coordinates(self.field, np.broadcast_arrays(rows, columns), order=1, mode="grid-wrap")


def draw_texture(rng: np.random.Generator, scale: float, radial: float, angular: float, shear: float = 0.0) -> Texture:
    """Return a random texture.

    Parameters
    ----------
    rng : numpy.random.Generator
    scale : float
        A radius of the disc (arcsec).
    radial, angular : float
        Standard deviations of the smoothing, in ln(radius) and in rad.
    shear : float

    Returns
    -------
    Texture
    """
    noise = rng.standard_normal((RADII, ANGLES))
    widths = radial * RADII / PERIOD, angular * ANGLES / (2 * np.pi)
    field = ndimage.gaussian_filter(noise, widths, mode="wrap")
    return Texture(((field - field.mean()) / field.std()).astype(np.float32), shear, scale)


@dataclass(frozen=True)
class Arms:
    """Spiral arms: ridges in the light of the disc whose pitch angle changes slowly outwards.

    Attributes
    ----------
    number : int
    winding, unwinding : float
        Radians by which an arm turns where the radius grows by a factor of e, and the change of that per factor of e.
    start, end : float
        Radii (arcsec).
    phase : float
        Angle of the first arm at its start (rad).
    sharpness : float
        Larger for narrower arms.
    unequal : float
        Amplitude of the difference between the arms.
    texture : Texture
        Patchiness along the arms.
    patchiness : float
    """

    number: int
    winding: float
    unwinding: float
    start: float
    end: float
    phase: float
    sharpness: float
    unequal: float
    texture: Texture
    patchiness: float

    def light(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the contrast of the arms to the disc at places in the plane.

        Parameters
        ----------
        x, y : ndarray
            arcsec.

        Returns
        -------
        ndarray
        """
        radius, angle = np.hypot(x, y), np.arctan2(y, x)
        way = np.log(np.maximum(radius, 0.05 * self.start) / np.float32(self.start))
        turned = angle - self.phase - way * (self.winding + self.unwinding * way)
        ridge = np.exp(self.sharpness * (np.cos(self.number * turned) - 1))
        begins = 1 / (1 + np.exp(-np.clip(way / 0.07, -30, 30)))
        ends = 1 / (1 + np.exp(np.clip((radius / self.end - 1) / 0.12, -30, 30)))
        patches = np.exp(self.patchiness * self.texture.at(radius, angle))
        return ridge * begins * ends * (1 + self.unequal * np.cos(turned)) * patches


def draw_arms(rng: np.random.Generator, scale: float, start: float, phase: float | None) -> Arms:
    """Return arms; two of them where a phase is given, as behind a bar.

    Parameters
    ----------
    rng : numpy.random.Generator
    scale : float
        Scale radius of the disc (arcsec).
    start : float
        Radius at which they begin (arcsec).
    phase : float or None
        Angle of the first arm there (rad).

    Returns
    -------
    Arms
    """
    number = int(rng.choice([2, 3, 4], p=[0.55, 0.25, 0.2])) if phase is None else 2
    pitch = rng.uniform(10, 38) if phase is None else rng.uniform(12, 35)
    winding = rng.choice([-1, 1]) / np.tan(np.deg2rad(pitch))
    end = max(scale * rng.uniform(2.5, 4.5), 1.7 * start)
    texture = draw_texture(rng, scale, rng.uniform(0.04, 0.1), rng.uniform(0.1, 0.35), winding)
    phase = rng.uniform(0, 2 * np.pi) if phase is None else phase
    sharpness = rng.uniform(1.5, 5.0) if number == 2 else rng.uniform(1.0, 3.0)
    form = number, winding, winding * rng.uniform(-0.25, 0.25), start, end, phase, sharpness
    return Arms(*form, rng.uniform(0, 0.4), texture, rng.uniform(0.2, 0.8))


def flocculent(rng: np.random.Generator, disc: Disc) -> "Patches":
    """Return short pieces of arms all over a disc.

    Parameters
    ----------
    rng : numpy.random.Generator
    disc : Disc

    Returns
    -------
    Patches
    """
    shear = rng.choice([-1, 1]) * rng.uniform(1.5, 3.0)
    texture = draw_texture(rng, disc.scale, rng.uniform(0.03, 0.07), rng.uniform(0.15, 0.35), shear)
    return Patches(texture, rng.uniform(0.8, 1.4), 0.5 * disc.scale)


@dataclass(frozen=True)
class Patches:
    """Flocculent light: the exponential of a sheared texture outside a radius (arcsec)."""

    texture: Texture
    strength: float
    start: float

    def light(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the contrast to the disc at places in the plane.

        Parameters
        ----------
        x, y : ndarray
            arcsec.

        Returns
        -------
        ndarray
        """
        radius = np.hypot(x, y)
        patches = np.exp(self.strength * self.texture.at(radius, np.arctan2(y, x)))
        return patches * (1 - np.exp(-((radius / self.start) ** 2)))


@dataclass(frozen=True)
class Ring:
    """An elliptical ring, with patches.

    Attributes
    ----------
    radius : float
        Semi-major axis (arcsec).
    width : float
        Standard deviation across (arcsec).
    axis_ratio : float
    angle : float
        Of the major axis in the plane (rad).
    texture : Texture
    patchiness : float
    opening : float
        0 for a closed ring; a pseudo-ring misses its own end by this part of the radius.
    """

    radius: float
    width: float
    axis_ratio: float
    angle: float
    texture: Texture
    patchiness: float
    opening: float = 0.0

    def light(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the surface brightness at places in the plane.

        Parameters
        ----------
        x, y : ndarray
            arcsec.

        Returns
        -------
        ndarray
        """
        along, across = rotated(x, y, self.angle)
        across = across / np.float32(self.axis_ratio)
        radius, angle = np.hypot(along, across), np.arctan2(across, along)
        # Two half turns, each of which spirals outwards from one end of the major axis.
        ridge = self.radius * (1 + self.opening * (np.mod(angle, np.pi) / np.pi - 0.5))
        value = np.exp(-0.5 * ((radius - ridge) / self.width) ** 2)
        return value * np.exp(self.patchiness * self.texture.at(radius, angle))


def draw_ring(rng: np.random.Generator, radius: float, axis_ratio: float, angle: float, opening: float = 0.0) -> Ring:
    """Return a ring.

    Parameters
    ----------
    rng : numpy.random.Generator
    radius : float
        arcsec.
    axis_ratio : float
    angle : float
        rad.
    opening : float

    Returns
    -------
    Ring
    """
    texture = draw_texture(rng, radius, 0.08, rng.uniform(0.15, 0.5))
    width = radius * rng.uniform(0.05, 0.13)
    return Ring(radius, width, axis_ratio, angle, texture, rng.uniform(0.1, 0.7), opening)
