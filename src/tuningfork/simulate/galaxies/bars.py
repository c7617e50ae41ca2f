"""Bars: a family of profiles along the bar, and isophotes that are generalised ellipses.

No single shape is drawn, so that no network learns a shape. The brightness along the bar falls as in Ferrers (1877)
bars, is flat out to an edge, or falls exponentially out to an edge (Elmegreen & Elmegreen 1985; Kim+ 2015). The
isophotes are |x/a|^c + |y/b|^c = m^c: boxy for c > 2 (Athanassoula+ 1990).

The length of a bar is where people draw its end: twice the semi-major axis at which its own light has fallen to
`END_LEVEL` of that at its centre.
"""

from dataclasses import dataclass, replace
from functools import cache, lru_cache

import numpy as np

from tuningfork.simulate.light.axes import from_axes, to_axes
from tuningfork.simulate.light.points import SECTORS, strata

END_LEVEL = 0.1
"""Surface brightness at the end of a bar, in units of that at its centre."""
BOXINESS_STEP = 0.25
"""Exponents c are multiples of this, so that few transforms are ever computed."""
WAVE_STEP, MAX_WAVE = 0.1, 80.0
"""Grid of the transform, in wave number times semi-axis; beyond it less than 1e-3 of the flux is left."""
TRANSFORM_PIXELS = 320
"""Cells of the quadrant that is transformed, on a side."""
RADIAL_STEPS = 4000
"""Steps from the centre to where the light ends, in which it is integrated."""


@dataclass(frozen=True)
class BarLight:
    """The surface brightness of a bar along its axis, zero from m = 1 on.

    Attributes
    ----------
    family : str
        ferrers, flat or exponential.
    parameter : float
        ferrers: the index of (1 - m^2)^index; flat: the width of the edge; exponential: the scale length.
    """

    family: str
    parameter: float

    def __call__(self, m: np.ndarray) -> np.ndarray:
        """Return the surface brightness, 1 at the centre.

        Parameters
        ----------
        m : ndarray
            Generalised radius in units of that where the light ends.

        Returns
        -------
        ndarray
            Of the same shape.
        """
        m = np.asarray(m, dtype=float)
        if self.family == "ferrers":
            return np.maximum(1 - m**2, 0) ** self.parameter
        width = self.parameter if self.family == "flat" else SHARP_EDGE
        # The edge lies four widths before the end, where 2 % are left.
        light = np.where(m < 1, 1 / (1 + np.exp((m - (1 - 4 * width)) / width)), 0)
        return light if self.family == "flat" else light * np.exp(-m / self.parameter)

    @property
    def end(self) -> float:
        """The largest m with at least `END_LEVEL` of the central light."""
        return _end(self)


SHARP_EDGE = 0.04
"""Width of the edge of exponential bars."""
FAMILIES = {
    "ferrers": tuple(BarLight("ferrers", index) for index in (0.5, 1.0, 1.5, 2.0, 2.5)),
    "flat": tuple(BarLight("flat", width) for width in (0.03, 0.06, 0.1)),
    "exponential": tuple(BarLight("exponential", scale) for scale in (0.45, 0.7, 1.2)),
}
"""Family -> its members, which are drawn equally often."""


