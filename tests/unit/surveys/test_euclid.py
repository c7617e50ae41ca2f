"""Euclid: astroquery's own code against a loopback IRSA, and mosaics that are read by rows."""

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from astropy.io import fits
from helpers.servers.base import Answer, Service
from helpers.servers.euclid import EuclidServer, draw

from tuningfork.core.config.sources import Sources
from tuningfork.core.config.survey import Euclid
from tuningfork.core.config.transfer import Transfer
from tuningfork.core.description import Description
from tuningfork.core.errors import InputError, TransferError
from tuningfork.core.tables import numpy_column
from tuningfork.sky.shards import Shard, pixels
from tuningfork.surveys.base import FetchedTile, Tile
from tuningfork.surveys.euclid.survey import EuclidSurvey
from tuningfork.surveys.transfer.network import Network

ROOT = Path(__file__).resolve().parents[3]
DESCRIPTION = Description.model_validate(yaml.safe_load((ROOT / "config" / "surveys" / "euclid.yaml").read_text()))
CENTRE = (273.74061, 64.50001)
SHARD = Shard(8, int(pixels(np.array([CENTRE[0]]), np.array([CENTRE[1]]), 8)[0]))
SHAPE = (420, 600)
FIRST = "102158277"
SECOND = "102158278"


def catalogue() -> dict[str, Any]:
    """Return ten rows of the MER catalogue: four galaxies, of which one is too faint, and what is none."""
    count = 10
    values = {
        "object_id": -2_736_000_000_000_000_001 + np.arange(count),
        "ra": CENTRE[0] + np.linspace(-20, 20, count) / 3600,
        "dec": CENTRE[1] + np.linspace(-10, 10, count) / 3600,
        "flux_detection_total": np.full(count, 100.0),
        "vis_det": np.ones(count, dtype=int),
        "spurious_flag": np.zeros(count, dtype=int),
        "point_like_prob": np.ma.masked_invalid([0.1, np.nan, 0.2, 0.3] + [0.1] * (count - 4)),
        "sersic_sersic_vis_radius": np.linspace(0.5, 1, count),
    }
    values["flux_detection_total"][3] = 0.5
    values["vis_det"][4] = 0
    values["spurious_flag"][5] = 1
    values["point_like_prob"][6] = 0.97
    values["dec"][7] += 2
    values["sersic_sersic_vis_radius"][1] = np.nan
    values["flux_detection_total"][8] = np.nan
    values["flux_detection_total"][9] = 1e6
    return values


@pytest.fixture(scope="module")
def server() -> Iterator[EuclidServer]:
    sky = {"ra": [CENTRE[0]], "dec": [CENTRE[1]], "flux": [100.0], "sigma": [0.5]}
    east = (CENTRE[0] + 50 / 3600 / np.cos(np.deg2rad(CENTRE[1])), CENTRE[1])
    mosaics = [draw(FIRST, CENTRE, SHAPE, sky, ["VIS", "Y", "J", "H"]), draw(SECOND, east, SHAPE, sky, ["VIS", "Y"])]
    mosaics[0].flags["VIS"][200, 300], mosaics[0].flags["VIS"][200, 301] = 1 + 16, 262_144
    mosaics[0].flags["VIS"][200, 302], mosaics[0].flags["Y"][200, 302] = 8, 8
    mosaics[0].noise["VIS"][0:5] = 1e16
    mosaics[0].flux["Y"][10, 10] = np.nan
    with EuclidServer(mosaics, catalogue()) as server:
        yield server


@pytest.fixture
def survey(server: EuclidServer, tmp_path: Path) -> EuclidSurvey:
    return make(server, tmp_path)


def make(server: EuclidServer, folder: Path, **transfer: Any) -> EuclidSurvey:
    network = Network(Transfer(cache=str(folder / "cache"), retries=1, backoff=0.01, rate=1000.0, **transfer))
    return EuclidSurvey(Euclid(**server.settings), DESCRIPTION, network)


def test_galaxies_of_the_shard_with_negative_identifiers(survey: EuclidSurvey) -> None:
    table = survey.catalogue(SHARD, Sources(mag_min=12.0, mag_max=22.0))
    rows = catalogue()
    assert table["source_id"].to_pylist() == rows["object_id"][:3].tolist()
    np.testing.assert_allclose(numpy_column(table, "ra"), rows["ra"][:3])
    np.testing.assert_allclose(numpy_column(table, "survey_mag"), 23.9 - 2.5 * 2, rtol=1e-6)
    assert table["survey_radius"].to_pylist() == [pytest.approx(0.5), None, pytest.approx(0.5 + 1 / 9)]


def test_an_answer_that_is_cut_is_asked_for_in_parts(server: EuclidServer, survey: EuclidSurvey) -> None:
    whole = survey.catalogue(SHARD, Sources(mag_min=0.0, mag_max=40.0))
    server.tap.most, before = 2, len(server.tap.queries)
    try:
        assert survey.catalogue(SHARD, Sources(mag_min=0.0, mag_max=40.0)).equals(whole)
        assert len(server.tap.queries) > before + 3
    finally:
        server.tap.most = 1_000_000


