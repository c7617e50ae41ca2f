"""From a configuration to stamps on two overlapping Euclid tiles, through astroquery and a loopback IRSA."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from helpers.frozen import parameters
from helpers.servers.euclid import ZERO_POINTS, EuclidServer, draw
from helpers.servers.faults import HEALING, Fault, Faults

from tuningfork.core.config.transfer import Transfer
from tuningfork.core.files import open_array
from tuningfork.core.flags import Flag, decode
from tuningfork.core.tables import read_table
from tuningfork.sky.shards import Shard
from tuningfork.stamps.shard import cut_shard
from tuningfork.surveys.jobs import fetch_tiles, list_sources

SHARD = Shard(8, 57_344)
ARCSEC = 1 / 3600
SIGMA = 0.4
SIZE = 64
CENTRE = SHARD.centre
ACROSS = np.cos(np.deg2rad(CENTRE[1]))
WIDE, HIGH = 400, 300
APART = 36.0
"""Arcseconds between the centres of the tiles, which overlap by 4 arcsec: less than the 6.4 arcsec of a stamp."""
PLACES = {"west": (-10.0, 3.0), "east": (48.0, -4.0), "between": (APART / 2, 0.0), "masked": (-4.0, -8.0)}
"""East and north of the western tile's centre (arcsec); between lies on the border of both."""
TILES = ("102020001", "102020002")
KINDS = [kind for kind in HEALING if kind not in {Fault.HANG, Fault.STALL, Fault.DRIP, Fault.FLIPPED}]


@dataclass
class Run:
    table: pa.Table
    stamps: np.ndarray
    manifest: pa.Table
    server: EuclidServer

    def flags(self, name: str) -> list[str]:
        return decode(self.table["flags"][list(PLACES).index(name)].as_py())

    def stamp(self, name: str) -> np.ndarray:
        return self.stamps[list(PLACES).index(name)]

    def column(self, key: str, name: str) -> Any:
        return self.table[key][list(PLACES).index(name)].as_py()


def position(east: float, north: float) -> tuple[float, float]:
    return CENTRE[0] + east * ARCSEC / ACROSS, CENTRE[1] + north * ARCSEC


def serve() -> EuclidServer:
    ra, dec = np.array([position(*place) for place in PLACES.values()]).T
    count = len(ra)
    sky = {"ra": ra, "dec": dec, "flux": np.full(count, 300.0), "sigma": np.full(count, SIGMA)}
    west = draw(TILES[0], CENTRE, (HIGH, WIDE), sky, ["VIS", "Y", "H"])
    east = draw(TILES[1], position(APART, 0), (HIGH, WIDE), sky, ["VIS", "Y"])
    east = dataclasses.replace(east, zero_points=ZERO_POINTS | {"VIS": 24.1})
    x, y = west.wcs.world_to_pixel_values(ra[3], dec[3])
    west.flags["VIS"][round(float(y)) - 1 : round(float(y)) + 2, round(float(x)) - 1 : round(float(x)) + 2] = 1
    sources = {
        "object_id": -2_700_000_000_000_000_000 + np.arange(count),
        "ra": ra,
        "dec": dec,
        "flux_detection_total": sky["flux"],
        "vis_det": np.ones(count, dtype=int),
        "spurious_flag": np.zeros(count, dtype=int),
        "point_like_prob": np.zeros(count),
        "sersic_sersic_vis_radius": np.full(count, 1.1774 * SIGMA),
    }
    return EuclidServer([west, east], sources)


def process(folder: Path, faults: Faults | None = None) -> Run:
    """List the sources, fetch the tiles and cut the stamps, from a service that may have faults."""
    transfer = Transfer(cache=str(folder / "cache"), timeout=5.0, retries=6, backoff=0.001, rate=1000.0)
    sources, tiles, output, table = (folder / name for name in ("s.parquet", "t.parquet", "c.npy", "c.parquet"))
    with serve() as server:
        server.faults = faults
        values = {
            "survey": {"name": "euclid", "euclid": server.settings},
            "sources": {"mag_min": 12.0, "mag_max": 20.5},
            "stamps": {"size": SIZE},
        }
        stages = parameters(folder / "params", values)
        list_sources(parameters=stages["sources"], shard=SHARD.name, transfer=transfer, output=sources)
        fetch_tiles(parameters=stages["tiles"], shard=SHARD.name, sources=sources, transfer=transfer, output=tiles)
        cut_shard(
            parameters=stages["stamps"],
            shard=SHARD.name,
            sources=sources,
            tiles=tiles,
            transfer=transfer,
            pixels=output,
            table=table,
        )
        return Run(read_table(table), np.array(open_array(output)), read_table(tiles), server)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return process(tmp_path_factory.mktemp("euclid"))


