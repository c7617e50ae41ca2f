"""SDSS: what is asked of SkyServer, which frames are fetched, what a frame holds."""

import json
from pathlib import Path
from typing import Any

import astropy.units as u
import fitsio
import numpy as np
import pytest
from astroquery.sdss import SDSS, conf

from tuningfork.core.config.stages import Sources, Tiles
from tuningfork.core.config.survey import Sdss
from tuningfork.core.description import Description
from tuningfork.core.errors import InputError, TransferError
from tuningfork.core.tables import shard_table
from tuningfork.sky.shards import Shard, pixels
from tuningfork.surveys import sdss
from tuningfork.surveys.base import Tile
from tuningfork.surveys.sdss import FRAMES, Box, SdssSurvey, width_to_fwhm
from tuningfork.surveys.sdss_frame import inverse_variance, read_frame

DESCRIPTION = Description(
    title="test", bands=["g", "r", "i"], reference_band="r", pixel_scale=0.396, zero_point=22.5, flux_unit="nanomaggy",
    psf_fwhm=[1.2, 1.1, 1.0], psf_fwhm_scatter=0.1, psf_beta=3.0, sky_noise=[0.1] * 3, sky_noise_scatter=0.1,
)  # fmt: skip
QUICK = Tiles(timeout=5.0, retries=1, backoff=0.001)
CATALOGUE = "#Table1\nobjid,ra,dec,mag,radius,redshift\n"
FIELDS = "#Table1\nrerun,run,camcol,field,ra_min,ra_max,dec_min,dec_max,psf_width_g,psf_width_r,psf_width_i\n"


class Answer:
    """What SkyServer sends back."""

    def __init__(self, text: str, status: int = 200) -> None:
        self.text, self.status_code, self.ok, self.headers = text, status, status < 400, {}


def survey(monkeypatch: Any, *answers: Answer) -> tuple[SdssSurvey, list[str]]:
    """Return a survey whose queries get these answers, and the list of its queries."""
    queries: list[str] = []
    rest = list(answers)

    def ask(query: str, **options: Any) -> Answer:
        assert options["cache"] is False
        queries.append(query)
        return rest.pop(0) if len(rest) > 1 else rest[0]

    monkeypatch.setattr(SDSS, "query_sql_async", ask)
    return SdssSurvey(Sdss(), DESCRIPTION, QUICK), queries


@pytest.mark.parametrize(
    "shard", [Shard(5, 0), Shard(3, 300), Shard(0, 4), Shard(6, 40959), Shard(2, 15), Shard(8, 300736)]
)
def test_the_box_holds_the_shard(shard: Shard) -> None:
    box = Box.around(shard)
    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(0, 360, 200_000), np.rad2deg(np.arcsin(rng.uniform(-1, 1, 200_000)))
    near_ra, near_dec = shard.centre
    ra = np.concatenate([ra, (near_ra + rng.normal(0, 30 / 2**shard.order, 20_000)) % 360])
    dec = np.concatenate([dec, np.clip(near_dec + rng.normal(0, 30 / 2**shard.order, 20_000), -90, 90)])
    inside = pixels(ra, dec, shard.order) == shard.pixel
    assert inside.any()
    in_ra = np.abs((ra - box.ra + 180) % 360 - 180) <= box.half
    assert (in_ra & (dec >= box.dec_min) & (dec <= box.dec_max))[inside].all()


def test_a_box_across_right_ascension_zero_is_two_ranges() -> None:
    assert Box(0.0, 1.0, -1, 1).sql.startswith("(p.ra >= 359.00000000 OR p.ra <= 1.00000000) AND")
    assert Box(10.0, 1.0, -1, 1).sql.startswith("(p.ra BETWEEN 9.00000000 AND 11.00000000) AND")
    assert Box(10.0, 180.0, 80, 95).sql == "(p.ra BETWEEN 0 AND 360) AND (p.dec BETWEEN 80.00000000 AND 90.00000000)"


