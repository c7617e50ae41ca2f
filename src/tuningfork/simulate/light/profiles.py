"""The light profiles that make up galaxies, each of unit flux.

They are defined in the frame of the sky: x towards the west and y towards the north (arcsec), so that x runs along the
rows of an image with north up and east left. Position angles run from +y counter-clockwise, north through east. Each
profile gives its Fourier amplitude, for rendering, and its light as points, for the truth.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import Protocol, runtime_checkable

import galsim
import numpy as np
from scipy import special

from tuningfork.simulate.light.axes import from_axes, to_axes
from tuningfork.simulate.light.interpolation import interpolate_evenly
from tuningfork.simulate.light.points import edge_on_quantiles, polar_strata, sersic_points, uniform
from tuningfork.simulate.light.sersic import sersic_table

HEIGHT_POINTS = 32
"""Points across an edge-on disc."""


class Profile(Protocol):
    """A light distribution of unit flux."""

    def scaled(self, factor: float) -> "Profile":
        """Return the profile with all lengths multiplied by `factor`."""
        ...

    def points(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return points that represent the light.

        Returns
        -------
        x, y : ndarray
            arcsec, (K,).
        weight : ndarray
            (K,), sum 1.
        """
        ...


@runtime_checkable
class Transformed(Protocol):
    """A light distribution of unit flux whose Fourier transform is real and known."""

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
        ...


