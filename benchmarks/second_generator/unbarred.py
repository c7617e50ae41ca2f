"""Galaxies without a bar that could be seen: discs with arms and without, lenticulars, ellipticals, edge-on discs, mergers."""

from collections.abc import Callable

import numpy as np

from second_generator.arms import Arms, Patches, Ring, draw_arms, draw_ring, flocculent
from second_generator.discs import Disc, add_clumps, draw_disc
from second_generator.frame import Brightness, Grid, Plane, log_uniform
from second_generator.model import Layer, Model, Plan
from second_generator.spheroids import Spheroid
from second_generator.thick import EdgeOnDisc, Peanut, lane_of_disc

DISC_SCALES = (1.2, 10.0)
"""Range of the scale radius of discs (arcsec)."""


def _plan(
    rng: np.random.Generator, kind: str, extent: float, build: Callable[[np.random.Generator, Grid], Model]
) -> Plan:
    seed = int(rng.integers(2**62))
    return Plan(kind, extent, lambda grid: build(np.random.default_rng(seed), grid))


def _in_plane(plane: Plane, light: Brightness) -> Brightness:
    return lambda west, north: light(*plane.inside(west, north))


def _bulge(rng: np.random.Generator, plane: Plane, scale: float, largest: float) -> Spheroid:
    flattening = np.hypot(plane.cos_inclination, rng.uniform(0.5, 0.9) * np.sqrt(1 - plane.cos_inclination**2))
    radius = max(scale * log_uniform(rng, 0.08, largest), 0.25)
    return Spheroid(radius, rng.uniform(0.8, 4.5), float(flattening), plane.position_angle)


def _pattern(rng: np.random.Generator, name: str, disc: Disc) -> Arms | Patches | Ring:
    """Return arms, patches or a ring of an unbarred disc."""
    if name == "arms":
        return draw_arms(rng, disc.scale, disc.scale * rng.uniform(0.3, 1.0), None)
    if name == "patches":
        return flocculent(rng, disc)
    return draw_ring(rng, disc.scale * rng.uniform(0.8, 2.2), rng.uniform(0.85, 1.0), rng.uniform(0, np.pi))


def plan_spiral(rng: np.random.Generator, psf_fwhm: float) -> Plan:
    """Return an unbarred disc with arms, patches or a ring.

    Parameters
    ----------
    rng : numpy.random.Generator
    psf_fwhm : float
        arcsec.

    Returns
    -------
    Plan
    """
    plane = Plane(float(rng.uniform(0.3, 1.0)), float(rng.uniform(0, 180)))
    scale = log_uniform(rng, *DISC_SCALES)

    def build(rng: np.random.Generator, grid: Grid) -> Model:
        x, y = plane.inside(grid.west, grid.north)
        pattern = rng.choice(["arms", "patches", "ring"], p=[0.6, 0.27, 0.13])
        disc, bulge = draw_disc(rng, scale), log_uniform(rng, 0.01, 0.35)
        light = grid.drawn(_in_plane(plane, disc.light))
        part = _pattern(rng, pattern, disc)
        young = part.light(x, y) * (1 if pattern == "ring" else light)
        young = (young / young.sum(dtype=float)).astype(np.float32)
        share = (1 - bulge) * rng.uniform(0.12, 0.45 if pattern != "ring" else 0.25)
        layers = [
            Layer("old", bulge, grid.drawn(_bulge(rng, plane, scale, 0.5).brightness())),
            Layer("disc", 1 - bulge - share, light),
            Layer("young", share, young),
        ]
        if rng.uniform() < 0.7:
            clumps = add_clumps(rng, grid, young, int(rng.integers(8, 80)), scale * rng.uniform(0.03, 0.1))
            layers.append(Layer("young", log_uniform(rng, 0.005, 0.07), clumps))
        flat = plane.cos_inclination, plane.position_angle
        return Model(layers, *flat, None, plane.cos_inclination, None, {"bulge": bulge}, pattern)

    return _plan(rng, "spiral", scale * rng.uniform(4.2, 6.5), build)


