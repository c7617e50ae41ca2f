"""Discs: broken exponentials, lopsided or with a hollow centre, and clumps of young stars in them."""

from dataclasses import dataclass

import numpy as np

from second_generator.frame import Grid


@dataclass(frozen=True)
class Disc:
    """An exponential disc whose slope changes at a radius (Erwin+ 2008).

    Attributes
    ----------
    scale : float
        Inner scale radius (arcsec).
    break_radius, outer_scale : float
        Where the slope changes, and the scale radius outside (arcsec); `inf` for no break.
    hole, hole_radius : float
        Part of the light that is missing in the centre, and how far out (arcsec): the bar has swept it up.
    lopsided, lopsided_angle : float
        Amplitude of the first harmonic far out, and its direction in the plane (rad).
    """

    scale: float
    break_radius: float = np.inf
    outer_scale: float = 1.0
    hole: float = 0.0
    hole_radius: float = 1.0
    lopsided: float = 0.0
    lopsided_angle: float = 0.0

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
        radius = np.hypot(x, y)
        exponent = -radius / np.float32(self.scale)
        if np.isfinite(self.break_radius):
            sharpness = 6 / self.scale
            beyond = np.logaddexp(0, sharpness * (radius - self.break_radius)) / sharpness
            exponent = exponent + beyond * (1 / self.scale - 1 / self.outer_scale)
        light = np.exp(exponent)
        if self.hole:
            light = light * (1 - self.hole * np.exp(-((radius / self.hole_radius) ** 4)))
        if self.lopsided:
            direction = (x * np.cos(self.lopsided_angle) + y * np.sin(self.lopsided_angle)) / np.maximum(radius, 1e-3)
            light = light * (1 + self.lopsided * np.minimum(radius / (2 * self.scale), 1) * direction)
        return light


def draw_disc(rng: np.random.Generator, scale: float, hole: float = 0.0, hole_radius: float = 1.0) -> Disc:
    """Return a disc with or without a break.

    Parameters
    ----------
    rng : numpy.random.Generator
    scale : float
        arcsec.
    hole, hole_radius : float
        See :class:`Disc`.

    Returns
    -------
    Disc
    """
    kind = rng.choice(["single", "down", "up"], p=[0.35, 0.45, 0.2])
    break_radius = scale * rng.uniform(1.8, 3.6) if kind != "single" else np.inf
    outer = scale * (rng.uniform(0.35, 0.75) if kind == "down" else rng.uniform(1.3, 2.0))
    lopsided = rng.uniform(0.1, 0.4) if rng.uniform() < 0.3 else 0.0
    return Disc(scale, break_radius, outer, hole, hole_radius, lopsided, rng.uniform(0, 2 * np.pi))


def add_clumps(rng: np.random.Generator, grid: Grid, where: np.ndarray, number: int, size: float) -> np.ndarray:
    """Return clumps of young stars at random places, more of them where there is more light, with a sum of one.

    Parameters
    ----------
    rng : numpy.random.Generator
    grid : Grid
    where : ndarray
        float32 (n, n) light that attracts them.
    number : int
    size : float
        Typical standard deviation of a clump (arcsec).

    Returns
    -------
    ndarray
        float32 (n, n).
    """
    light = np.zeros_like(where)
    cumulative = np.cumsum(where.ravel(), dtype=float)
    places = np.searchsorted(cumulative, rng.uniform(0, cumulative[-1], number))
    for place in places:
        row, column = np.unravel_index(min(int(place), where.size - 1), where.shape)
        sigma = size * rng.lognormal(0, 0.35) / grid.step
        reach = int(4 * sigma) + 1
        rows = np.arange(max(row - reach, 0), min(row + reach + 1, len(where)))
        columns = np.arange(max(column - reach, 0), min(column + reach + 1, len(where)))
        profile = np.exp(-0.5 * ((rows[:, None] - row) ** 2 + (columns - column) ** 2) / sigma**2)
        light[np.ix_(rows, columns)] += rng.lognormal(0, 0.7) * profile / sigma**2
    return light / light.sum(dtype=float).astype(np.float32)