@dataclass(frozen=True)
class Bar:
    """A bar as seen on the sky, of unit flux.

    Attributes
    ----------
    length : float
        Full length, where the light has fallen to `END_LEVEL` (arcsec).
    axis_ratio : float
    position_angle : float
        deg.
    light : BarLight
    boxiness : float
        The exponent c: 2 for ellipses.
    """

    length: float
    axis_ratio: float
    position_angle: float
    light: BarLight = BarLight("ferrers", 1.0)
    boxiness: float = 2.0

    def scaled(self, factor: float) -> "Bar":
        """Return the profile with all lengths multiplied by `factor`."""
        return replace(self, length=self.length * factor)

    @property
    def semi_major_axis(self) -> float:
        """Semi-major axis of the isophote on which the light ends (arcsec)."""
        return self.length / 2 / self.light.end

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
        unit = self.semi_major_axis / WAVE_STEP
        return _bilinear(
            _transform(self.light, self.boxiness), np.abs(along) * unit, np.abs(across) * (unit * self.axis_ratio)
        )

    def points(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return points that represent the light.

        Returns
        -------
        x, y : ndarray
            arcsec, (K,).
        weight : ndarray
            (K,), sum 1.
        """
        fraction, angle = _strata(self.boxiness)
        m, inside = _growth(self.light)
        radius = np.interp(fraction, inside, m) * self.semi_major_axis
        radius = radius / _generalised_radius(np.cos(angle), np.sin(angle), self.boxiness)
        x, y = from_axes(radius * np.cos(angle), self.axis_ratio * radius * np.sin(angle), self.position_angle)
        return x, y, np.full(x.size, 1 / x.size)


def bar_on_sky(
    length: float,
    axis_ratio: float,
    angle: float,
    light: BarLight,
    boxiness: float,
    cos_inclination: float,
    position_angle: float,
) -> Bar:
    """Return a flat bar in an inclined disc as it is seen.

    Parameters
    ----------
    length : float
        Full length as seen (arcsec); the one in the plane is at least as long.
    axis_ratio : float
        In the plane of the disc.
    angle : float
        In the plane, from the line of nodes (rad).
    light : BarLight
    boxiness : float
        Of the isophotes as seen.
    cos_inclination : float
    position_angle : float
        Of the line of nodes (deg).

    Returns
    -------
    Bar
    """
    axes, lengths, _ = np.linalg.svd(
        np.array([[1, 0], [0, cos_inclination]])
        @ [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        @ np.diag([1, axis_ratio])
    )
    seen = np.rad2deg(np.arctan2(axes[1, 0], axes[0, 0]))
    return Bar(length, float(lengths[1] / lengths[0]), float((position_angle + seen) % 180), light, boxiness)


def draw_light(rng: np.random.Generator) -> BarLight:
    """Return the light of a bar of any family."""
    members = FAMILIES[list(FAMILIES)[int(rng.integers(len(FAMILIES)))]]
    return members[int(rng.integers(len(members)))]


def draw_boxiness(rng: np.random.Generator, largest: float) -> float:
    """Return an exponent between 2 and `largest`, a multiple of `BOXINESS_STEP`."""
    return 2 + BOXINESS_STEP * int(rng.integers(int((largest - 2) / BOXINESS_STEP) + 1))


@cache
def _growth(light: BarLight) -> tuple[np.ndarray, np.ndarray]:
    """Return radii m and the fraction of the light within each."""
    m = np.linspace(0, 1, RADIAL_STEPS + 1)
    middle = (m[1:] + m[:-1]) / 2
    inside = np.concatenate([[0.0], np.cumsum(middle * light(middle))])
    return m, inside / inside[-1]


@cache
def _end(light: BarLight) -> float:
    m = np.linspace(0, 1, RADIAL_STEPS + 1)
    return float(m[light(m) >= END_LEVEL * light(np.zeros(1))][-1])


def _generalised_radius(x: np.ndarray, y: np.ndarray, boxiness: float) -> np.ndarray:
    return np.asarray((np.abs(x) ** boxiness + np.abs(y) ** boxiness) ** (1 / boxiness))


@lru_cache(maxsize=48)
def _transform(light: BarLight, boxiness: float) -> np.ndarray:
    """Return the Fourier amplitude, float32 (K, K), of the bar with semi-axes 1 on the grid of wave numbers."""
    position = (np.arange(TRANSFORM_PIXELS) + 0.5) / TRANSFORM_PIXELS
    brightness = light(_generalised_radius(position[:, None], position[None, :], boxiness)).astype(np.float32)
    wave = WAVE_STEP * np.arange(round(MAX_WAVE / WAVE_STEP) + 1)
    # The light is even in both axes, so that cosines are enough.
    cosines = np.cos(wave[:, None] * position[None, :]).astype(np.float32)
    return np.asarray(cosines @ (brightness / brightness.sum()) @ cosines.T, dtype=np.float32)


def _bilinear(table: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Return bilinear interpolations of the table, zero beyond its end."""
    last = table.shape[0] - 1
    inside = (row < last) & (column < last)
    row, column = np.where(inside, row, 0).astype(np.float32), np.where(inside, column, 0).astype(np.float32)
    i, j = row.astype(np.int32), column.astype(np.int32)
    row -= i
    column -= j
    position = i * table.shape[1] + j
    flat = table.ravel()
    low = flat[position] * (1 - column) + flat[position + 1] * column
    position += table.shape[1]
    high = flat[position] * (1 - column) + flat[position + 1] * column
    return np.asarray(inside * (low + (high - low) * row), dtype=np.float32)


@cache
def _strata(boxiness: float) -> tuple[np.ndarray, np.ndarray]:
    """Return flux fraction and polar angle (semi-axes 1) of points of equal light."""
    fine = np.linspace(0, 2 * np.pi, 20_001)
    area = np.cumsum(_generalised_radius(np.cos(fine), np.sin(fine), boxiness) ** -2)
    angle = np.interp((np.arange(SECTORS) + 0.5) / SECTORS, (area - area[0]) / (area[-1] - area[0]), fine)
    fraction, sector = strata()
    return fraction, angle[sector]
