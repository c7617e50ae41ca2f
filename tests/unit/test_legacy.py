"""The Legacy Surveys: the grid of bricks, files unpacked by rows, masks, checksums and bad answers."""

import resource
import sys
from pathlib import Path
from typing import Any

import fitsio
import numpy as np
import pytest
from astropy.table import Table
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st
from servers.base import Answer, Request
from servers.legacy import PACKING, SCALE, SIZE, LegacyServer, Sky, Source, pack

from tuningfork.core.config import validate
from tuningfork.core.config.sources import Sources
from tuningfork.core.config.survey import Legacy
from tuningfork.core.config.transfer import Transfer
from tuningfork.core.description import Description, describe
from tuningfork.core.errors import InputError, TransferError
from tuningfork.sky.shards import Shard, pixels
from tuningfork.surveys.base import MARGIN, Tile
from tuningfork.surveys.legacy import LegacySurvey
from tuningfork.surveys.legacy_bricks import (
    PRESENT,
    ROWS,
    Brick,
    brick_at,
    brick_named,
    bricks_around,
    columns,
    numbers_at,
    write_index,
)
from tuningfork.surveys.legacy_catalogue import ls_id
from tuningfork.surveys.legacy_image import Packed, open_brick
from tuningfork.surveys.near import depth
from tuningfork.surveys.transfer.network import Network

NAME = "1126p222"
positions = given(st.floats(0, 359.999), st.floats(-89.99, 89.99))


@pytest.fixture(scope="session")
def description(root: Path) -> Description:
    return describe(validate({"survey": {"name": "legacy"}}), root / "config" / "surveys")


def network(folder: Path, **settings: Any) -> Network:
    values = {"cache": str(folder / "cache"), "timeout": 10, "retries": 1, "backoff": 0.001, "rate": 5000}
    return Network(Transfer(**(values | settings)))


def brick_at_position(ra: float, dec: float) -> Brick:
    number = int(numbers_at(np.array([ra]), np.array([dec]))[0])
    row = int(np.searchsorted(np.cumsum(columns()), number))
    return brick_at(row, number - 1 - int(columns()[:row].sum()))


# The grid of bricks


def test_the_sky_has_662174_bricks_with_the_numbers_of_the_survey(real_data: Path) -> None:
    assert columns().sum() == 662_174
    bricks = fitsio.read(real_data / "decals_fits/legacypipe_test/py/test/testcase4/survey-bricks.fits.gz")
    for row in bricks:
        brick = brick_named(str(row["brickname"]))
        assert (brick.number, brick_at(int(row["brickrow"]), int(row["brickcol"])).name) == (row["brickid"], brick.name)
        assert (brick.ra, brick.dec) == pytest.approx((row["ra"], row["dec"]), abs=1e-8)
        assert brick.unique == pytest.approx([row[key] for key in ("ra1", "ra2", "dec1", "dec2")], abs=1e-7)
    tractor = fitsio.read(real_data / "decals_fits/tractor_decam/tractor-1816p325-sub.fits")
    assert set(tractor["brickid"]) == {brick_named("1816p325").number}
    # Further pairs of name and BRICKID, as catalogues print them.
    assert [brick_named(name).number for name in ("1967m255", "1969m252", "0001m002")] == [188903, 190207, 328928]


def test_names_tell_bricks_apart() -> None:
    rng = np.random.default_rng(3)
    bricks = [brick_at(row, int(column)) for row in range(ROWS) for column in rng.integers(0, columns()[row], 4)]
    assert all(brick_named(brick.name) == brick for brick in bricks)
    whole = [brick_at(row, column).name for row in (0, 1, 240, 720) for column in range(int(columns()[row]))]
    assert len(set(whole)) == len(whole)


@pytest.mark.parametrize("name", ["1126q222", "1126p223", "0000m000", "3600p000", "1126p2222", "../1126p222", ""])
def test_there_are_no_other_names(name: str) -> None:
    with pytest.raises(InputError, match="expected a name such as 1126p222"):
        brick_named(name)


@positions
@settings(max_examples=60, deadline=None)
def test_every_position_lies_in_the_unique_part_and_the_image_of_one_brick(ra: float, dec: float) -> None:
    brick = brick_at_position(ra, dec)
    ra_min, ra_max, dec_min, dec_max = brick.unique
    assert ra_min <= ra + 1e-9
    assert ra <= ra_max + 1e-9
    assert dec_min <= dec <= dec_max
    tile = Tile(brick.name, brick.ra, brick.dec, brick.corners)
    # The image reaches some 20 arcsec beyond; nearest the poles the rows are too curved for that.
    assert depth(tile, np.array([ra]), np.array([dec]))[0] > (0.004 if abs(dec) < 88 else -0.1)