def expected(run: Run, name: str, tile: int) -> np.ndarray:
    """Return the galaxy's pixels in VIS on the grid of a tile, computed without any image."""
    ra, dec = position(*PLACES[name])
    x, y = (float(value) for value in run.server.mosaics[tile].wcs.world_to_pixel_values(ra, dec))
    left, bottom = (np.floor(value + 0.5) - SIZE // 2 for value in (x, y))
    rows, columns = np.mgrid[:SIZE, :SIZE]
    square = (columns + left - x) ** 2 + (rows + bottom - y) ** 2
    return np.asarray(300 / (2 * np.pi * (SIGMA * 10) ** 2) * np.exp(-square / (2 * (SIGMA * 10) ** 2)))


def test_a_galaxy_within_a_tile_is_its_pixels_in_microjansky(run: Run) -> None:
    for name, tile in (("west", 0), ("east", 1)):
        assert run.column("tile", name) == TILES[tile]
        flux, weight = run.stamp(name)
        np.testing.assert_allclose(flux[0], expected(run, name, tile), atol=2e-4 * flux[0].max())
        assert flux[0].sum() == pytest.approx(300, rel=1e-3)
        assert flux[1].sum() == pytest.approx(600, rel=1e-3)
        np.testing.assert_allclose(weight[0], 1 / 0.002**2, rtol=1e-3)
        assert run.column("zero_point", name) == pytest.approx(23.9)
        assert run.column("pixel_scale", name) == pytest.approx(0.1, rel=1e-3)
        assert run.column("sky_noise_VIS", name) == pytest.approx(0.002, rel=1e-3)


def test_the_widths_of_the_psf_are_those_of_the_tile(run: Run) -> None:
    for band, base in (("VIS", 0.2), ("Y", 0.3), ("H", 0.4)):
        assert run.column(f"psf_fwhm_{band}", "west") == pytest.approx(base + 0.003, abs=0.002)


def test_a_galaxy_on_the_border_is_put_together(run: Run) -> None:
    flux, weight = run.stamp("between")
    assert "STITCHED" in run.flags("between")
    assert (weight[0] > 0).mean() > 0.99
    tile = TILES.index(run.column("tile", "between"))
    np.testing.assert_allclose(flux[0], expected(run, "between", tile), atol=0.01 * flux[0].max())
    assert flux[0].sum() == pytest.approx(300, rel=0.01)


def test_a_missing_band_is_flagged(run: Run) -> None:
    assert "MISSING_BAND" in run.flags("east")
    assert "MISSING_BAND" not in run.flags("west")
    assert not run.stamp("east")[1, 2].any()
    missing = [row for row in run.manifest.to_pylist() if row["status"] != "ok"]
    assert [(row["tile"], row["band"]) for row in missing] == [(TILES[1], "H")]


def test_flagged_pixels_are_masked(run: Run) -> None:
    weight = run.stamp("masked")[1]
    assert np.count_nonzero(weight[0] == 0) == 9
    assert np.count_nonzero(weight[1] == 0) == 0
    assert run.flags("masked") == [Flag.MASKED.name]


def test_every_source_has_its_row_and_every_file_came_once(run: Run) -> None:
    assert run.table.num_rows == len(PLACES)
    assert run.table["source_id"].to_pylist() == [-2_700_000_000_000_000_000 + n for n in range(len(PLACES))]
    files = [path for path, status, _ in run.server.sent if path.endswith(".fits") and status == 200]
    assert len(files) == len(set(files)) == 5 * 3
    assert not any("BGMOD" in path or "NIR-J" in path for path, _, _ in run.server.sent)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_faults_on_the_way_change_nothing(run: Run, tmp_path: Path, seed: int) -> None:
    """Not flipped bytes: MER's files have no checksums. What hangs or drips is tested with the transfers."""
    faults = Faults(seed, KINDS, most=3, least=1)
    found = process(tmp_path, faults)
    assert sum(faults.injected.values()) > 30
    assert set(faults.injected) == set(KINDS)
    np.testing.assert_array_equal(found.stamps, run.stamps)
    assert found.table.equals(run.table)