def test_tiles_have_corners_and_their_files(survey: EuclidSurvey, server: EuclidServer) -> None:
    tiles = survey.tiles(SHARD)
    assert [tile.name for tile in tiles] == [FIRST, SECOND]
    files = tiles[0].facts["files"]
    assert set(files) == {"VIS", "Y", "H"}
    assert all(set(roles) == {"image", "noise", "mask", "psf"} for roles in files.values())
    ra, dec = np.array(tiles[0].corners).T
    assert len(ra) == 4
    assert np.ptp(dec) * 3600 == pytest.approx(SHAPE[0] * 0.1, rel=1e-3)
    assert json.loads(json.dumps(tiles[0].facts)) == tiles[0].facts


def test_a_list_of_mosaics_that_is_cut_is_asked_for_in_parts(tmp_path: Path) -> None:
    shard = Shard(6, SHARD.pixel >> 4)
    nothing = {"ra": [], "dec": [], "flux": [], "sigma": []}
    places = [Shard(8, 16 * shard.pixel + number).centre for number in range(16)]
    mosaics = [draw(f"{102_000_000 + n}", place, (20, 20), nothing, ["VIS", "Y"]) for n, place in enumerate(places)]
    with EuclidServer(mosaics, catalogue(), most=60) as server:
        survey = make(server, tmp_path)
        assert [tile.name for tile in survey.tiles(shard)] == [mosaic.tile for mosaic in mosaics]
        assert sum(request.path == "/SIA" for request in server.requests) > 4
        server.most = 5
        with pytest.raises(TransferError, match="SIA: the service truncated its answer"):
            survey.tiles(shard)


def test_tiles_are_found_by_their_numbers(survey: EuclidSurvey) -> None:
    assert [tile.name for tile in survey.locate([SECOND, FIRST])] == [SECOND, FIRST]
    with pytest.raises(InputError, match="'100000000': Euclid Q1 has no such tile"):
        survey.locate(["100000000"])
    with pytest.raises(InputError, match="expected nine digits"):
        survey.locate(["1' OR '1'='1"])