def test_corners_are_those_of_the_images() -> None:
    for name in ("1126p222", "0001m002", "1816p325", "0591m305"):
        brick = brick_named(name)
        wcs = WCS(naxis=2)
        wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [brick.ra, brick.dec], [1800.5, 1800.5]
        wcs.wcs.cd = np.diag([-SCALE, SCALE]) / 3600
        x, y = wcs.all_world2pix(*np.array(brick.corners).T, 0)
        assert sorted(zip(np.round(x, 5), np.round(y, 5), strict=True)) == sorted(
            [(-0.5, -0.5), (-0.5, 3599.5), (3599.5, -0.5), (3599.5, 3599.5)]
        )


@positions
@settings(max_examples=15, deadline=None)
def test_no_brick_near_a_shard_is_forgotten(ra: float, dec: float) -> None:
    shard = Shard(8, int(pixels(np.array([ra]), np.array([dec]), 8)[0]))
    found = {brick.name for brick in bricks_around(shard, MARGIN)}
    edge_ra, edge_dec = shard.boundary(steps=8)
    assert {brick_at_position(x % 360, y).name for x, y in zip(edge_ra, edge_dec, strict=True)} <= found


# The table of a release


def test_the_index_of_a_release_is_small_and_made_row_by_row(tmp_path: Path) -> None:
    count = 30_000
    rng = np.random.default_rng(5)
    ra, dec = rng.uniform(0, 360, count), rng.uniform(-80, 30, count)
    table = Table({"BRICKNAME": np.full(count, "1126p222"), "ra": ra, "dec": dec, "primary": np.ones(count, bool)})
    for band in "gr":
        table[f"nexphist_{band}"] = rng.integers(0, 2, (count, 11)).astype("i4") * (rng.random((count, 1)) < 0.5)
    table.write(tmp_path / "bricks.fits.gz")
    write_index(tmp_path / "bricks.fits.gz", tmp_path / "index.npy")
    index = np.load(tmp_path / "index.npy")
    assert (index.dtype, len(index)) == (np.uint8, 662_175)
    number = numbers_at(ra, dec)
    assert np.array_equal(np.flatnonzero(index & PRESENT), np.unique(number))
    for place, band in enumerate("gr"):
        seen = np.unique(number[table[f"nexphist_{band}"][:, 1:].any(axis=1)])
        assert np.array_equal(np.flatnonzero(index >> place & 1), seen)


@pytest.mark.parametrize("fault", ["cut", "no table", "not gzip", "no positions"])
def test_a_bad_table_of_bricks_is_named(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "bricks.fits.gz"
    table = Table({"ra": np.zeros(5000), "dec" if fault != "no positions" else "other": np.zeros(5000)})
    table.write(path)
    if fault == "cut":
        path.write_bytes(path.read_bytes()[:-60])
    elif fault == "no table":
        path.unlink()
        fitsio.write(str(path), np.zeros((5, 5)))
    elif fault == "not gzip":
        path.write_bytes(b"<html>")
    with pytest.raises(InputError, match=r"bricks\.fits\.gz: not the table of the bricks .*delete it and run again"):
        write_index(path, tmp_path / "index.npy")


# Files unpacked by rows


def layered(folder: Path, shape: tuple[int, int], header: dict[str, Any] | None = None) -> dict[str, Path]:
    """Write the four files of a band, with its values of each pixel."""
    rng = np.random.default_rng(7)
    keys = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 1.0, "CRPIX1": 1.0, "CRPIX2": 1.0}
    keys |= {"CD1_1": -1e-4, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 1e-4, "BRICKNAM": NAME} | (header or {})
    weight = rng.uniform(1e4, 2e4, shape) * (rng.random(shape) > 0.1)
    layers = {"image": rng.normal(0, 0.01, shape), "invvar": weight, "psfsize": rng.uniform(1, 2, shape)}
    layers["maskbits"] = rng.integers(0, 1 << 17, shape)
    paths = {}
    for role, values in layers.items():
        paths[role] = folder / f"{role}.fits.fz"
        paths[role].write_bytes(pack(values.astype("i4" if role == "maskbits" else "f4"), PACKING[role], keys))
    return paths


