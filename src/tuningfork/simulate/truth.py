"""The single-component equivalents of a galaxy made of several components.

`mag` is the whole light. `r_eff` is the semi-major axis of the ellipse that holds half of the light, `sersic_n` the
index of the Sersic profile with the same ratio of the semi-major axes that hold 80 % and 20 % (the concentration of
Kent 1985 and Graham+ 2001). The ellipses have one axis ratio and position angle, those of the outer isophotes: the
disc's, the spheroid's, or in a merger the brighter galaxy's. They are concentric with the galaxy. Light means the
model without PSF, noise and neighbours; for one Sersic profile all equal its own parameters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from tuningfork.simulate.light.axes import to_axes
from tuningfork.simulate.light.points import sersic_quantile
from tuningfork.simulate.light.profiles import Knots, Profile, Sersic

SERSIC_RANGE = (0.2, 8.0)
"""Range of the equivalent Sersic index; profiles more or less concentrated get its ends."""
POINTS_PER_KNOT = 5
"""Points that stand for the light of a knot."""
GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))


@dataclass(frozen=True)
class Part:
    """A component of a galaxy before it has a brightness.

    Attributes
    ----------
    profile : Profile
    fraction : float
        Part of the galaxy's flux in the reference band; negative for a dust lane.
    population : str
        A key of `tuningfork.simulate.galaxies.colours.SPECTRA`.
    x, y : float
        Place relative to the galaxy's centre (arcsec, west and north).
    """

    profile: Profile
    fraction: float
    population: str
    x: float = 0.0
    y: float = 0.0

    def scaled(self, factor: float) -> "Part":
        """Return the part with all lengths multiplied by `factor`."""
        return Part(self.profile.scaled(factor), self.fraction, self.population, self.x * factor, self.y * factor)


def growth_radii(
    parts: Sequence[Part], axis_ratio: float, position_angle: float, fractions: Sequence[float]
) -> np.ndarray:
    """Return the semi-major axes of the ellipses that hold fractions of the light.

    Parameters
    ----------
    parts : sequence of Part
    axis_ratio : float
    position_angle : float
        deg.
    fractions : sequence of float
        Between 0 and 1, K of them.

    Returns
    -------
    ndarray
        arcsec, (K,).
    """
    radii, weights = [], []
    for part in parts:
        x, y, weight = _spread(part.profile) if isinstance(part.profile, Knots) else part.profile.points()
        along, across = to_axes(x + part.x, y + part.y, position_angle)
        radii.append(np.hypot(along, across / axis_ratio))
        weights.append(weight * part.fraction)
    radius, weight = np.concatenate(radii), np.concatenate(weights)
    order = np.argsort(radius)
    weight = weight[order]
    # Half of a point's light lies inside its own radius.
    inside = np.cumsum(weight) - weight / 2
    # A dust lane takes light away: the curve must still grow for the interpolation.
    return np.interp(np.asarray(fractions) * weight.sum(), np.maximum.accumulate(inside), radius[order])


def _spread(knots: Knots) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return points for the light of knots of their width; otherwise a ring would have all its light at one radius."""
    number = len(knots.x)
    share = (np.arange(POINTS_PER_KNOT) + 0.5) / POINTS_PER_KNOT
    radius = np.sqrt(-2 * np.log(1 - share))[:, None] * knots.sigma
    # The golden angle: no direction is favoured, whichever knots are taken.
    angle = GOLDEN_ANGLE * np.arange(POINTS_PER_KNOT * number).reshape(POINTS_PER_KNOT, number)
    x, y = knots.x + radius * np.cos(angle), knots.y + radius * np.sin(angle)
    return x.ravel(), y.ravel(), np.tile(knots.weight / POINTS_PER_KNOT, POINTS_PER_KNOT)


def equivalents(parts: Sequence[Part], axis_ratio: float, position_angle: float) -> tuple[float, float]:
    """Return the half-light radius and the Sersic index of a galaxy; the module's text defines them.

    Parameters
    ----------
    parts : sequence of Part
    axis_ratio : float
    position_angle : float
        deg.

    Returns
    -------
    r_eff : float
        arcsec.
    sersic_n : float
    """
    first = parts[0].profile
    if len(parts) == 1 and isinstance(first, Sersic):
        return first.r_eff, first.n
    r20, r50, r80 = growth_radii(parts, axis_ratio, position_angle, (0.2, 0.5, 0.8))
    return float(r50), index_of_concentration(r80 / r20)


def index_of_concentration(ratio: float) -> float:
    """Return the index of the Sersic profile whose radii of 80 % and 20 % of the light have this ratio."""
    indices, ratios = _concentrations()
    return float(np.interp(np.log(ratio), ratios, indices))


@cache
def _concentrations() -> tuple[np.ndarray, np.ndarray]:
    indices = np.geomspace(*SERSIC_RANGE, 200)
    return indices, np.log(sersic_quantile(indices, 0.8) / sersic_quantile(indices, 0.2))
