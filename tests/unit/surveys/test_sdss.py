"""SDSS: what is asked of SkyServer, which fields are fetched, what the two sources of the catalogue say."""

import logging
import re
from pathlib import Path

import numpy as np
import pytest
from astroquery.sdss import SDSS, conf
from helpers.sdss_server import FIELD, GALAXY_ZOO, NODE, Field, SdssServer, shared_field
from helpers.servers.base import Answer, Request, Service
from helpers.servers.faults import Fault, Faults

from tuningfork.core.config.sources import Sources
from tuningfork.core.config.survey import Sdss
from tuningfork.core.config.transfer import Transfer
from tuningfork.core.description import Description
from tuningfork.core.errors import InputError, TransferError
from tuningfork.sky.coordinates import distance
from tuningfork.sky.shards import Shard
from tuningfork.surveys.base import STAMP_MARGIN, Tile
from tuningfork.surveys.sdss import files as sdss_files
from tuningfork.surveys.sdss import skyserver as sdss_skyserver
from tuningfork.surveys.sdss.archive import Archive, FieldName, corners, equatorial, great_circle
from tuningfork.surveys.sdss.survey import SdssSurvey, width_to_fwhm
from tuningfork.surveys.transfer.network import NO_LIMIT, Network

DESCRIPTION = Description(
    title="test", bands=["g", "r", "i"], reference_band="r", pixel_scale=0.396, zero_point=22.5, flux_unit="nanomaggy",
    psf_fwhm=[1.2, 1.1, 1.0], psf_fwhm_scatter=0.1, psf_beta=3.0, sky_noise=[0.1] * 3, sky_noise_scatter=0.1,
)  # fmt: skip
SHARD = Shard.parse("8-300736")
CATALOGUE = "#Table1\ntotal,objid,ra,dec,mag,radius,redshift\n"
TILE = Tile(f"301-006377-4-{FIELD:04d}", 351.64, 0.1)


def network(folder: Path, **settings: object) -> Network:
    values = {"timeout": 5.0, "retries": 1, "backoff": 0.001, "rate": 1000.0, "cache": str(folder / "cache")} | settings
    return Network(Transfer.model_validate(values))


class Scripted(Service):
    """SkyServer, which gives its answers one after the other, the last for ever."""

    ranges = False

    def __init__(self, *answers: str | Answer) -> None:
        super().__init__()
        self.rest = [Answer(item.encode()) if isinstance(item, str) else item for item in answers]

    def answer(self, request: Request) -> Answer:
        return self.rest.pop(0) if len(self.rest) > 1 else self.rest[0]

    def survey(self, folder: Path) -> SdssSurvey:
        return SdssSurvey(Sdss(skyserver_url=self.url), DESCRIPTION, network(folder))


@pytest.fixture(scope="module")
def field(real_data: Path) -> Field:
    return shared_field(real_data)


def test_sources_are_those_of_the_shard_in_order(tmp_path: Path) -> None:
    ra, dec = SHARD.centre
    rows = f"4,9,{ra},{dec},17,2,null\n4,3,{ra},{dec},16,-9999,0.05\n4,9,{ra},{dec},17,2,0.7\n4,5,{ra + 1},{dec},17,2,null\n"
    with Scripted(CATALOGUE + rows) as server:
        table = server.survey(tmp_path).catalogue(SHARD, Sources(mag_min=14.0, mag_max=17.7))
    assert table["source_id"].to_pylist() == [3, 9]
    assert table["redshift"].to_pylist() == [pytest.approx(0.05), None]
    assert table["survey_radius"].to_pylist() == [None, 2]
    query = server.requests[0].query["cmd"]
    assert "FROM Galaxy AS p LEFT OUTER JOIN SpecObj AS s" in query
    assert "p.petroMag_r BETWEEN 14.0 AND 17.7" in query


