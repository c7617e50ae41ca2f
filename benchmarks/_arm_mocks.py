"""Simulated spirals whose arms are known by pixel: the stamp, the light of the arms in it, and its twin without arms."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tuningfork.core.config import Configuration, validate
from tuningfork.core.description import Description, describe
from tuningfork.core.seeds import generator_for
from tuningfork.simulate.galaxies.draw import Galaxy, draw_galaxy
from tuningfork.simulate.imaging.conditions import draw_settings
from tuningfork.simulate.imaging.observe import fit, observe
from tuningfork.simulate.light.canvas import canvas_size, north_up
from tuningfork.stamps.quality import sky_noise

ROOT = Path(__file__).resolve().parents[1]
SEED = 1618
"""No network has been trained with it, and nothing was chosen on its galaxies."""
SIZE = 128
ARMS = 3
"""Place of the arms among the parts of a spiral; see tuningfork.simulate.galaxies.discs."""
CLASSES = {"elliptical": 0, "spiral": 1, "barred_spiral": 1, "edge_on": 0, "merger": 0, "lens": 0}
POPULATION = {"arms_fraction": 1.0, "inner_ring_fraction": 0.0, "outer_ring_fraction": 0.0, "classes": CLASSES}


@dataclass(frozen=True)
class Spirals:
    """N spirals, as a stamp store has them.

    Attributes
    ----------
    rows : pyarrow.Table
        What networks are told of the stamps, and `arm_strength`.
    pixels, without : ndarray
        (N, 2, 1, S, S) with and without the arms, from the same random numbers.
    arms : ndarray
        (N, S, S) light of the arms alone, without noise.
    """

    rows: pa.Table
    pixels: np.ndarray
    without: np.ndarray
    arms: np.ndarray


def spirals(number: int, band: str = "r") -> Spirals:
    """Return `number` spirals, half of them barred."""
    values = {"seed": SEED, "survey": {"simulated": {"bands": [band]}}, "simulate": {"population": POPULATION}}
    configuration = validate(values)
    description = describe(configuration, ROOT / "config" / "surveys")
    drawn = [_spiral(configuration, description, index) for index in range(number)]
    rows = {name: np.array([row[name] for row, *_ in drawn]) for name in drawn[0][0]}
    return Spirals(pa.table(rows), *(np.stack([one[place] for one in drawn]) for place in (1, 2, 3)))


def _spiral(
    configuration: Configuration, description: Description, index: int
) -> tuple[dict[str, Any], np.ndarray, np.ndarray, np.ndarray]:
    settings = configuration.simulate
    rng = generator_for(configuration.seed, "arms", index)
    galaxy = draw_galaxy(rng, settings.population)
    conditions = draw_settings(rng, description, settings)
    offset, seed = rng.uniform(-0.5, 0.5, 2), int(rng.integers(2**62))

    def seen(one: Galaxy) -> np.ndarray:
        again = np.random.default_rng(seed)
        density, population = settings.neighbour_density, settings.population
        return observe(again, one, SIZE, SIZE, density, population, conditions, description, offset)

    armless = replace(galaxy, parts=[part for place, part in enumerate(galaxy.parts) if place != ARMS])
    arms = galaxy.lights(description.bands, description.reference, description.zero_point)[ARMS]
    reach = max(SIZE, int(5 * galaxy.r_eff / description.pixel_scale))
    canvas = north_up(canvas_size(reach), description.pixel_scale)
    light = fit(canvas.draw_through([arms], conditions.psfs(), *offset), SIZE)[0]
    stamp = seen(galaxy)
    row = {"pixel_scale": description.pixel_scale, "psf_beta": conditions.psf_beta, "valid_fraction": 1.0}
    row |= {f"psf_fwhm_{description.reference_band}": conditions.psf_fwhm[description.reference]}
    row |= {f"sky_noise_{description.reference_band}": sky_noise(stamp[1])[description.reference]}
    row |= {"arm_strength": galaxy.arm_strength, "class": galaxy.kind, "mag": galaxy.mag, "r_eff": galaxy.r_eff}
    return row, stamp, seen(armless), light
