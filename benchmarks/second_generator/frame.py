"""Where things are: the fine grid on which light is drawn, planes of discs, and position angles.

Angles on the sky are position angles, north through east (deg). Images have north up and east left, so that columns
grow to the west and rows to the north; a picture's upward direction, counter-clockwise, is the same angle.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

CENTRE_REACH, CENTRE_SAMPLES = 4, 7
"""Fine pixels on each side of a centre that are sampled again, and samples along a side of each."""
Brightness = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Surface brightness at places to the west and north of a centre (arcsec)."""


@dataclass(frozen=True)
class Grid:
    """A square canvas of fine pixels.

    Attributes
    ----------
    pixels : int
        Width of the canvas in pixels of the image.
    pixel_scale : float
        arcsec.
    oversampling : int
        Fine pixels along the side of a pixel.
    west_offset, north_offset : float
        Place of the galaxy from the middle of the canvas (arcsec).
    """

    pixels: int
    pixel_scale: float
    oversampling: int
    west_offset: float = 0.0
    north_offset: float = 0.0

    @property
    def step(self) -> float:
        """Width of a fine pixel (arcsec)."""
        return self.pixel_scale / self.oversampling

    @property
    def reach(self) -> float:
        """Half the width of the canvas (arcsec)."""
        return self.pixels * self.pixel_scale / 2

    @cached_property
    def west(self) -> np.ndarray:
        """Places of the columns to the west of the galaxy (arcsec), (1, n)."""
        return self._places(self.west_offset)[None, :]

    @cached_property
    def north(self) -> np.ndarray:
        """Places of the rows to the north of the galaxy (arcsec), (n, 1)."""
        return self._places(self.north_offset)[:, None]

    def _places(self, offset: float) -> np.ndarray:
        number = self.pixels * self.oversampling
        return ((np.arange(number) - (number - 1) / 2) * self.step - offset).astype(np.float32)

    def drawn(self, brightness: Brightness, west: float = 0.0, north: float = 0.0) -> np.ndarray:
        """Return the light of a component, with a sum of one.

        Parameters
        ----------
        brightness : callable
            Its surface brightness.
        west, north : float
            Its centre (arcsec from the galaxy's).

        Returns
        -------
        ndarray
            float32 (n, n).
        """
        x, y = self.west - np.float32(west), self.north - np.float32(north)
        light = np.array(np.broadcast_to(brightness(x, y), (y.size, x.size)), dtype=np.float32)
        self._refine(light, brightness, x.ravel(), y.ravel())
        return light / light.sum(dtype=float).astype(np.float32)

    def _refine(self, light: np.ndarray, brightness: Brightness, x: np.ndarray, y: np.ndarray) -> None:
        """Replace the samples near the centre, where profiles are steep, by means over fine pixels."""
        column, row = int(np.argmin(np.abs(x))), int(np.argmin(np.abs(y)))
        columns, rows = (slice(max(place - CENTRE_REACH, 0), place + CENTRE_REACH + 1) for place in (column, row))
        inside = (np.arange(CENTRE_SAMPLES) - CENTRE_SAMPLES // 2) / CENTRE_SAMPLES * self.step
        finer_x, finer_y = ((places[:, None] + inside).ravel() for places in (x[columns], y[rows]))
        values = brightness(finer_x[None, :], finer_y[:, None])
        values = np.broadcast_to(values, (finer_y.size, finer_x.size))
        blocks = values.reshape(-1, CENTRE_SAMPLES, finer_x.size // CENTRE_SAMPLES, CENTRE_SAMPLES)
        light[rows, columns] = blocks.mean(axis=(1, 3))


@dataclass(frozen=True)
class Plane:
    """The plane of a thin disc on the sky.

    Attributes
    ----------
    cos_inclination : float
        1 is face-on.
    position_angle : float
        Of the line of nodes, which is the major axis (deg).
    """

    cos_inclination: float
    position_angle: float

    def inside(self, west: np.ndarray, north: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return places in the plane: along the line of nodes, and across it.

        Parameters
        ----------
        west, north : ndarray
            Places on the sky (arcsec).

        Returns
        -------
        x, y : ndarray
            arcsec.
        """
        along, across = turned(west, north, self.position_angle)
        return along, across / np.float32(self.cos_inclination)


def turned(west: np.ndarray, north: np.ndarray, position_angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Return places along a position angle and along the angle 90 deg further.

    Parameters
    ----------
    west, north : ndarray
        Places on the sky (arcsec).
    position_angle : float
        deg.

    Returns
    -------
    along, across : ndarray
        arcsec.
    """
    sine, cosine = (np.float32(f(np.deg2rad(position_angle))) for f in (np.sin, np.cos))
    return north * cosine - west * sine, -north * sine - west * cosine


def rotated(x: np.ndarray, y: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates about axes that are turned.

    Parameters
    ----------
    x, y : ndarray
    angle : float
        From the first axis towards the second (rad).

    Returns
    -------
    along, across : ndarray
    """
    sine, cosine = np.float32(np.sin(angle)), np.float32(np.cos(angle))
    return x * cosine + y * sine, y * cosine - x * sine


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Return a number that is uniform in its logarithm.

    Parameters
    ----------
    rng : numpy.random.Generator
    low, high : float

    Returns
    -------
    float
    """
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
