"""Discs seen edge-on, peanuts, and dust."""

from dataclasses import dataclass

import numpy as np
from scipy.special import k1

from second_generator.frame import Brightness, turned


@dataclass(frozen=True)
class EdgeOnDisc:
    """An exponential disc seen edge-on (van der Kruit & Searle 1981).

    Attributes
    ----------
    scale, height : float
        Scale radius, and scale height of sech^2(z / height) or exp(-|z| / height) (arcsec).
    vertical : str
        `sech2` or `exponential`.
    position_angle : float
        deg.
    edge : float
        Radius beyond which the disc fades (arcsec).
    warp : float
        Height by which the plane has bent at the edge (arcsec).
    """

    scale: float
    height: float
    vertical: str
    position_angle: float
    edge: float
    warp: float = 0.0

    def light(self, west: np.ndarray, north: np.ndarray) -> np.ndarray:
        """Return the surface brightness at places on the sky.

        Parameters
        ----------
        west, north : ndarray
            arcsec.

        Returns
        -------
        ndarray
        """
        along, z = turned(west, north, self.position_angle)
        z = np.abs(z - self.warp * (along / self.edge) ** 3)
        radius = np.maximum(np.abs(along), 1e-3) / self.scale
        fading = 1 / (1 + np.exp(np.clip((np.abs(along) / self.edge - 1) / 0.1, -30, 30)))
        ratio = np.minimum(z / self.height, 40)
        upwards = 1 / np.cosh(ratio) ** 2 if self.vertical == "sech2" else np.exp(-ratio)
        return _edge_on_profile(radius) * upwards * fading


def _edge_on_profile(radius: np.ndarray) -> np.ndarray:
    """Return R K1(R) by interpolation: the Bessel function itself is slow."""
    table = np.linspace(1e-3, 12, 2000)
    return np.interp(radius, table, table * k1(table)).astype(np.float32)


@dataclass(frozen=True)
class Peanut:
    """The thick inner part of a bar, seen from the side: boxy, or shaped like a peanut or an X.

    Attributes
    ----------
    semi : float
        Half length (arcsec).
    height : float
        Scale height in the middle (arcsec).
    pinch : float
        By which factor the height grows towards the lobes.
    position_angle : float
        deg.
    """

    semi: float
    height: float
    pinch: float
    position_angle: float

    def light(self, west: np.ndarray, north: np.ndarray) -> np.ndarray:
        """Return the surface brightness at places on the sky.

        Parameters
        ----------
        west, north : ndarray
            arcsec.

        Returns
        -------
        ndarray
        """
        along, z = turned(west, north, self.position_angle)
        place = np.abs(along) / self.semi
        height = self.height * (1 + self.pinch * np.exp(-(((place - 0.65) / 0.3) ** 2)))
        return np.exp(-1.2 * place**2 - np.abs(z / height) ** 1.5 - 2 * np.hypot(along, 2 * z) / self.semi)


def lane_of_disc(depth: float, disc: EdgeOnDisc, thinner: float, shift: float) -> Brightness:
    """Return the optical depth of the dust in a disc seen edge-on.

    Parameters
    ----------
    depth : float
        Optical depth in the middle.
    disc : EdgeOnDisc
    thinner : float
        Height of the dust in that of the stars.
    shift : float
        By which the lane lies beside the middle, because the disc is not quite edge-on (arcsec).

    Returns
    -------
    callable
    """

    def value(west: np.ndarray, north: np.ndarray) -> np.ndarray:
        along, z = turned(west, north, disc.position_angle)
        return depth * np.exp(-np.abs(along) / (1.2 * disc.scale) - ((z - shift) / (thinner * disc.height)) ** 2)

    return value


def lanes_of_bar(
    depth: float, semi: float, width: float, sense: int, along: np.ndarray, across: np.ndarray
) -> np.ndarray:
    """Return the optical depth of the two dust lanes on the leading sides of a bar.

    Parameters
    ----------
    depth : float
    semi : float
        Semi-major axis of the bar (arcsec).
    width : float
        Semi-minor axis of the bar (arcsec).
    sense : int
        1 or -1: on which sides they lie.
    along, across : ndarray
        Places along and across the bar (arcsec).

    Returns
    -------
    ndarray
    """
    place = along / semi
    ridge = sense * width * 0.45 * np.sign(place) * np.minimum(np.abs(place) / 0.25, 1)
    inside = np.clip(1 - (place / 0.95) ** 6, 0, 1)
    return depth * inside * np.exp(-0.5 * ((across - ridge) / (0.2 * width)) ** 2)