def test_an_answer_at_the_row_limit_is_asked_for_in_halves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sdss_skyserver, "ROW_LIMIT", 2)
    ra, dec = SHARD.centre
    one, two = (f"{{}},{number},{ra},{dec},17,2,null\n" for number in (1, 2))
    answers = [CATALOGUE + one.format(9) + two.format(9), CATALOGUE + one.format(1), CATALOGUE + two.format(1)]
    with Scripted(*answers) as server:
        assert server.survey(tmp_path).catalogue(SHARD, Sources())["source_id"].to_pylist() == [1, 2]
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("answer", "reason", "asked"),
    [
        (Answer(b"busy", 503), "HTTP 503", 2),
        (Answer(b"<html>Down for maintenance</html>"), "expected a table in CSV, received '<html>Down", 2),
        (Answer(b"error_message\nInvalid column name 'petroMag_y'"), "the query failed: Invalid column", 1),
        (Answer(f"{CATALOGUE}2,9,1.5,0.1,17,2,null\n".encode()), "1 of 2 rows were received", 2),
        (Answer(f"{CATALOGUE}1,9,1.5,0.".encode()), "the table is damaged", 2),
        (Answer(f"{CATALOGUE}1,9,1e5,0.1,17,2,null\n".encode()), r"the table is damaged \(ra 1e5\)", 2),
        (Answer(f"{CATALOGUE}1,9e3,1.5,0.1,17,2,null\n".encode()), "the table is damaged", 2),
        (Answer(b"#Table1\ntotal,objid,ra,d\n"), "expected a table in CSV, received '#Table1 total,objid,ra,d'", 2),
    ],
)
def test_skyserver_faults_name_the_server_and_the_remedy(
    tmp_path: Path, answer: Answer, reason: str, asked: int
) -> None:
    with Scripted(answer) as server, pytest.raises(TransferError) as caught:
        server.survey(tmp_path).catalogue(SHARD, Sources())
    assert re.match(rf"SkyServer: {server.url}.*{reason}.*check survey\.sdss", str(caught.value))
    assert len(server.requests) == asked


def test_the_public_skyserver_has_a_limit_of_its_own(tmp_path: Path) -> None:
    """It answers 60 queries a minute; a mirror may answer more."""
    limits = [
        sdss_skyserver.SkyServer(url, 17, ["r"], network(tmp_path))._limit
        for url in ("https://skyserver.sdss.org", "https://my.sdss.org.example.edu", "http://127.0.0.1:9")
    ]
    assert limits == [sdss_skyserver.PUBLIC_LIMIT, NO_LIMIT, NO_LIMIT]
    assert 50 < 60 * limits[0].rate < 60