def plan_lenticular(rng: np.random.Generator, psf_fwhm: float) -> Plan:
    """Return a smooth disc with a bulge, without arms.

    Parameters
    ----------
    rng : numpy.random.Generator
    psf_fwhm : float
        arcsec.

    Returns
    -------
    Plan
    """
    plane = Plane(float(rng.uniform(0.3, 1.0)), float(rng.uniform(0, 180)))
    scale = log_uniform(rng, 1.2, 8.0)

    def lens(west: np.ndarray, north: np.ndarray) -> np.ndarray:
        x, y = plane.inside(west, north)
        return 1 / (1 + np.exp(np.clip((np.hypot(x, y) / (1.3 * scale) - 1) / 0.08, -30, 30)))

    def build(rng: np.random.Generator, grid: Grid) -> Model:
        bulge = rng.uniform(0.15, 0.65)
        layers = [
            Layer("old", bulge, grid.drawn(_bulge(rng, plane, scale, 0.7).brightness())),
            Layer("old", 1 - bulge, grid.drawn(_in_plane(plane, draw_disc(rng, scale).light))),
        ]
        if rng.uniform() < 0.3:
            layers.append(Layer("old", rng.uniform(0.05, 0.2), grid.drawn(lens)))
        flat = plane.cos_inclination, plane.position_angle
        return Model(layers, *flat, None, plane.cos_inclination, None, {"bulge": bulge})

    return _plan(rng, "lenticular", scale * rng.uniform(4.2, 6.5), build)


def draw_elliptical(rng: np.random.Generator, radius: float) -> Spheroid:
    """Return an elliptical: de Vaucouleurs, or with a core and another index; often with twisted, boxy or discy isophotes."""
    index = 4.0 if rng.uniform() < 0.4 else rng.uniform(2.2, 6.5)
    core = rng.uniform(0.02, 0.08) if rng.uniform() < 0.4 else 0.0
    twist = rng.uniform(-12, 12) if rng.uniform() < 0.4 else 0.0
    form = rng.uniform(0.42, 1.0), rng.uniform(0, 180), core, float(rng.choice([1.85, 2.0, 2.15])), twist
    return Spheroid(radius, index, *form)


def plan_elliptical(rng: np.random.Generator, psf_fwhm: float) -> Plan:
    """Return an elliptical.

    Parameters
    ----------
    rng : numpy.random.Generator
    psf_fwhm : float
        arcsec.

    Returns
    -------
    Plan
    """
    stars = draw_elliptical(rng, log_uniform(rng, 1.3, 9.0))

    def build(rng: np.random.Generator, grid: Grid) -> Model:
        layers = [Layer("old", 1.0, grid.drawn(stars.brightness()))]
        return Model(layers, stars.axis_ratio, stars.position_angle, shares={"bulge": 1.0})

    return _plan(rng, "elliptical", stars.radius * rng.uniform(5.5, 8), build)


def plan_edge_on(rng: np.random.Generator, psf_fwhm: float) -> Plan:
    """Return a disc seen edge-on, often with dust, sometimes with a peanut: a bar that cannot be measured.

    Parameters
    ----------
    rng : numpy.random.Generator
    psf_fwhm : float
        arcsec.

    Returns
    -------
    Plan
    """
    scale, angle = log_uniform(rng, 1.5, 9.0), float(rng.uniform(0, 180))
    height = max(scale * rng.uniform(0.1, 0.3), 0.3)
    vertical = str(rng.choice(["sech2", "exponential"]))
    warp = height * rng.uniform(-2, 2) * (rng.uniform() < 0.3)
    disc = EdgeOnDisc(scale, height, vertical, angle, scale * rng.uniform(3, 5), warp)

    def build(rng: np.random.Generator, grid: Grid) -> Model:
        bulge = log_uniform(rng, 0.03, 0.4)
        peanut = rng.uniform() < 0.3
        if peanut:
            middle = Peanut(1.3 * scale, height * rng.uniform(0.9, 1.4), rng.uniform(0.4, 1.2), angle).light
        else:
            radius = max(scale * rng.uniform(0.15, 0.5), 0.3)
            middle = Spheroid(radius, rng.uniform(1, 4), rng.uniform(0.55, 0.95), angle).brightness()
        layers = [Layer("disc", 1 - bulge, grid.drawn(disc.light)), Layer("old", bulge, grid.drawn(middle))]
        depth = None
        if rng.uniform() < 0.6:
            lane = lane_of_disc(rng.uniform(0.4, 2.0), disc, rng.uniform(0.2, 0.45), height * rng.uniform(-0.3, 0.3))
            depth = lane(grid.west, grid.north).astype(np.float32)
        ratio = float(np.clip(1.5 * height / scale, 0.12, 0.5))
        return Model(layers, ratio, angle, depth, 0.0, None, {"bulge": bulge}, "peanut" if peanut else "")

    return _plan(rng, "edge_on", scale * rng.uniform(4, 5.5), build)


