"""Barred galaxies."""

from dataclasses import dataclass

import numpy as np

from second_generator.arms import Arms, Ring, draw_arms, draw_ring, flocculent
from second_generator.bars import BarShape, SkyBar, draw_shape, on_sky
from second_generator.discs import Disc, add_clumps, draw_disc
from second_generator.frame import Grid, Plane, log_uniform, rotated
from second_generator.model import Layer, Model, Plan
from second_generator.spheroids import Spheroid
from second_generator.thick import Peanut, lanes_of_bar

LONGEST = 25.0
"""Longest full bar length on the sky (arcsec)."""
SHORTEST = 2.0
"""Shortest, in widths of the PSF (FWHM)."""
SEMI_OVER_SCALE, SCALES = (0.4, 2.5), (0.9, 13.0)
"""Range of the bar's semi-major axis over the scale radius of the disc, and of that radius (arcsec)."""
LIGHT = (0.04, 0.35)
"""Range of the bar's part of the light; galaxies that are mostly bar have up to 0.55."""
LEAST_CONTRAST = 0.35
"""A bar is at least so bright in its middle, in terms of the disc there: fainter ones are given more light."""
DOMINATED = 0.15
"""Share of the galaxies that are mostly bar and lens, with a faint disc."""
MOST_LIGHT = 0.55
BAR = 1
"""Place of the bar among the layers."""


@dataclass(frozen=True)
class Frame:
    """Where the bar lies: its plane and angle there (rad), its shape, semi-major axis (arcsec), and the disc's scale."""

    plane: Plane
    angle: float
    shape: BarShape
    seen: SkyBar
    scale: float

    @property
    def semi(self) -> float:
        """Semi-major axis of the bar in the plane (arcsec)."""
        return self.seen.plane_semi


def plan_barred(rng: np.random.Generator, psf_fwhm: float) -> Plan:
    """Return a barred galaxy to be drawn.

    Parameters
    ----------
    rng : numpy.random.Generator
    psf_fwhm : float
        arcsec.

    Returns
    -------
    Plan
    """
    frame = _draw_frame(rng, psf_fwhm)
    extent = max(frame.scale * rng.uniform(4.2, 6.5), frame.semi * rng.uniform(2.3, 3.2))
    seed = int(rng.integers(2**62))
    return Plan("barred", extent, lambda grid: _build(np.random.default_rng(seed), frame, grid))


def _draw_frame(rng: np.random.Generator, psf_fwhm: float) -> Frame:
    plane = Plane(float(rng.uniform(0.36, 1.0)), float(rng.uniform(0, 180)))
    angle, shape = float(rng.uniform(0, np.pi)), draw_shape(rng)
    length = log_uniform(rng, SHORTEST * psf_fwhm, LONGEST)
    # The length on the sky is drawn; the one in the plane follows from the projection.
    semi = length / on_sky(shape, 1.0, angle, plane).length
    low, high = (np.clip(semi / ratio, *SCALES) for ratio in reversed(SEMI_OVER_SCALE))
    return Frame(plane, angle, shape, on_sky(shape, semi, angle, plane), log_uniform(rng, low, max(high, low * 1.01)))