@dataclass(frozen=True)
class Sersic:
    """Sersic (1968) profile with elliptical isophotes.

    Attributes
    ----------
    n : float
    r_eff : float
        Half-light radius along the major axis (arcsec).
    axis_ratio : float
    position_angle : float
        deg.
    """

    n: float
    r_eff: float
    axis_ratio: float = 1.0
    position_angle: float = 0.0

    def scaled(self, factor: float) -> "Sersic":
        """Return the profile with all lengths multiplied by `factor`."""
        return replace(self, r_eff=self.r_eff * factor)

    def galsim(self) -> galsim.GSObject:
        """Return the profile as GalSim has it."""
        round_radius = self.r_eff * np.sqrt(self.axis_ratio)
        if self.n == 1:
            profile = galsim.Exponential(half_light_radius=round_radius)
        else:
            profile = galsim.Sersic(n=self.n, half_light_radius=round_radius)
        return profile.shear(q=self.axis_ratio, beta=(90 + self.position_angle) * galsim.degrees)

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
        across *= np.float32(self.axis_ratio)
        return sersic_table().amplitude(self.n, np.float32(self.r_eff**2) * (along * along + across * across))

    def points(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return points that represent the light.

        Returns
        -------
        x, y : ndarray
            arcsec, (K,).
        weight : ndarray
            (K,), sum 1.
        """
        radius, angle = sersic_points(self.n)
        return _on_ellipse(radius * self.r_eff, angle, self.axis_ratio, self.position_angle)


@dataclass(frozen=True)
class EdgeOn:
    """Exponential disc of finite thickness seen edge-on (van der Kruit & Searle 1981).

    Attributes
    ----------
    scale_radius, scale_height : float
        Of exp(-R / scale_radius) sech^2(z / scale_height) (arcsec).
    position_angle : float
        deg.
    """

    scale_radius: float
    scale_height: float
    position_angle: float = 0.0

    def scaled(self, factor: float) -> "EdgeOn":
        """Return the profile with all lengths multiplied by `factor`."""
        return replace(self, scale_radius=self.scale_radius * factor, scale_height=self.scale_height * factor)

    def galsim(self) -> galsim.GSObject:
        """Return the profile as GalSim has it."""
        disc = galsim.InclinedExponential(
            90 * galsim.degrees, scale_radius=self.scale_radius, scale_height=self.scale_height
        )
        return disc.rotate((90 + self.position_angle) * galsim.degrees)

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
        along *= np.float32(self.scale_radius)
        height = np.clip(np.abs(across) * np.float32(np.pi / 2 * self.scale_height), 1e-4, 40)
        disc = 1 + along * along
        return np.asarray(height / (np.sinh(height) * disc * np.sqrt(disc)))

    @property
    def axis_ratio(self) -> float:
        """Ratio of the roots of the second moments across and along the disc."""
        return float(np.pi / 6 * self.scale_height / self.scale_radius)

    def points(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return points that represent the light.

        Returns
        -------
        x, y : ndarray
            arcsec, (K,).
        weight : ndarray
            (K,), sum 1.
        """
        along, across = np.meshgrid(edge_on_quantiles(), uniform(HEIGHT_POINTS))
        x, y = from_axes(
            along.ravel() * self.scale_radius,
            np.arctanh(2 * across.ravel() - 1) * self.scale_height,
            self.position_angle,
        )
        return x, y, np.full(x.size, 1 / x.size)


@dataclass(frozen=True)
class Ferrers:
    """Flat bar that ends: (1 - m^2)^index inside an ellipse, nothing outside (after Ferrers 1877).

    Attributes
    ----------
    length : float
        Full length: twice the semi-major axis at which the light ends (arcsec).
    axis_ratio : float
    position_angle : float
        deg.
    index : float
    """

    length: float
    axis_ratio: float
    position_angle: float
    index: float = 1.0

    def scaled(self, factor: float) -> "Ferrers":
        """Return the profile with all lengths multiplied by `factor`."""
        return replace(self, length=self.length * factor)

    def amplitude(self, kx: np.ndarray, ky: np.ndarray) -> np.ndarray:
        """Return the Fourier amplitude, which is a Bessel function.

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
        radius = self.length / 2 * np.hypot(along, self.axis_ratio * across)
        step, values = _ferrers_table(self.index)
        return interpolate_evenly(values, radius * np.float32(1 / step))

    def points(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return points that represent the light.

        Returns
        -------
        x, y : ndarray
            arcsec, (K,).
        weight : ndarray
            (K,), sum 1.
        """
        fraction, angle = polar_strata()
        radius = np.sqrt(1 - (1 - fraction) ** (1 / (self.index + 1)))
        return _on_ellipse(radius * self.length / 2, angle, self.axis_ratio, self.position_angle)


@dataclass(frozen=True, eq=False)
class Knots:
    """Round Gaussian knots of light: arms, rings, tails and star-forming regions are made of them.

    Attributes
    ----------
    x, y, sigma : ndarray
        Places and standard deviations (arcsec), shape (K,).
    weight : ndarray
        Fraction of the flux in each knot, shape (K,), sum 1.
    """

    x: np.ndarray
    y: np.ndarray
    sigma: np.ndarray
    weight: np.ndarray

    def scaled(self, factor: float) -> "Knots":
        """Return the profile with all lengths multiplied by `factor`."""
        return Knots(self.x * factor, self.y * factor, self.sigma * factor, self.weight)

    def points(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return points that represent the light.

        Returns
        -------
        x, y : ndarray
            arcsec, (K,).
        weight : ndarray
            (K,), sum 1.
        """
        return self.x, self.y, self.weight


@dataclass(frozen=True)
class Point:
    """A star."""

    def scaled(self, factor: float) -> "Point":
        """Return the profile itself: a point has no size."""
        return self

    def points(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return points that represent the light.

        Returns
        -------
        x, y : ndarray
            arcsec, (K,).
        weight : ndarray
            (K,), sum 1.
        """
        return np.zeros(1), np.zeros(1), np.ones(1)


@cache
def _ferrers_table(index: float) -> tuple[float, np.ndarray]:
    step, order = 0.02, index + 1
    k = np.arange(1, 20_000) * step
    values = 2**order * special.gamma(order + 1) * special.jv(order, k) / k**order
    return step, np.concatenate([[1.0], values]).astype(np.float32)


def _on_ellipse(
    radius: np.ndarray, angle: np.ndarray, axis_ratio: float, position_angle: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, y = from_axes(radius * np.cos(angle), axis_ratio * radius * np.sin(angle), position_angle)
    return x, y, np.full(radius.size, 1 / radius.size)
