"""One part of the simulated training set."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tuningfork.core.checksums import row_checksums
from tuningfork.core.config.stages import Simulate, Stamps
from tuningfork.core.decision_tree import vote_columns
from tuningfork.core.description import Description
from tuningfork.core.files import new_array
from tuningfork.core.running.progress import track
from tuningfork.core.seeds import generator_for
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.stamp_scale import FOLLOWS_RADIUS, stamp_steps
from tuningfork.core.tables import write_table
from tuningfork.simulate.galaxies.artifacts import ARTIFACT
from tuningfork.simulate.galaxies.draw import Galaxy, draw_galaxy
from tuningfork.simulate.imaging.conditions import Conditions, coarser, draw_settings
from tuningfork.simulate.imaging.observe import draw_native_size, listed_radius, observe
from tuningfork.simulate.votes import answer_probabilities, draw_votes, signal_to_noise
from tuningfork.stamps.quality import sky_noise
from tuningfork.stamps.rescale import rescale, window_size

SIMULATED_TRUTH = (
    "mag", "r_eff", "sersic_n", "axis_ratio", "position_angle", "cos_inclination", "arm_strength", "bar_length",
    "bar_position_angle", "bar_axis_ratio", "bar_strength", "redshift",
)  # fmt: skip
"""The true parameters that are written, besides the class and the bulge-to-total ratio."""


def simulate_part(*, parameters: Parameters, part: int, pixels: Path, table: Path) -> None:
    """Draw the galaxies of one part and write stamps and truth.

    Parameters
    ----------
    parameters : Parameters
        Of the stage `simulate`.
    part : int
        The part holds galaxies_per_part galaxies, the first of which is number part x galaxies_per_part.
    pixels : Path
        .npy, float32 (N, 2, B, S, S): image and inverse variance.
    table : Path
        .parquet, one row per galaxy: split, truth, observing conditions and votes.
    """
    settings, description = parameters.configuration.simulate, parameters.survey
    form, number = parameters.configuration.stamps, settings.galaxies_per_part
    indices = range(part * number, (part + 1) * number)
    rows = []
    with new_array(pixels, (number, 2, len(description.bands), form.size, form.size), np.float32) as stamps:
        for place, index in track(enumerate(indices), "galaxies", number):
            rng = generator_for(parameters.configuration.seed, "simulate", index)
            stamps[place], row = simulate_galaxy(rng, settings, description, form)
            rows.append({"index": index, "split": split(index)} | row)
            rows[-1]["pixels_checksum"] = int(row_checksums(stamps[place : place + 1])[0])
        write_table(
            table,
            _table(rows, description.bands),
            parameters.lineage(),
            bands=description.bands,
            reference_band=description.reference_band,
        )


def split(index: int) -> str:
    """Return whether a galaxy is for training, validation or test (8:1:1)."""
    return {8: "validation", 9: "test"}.get(index % 10, "train")


def simulate_galaxy(
    rng: np.random.Generator, settings: Simulate, description: Description, form: Stamps
) -> tuple[np.ndarray, dict[str, Any]]:
    """Draw one galaxy and its observation.

    Parameters
    ----------
    rng : numpy.random.Generator
    settings : Simulate
    description : Description
    form : Stamps
        Size and scale of the stamps.

    Returns
    -------
    stamp : ndarray
        float32 (2, B, S, S): image (flux units) and inverse variance.
    row : dict
        Its row of the table.
    """
    scale, reference = description.pixel_scale, description.reference
    galaxy = draw_galaxy(rng, settings.population)
    conditions = draw_settings(rng, description, settings)
    step = _step(rng, galaxy, description, form)
    native = draw_native_size(rng, galaxy.r_eff / (step * scale), form.size)
    stamp = draw_stamp(rng, galaxy, step, native, settings, conditions, description, form)
    fwhm, noise = float(conditions.psf_fwhm[reference]), float(conditions.sky_noise[reference])
    signal = signal_to_noise(galaxy, noise, fwhm, scale, description.zero_point)
    votes = draw_votes(rng, answer_probabilities(galaxy, signal, fwhm), settings.volunteers)
    row: dict[str, Any] = {"class": galaxy.kind} | {name: _truth(galaxy, name) for name in SIMULATED_TRUTH}
    row["bulge_to_total"] = galaxy.bulge_fraction
    row |= {"native_size": native, "pixel_scale": step * scale, "zero_point": description.zero_point}
    row["psf_beta"] = conditions.psf_beta
    row |= {
        f"psf_fwhm_{band}": float(value) for band, value in zip(description.bands, conditions.psf_fwhm, strict=True)
    }
    row |= {
        f"sky_noise_{band}": float(value) for band, value in zip(description.bands, sky_noise(stamp[1]), strict=True)
    }
    return stamp, row | dict(zip(vote_columns(), votes.tolist(), strict=True))


def _truth(galaxy: Galaxy, name: str) -> float:
    """Return a true parameter; what is no galaxy has none, except that it has no bar."""
    if galaxy.kind == ARTIFACT and name != "bar_strength":
        return np.nan
    return float(getattr(galaxy, name))


def _step(rng: np.random.Generator, galaxy: Galaxy, description: Description, form: Stamps) -> float:
    """Return the width of the stamp's pixels in pixels of the survey, for the radius that a catalogue would list."""
    radius = np.nan
    if form.scale in FOLLOWS_RADIUS:
        radius = float(listed_radius(rng, np.array(galaxy.r_eff), np.array(galaxy.axis_ratio)))
    return float(stamp_steps(form, description.pixel_scale, radius))