def test_pixels_noise_mask_and_psf(survey: EuclidSurvey, server: EuclidServer) -> None:
    (tile,) = survey.locate([FIRST])
    fetched = survey.fetch(tile)
    assert fetched.faults == {}
    expected = server.mosaics[0]
    for band in DESCRIPTION.bands:
        image = survey.open(fetched, band)
        assert (image.shape, image.zero_point) == (SHAPE, 23.9)
        flux, weight = image.rows(150, 250)
        assert flux.dtype == weight.dtype == np.float32
        good = weight > 0
        np.testing.assert_allclose(flux[good], expected.flux[band][150:250][good], rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(weight[good], 1 / 0.002**2, rtol=1e-4)
        x, y = image.wcs.world_to_pixel_values(*CENTRE)
        assert (x, y) == (pytest.approx(299.5, abs=1e-3), pytest.approx(209.5, abs=1e-3))
    vis, y_band = survey.open(fetched, "VIS"), survey.open(fetched, "Y")
    weight = vis.rows(0, SHAPE[0])[1]
    assert weight[200, 300] == 0
    assert weight[200, 301] > 0
    # The bit SAT of VIS is another one in the flag maps of the near infrared.
    assert weight[200, 302] == 0
    assert vis.saturated is not None
    assert np.argwhere(vis.saturated(150, 250)).tolist() == [[50, 302]]
    assert y_band.saturated is None
    assert y_band.rows(200, 201)[1][0, 302] > 0
    assert not weight[:5].any()
    assert [values[10, 10] for values in y_band.rows(0, 20)] == [0, 0]
    widths = vis.psf_fwhm(np.array([0.0, 299.0, 599.0, np.nan]), np.array([10.0, 200.0, 400.0, 5.0]))
    np.testing.assert_allclose(widths, 0.2 + 1e-5 * np.array([60, 300, 540, np.nan]), rtol=1e-6)


def test_of_the_psf_only_the_table_is_transferred(survey: EuclidSurvey, server: EuclidServer) -> None:
    (tile,) = survey.locate([FIRST])
    url = tile.facts["files"]["VIS"]["psf"]
    before = len(server.sent)
    survey.fetch(dataclasses.replace(tile, facts={"files": {"VIS": tile.facts["files"]["VIS"]}}))
    parts = [sent for path, status, sent in server.sent[before:] if url.endswith(path) and status == 206]
    whole = len(server.contents[FIRST][url.rpartition("/")[2]][2])
    assert 0 < sum(parts) < whole / 5


def test_files_may_come_from_a_copy(server: EuclidServer, survey: EuclidSurvey, tmp_path: Path) -> None:
    files = {f"/q1/MER/{FIRST}/VIS/{name}": found[2] for name, found in server.contents[FIRST].items()}
    with Service(lambda request: Answer(files.get(request.path, b""))) as copy:
        settings = Euclid(irsa_url=server.url, copy_url=copy.url + "/")
        other = EuclidSurvey(settings, DESCRIPTION, Network(Transfer(cache=str(tmp_path / "other"), rate=1000.0)))
        (tile,) = other.locate([FIRST])
        vis = dataclasses.replace(tile, facts={"files": {"VIS": tile.facts["files"]["VIS"]}})
        before = len(server.requests)
        fetched = other.fetch(vis)
        assert len(server.requests) == before
        assert {request.path for request in copy.requests} <= set(files)
    same = survey.fetch(vis)
    assert fetched.files == same.files
    np.testing.assert_array_equal(other.open(fetched, "VIS").rows(5, 9), survey.open(same, "VIS").rows(5, 9))


def test_a_missing_band_is_a_fault_and_the_others_are_there(survey: EuclidSurvey) -> None:
    (tile,) = survey.locate([SECOND])
    fetched = survey.fetch(tile)
    assert sorted(fetched.files) == ["VIS", "Y"]
    assert fetched.faults == {"H": "Euclid Q1 has no mosaic with a noise map in this band here"}


def test_the_zero_point_of_each_header_counts(server: EuclidServer, tmp_path: Path) -> None:
    tile = draw(FIRST, CENTRE, SHAPE, {"ra": [], "dec": [], "flux": [], "sigma": []}, ["VIS"])
    tile.flux["VIS"][:] = 0.7
    tile.zero_points = {"VIS": 25.25}
    with EuclidServer([tile], catalogue()) as other:
        survey = make(other, tmp_path)
        fetched = survey.fetch(survey.tiles(SHARD)[0])
        flux, weight = survey.open(fetched, "VIS").rows(10, 12)
        np.testing.assert_allclose(flux, 0.7, rtol=1e-5)
        np.testing.assert_allclose(weight, 1 / 0.002**2, rtol=1e-4)
        path = survey._network.path(fetched.files["VIS"]["image"])
        fits.delval(path, "MAGZERO")
        with pytest.raises(InputError, match="MAGZERO is None"):
            survey.open(fetched, "VIS")


@pytest.mark.filterwarnings("ignore::astropy.wcs.FITSFixedWarning")
def test_damaged_files_are_named(survey: EuclidSurvey) -> None:
    (tile,) = survey.locate([FIRST])
    fetched = survey.fetch(tile)
    path = survey._network.path(fetched.files["VIS"]["image"])
    os.truncate(path, path.stat().st_size // 2)
    image = survey.open(fetched, "VIS")
    image.rows(0, 10)
    with pytest.raises(InputError, match="its pixels cannot be read"):
        image.rows(0, SHAPE[0])
    path = survey._network.path(fetched.files["Y"]["image"])
    fits.setval(path, "CTYPE1", value="NOTHING")
    with pytest.raises(InputError, match="no usable celestial coordinates"):
        survey.open(fetched, "Y")
    path.write_bytes(b"<html>")
    with pytest.raises(InputError, match="not an image in FITS"):
        survey.open(fetched, "Y")


def test_a_service_that_refers_to_another_host_fails_the_job(server: EuclidServer, survey: EuclidSurvey) -> None:
    server.host = "http://example.org"
    try:
        with pytest.raises(InputError, match=r"names the file 'http://example\.org"):
            survey.tiles(SHARD)
    finally:
        server.host = server.url


def test_faults_of_the_service_and_of_files(server: EuclidServer, tmp_path: Path) -> None:
    class Broken(EuclidServer):
        def answer(self, request: Any) -> Answer:
            if "-RMS_" in request.path:
                return Answer(b"<html>no</html>")
            return Answer(b"busy", 503) if request.path.startswith("/TAP") else super().answer(request)

    with Broken(server.mosaics, catalogue()) as broken:
        survey = make(broken, tmp_path)
        with pytest.raises(TransferError, match=r"/TAP: .*503"):
            survey.catalogue(SHARD, Sources())
        fetched = survey.fetch(survey.tiles(SHARD)[0])
        assert fetched.files == {}
        assert set(fetched.faults) == {"VIS", "Y", "H"}
        assert not list((tmp_path / "cache").rglob("*RMS*.fits"))
    offline = make(server, tmp_path, offline=True)
    with pytest.raises(TransferError, match="offline"):
        offline.tiles(SHARD)


def test_a_file_of_another_tile_or_shape_is_refused(survey: EuclidSurvey, tmp_path: Path) -> None:
    first, second = (survey.fetch(tile) for tile in survey.locate([FIRST, SECOND]))
    mixed = FetchedTile(Tile(SECOND, *CENTRE), first.files, {})
    with pytest.raises(InputError, match=f"expected the mosaic of the tile {SECOND}"):
        survey.open(mixed, "VIS")
    path = survey._network.path(second.files["VIS"]["noise"])
    fits.PrimaryHDU(np.ones((3, 4), np.float32)).writeto(path, overwrite=True)
    with pytest.raises(InputError, match=r"4 x 3 pixels, its mosaic .* has 600 x 420"):
        survey.open(second, "VIS")
