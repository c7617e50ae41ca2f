"""From a configuration to stamps on bricks of the Legacy Surveys, through pyvo and a loopback portal."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits
from helpers.frozen import parameters
from helpers.servers.faults import Fault, Faults
from helpers.servers.legacy import (
    NOISE,
    PSF,
    SCALE,
    Given,
    LegacyServer,
    Patch,
    Sky,
    Source,
    gaussian,
    psf_fwhm,
    wcs_of,
)

from tuningfork.core.config.transfer import Transfer
from tuningfork.core.files import open_array
from tuningfork.core.flags import decode
from tuningfork.core.tables import read_table
from tuningfork.sky.shards import Shard, pixels
from tuningfork.stamps.shard import cut_shard
from tuningfork.surveys.base import Tile
from tuningfork.surveys.jobs import fetch_tiles, list_sources
from tuningfork.surveys.legacy.bricks import brick_named, bricks_around
from tuningfork.surveys.near import depth

HOME, EAST, NORTH = "1126p222", "1129p222", "1128p225"
BRICK = brick_named(HOME)
RA_MIN, RA_MAX, DEC_MIN, DEC_MAX = BRICK.unique
ACROSS = np.cos(np.deg2rad(DEC_MAX))
ARCSEC = 1 / 3600
SHARD = Shard(7, int(pixels(np.array([RA_MAX]), np.array([DEC_MAX]), 7)[0]))
SIZE = 200
FLUX = {"g": 40.0, "r": 90.0, "i": 120.0, "z": 150.0}
PLACES = {
    "inside": (-60.0, -60.0),
    "masked": (-120.0, -60.0),
    "bright": (-60.0, -120.0),
    "edge": (-100.0, -3.0),
    "across": (4.0, -90.0),
    "north": (-40.0, 80.0),
    "border": (-30.0, -0.05),
}
"""East and north of the home brick's north-eastern corner (arcsec): edge, across and border lie by its borders."""


@dataclass
class Run:
    sources: pa.Table
    table: pa.Table
    stamps: np.ndarray
    manifest: pa.Table
    server: LegacyServer

    def index(self, name: str) -> int:
        """Return the row of a source, by its position."""
        ra, dec = position(name)
        apart = np.hypot((np.array(self.sources["ra"]) - ra) * ACROSS, np.array(self.sources["dec"]) - dec)
        assert apart.min() < ARCSEC / 100
        return int(apart.argmin())

    def column(self, key: str, name: str) -> Any:
        return self.table[key][self.index(name)].as_py()

    def flags(self, name: str) -> list[str]:
        return decode(self.column("flags", name))


def position(name: str) -> tuple[float, float]:
    east, north = PLACES[name]
    return RA_MAX + east * ARCSEC / ACROSS, DEC_MAX + north * ARCSEC


def source(name: str) -> Source:
    return Source(*position(name), FLUX, 1.5)


def sky() -> Sky:
    bricks = sorted(brick.name for brick in bricks_around(SHARD, 0.02))
    others = [
        Source(RA_MAX - 0.02, DEC_MAX - 0.05, FLUX, 0.0, "PSF"),
        Source(RA_MAX - 0.03, DEC_MAX - 0.05, FLUX, 2.0, "DUP"),
        Source(RA_MAX - 0.04, DEC_MAX - 0.05, {"r": 1.0}, 1.0, "REX"),
        Source(RA_MAX - 0.05, DEC_MAX - 0.05, {"r": 5000.0}, 1.0),
    ]
    patches = [Patch(*position("masked"), 1.5, 1 << 3), Patch(*position("bright"), 30.0, 1 << 1 | 1 << 11 | 1 << 12)]
    patches.append(Patch(*position("bright"), 5.0, 1 << 10 | 1 << 4))
    return Sky(
        bricks, [source(name) for name in PLACES] + others, patches, {(NORTH, "z")}, shown=(RA_MAX, DEC_MAX, 1000)
    )


def survey(server: LegacyServer, **settings: Any) -> dict[str, Any]:
    return {
        "survey": {"name": "legacy", "legacy": server.settings | settings},
        "sources": {"mag_min": 14.0, "mag_max": 18.0},
        "stamps": {"size": SIZE},
    }


def follow(server: LegacyServer, folder: Path, shard: Shard, values: dict[str, Any], transfer: Transfer) -> Run:
    """Run the three stages."""
    stages = parameters(folder / "params", values)
    sources, tiles, output, table = (folder / name for name in ("s.parquet", "t.parquet", "c.npy", "c.parquet"))
    list_sources(parameters=stages["sources"], shard=shard.name, transfer=transfer, output=sources)
    fetch_tiles(parameters=stages["tiles"], shard=shard.name, sources=sources, transfer=transfer, output=tiles)
    cut_shard(
        parameters=stages["stamps"],
        shard=shard.name,
        sources=sources,
        tiles=tiles,
        transfer=transfer,
        pixels=output,
        table=table,
    )
    return Run(read_table(sources), read_table(table), np.array(open_array(output)), read_table(tiles), server)