@given(st.lists(st.tuples(st.integers(0, 329), st.integers(1, 330)), min_size=1, max_size=6))
@settings(max_examples=25, deadline=None)
def test_rows_are_the_same_however_they_are_asked_for(
    tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[int, int]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "rows.fits.fz"
    if not path.exists():
        values = np.random.default_rng(1).normal(size=(330, 110)).astype("f4")
        path.write_bytes(pack(values, PACKING["image"], {}))
    whole = fitsio.read(str(path))
    packed = Packed(path)
    assert packed.shape == (330, 110)
    for start, height in asked:
        rows = packed.rows(start, start + height)
        assert np.array_equal(rows, whole[start : start + height])
        rows[:] = 0


def test_each_row_of_tiles_is_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "image.fits.fz"
    path.write_bytes(pack(np.arange(450 * 60, dtype="f4").reshape(450, 60), "G 60,100; qz 0", {}))
    packed, read = Packed(path), []
    inner = packed._read
    monkeypatch.setattr(packed, "_read", lambda start, stop: read.append((start, stop)) or inner(start, stop))
    for start in range(0, 450, 37):
        packed.rows(start, start + 37)
    unpacked = [row for start, stop in read for row in range(start, stop)]
    assert sorted(unpacked) == list(range(450))


def test_a_whole_brick_is_read_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "image.fits.fz"
    values = np.zeros((SIZE, SIZE), dtype="f4")
    values[1234, 2345] = 7
    path.write_bytes(pack(values, PACKING["image"], {}))
    del values
    packed = Packed(path)
    packed.rows(0, 100)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    total = sum(float(packed.rows(start, start + 100).sum()) for start in range(0, SIZE, 100))
    assert total == pytest.approx(7, abs=1e-3)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * (1024 if sys.platform == "linux" else 1)
    assert grown < 12e6
    assert packed.at(np.array([2345.3, -1.0, np.nan]), np.array([1233.7, 5.0, 5.0])) == pytest.approx(
        [7, np.nan, np.nan], abs=1e-3, nan_ok=True
    )


@pytest.mark.parametrize(("band", "satur", "allmask"), [("g", 2, 5), ("r", 3, 6), ("z", 4, 7), ("i", 14, 15)])
def test_only_the_bits_of_the_band_take_weight_away(tmp_path: Path, band: str, satur: int, allmask: int) -> None:
    paths = layered(tmp_path, (230, 210))
    image = open_brick(paths, NAME, band, 22.5)
    flux, weight = image.rows(30, 205)
    bits = fitsio.read(str(paths["maskbits"]))[30:205]
    given_weight = fitsio.read(str(paths["invvar"]))[30:205]
    bad = (bits >> satur & 1) | (bits >> allmask & 1) | (given_weight <= 0)
    assert np.array_equal(weight, np.where(bad, 0, given_weight))
    assert np.array_equal(flux, fitsio.read(str(paths["image"]))[30:205])
    sizes = fitsio.read(str(paths["psfsize"]))
    rng = np.random.default_rng(2)
    x, y = rng.uniform(0, 209, 40), rng.uniform(0, 229, 40)
    assert np.array_equal(image.psf_fwhm(x, y), sizes[np.rint(y).astype(int), np.rint(x).astype(int)].astype(float))
    assert (image.zero_point, image.shape) == (22.5, (230, 210))


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    paths = layered(tmp_path, (120, 120))
    with pytest.raises(InputError, match=f"is of brick {NAME}, expected 0001m002"):
        open_brick(paths, "0001m002", "r", 22.5)
    (tmp_path / "other").mkdir()
    other = layered(tmp_path / "other", (120, 130))
    with pytest.raises(InputError, match=r"psfsize\.fits\.fz: \(120, 130\), but the image has \(120, 120\)"):
        open_brick(paths | {"psfsize": other["psfsize"]}, NAME, "r", 22.5)
    with pytest.raises(InputError, match="no maskbits file"):
        open_brick({role: path for role, path in paths.items() if role != "maskbits"}, NAME, "r", 22.5)
    paths["image"].write_bytes(paths["image"].read_bytes()[:9000])
    with pytest.raises(InputError, match=r"image\.fits\.fz: no readable FITS image"):
        open_brick(paths, NAME, "r", 22.5).rows(0, 120)


# Services


def test_source_ids_are_those_of_data_lab() -> None:
    # A row as desispec prints it: RELEASE 10000, BRICKID 188903, OBJID 5500.
    assert ls_id(np.int16([10000]), np.int32([188903]), np.int32([5500])).tolist() == [10995128657712508]


def test_a_release_without_a_band_is_refused(tmp_path: Path, description: Description) -> None:
    with_i = description.model_copy(update={"bands": ["g", "r", "i", "z"]})
    LegacySurvey(Legacy(), with_i, network(tmp_path))
    with pytest.raises(InputError, match="expected some of g, r, z"):
        LegacySurvey(Legacy(data_release=9), with_i, network(tmp_path))


@pytest.fixture
def small() -> Sky:
    brick = brick_named(NAME)
    source = Source(brick.ra, brick.dec, {"g": 9.0, "r": 20.0, "z": 30.0}, 1.5)
    return Sky([NAME], [source], shown=(brick.ra, brick.dec, 150))


def test_bricks_are_located_and_others_refused(small: Sky, tmp_path: Path, description: Description) -> None:
    with LegacyServer(small) as server:
        survey = LegacySurvey(Legacy(**server.settings), description, network(tmp_path))
        brick = brick_named(NAME)
        shard = Shard(8, int(pixels(np.array([brick.ra]), np.array([brick.dec]), 8)[0]))
        assert [tile.name for tile in survey.tiles(shard)] == [NAME]
        (tile,) = survey.locate([NAME])
        assert tile.unique == brick.unique
        assert tile.facts == {"bands": ["g", "r", "z"]}
        with pytest.raises(InputError, match=r"brick 1129p222: dr10 .* has no imaging"):
            survey.locate(["1129p222"])
        again = LegacySurvey(Legacy(**server.settings), description, network(tmp_path, offline=True))
        assert again.tiles(shard) == [tile]
        assert len(server.requests) == 1


def test_a_file_with_another_checksum_is_a_band_that_is_missing(
    small: Sky, tmp_path: Path, description: Description
) -> None:
    class Changed(LegacyServer):
        def answer(self, request: Request) -> Answer:
            answer = super().answer(request)
            if request.path.endswith("invvar-r.fits.fz"):
                # A whole FITS file with right checksums of its own, but not the one that is published.
                return Answer(pack(np.ones((300, 300), dtype="f4"), PACKING["invvar"], {}))
            return answer

    with Changed(small) as server:
        survey = LegacySurvey(Legacy(**server.settings), description, network(tmp_path))
        fetched = survey.fetch(survey.locate([NAME])[0])
        assert sorted(fetched.files) == ["g", "z"]
        assert list(fetched.faults) == ["r"]
        assert "invvar-r.fits.fz" in fetched.faults["r"]
        assert "SHA-256" in fetched.faults["r"]
        before = len(server.requests)
        assert sorted(survey.fetch(fetched.tile).files) == ["g", "z"]
        asked = {request.path.rsplit("/", 1)[1] for request in server.requests[before:]}
        assert asked == {f"legacysurvey-{NAME}-invvar-r.fits.fz"}
        image = survey.open(fetched, "g")
        assert image.rows(0, 10)[0].shape == (10, image.shape[1])


@pytest.mark.parametrize("body", [b"<html>gone</html>", b"", b"0" * 64 + b"  a\nnonsense\n"])
def test_a_bad_list_of_checksums_is_done_without(
    small: Sky, tmp_path: Path, description: Description, body: bytes
) -> None:
    class Changed(LegacyServer):
        def answer(self, request: Request) -> Answer:
            return Answer(body) if request.path.endswith(".sha256sum") else super().answer(request)

    small.bands = "r"
    with Changed(small) as server:
        server.answer(Request("GET", f"/dr10/south/coadd/112/{NAME}/legacysurvey-{NAME}-image-r.fits.fz", {}, {}))
        survey = LegacySurvey(Legacy(**server.settings), description, network(tmp_path))
        fetched = survey.fetch(survey.locate([NAME])[0])
        assert list(fetched.files) == ["r"]
        assert sorted(fetched.faults) == ["g", "z"]


def test_a_missing_tractor_file_fails_the_list(small: Sky, tmp_path: Path, description: Description) -> None:
    class Without(LegacyServer):
        def answer(self, request: Request) -> Answer:
            return Answer(b"", 404) if request.path.endswith("tractor-1126p222.fits") else super().answer(request)

    brick = brick_named(NAME)
    shard = Shard(8, int(pixels(np.array([brick.ra]), np.array([brick.dec]), 8)[0]))
    with Without(small) as server:
        survey = LegacySurvey(Legacy(**server.settings, catalogue="files"), description, network(tmp_path))
        with pytest.raises(TransferError, match=r"tractor-1126p222\.fits: HTTP 404"):
            survey.catalogue(shard, Sources())
