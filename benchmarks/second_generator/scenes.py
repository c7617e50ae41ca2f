"""Scenes: a galaxy, or something that is none, in the middle of an image of a survey, with its truth."""

from dataclasses import asdict, dataclass

import numpy as np

from second_generator import surroundings
from second_generator.barred import plan_barred
from second_generator.frame import Grid
from second_generator.imaging import SATURATION, ZERO_POINT, Conditions, convolved, draw_conditions, exposed
from second_generator.model import BANDS, COLOUR_SCATTER, REFERENCE, Model, Plan, half_light_radius
from second_generator.unbarred import plan_edge_on, plan_elliptical, plan_lenticular, plan_merger, plan_spiral

GALAXIES = {
    "barred": (plan_barred, 0.45),
    "spiral": (plan_spiral, 0.20),
    "lenticular": (plan_lenticular, 0.10),
    "elliptical": (plan_elliptical, 0.11),
    "edge_on": (plan_edge_on, 0.09),
    "merger": (plan_merger, 0.05),
}
"""Kind -> what draws it, and its share of the galaxies."""
ARTEFACTS = {"star": 0.4, "trail": 0.3, "empty": 0.3}
ARTEFACT_SHARE = 0.08
"""Share of the scenes without a galaxy."""
MAGS, SURFACE_BRIGHTNESS = (14.0, 17.5), (18.8, 23.3)
"""Ranges of the magnitude of galaxies, and of the mean surface brightness within the half-light ellipse (mag/arcsec2)."""
ARTEFACT_REACH, STAR_MAGS = (20.0, 60.0), (8.5, 12.5)
"""Half the width of images without a galaxy (arcsec); magnitudes of the stars in their middle."""
PIXELS, MARGIN = (80, 620), 7.0
"""Smallest and largest width of an image (px); what is drawn beyond its edge (arcsec)."""
FINE_STEP = 0.125
"""Widest fine pixel (arcsec)."""
OFF_CENTRE = 1.5
"""Galaxies lie up to so many pixels from the middle of the image."""


@dataclass(frozen=True)
class Truth:
    """The truth about a scene. Angles are those on the sky, north through east; NaN where there is nothing to say.

    Attributes
    ----------
    kind : str
        A key of `GALAXIES` or of `ARTEFACTS`.
    barred : bool
    bar_length : float
        Full length on the sky (arcsec); :mod:`second_generator.bars` defines it.
    bar_half_length : float
        The same to the half level.
    bar_position_angle, bar_axis_ratio : float
        deg; width over length on the sky.
    bar_share, bulge_share : float
        Parts of the light in r; that of the bar with its barlens.
    bar_contrast : float
        Light of the bar over all other light on its outer half, in r, without dust and PSF.
    inclination, position_angle, axis_ratio : float
        Of the disc or the spheroid (deg, deg).
    mag, r_eff : float
        In r; semi-major axis of the ellipse with half of the light, without PSF (arcsec).
    details : str
        What it shows.
    """

    kind: str
    barred: bool = False
    bar_length: float = np.nan
    bar_half_length: float = np.nan
    bar_position_angle: float = np.nan
    bar_axis_ratio: float = np.nan
    bar_share: float = np.nan
    bar_contrast: float = np.nan
    bulge_share: float = np.nan
    inclination: float = np.nan
    position_angle: float = np.nan
    axis_ratio: float = np.nan
    mag: float = np.nan
    r_eff: float = np.nan
    details: str = ""


@dataclass(frozen=True)
class Scene:
    """An image.

    Attributes
    ----------
    index : int
    image : ndarray
        float32 (bands, H, W), nanomaggies; row 0 at the bottom.
    conditions : Conditions
    truth : Truth
    x, y : float
        Place of the galaxy (px; 0 is the middle of the first pixel).
    """

    index: int
    image: np.ndarray
    conditions: Conditions
    truth: Truth
    x: float
    y: float

    @property
    def psf_fwhm(self) -> float:
        """Width of the PSF in r (arcsec)."""
        return self.conditions.psfs[REFERENCE].fwhm

    def row(self) -> dict[str, object]:
        """Return the row of the table of truths."""
        imaging = {"pixel_scale": self.conditions.pixel_scale, "psf_fwhm": self.psf_fwhm}
        imaging |= {"sky_noise": self.conditions.noise[REFERENCE], "rotation": self.conditions.rotation}
        return {"scene": self.index} | asdict(self.truth) | imaging | {"x": self.x, "y": self.y}


def draw_scene(seed: int, index: int, kind: str | None = None) -> Scene:
    """Return a scene, which depends on seed and index alone.

    Parameters
    ----------
    seed, index : int
    kind : str, optional
        Kind of what is in the middle, instead of a random one.

    Returns
    -------
    Scene
    """
    rng = np.random.default_rng([seed, index])
    conditions = draw_conditions(rng)
    drawn = _draw_kind(rng)
    kind = kind or drawn
    if kind in ARTEFACTS:
        return _artefact(rng, index, kind, conditions)
    plan = GALAXIES[kind][0](rng, conditions.psfs[REFERENCE].fwhm)
    grid = _grid(rng, plan.extent, conditions)
    model = plan.build(grid)
    light = model.images(rng.normal(0, COLOUR_SCATTER))
    truth = truth_of(rng, plan, model, light[REFERENCE], grid, conditions)
    light *= np.float32(10 ** (-0.4 * (truth.mag - ZERO_POINT)))
    around = surroundings.draw_surroundings(rng, grid.reach, truth.mag, truth.r_eff)
    return _observe(rng, index, light, grid, around, conditions, truth)