def test_sources_are_those_of_the_shard_in_order(monkeypatch: Any) -> None:
    shard = Shard.parse("8-300736")
    ra, dec = shard.centre
    rows = f"9,{ra},{dec},17,2,null\n3,{ra},{dec},16,3,0.05\n9,{ra},{dec},17,2,0.7\n5,{ra + 1},{dec},17,2,null\n"
    fields = f"301,6377,4,399,{ra - 0.1},{ra + 0.1},{dec - 0.1},{dec + 0.1},1.4,1.3,1.2\n"
    found, queries = survey(monkeypatch, Answer(CATALOGUE + rows), Answer(FIELDS + fields))
    table = found.sources(shard, Sources(mag_min=14.0, mag_max=17.7))
    assert table["source_id"].to_pylist() == [3, 9]
    assert table["redshift"].to_pylist() == [pytest.approx(0.05), None]
    assert table["survey_radius"].to_pylist() == [3, 2]
    assert "FROM Galaxy AS p LEFT OUTER JOIN SpecObj AS s" in queries[0]
    assert "p.petroMag_r BETWEEN 14.0 AND 17.7" in queries[0]
    tiles = found.tiles(shard, table)
    assert [tile.name for tile in tiles] == ["301-006377-4-0399"]
    assert tiles[0].facts == {"psf_width_g": 1.4, "psf_width_r": 1.3, "psf_width_i": 1.2}


def test_an_empty_shard_asks_for_no_frames(monkeypatch: Any) -> None:
    found, queries = survey(monkeypatch, Answer(CATALOGUE))
    table = found.sources(Shard(8, 300736), Sources())
    assert table.num_rows == 0
    assert len(queries) == 1
    assert found.tiles(Shard(8, 300736), table) == []


def test_an_answer_at_the_row_limit_is_asked_for_in_halves(monkeypatch: Any) -> None:
    monkeypatch.setattr(sdss, "ROW_LIMIT", 2)
    shard = Shard.parse("8-300736")
    ra, dec = shard.centre
    row = f"{{}},{ra},{dec},17,2,null\n"
    answers = [CATALOGUE + row.format(1) + row.format(2), CATALOGUE + row.format(1), CATALOGUE + row.format(2), FIELDS]
    found, queries = survey(monkeypatch, *map(Answer, answers))
    assert found.sources(shard, Sources())["source_id"].to_pylist() == [1, 2]
    assert len(queries) == 4


@pytest.mark.parametrize(
    ("answer", "reason", "asked"),
    [
        (Answer("busy", 503), "HTTP 503", 2),
        (Answer("<html>Down for maintenance</html>"), "expected a table in CSV, got '<html>Down", 2),
        (Answer("error_message\nInvalid column name 'petroMag_y'"), "the query failed: Invalid column", 1),
    ],
)
def test_skyserver_faults_name_the_server_and_the_remedy(
    monkeypatch: Any, answer: Answer, reason: str, asked: int
) -> None:
    found, queries = survey(monkeypatch, answer)
    with pytest.raises(TransferError, match=rf"https://skyserver\.sdss\.org: .*{reason}.*check survey\.sdss"):
        found.sources(Shard(8, 300736), Sources())
    assert len(queries) == asked


def test_no_network_fails_the_job_with_a_message() -> None:
    found = SdssSurvey(Sdss(skyserver_url="http://127.0.0.1:9"), DESCRIPTION, QUICK)
    with pytest.raises(TransferError, match=r"SkyServer at http://127\.0\.0\.1:9: no connection .*run again"):
        found.sources(Shard(8, 300736), Sources())


def test_no_network_makes_every_band_a_fault(tmp_path: Path) -> None:
    found = SdssSurvey(Sdss(sas_url="http://127.0.0.1:9/sas"), DESCRIPTION)
    fetched = found.fetch(Tile("301-006377-4-0399", 1.0, 1.0), tmp_path, QUICK)
    assert fetched.files == {}
    assert set(fetched.faults) == {"g", "r", "i"}
    assert "no connection" in fetched.faults["r"]


@pytest.mark.parametrize("name", ["../../etc/passwd", "301-006377-4-0399/../x", "301-6377-4-399", "301-006377-9-0399"])
def test_a_tile_name_never_becomes_a_path_unchecked(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="expected rerun-run-camcol-field"):
        SdssSurvey(Sdss(), DESCRIPTION).fetch(Tile(name, 1.0, 1.0), tmp_path, QUICK)