def patient(folder: Path) -> Transfer:
    return Transfer(cache=str(folder / "cache"), timeout=20.0, retries=2, backoff=0.01, rate=5000.0, connections=4)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("legacy")
    with LegacyServer(sky()) as server:
        return follow(server, folder, SHARD, survey(server), patient(folder))


def expected(name: str, tile: str, place: int, band: str) -> tuple[np.ndarray, float]:
    """Return the galaxy's light on the stamp of a tile, and the PSF there, computed without the package's images."""
    brick = brick_named(tile)
    x, y = (float(value) for value in wcs_of(brick).all_world2pix(*position(name), 0))
    fwhm = float(psf_fwhm(brick, band, x, y))
    left, bottom = (np.floor(value + 0.5) - SIZE // 2 for value in (x, y))
    rows, columns = np.mgrid[:SIZE, :SIZE]
    return gaussian(source(name), band, fwhm, columns + left - x, rows + bottom - y), fwhm


def test_every_primary_galaxy_has_its_row(run: Run) -> None:
    assert run.sources.num_rows == run.table.num_rows == len(PLACES)
    for name in PLACES:
        place = run.index(name)
        number = list(PLACES).index(name)
        home = brick_named(run.column("tile", name))
        assert run.sources["source_id"][place].as_py() == (10000 + number % 2) << 40 | home.number << 16 | number
        assert run.sources["name"][place].as_py() == f"{home.name}-{number}"
        assert run.sources["survey_mag"][place].as_py() == pytest.approx(22.5 - 2.5 * np.log10(FLUX["r"]), abs=1e-4)
        assert run.sources["survey_radius"][place].as_py() == pytest.approx(1.5)


def test_each_stamp_comes_from_the_brick_that_is_primary(run: Run) -> None:
    tiles = {name: run.column("tile", name) for name in PLACES}
    assert tiles == dict.fromkeys(PLACES, HOME) | {"across": EAST, "north": NORTH}
    # Images end along great circles, bricks along parallels: the survey's rule is not that of the nearest edge.
    bricks = [brick_named(name) for name in (HOME, NORTH)]
    place = [np.array([value]) for value in position("border")]
    home, north = (depth(Tile(brick.name, brick.ra, brick.dec, brick.corners), *place) for brick in bricks)
    assert north > home


def test_pixels_noise_and_psf_are_the_survey_s(run: Run) -> None:
    for name in ("inside", "across"):
        stamp = run.stamps[run.index(name)]
        for place, band in enumerate("grz"):
            light, fwhm = expected(name, run.column("tile", name), place, band)
            residual = (stamp[0, place] - light) / NOISE[band]
            assert np.abs(residual).max() < 6
            assert residual.std() == pytest.approx(1, abs=0.03)
            assert stamp[0, place].sum() == pytest.approx(FLUX[band], abs=5 * NOISE[band] * SIZE)
            np.testing.assert_allclose(stamp[1, place], NOISE[band] ** -2, rtol=1e-4)
            assert run.column(f"psf_fwhm_{band}", name) == pytest.approx(fwhm, abs=1e-5)
            assert fwhm > PSF[band]
            assert run.column(f"sky_noise_{band}", name) == pytest.approx(NOISE[band], rel=1e-3)
        assert run.column("pixel_scale", name) == pytest.approx(SCALE, rel=1e-4)
        assert run.column("zero_point", name) == 22.5
        assert run.column("east_is_left", name)


def test_saturated_pixels_have_no_weight_in_their_band_and_halos_do(run: Run) -> None:
    weight = run.stamps[run.index("masked")][1]
    area = np.pi * (1.5 / SCALE) ** 2
    assert np.count_nonzero(weight[1] == 0) == pytest.approx(area, rel=0.1)
    assert weight[0].all()
    assert weight[2].all()
    assert "MASKED" in run.flags("masked")
    # The halo of a bright star, a large galaxy and an abandoned fit say nothing against r; z is saturated there.
    weight = run.stamps[run.index("bright")][1]
    assert weight[:2].all()
    assert np.count_nonzero(weight[2] == 0) == pytest.approx(np.pi * (5 / SCALE) ** 2, rel=0.05)


def test_a_stamp_beyond_the_brick_is_put_together(run: Run) -> None:
    assert "STITCHED" in run.flags("edge")
    stamp = run.stamps[run.index("edge")]
    for place, band in enumerate("gr"):
        light, _ = expected("edge", HOME, place, band)
        assert (stamp[1, place] > 0).mean() > 0.99
        assert np.abs(stamp[0, place] - light).max() < 7 * NOISE[band]


def test_a_brick_without_a_band_is_measured_without_it(run: Run) -> None:
    assert "MISSING_BAND" in run.flags("north")
    assert not run.stamps[run.index("north")][1, 2].any()
    assert "MISSING_BAND" not in run.flags("inside")
    missing = [row for row in run.manifest.to_pylist() if row["status"] != "ok"]
    assert [(row["tile"], row["band"]) for row in missing] == [(NORTH, "z")]
    assert missing[0]["reason"] == f"dr10 has no images of brick {NORTH} in z"


def test_only_what_is_needed_is_transferred_and_once(run: Run) -> None:
    paths = [request.path for request in run.server.requests]
    assert len(paths) == len(set(paths))
    fetched = {path.split("/")[-2] for path in paths if "/coadd/" in path}
    assert fetched == {HOME, EAST, NORTH}
    assert len(run.server.tap.queries) == 1


def test_the_tractor_files_give_the_same_list(run: Run, tmp_path: Path) -> None:
    with LegacyServer(sky()) as server:
        stages = parameters(tmp_path / "params", survey(server, catalogue="files"))
        list_sources(
            parameters=stages["sources"], shard=SHARD.name, transfer=patient(tmp_path), output=tmp_path / "s.parquet"
        )
        assert not server.tap.queries
    found = read_table(tmp_path / "s.parquet")
    assert found.drop_columns("ra").equals(run.sources.drop_columns("ra"))
    np.testing.assert_allclose(found["ra"], run.sources["ra"], rtol=0, atol=1e-12)


def test_a_bad_network_changes_nothing(run: Run, tmp_path: Path) -> None:
    kinds = [Fault.UNAVAILABLE, Fault.RESET, Fault.CUT, Fault.TRUNCATED, Fault.LONG, Fault.FLIPPED, Fault.HTML]
    faults = Faults(11, kinds, most=3, least=1, where=lambda request: "/tap/" not in request.path)
    transfer = patient(tmp_path).model_copy(update={"retries": 4})
    with LegacyServer(sky()) as server:
        server.faults = faults
        found = follow(server, tmp_path, SHARD, survey(server), transfer)
    assert faults.injected.total() > 50
    assert set(faults.injected) == set(kinds)
    assert found.table.equals(run.table)
    assert np.array_equal(found.stamps, run.stamps)


def test_real_pixels_pass_unchanged(real_data: Path, tmp_path: Path) -> None:
    """A real cutout of brick 0591m305, with its inverse variance and its WCS, served as that brick."""
    name = "0591m305"
    given, pixels_of = {}, {}
    with fits.open(real_data / "decals_fits" / "pysersic" / "cutout_59.1067_-30.4848.fits.gz") as hdus:
        for place, band in enumerate("grz"):
            image, weight = hdus[1 + 2 * place], hdus[2 + 2 * place]
            keys = [key for key in image.header if key[:5] in ("CTYPE", "CRVAL", "CRPIX") or key[:2] == "CD"]
            header = {key: image.header[key] for key in keys} | {"BRICKNAM": name}
            given[name, band] = Given(image.data, weight.data, header)
            pixels_of[band] = image.data.astype(np.float32), weight.data.astype(np.float32)
    galaxy = Source(59.1067, -30.4848, {"g": 5.0, "r": 10.0, "z": 15.0}, 3.0)
    shard = Shard(7, int(pixels(np.array([galaxy.ra]), np.array([galaxy.dec]), 7)[0]))
    values = {"sources": {"mag_min": 14.0, "mag_max": 21.0}, "stamps": {"size": 128}}
    with LegacyServer(Sky([name], [galaxy], given=given)) as server:
        found = follow(server, tmp_path, shard, survey(server) | values, patient(tmp_path))
    assert found.table.num_rows == 1
    row = found.table.to_pylist()[0]
    assert row["tile"] == name
    assert row["pixel_scale"] == pytest.approx(0.262, rel=1e-4)
    header = given[name, "r"].header
    half = 128 // 2
    # The galaxy stands in the middle of the cutout; the reference pixel says where.
    middle = [round(float(value)) for value in _tangent(header, galaxy)]
    window = tuple(slice(at - half, at + half) for at in reversed(middle))
    for place, band in enumerate("grz"):
        image, weight = pixels_of[band]
        np.testing.assert_allclose(found.stamps[0, 0, place], image[window], atol=6e-5)
        # Lossy packing moves the weights by less than a sixteenth of their own noise.
        np.testing.assert_allclose(found.stamps[0, 1, place], weight[window], rtol=0.02)
        core = found.stamps[0, 0, place, half - 10 : half + 11, half - 10 : half + 11]
        assert np.hypot(*(np.array(np.unravel_index(core.argmax(), core.shape)) - 10)) <= 1 / SCALE


def _tangent(header: dict[str, Any], at: Source) -> tuple[float, float]:
    """Return the pixel (from zero) of a position by the gnomonic projection, written out."""
    lon, lat, lat_0 = np.deg2rad([at.ra - header["CRVAL1"], at.dec, header["CRVAL2"]])
    cosine = np.sin(lat_0) * np.sin(lat) + np.cos(lat_0) * np.cos(lat) * np.cos(lon)
    east = np.rad2deg(np.cos(lat) * np.sin(lon) / cosine)
    north = np.rad2deg((np.cos(lat_0) * np.sin(lat) - np.sin(lat_0) * np.cos(lat) * np.cos(lon)) / cosine)
    return header["CRPIX1"] - 1 + east / header["CD1_1"], header["CRPIX2"] - 1 + north / header["CD2_2"]