def draw_stamp(
    rng: np.random.Generator,
    galaxy: Galaxy,
    step: float,
    native_size: int,
    settings: Simulate,
    conditions: Conditions,
    description: Description,
    form: Stamps,
) -> np.ndarray:
    """Draw the galaxy on the survey's pixels and rescale the image as real stamps are rescaled.

    Where many pixels become one, whole numbers of them are drawn as one from the start. This is much faster and
    exact, because their flux and noise add up.

    Parameters
    ----------
    rng : numpy.random.Generator
    galaxy : Galaxy
    step : float
        Width of the stamp's pixels in pixels of the survey.
    native_size : int
        Width of the image before it is cut or padded, in pixels of the stamp.
    settings : Simulate
    conditions : Conditions
        With the sky noise of the survey's pixels.
    description : Description
    form : Stamps
        Size and scale of the stamps.

    Returns
    -------
    ndarray
        float32 (2, B, S, S): image (flux units) and inverse variance, both zero in the padding.
    """
    together = max(int(step / 2), 1)
    rest = step / together
    coarse = description.model_copy(update={"pixel_scale": description.pixel_scale * together})
    window, visible = window_size(form.size, rest), int(np.ceil(native_size * rest))
    noisier = coarser(rng, conditions, together, min(window, visible))
    offset = rng.uniform(-0.5, 0.5, 2)
    around = settings.neighbour_density, settings.population, noisier, coarse, offset, settings.foreground_fraction
    image, weight = observe(rng, galaxy, visible, window, *around)
    return np.stack(rescale(image, weight, rest, (float(offset[0]), float(offset[1])), form.size))


def _table(rows: Sequence[dict[str, Any]], bands: Sequence[str]) -> pa.Table:
    """Return the rows as a table; NaN becomes null."""
    types = {"index": pa.int64(), "split": pa.string(), "class": pa.string(), "native_size": pa.int32()}
    types["pixels_checksum"] = pa.uint32()
    types |= {name: pa.int32() for name in vote_columns()}
    columns = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        kind = types.get(name, pa.float32())
        columns[name] = pa.array(values, type=kind, from_pandas=pa.types.is_floating(kind))
    return pa.table(columns)