def _build(rng: np.random.Generator, frame: Frame, grid: Grid) -> Model:
    x, y = frame.plane.inside(grid.west, grid.north)
    dominated = rng.uniform() < DOMINATED
    parts = _features(rng, frame, dominated)
    shares = _shares(rng, frame, parts, dominated)
    layers = _stars(rng, frame, grid, shares)
    disc = _disc_of(rng, frame)
    disc_light = grid.drawn(lambda west, north: disc.light(*frame.plane.inside(west, north)))
    layers.append(Layer("disc", shares["disc"], disc_light))
    for name, part in parts.items():
        light = part.light(x, y)
        # Rings have a profile of their own, arms are a contrast.
        light = light.astype(np.float32) if isinstance(part, Ring) else light * disc_light
        layers.append(Layer("young", shares[name], light / light.sum(dtype=float).astype(np.float32)))
    if shares.get("clumps"):
        outside = layers[-1].light * (np.hypot(x, y) > 0.9 * frame.semi)
        size = frame.scale * rng.uniform(0.03, 0.09)
        layers.append(Layer("young", shares["clumps"], add_clumps(rng, grid, outside, int(rng.integers(8, 60)), size)))
    shares = {"bar": shares["bar"] + shares.get("barlens", 0.0), "bulge": shares["bulge"]}
    shares["contrast"] = _contrast(frame, layers, x, y)
    details = " ".join([frame.shape.family, *parts, *("faint-disc" for _ in range(dominated))])
    return Model(
        layers,
        max(frame.plane.cos_inclination, 0.2),
        frame.plane.position_angle,
        _dust(rng, frame, x, y),
        frame.plane.cos_inclination,
        frame.seen,
        shares,
        details,
    )


def _contrast(frame: Frame, layers: list[Layer], x: np.ndarray, y: np.ndarray) -> float:
    """Return the light of the bar over all other light on its outer half."""
    along, across = rotated(x / np.float32(frame.semi), y / np.float32(frame.semi), frame.angle)
    inside = (np.abs(along) > 0.4) & (frame.shape.radius(along, across) < 0.8)
    sums = [layer.share * float(layer.light[inside].sum(dtype=float)) for layer in layers]
    return sums[BAR] / max(sum(sums) - sums[BAR], 1e-12)


def _features(rng: np.random.Generator, frame: Frame, dominated: bool) -> dict[str, Arms | Ring]:
    """Return arms and rings by name."""
    parts: dict[str, Arms | Ring] = {}
    end = frame.semi
    ringed = rng.uniform() < 0.35
    if ringed:
        radius = end * rng.uniform(0.97, 1.12)
        parts["inner-ring"] = draw_ring(rng, radius, rng.uniform(0.72, 1.0), frame.angle, rng.choice([0.0, 0.15]))
    if rng.uniform() < (0.3 if dominated else 0.65):
        if rng.uniform() < 0.25:
            parts["patches"] = flocculent(rng, draw_disc(rng, frame.scale))
        else:
            aligned = rng.uniform() < 0.75
            start = end * rng.uniform(0.92, 1.1)
            parts["arms"] = draw_arms(rng, frame.scale, start, frame.angle if aligned else None)
    if rng.uniform() < 0.22:
        across = frame.angle + (np.pi / 2 if rng.uniform() < 0.6 else 0)
        opening = float(rng.choice([0.0, 0.25, -0.25]))
        parts["outer-ring"] = draw_ring(rng, end * rng.uniform(1.9, 2.5), rng.uniform(0.8, 1.0), across, opening)
    return parts


def _shares(rng: np.random.Generator, frame: Frame, parts: dict[str, Arms | Ring], dominated: bool) -> dict[str, float]:
    """Return the parts of the light, with a sum of one."""
    shares = {"bulge": log_uniform(rng, 0.01, 0.2), "lens": 0.0, "clumps": 0.0}
    if dominated:
        shares |= {"bar": rng.uniform(0.3, MOST_LIGHT), "lens": rng.uniform(0.1, 0.25), "bulge": rng.uniform(0.02, 0.1)}
    else:
        shares |= {"bar": log_uniform(rng, *LIGHT), "lens": rng.uniform(0.04, 0.2) * (rng.uniform() < 0.35)}
    shares |= {name: rng.uniform(0.03, 0.1) if "ring" in name else rng.uniform(0.05, 0.22) for name in parts}
    if parts and rng.uniform() < 0.7:
        shares["clumps"] = log_uniform(rng, 0.005, 0.05)
    shares["bar"] = min(max(shares["bar"], _least_light(frame)), MOST_LIGHT)
    fixed = shares["bar"] + shares["bulge"] + shares["lens"]
    rest = {name: value for name, value in shares.items() if name not in ("bar", "bulge", "lens")}
    scale = min(1.0, 0.5 * (1 - fixed) / max(sum(rest.values()), 1e-9))
    shares |= {name: value * scale for name, value in rest.items()}
    shares["disc"] = 1 - sum(shares.values())
    if rng.uniform() < 0.3:
        shares["barlens"] = shares["bar"] * rng.uniform(0.3, 0.5)
        shares["bar"] -= shares["barlens"]
    if frame.plane.cos_inclination < 0.55 and rng.uniform() < 0.6:
        shares["peanut"] = shares["bar"] * rng.uniform(0.2, 0.4)
        shares["bar"] -= shares["peanut"]
    return shares