def _draw_kind(rng: np.random.Generator) -> str:
    if rng.uniform() < ARTEFACT_SHARE:
        return str(rng.choice(list(ARTEFACTS), p=list(ARTEFACTS.values())))
    return str(rng.choice(list(GALAXIES), p=[share for _, share in GALAXIES.values()]))


def _grid(rng: np.random.Generator, extent: float, conditions: Conditions, off: float = OFF_CENTRE) -> Grid:
    scale = conditions.pixel_scale
    pixels = int(np.clip(2 * extent / scale, *PIXELS)) + 2 * _margin(scale)
    return Grid(pixels, scale, int(np.ceil(scale / FINE_STEP)), *(rng.uniform(-off, off, 2) * scale))


def _margin(scale: float) -> int:
    return int(np.ceil(MARGIN / scale))


def truth_of(
    rng: np.random.Generator, plan: Plan, model: Model, light: np.ndarray, grid: Grid, conditions: Conditions
) -> Truth:
    """Return the truth about a galaxy; its magnitude is drawn so that its surface brightness is in range.

    Parameters
    ----------
    rng : numpy.random.Generator
    plan : Plan
    model : Model
    light : ndarray
        (n, n) in r.
    grid : Grid
    conditions : Conditions

    Returns
    -------
    Truth
    """
    r_eff = half_light_radius(light, grid, model.axis_ratio, model.position_angle)
    area = 2.5 * np.log10(2 * np.pi * r_eff**2 * model.axis_ratio)
    low, high = (np.clip(brightness - area, *MAGS) for brightness in SURFACE_BRIGHTNESS)
    return Truth(
        plan.kind,
        model.bar is not None,
        bulge_share=model.shares.get("bulge", np.nan),
        inclination=float(np.rad2deg(np.arccos(model.cos_inclination))),
        position_angle=(model.position_angle + conditions.rotation) % 180,
        axis_ratio=model.axis_ratio,
        mag=float(rng.uniform(low, high)),
        r_eff=r_eff,
        details=model.details,
        **_truth_of_bar(model, conditions.rotation),
    )


def _truth_of_bar(model: Model, rotation: float) -> dict[str, float]:
    """Return what the truth says about a bar."""
    bar = model.bar
    if bar is None:
        return {}
    return {
        "bar_length": bar.length,
        "bar_half_length": bar.half_length,
        "bar_position_angle": (bar.position_angle + rotation) % 180,
        "bar_axis_ratio": bar.axis_ratio,
        "bar_share": model.shares["bar"],
        "bar_contrast": model.shares["contrast"],
    }


def _artefact(rng: np.random.Generator, index: int, kind: str, conditions: Conditions) -> Scene:
    grid = _grid(rng, rng.uniform(*ARTEFACT_REACH), conditions)
    light = np.zeros((len(BANDS), grid.pixels * grid.oversampling, grid.pixels * grid.oversampling), dtype=np.float32)
    stars, neighbours = surroundings.draw_surroundings(rng, grid.reach, 20.0, 3.0)
    truth = Truth(kind)
    if kind == "star":
        mag = rng.uniform(*STAR_MAGS)
        truth = Truth(kind, mag=mag)
        stars.append(surroundings.star(rng, grid.west_offset, grid.north_offset, mag))
    return _observe(rng, index, light, grid, (stars, neighbours), conditions, truth)


def _observe(
    rng: np.random.Generator,
    index: int,
    light: np.ndarray,
    grid: Grid,
    around: tuple[list[surroundings.Star], list[surroundings.Neighbour]],
    conditions: Conditions,
    truth: Truth,
) -> Scene:
    """Return the image of some light with what is around it."""
    stars, neighbours = around
    for galaxy in neighbours:
        surroundings.add_neighbour(light, grid, galaxy)
    for point in stars:
        surroundings.add_point(light, grid, point)
    margin = _margin(grid.pixel_scale)
    inside = slice(margin, grid.pixels - margin)
    extra = _flaws(rng, grid, stars, truth.kind)[:, inside, inside]
    planes = []
    for band, psf in enumerate(conditions.psfs):
        seen = convolved(light[band], psf, grid)[inside, inside] + extra[band]
        planes.append(exposed(rng, seen, conditions, band))
    middle = (grid.pixels - 2 * margin - 1) / 2
    x, y = (middle + offset / grid.pixel_scale for offset in (grid.west_offset, grid.north_offset))
    return Scene(index, np.stack(planes), conditions, truth, x, y)


def _flaws(rng: np.random.Generator, grid: Grid, stars: list[surroundings.Star], kind: str) -> np.ndarray:
    """Return what is drawn on the pixels: spikes, trails, and the columns of saturated stars."""
    places = (np.arange(grid.pixels) - (grid.pixels - 1) / 2) * grid.pixel_scale
    x, y = places[None, :], places[:, None]
    area = grid.pixel_scale**2
    light = np.zeros((len(BANDS), grid.pixels, grid.pixels))
    angle, number = rng.uniform(0, np.pi), int(rng.choice([2, 2, 3]))
    for point in stars:
        if point.mag < surroundings.SPIKES_FROM:
            light += (
                np.stack([surroundings.spikes(point, x, y, angle, number, band) for band in range(len(BANDS))]) * area
            )
        if point.mag < 12 and rng.uniform() < 0.6:
            length = rng.uniform(3, 12)
            light += SATURATION * area * ((np.abs(x - point.west) < 0.6) & (np.abs(y - point.north) < length))
    crossed = rng.uniform() < surroundings.TRAIL_SHARE
    if kind == "trail" or crossed:
        miss = rng.normal(0, 1.0 if kind == "trail" else 0.4 * grid.reach)
        sunlight = np.array([0.6, 1.0, 1.2])[:, None, None]
        light += sunlight * surroundings.trail(rng, x, y, rng.uniform(0.5, 6.0), miss) * area
    return light