def _tail(radius: float, turn: float, start: float, sense: int, opening: float, width: float) -> Brightness:
    """Return a tidal tail: an open arc about a galaxy that widens and fades along its way (rad)."""

    def value(west: np.ndarray, north: np.ndarray) -> np.ndarray:
        distance, angle = np.hypot(west, north), np.arctan2(north, west)
        way = np.mod(sense * (angle - start), 2 * np.pi)
        ridge = radius * (1 + opening * way**1.4)
        thick = width * radius * (1 + 0.8 * way)
        inside = np.clip(way / 0.3, 0, 1) * np.clip((turn - way) / 0.5, 0, 1)
        return inside * np.exp(-0.5 * ((distance - ridge) / thick) ** 2 - 0.35 * way)

    return value


def _member(
    rng: np.random.Generator, grid: Grid, radius: float, west: float, north: float
) -> tuple[np.ndarray, float, float]:
    """Return the light, axis ratio and position angle of a galaxy of a merger."""
    if rng.uniform() < 0.4:
        stars = draw_elliptical(rng, radius)
        return grid.drawn(stars.brightness(), west, north), stars.axis_ratio, stars.position_angle
    plane = Plane(float(rng.uniform(0.4, 1.0)), float(rng.uniform(0, 180)))
    disc, arms = draw_disc(rng, radius / 1.6), flocculent(rng, draw_disc(rng, radius / 1.6))

    def light(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        x, y = plane.inside(x, y)
        return disc.light(x, y) * (1 + 0.5 * arms.light(x, y))

    bulge = _bulge(rng, plane, radius / 1.6, 0.5).brightness()
    share = np.float32(rng.uniform(0.1, 0.4))
    both = (1 - share) * grid.drawn(light, west, north) + share * grid.drawn(bulge, west, north)
    return both, plane.cos_inclination, plane.position_angle


def plan_merger(rng: np.random.Generator, psf_fwhm: float) -> Plan:
    """Return two galaxies with tidal tails.

    Parameters
    ----------
    rng : numpy.random.Generator
    psf_fwhm : float
        arcsec.

    Returns
    -------
    Plan
    """
    size, ratio = log_uniform(rng, 1.5, 6.0), rng.uniform(0.2, 0.48)
    distance, direction = size * rng.uniform(1.2, 3.0), rng.uniform(0, 2 * np.pi)
    place = float(distance * np.cos(direction)), float(distance * np.sin(direction))

    def build(rng: np.random.Generator, grid: Grid) -> Model:
        main, flat, angle = _member(rng, grid, size, 0.0, 0.0)
        other, _, _ = _member(rng, grid, size * rng.uniform(0.5, 0.9), *place)
        tails = rng.uniform(0.08, 0.25)
        layers = [Layer("disc", (1 - ratio) * (1 - tails), main), Layer("old", ratio * (1 - tails), other)]
        for k in range(int(rng.choice([1, 2, 2]))):
            start = direction + np.pi * (k == 0) + rng.uniform(-0.4, 0.4)
            form = size * rng.uniform(0.7, 1.1), rng.uniform(1.6, 3.0), start, int(rng.choice([-1, 1]))
            tail = _tail(*form, rng.uniform(0.5, 1.3), rng.uniform(0.12, 0.22))
            at = place if k else (0.0, 0.0)
            layers.append(Layer("disc", tails / 2, grid.drawn(tail, *at)))
        return Model(layers, flat, angle, shares={"companion": ratio})

    return _plan(rng, "merger", (size * 5 + distance) * rng.uniform(0.9, 1.2), build)