def _least_light(frame: Frame) -> float:
    """Return the part of the light with which a bar is `LEAST_CONTRAST` times as bright as a disc with 60 % of it."""
    area = 0.8 * np.pi * frame.semi**2 * frame.shape.axis_ratio
    disc = 0.6 * np.exp(-0.6 * frame.semi / frame.scale) / (2 * np.pi * frame.scale**2)
    return float(LEAST_CONTRAST * disc * area)


def _stars(rng: np.random.Generator, frame: Frame, grid: Grid, shares: dict[str, float]) -> list[Layer]:
    """Return bulge, bar, lens, barlens and peanut."""
    plane, semi = frame.plane, frame.semi

    def along_bar(west: np.ndarray, north: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        along, across = rotated(*plane.inside(west, north), frame.angle)
        return along / np.float32(semi), across / np.float32(semi)

    def oval(west: np.ndarray, north: np.ndarray) -> np.ndarray:
        along, across = along_bar(west, north)
        m = np.hypot(along / reach, across / (ratio * reach))
        return (1 - 0.4 * np.minimum(m, 1)) / (1 + np.exp(np.clip((m - 1) / 0.06, -30, 30)))

    def barlens(west: np.ndarray, north: np.ndarray) -> np.ndarray:
        along, across = along_bar(west, north)
        m = np.hypot(along, across / rounder) / inner
        return np.exp(-0.8 * m) / (1 + np.exp(np.clip((m - 1) / 0.1, -30, 30)))

    reach, ratio = rng.uniform(0.95, 1.15), rng.uniform(0.65, 0.92)
    inner, rounder = rng.uniform(0.4, 0.6), rng.uniform(0.75, 1.0)
    flattening = np.hypot(plane.cos_inclination, 0.7 * np.sqrt(1 - plane.cos_inclination**2))
    bulge = Spheroid(max(semi * rng.uniform(0.06, 0.2), 0.25), rng.uniform(0.8, 3.2), flattening, plane.position_angle)
    layers = [
        Layer("old", shares["bulge"], grid.drawn(bulge.brightness())),
        Layer("old", shares["bar"], grid.drawn(lambda west, north: frame.shape.light(*along_bar(west, north)))),
    ]
    if shares["lens"]:
        layers.append(Layer("old", shares["lens"], grid.drawn(oval)))
    if shares.get("barlens"):
        layers.append(Layer("old", shares["barlens"], grid.drawn(barlens)))
    if shares.get("peanut"):
        side = abs(np.cos(frame.angle))
        peanut = Peanut(
            semi * (0.3 + 0.25 * side), semi * rng.uniform(0.1, 0.16), rng.uniform(0.3, 1.2), plane.position_angle
        )
        layers.append(Layer("old", shares["peanut"], grid.drawn(peanut.light)))
    return layers


def _disc_of(rng: np.random.Generator, frame: Frame) -> Disc:
    hole = rng.uniform(0.2, 0.85) if rng.uniform() < 0.4 else 0.0
    return draw_disc(rng, frame.scale, hole, 0.9 * frame.semi)


def _dust(rng: np.random.Generator, frame: Frame, x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    if rng.uniform() > 0.3:
        return None
    along, across = rotated(x, y, frame.angle)
    width = frame.semi * frame.shape.axis_ratio
    return lanes_of_bar(rng.uniform(0.15, 0.7), frame.semi, width, int(rng.choice([-1, 1])), along, across)