@pytest.mark.parametrize("release", [9, 13, 17])
def test_addresses_are_those_that_astroquery_reads(monkeypatch: Any, release: int) -> None:
    from astropy.table import Table

    numbers = {"rerun": 301, "run": 6377, "camcol": 4, "field": 399}
    matches = Table([[value] for value in numbers.values()], names=list(numbers))
    expected = SDSS.get_images_async(matches=matches, band="r", data_release=release)[0]._target
    found = SdssSurvey(Sdss(sas_url=conf.sas_baseurl, data_release=release), DESCRIPTION)
    assert found._url("r", numbers) == expected


def test_frames_far_from_any_source_are_not_fetched() -> None:
    frame = {"rerun": 301, "run": 1, "camcol": 1, "ra_min": -0.1, "ra_max": 0.1, "dec_min": 0.0, "dec_max": 0.2}
    frames = [{**frame, "field": 10, "psf_width_r": 1.3}, {**frame, "field": 11, "dec_min": 0.3, "dec_max": 0.5}]
    table = shard_table("sources", {"source_id": [1], "flags": [0], "ra": [359.99], "dec": [0.1]})
    table = table.replace_schema_metadata({FRAMES: json.dumps(frames)})
    tiles = SdssSurvey(Sdss(), DESCRIPTION).tiles(Shard(5, 1), table)
    assert [tile.name for tile in tiles] == ["301-000001-1-0010"]
    assert tiles[0].ra == pytest.approx(0)


def test_noise_follows_from_the_counts() -> None:
    sky = np.zeros(1, dtype=[("allsky", "f4", (4, 8)), ("xinterp", "f4", (40,)), ("yinterp", "f4", (30,))])
    sky["allsky"], sky["xinterp"], sky["yinterp"] = 100, np.linspace(0, 7, 40), np.linspace(0, 3, 30)
    image = np.zeros((30, 40), dtype=np.float32)
    image[3, 4], image[5, 6] = 0.005 * 900, np.nan
    image[7, 8] = 0.005 * 70_000
    weight = inverse_variance(image, np.full(40, 0.005, dtype=np.float32), sky, 5.0, 1.5)
    assert 1 / np.sqrt(weight[0, 0]) == pytest.approx(0.005 * np.sqrt(100 / 5 + 1.5), rel=1e-4)
    assert 1 / np.sqrt(weight[3, 4]) == pytest.approx(0.005 * np.sqrt(1000 / 5 + 1.5), rel=1e-4)
    assert weight[5, 6] == weight[7, 8] == 0


def test_without_calibration_the_noise_is_that_of_the_image() -> None:
    image = np.random.default_rng(1).normal(0, 0.03, (200, 200)).astype(np.float32)
    weight = inverse_variance(image, None, None, 5.0, 1.5)
    assert 1 / np.sqrt(weight[0, 0]) == pytest.approx(0.03, rel=0.03)


def test_psf_width_of_a_moffat_profile() -> None:
    """On the stars of the real field the widths differ by 1.23 to 1.29, with exponents of 3.1 to 3.4."""
    assert width_to_fwhm(3.3) == pytest.approx(1.26, abs=0.02)
    assert width_to_fwhm(1000.0) == pytest.approx(1.01, abs=0.01)


def test_a_real_frame_opens_with_plausible_noise(real_data: Path) -> None:
    path = real_data / "sdss_dr8_frame_crop" / "frame-r-001000-1-0100.fits.bz2"
    image, weight, wcs = read_frame(path, "r", 1)
    noise = 1 / np.sqrt(np.median(weight))
    spread = 1.4826 * np.median(np.abs(image - np.median(image)))
    assert 0.8 < noise / spread < 1.2
    scale = np.sqrt(abs(np.linalg.det(wcs.pixel_scale_matrix))) * u.deg
    assert scale.to_value(u.arcsec) == pytest.approx(0.396, abs=0.001)


@pytest.mark.parametrize("content", [b"<html>", b"", b"SIMPLE  ="])
def test_a_file_that_is_no_frame_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "frame-r.fits.bz2"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"frame-r\.fits\.bz2: .*delete it and run again"):
        read_frame(path, "r", 1)


def test_a_frame_of_another_band_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "frame.fits"
    fitsio.write(path, np.zeros((5, 5), dtype=np.float32), header={"FILTER": "g"})
    with pytest.raises(InputError, match="expected an SDSS frame of the band r"):
        read_frame(path, "r", 1)