def test_no_network(tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9"
    found = SdssSurvey(Sdss(skyserver_url=nowhere, sas_url=nowhere), DESCRIPTION, network(tmp_path))
    with pytest.raises(TransferError, match=r"SkyServer: http://127\.0\.0\.1:9.*no connection .*run again"):
        found.catalogue(SHARD, Sources())
    fetched = found.fetch(TILE)
    assert fetched.files == {}
    assert set(fetched.faults) == {"g", "r", "i"}
    assert "no connection" in fetched.faults["r"]


@pytest.mark.parametrize("name", ["../../etc/passwd", "301-006377-4-0399/../x", "301-6377-4-399", "301-006377-9-0399"])
def test_a_tile_name_never_becomes_a_path_unchecked(tmp_path: Path, name: str) -> None:
    survey = SdssSurvey(Sdss(), DESCRIPTION, network(tmp_path))
    for action in (lambda: survey.fetch(Tile(name, 1.0, 1.0)), lambda: survey.locate([name])):
        with pytest.raises(InputError, match="expected rerun-run-camcol-field"):
            action()


@pytest.mark.parametrize("release", [9, 13, 17])
def test_addresses_are_those_that_astroquery_reads(release: int) -> None:
    from astropy.table import Table

    numbers = {"rerun": 301, "run": 6377, "camcol": 4, "field": 399}
    matches = Table([[value] for value in numbers.values()], names=list(numbers))
    expected = SDSS.get_images_async(matches=matches, band="r", data_release=release)[0]._target
    archive = Archive(conf.sas_baseurl, release)
    assert archive.frame(FieldName(**numbers), "r") == (expected, f"sdss-dr{release}/{expected.rsplit('/', 1)[1]}")


def test_addresses_of_flat_files() -> None:
    """As in https://www.sdss4.org/dr17/imaging/ and, for older releases, http://www.sdss3.org/dr10/imaging/."""
    field, sas = FieldName(301, 1740, 1, 30), "https://data.sdss.org/sas"
    new, old = Archive(sas, 17), Archive(sas, 10)
    assert new.psf(field)[0] == f"{sas}/dr17/eboss/photo/redux/301/1740/objcs/1/psField-001740-1-0030.fit"
    assert old.psf(field)[0] == f"{sas}/dr10/boss/photo/redux/301/1740/objcs/1/psField-001740-1-0030.fit"
    assert new.objects(field)[0] == f"{sas}/dr17/eboss/photoObj/301/1740/1/photoObj-001740-1-0030.fits"
    assert new.window("window_flist.fits")[0] == f"{sas}/dr17/eboss/resolve/2013-07-29/window_flist.fits"
    assert old.window("window_flist.fits")[0] == f"{sas}/dr10/boss/resolve/2010-05-23/window_flist.fits"


def test_great_circles_there_and_back() -> None:
    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(0, 360, 1000), np.rad2deg(np.arcsin(rng.uniform(-0.999, 0.999, 1000)))
    back = equatorial(*great_circle(ra, dec, 95.0, 32.5), 95.0, 32.5)
    np.testing.assert_allclose(np.exp(1j * np.deg2rad(back[0])), np.exp(1j * np.deg2rad(ra)), atol=1e-10)
    np.testing.assert_allclose(back[1], dec, atol=1e-9)


def test_corners_are_those_of_a_real_frame(real_data: Path) -> None:
    """A field at declination 60, scanned across: node and inclination are those of its psField file."""
    import fitsio

    from tuningfork.surveys.sdss.frame import Frame

    folder = real_data / "sdss_dr8_frame_crop"
    header = fitsio.read_header(str(folder / "psField-001000-1-0100.fit"))
    wcs = Frame.read(folder / "frame-r-001000-1-0100.fits.bz2", "r").wcs
    ra, dec = (float(value) for value in wcs.pixel_to_world_values(1023.5, 744.0))
    found = np.array(corners(ra, dec, header["NODE"], header["INCL"]))
    x, y = wcs.world_to_pixel_values(*found.T)
    expected = {(-0.5, -0.5), (2047.5, -0.5), (2047.5, 1488.5), (-0.5, 1488.5)}
    near = {min(expected, key=lambda corner, a=a, b=b: np.hypot(corner[0] - a, corner[1] - b)) for a, b in zip(x, y, strict=True)}  # fmt: skip
    assert near == expected
    assert max(min(np.hypot(a - p, b - q) for p, q in expected) for a, b in zip(x, y, strict=True)) < 3


@pytest.mark.parametrize("catalogue", ["skyserver", "files"])
def test_tiles_are_the_fields_that_are_primary_near_the_shard(
    real_data: Path, field: Field, tmp_path: Path, catalogue: str
) -> None:
    with SdssServer(real_data, field) as server:
        settings = Sdss.model_validate(server.settings | {"catalogue": catalogue})
        survey = SdssSurvey(settings, DESCRIPTION, network(tmp_path))
        tiles = survey.tiles(SHARD)
        assert [tile.name for tile in tiles] == [TILE.name]
        assert tiles[0].facts == {f"psf_width_{band}": pytest.approx(field.psf_width(band)) for band in "gri"}
        assert survey.tiles(Shard(8, 1)) == []
        far, here = survey.locate(["301-006377-4-0099", TILE.name])
        assert here == tiles[0]
        assert (far.ra, far.dec) == (10.0, 0.1)
        with pytest.raises(InputError, match="301-006377-4-0777: Data Release 17 has no such field"):
            survey.locate([TILE.name, "301-006377-4-0777"])
    assert np.ptp(tiles[0].corners, axis=0) == pytest.approx([1489 * 0.396 / 3600, 2048 * 0.396 / 3600], rel=1e-4)


@pytest.mark.parametrize("order", [3, 8, 10])
def test_flat_files_are_read_of_the_fields_that_touch_the_shard(order: int) -> None:
    """Against points that are strewn over each field; one that touches nowhere comes nearer than a field's size."""
    shard = Shard(order, 12 * 4**order // 2 + 5)
    rng = np.random.default_rng(order)
    across, along = (value.ravel()[:, None] for value in np.meshgrid(*[np.linspace(0, 1, 25)] * 2))
    touching = apart = 0
    for _ in range(80):
        ra, dec = (value + (shard.radius + 0.3) * rng.uniform(-1, 1) for value in shard.centre)
        tile = Tile("301-000001-1-0011", ra, dec, corners(ra, dec, 95.0, rng.uniform(-60, 60)))
        a, b, c, d = np.array(tile.corners)
        points = (1 - along) * ((1 - across) * a + across * b) + along * ((1 - across) * d + across * c)
        inside = shard.contains(*points.T).any()
        found = sdss_files._touches(tile, shard, STAMP_MARGIN)
        assert found or not inside
        if found and not inside:
            assert np.min(distance(*points.T, *shard.centre)) < shard.radius + 0.02
        touching, apart = touching + found, apart + (not found)
    assert min(touching, apart) >= 5


def test_a_field_without_a_great_circle_has_no_corners() -> None:
    assert corners(10.0, 0.0, float("nan"), 0.0) == ()
    assert len(corners(10.0, 0.0, NODE, 0.0)) == 4


def test_both_sources_of_the_catalogue_say_the_same(real_data: Path, field: Field, tmp_path: Path) -> None:
    tables = []
    for catalogue in ("skyserver", "files"):
        with SdssServer(real_data, field) as server:
            settings = Sdss.model_validate(server.settings | {"catalogue": catalogue})
            survey = SdssSurvey(settings, DESCRIPTION, network(tmp_path / catalogue))
            tables.append(survey.catalogue(SHARD, Sources(mag_min=15.0, mag_max=19.5)))
            assert bool(server.queries) == (catalogue == "skyserver")
    queried, read = tables
    assert queried.num_rows > 20
    assert queried.schema == read.schema
    assert queried.drop_columns(["redshift", "survey_mag", "survey_radius"]).equals(
        read.drop_columns(["redshift", "survey_mag", "survey_radius"])
    )
    for name in ("survey_mag", "survey_radius"):
        np.testing.assert_allclose(queried[name].to_numpy(), read[name].to_numpy(), rtol=1e-6)
    assert set(GALAXY_ZOO) & set(queried["source_id"].to_pylist())


def test_photo_obj_files_are_read_as_they_are(real_data: Path, tmp_path: Path) -> None:
    """The real file has 19 detections, one of them a primary galaxy."""
    content = (real_data / "sdss_dr8_frame_crop" / "photoObj-001000-1-0100.fits").read_bytes()
    position = (358.5707467733224, 60.03269117432149)
    from tuningfork.sky.shards import pixels
    from tuningfork.surveys.sdss.files import FlatFiles

    files = FlatFiles(Archive("", 17), ["r"], network(tmp_path))
    tile = Tile("301-001000-1-0100", *position)
    files.fields = lambda shard, margin: [tile]  # type: ignore[method-assign]
    cached = files._archive.objects(FieldName.parse(tile.name))[1]
    files._network.make(cached, lambda path: path.write_bytes(content) and None)
    shard = Shard(8, int(pixels(np.array(position[:1]), np.array(position[1:]), 8)[0]))
    found = files.galaxies(shard, "r", 10.0, 25.0)
    assert list(found) == [1237649768107474986]
    ra, dec, redshift, mag, radius = found[1237649768107474986]
    assert (ra, dec) == position
    assert np.isnan(redshift)
    assert mag == pytest.approx(22.5 - 2.5 * np.log10(11.2024689), abs=0.001)
    assert radius == pytest.approx(1.8482535)


def test_without_the_psf_file_the_listed_widths_do(
    real_data: Path, field: Field, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = "/sas/dr17/eboss/photo/redux/301/6377/objcs/4/psField-006377-4-0399.fit"
    with SdssServer(real_data, field, Faults(permanent={path: Fault.GONE}, most=0)) as server:
        survey = SdssSurvey(Sdss.model_validate(server.settings), DESCRIPTION, network(tmp_path))
        (tile,) = survey.tiles(SHARD)
        with caplog.at_level(logging.WARNING):
            fetched = survey.fetch(tile)
        image = survey.open(fetched, "r")
    assert fetched.faults == {}
    assert "no psField file" in caplog.text
    assert "HTTP 404" in caplog.text
    here = (np.array([100.0]), np.array([100.0]))
    assert image.psf_fwhm(*here) == pytest.approx(field.psf_width("r") / width_to_fwhm(3.0))
    nothing = survey.open(type(fetched)(TILE, fetched.files, {}), "r")
    assert nothing.psf_fwhm(*here) == pytest.approx(1.1)


def test_a_damaged_psf_file_is_named_in_the_log(
    real_data: Path, field: Field, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with SdssServer(real_data, field) as server:
        survey = SdssSurvey(Sdss.model_validate(server.settings), DESCRIPTION, network(tmp_path))
        fetched = survey.fetch(TILE)
        (tmp_path / "cache" / fetched.files["r"]["psf"]).write_bytes(b"SIMPLE  =")
        with caplog.at_level(logging.WARNING):
            image = survey.open(fetched, "r")
    assert "not a psField file of SDSS" in caplog.text
    assert image.psf_fwhm(np.zeros(2), np.zeros(2)) == pytest.approx([1.1, 1.1])


@pytest.mark.parametrize("damage", [False, True])
def test_without_the_mask_saturated_pixels_are_not_known(
    real_data: Path, field: Field, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: bool
) -> None:
    path = "/sas/dr17/eboss/photo/redux/301/6377/objcs/4/fpM-006377-r4-0399.fit.gz"
    faults = None if damage else Faults(permanent={path: Fault.GONE}, most=0)
    with SdssServer(real_data, field, faults) as server, caplog.at_level(logging.WARNING):
        survey = SdssSurvey(Sdss.model_validate(server.settings), DESCRIPTION, network(tmp_path))
        fetched = survey.fetch(TILE)
        if damage:
            (tmp_path / "cache" / fetched.files["r"]["mask"]).write_bytes(b"SIMPLE  =")
        with_mask, without = survey.open(fetched, "i"), survey.open(fetched, "r")
    assert fetched.faults == {}
    assert with_mask.saturated is not None
    assert with_mask.saturated(300, 330).sum() > 100
    assert without.saturated is None
    assert "saturated pixels are not known" in caplog.text


def test_offline_a_missing_psf_file_is_missing(real_data: Path, field: Field, tmp_path: Path) -> None:
    with SdssServer(real_data, field) as server:
        settings = Sdss.model_validate(server.settings)
        fetched = SdssSurvey(settings, DESCRIPTION, network(tmp_path)).fetch(TILE)
        offline = SdssSurvey(settings, DESCRIPTION, network(tmp_path, offline=True))
        assert offline.fetch(TILE) == fetched
        (tmp_path / "cache" / fetched.files["r"]["psf"]).unlink()
        assert "psField-006377-4-0399.fit" in offline.fetch(TILE).faults["g"]


def test_psf_width_of_a_moffat_profile() -> None:
    """On the stars of the real field the widths differ by 1.23 to 1.29, with exponents of 3.1 to 3.4."""
    assert width_to_fwhm(3.3) == pytest.approx(1.26, abs=0.02)
    assert width_to_fwhm(1000.0) == pytest.approx(1.01, abs=0.01)
