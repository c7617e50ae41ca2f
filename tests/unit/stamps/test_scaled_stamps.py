"""Stamps of the simulated sky at other pixel scales, and the training galaxies that stand for them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tuningfork.core.config import validate
from tuningfork.core.config.transfer import Transfer
from tuningfork.core.description import describe
from tuningfork.core.files import open_array
from tuningfork.core.flags import decode
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import read_table
from tuningfork.simulate.galaxies.draw import Galaxy
from tuningfork.simulate.imaging.conditions import Conditions
from tuningfork.simulate.sky import SOURCES_IN_CELL, Sky
from tuningfork.stamps.quality import sky_noise
from tuningfork.stamps.shard import cut_shard
from tuningfork.surveys.jobs import fetch_tiles, list_sources
from tuningfork.training.sets.parts import draw_stamp, simulate_part

SHARD, SIZE = "7-70000", 64
SCATTERS = ("psf_fwhm_scatter", "psf_beta_scatter", "psf_ellipticity", "sky_noise_scatter")
SCALES: dict[str, dict[str, Any]] = {
    "finer": {"scale": "fixed", "pixel_scale": 0.25},
    "wider": {"scale": "fixed", "pixel_scale": 1.1},
    "radius": {"scale": "radius", "radii": 14.0},
    "whole": {"scale": "whole", "whole_radii": 14.0},
}
POPULATION = {"mag_min": 14.0, "mag_max": 15.5, "r_eff_min": 2.0, "r_eff_max": 4.0}


@dataclass
class Pair:
    """A galaxy on the stamp of the survey and on one of the training set."""

    galaxy: Galaxy
    row: dict[str, Any]
    seen: np.ndarray
    trained: np.ndarray


def parameters(root: Path, stage: str, stamps: dict[str, Any]) -> Parameters:
    """Return the parameters of a sky without stars, whose seeing and noise are the same everywhere."""
    sky = {"galaxy_density": 60.0, "star_density": 0.0, "tile_size": 700, "population": POPULATION}
    values = {"seed": 5, "survey": {"name": "simulated", "simulated": sky}, "stamps": {"size": SIZE} | stamps}
    configuration = validate(
        values | {"simulate": {"galaxies_per_part": 20, "population": POPULATION, "foreground_fraction": 0}}
    )
    description = describe(configuration, root / "config" / "surveys")
    steady = description.model_copy(update=dict.fromkeys(SCATTERS, 0.0))
    return Parameters(stage, "0123", configuration, steady)


@pytest.fixture(scope="module", params=list(SCALES))
def pairs(request: pytest.FixtureRequest, root: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Pair]:
    folder, stamps = tmp_path_factory.mktemp("scaled"), SCALES[request.param]
    transfer = Transfer(cache=str(tmp_path_factory.getbasetemp() / "cache"))
    sources, tiles, output, table = (folder / name for name in ("s.parquet", "t.parquet", "x.npy", "x.parquet"))
    list_sources(parameters=parameters(root, "sources", stamps), shard=SHARD, transfer=transfer, output=sources)
    fetch_tiles(
        parameters=parameters(root, "tiles", stamps), shard=SHARD, sources=sources, transfer=transfer, output=tiles
    )
    cutting = parameters(root, "stamps", stamps)
    cut_shard(
        parameters=cutting, shard=SHARD, sources=sources, tiles=tiles, transfer=transfer, pixels=output, table=table
    )
    return list(twins(cutting, np.array(open_array(output)), read_table(table).to_pylist()))


def twins(given: Parameters, seen: np.ndarray, rows: list[dict[str, Any]]) -> Iterator[Pair]:
    configuration, description = given.configuration, given.survey
    sky = Sky(configuration.seed, configuration.survey.simulated, description)
    conditions = Conditions(np.array(description.psf_fwhm), np.array(description.sky_noise), description.psf_beta)
    alone = configuration.simulate.model_copy(update={"neighbour_density": 0.0})
    for stamp, row in zip(seen, rows, strict=True):
        cell, place = divmod(row["source_id"], SOURCES_IN_CELL)
        galaxy = sky.cell(cell).galaxies[place]
        rng, step = np.random.default_rng(place), row["pixel_scale"] / description.pixel_scale
        drawn = draw_stamp(rng, galaxy, step, 2 * SIZE, alone, conditions, description, configuration.stamps)
        yield Pair(galaxy, row, stamp, drawn)


def size_of(stamp: np.ndarray, scale: float) -> float:
    """Return the radius (arcsec) about the centre that holds half of the light within 12 arcsec, in the reference band."""
    flux, axis = stamp[0, 1].astype(float), (np.arange(SIZE) - SIZE // 2) * scale
    radius = np.hypot(axis[:, None], axis)
    order = np.argsort(radius, axis=None)
    order = order[: np.count_nonzero(radius < min(12.0, SIZE * scale / 2))]
    grown = np.cumsum(flux.ravel()[order])
    return float(np.interp(0.5, grown / grown[-1], radius.ravel()[order]))


def border(stamp: np.ndarray) -> np.ndarray:
    """Return the pixels of the outermost tenth of the reference band."""
    edge = np.ones((SIZE, SIZE), dtype=bool)
    edge[SIZE // 10 : -(SIZE // 10), SIZE // 10 : -(SIZE // 10)] = False
    return np.asarray(stamp[0, 1][edge])


def test_a_training_galaxy_looks_as_the_same_galaxy_on_the_sky(pairs: list[Pair]) -> None:
    assert len(pairs) >= 4
    fluxes, sizes, noises = [], [], []
    for pair in pairs:
        assert set(decode(pair.row["flags"])) <= {"LARGER_THAN_STAMP"}
        scale = pair.row["pixel_scale"]
        fluxes.append(pair.seen[0, 1].sum() / pair.trained[0, 1].sum())
        sizes.append(size_of(pair.seen, scale) / size_of(pair.trained, scale))
        noises.append(np.std(border(pair.seen)) / np.std(border(pair.trained)))
        claimed = sky_noise(pair.trained[1, 1][None])[0]
        # On the sky there is the light of neighbours too.
        assert pair.row["sky_noise_r"] == pytest.approx(claimed, rel=0.06)
    assert np.median(fluxes) == pytest.approx(1, abs=0.02)
    assert np.median(sizes) == pytest.approx(1, abs=0.02)
    assert np.median(noises) == pytest.approx(1, abs=0.06)


def test_the_part_of_the_training_set_says_its_scale(root: Path, tmp_path: Path) -> None:
    for name, stamps in SCALES.items():
        output, table = tmp_path / f"{name}.npy", tmp_path / f"{name}.parquet"
        simulate_part(parameters=parameters(root, "simulate", stamps), part=0, pixels=output, table=table)
        rows, drawn = read_table(table).to_pylist(), np.array(open_array(output))
        for row, stamp in zip(rows, drawn, strict=True):
            follows = 14 * row["r_eff"] * np.sqrt(row["axis_ratio"]) / SIZE
            wanted = {"radius": follows, "whole": max(follows, 0.396)}.get(name) or stamps["pixel_scale"]
            assert row["pixel_scale"] == pytest.approx(wanted, rel=1e-5 if name in {"finer", "wider"} else 0.25)
            kept = min(row["native_size"], SIZE)
            assert np.count_nonzero(stamp[1, 1]) == pytest.approx(kept**2, rel=0.1)
