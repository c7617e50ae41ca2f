"""The grid of bricks of the Legacy Surveys, and the table that says which of them a release has."""

from pathlib import Path

import fitsio
import numpy as np
import pytest
from astropy.table import Table
from astropy.wcs import WCS
from helpers.servers.legacy import SCALE
from hypothesis import given, settings
from hypothesis import strategies as st

from tuningfork.core.errors import InputError
from tuningfork.sky.shards import Shard, pixels
from tuningfork.surveys.base import STAMP_MARGIN, Tile
from tuningfork.surveys.legacy.bricks import (
    BRICK_ROWS,
    PRESENT_BIT,
    Brick,
    brick_at,
    brick_named,
    bricks_around,
    bricks_per_row,
    numbers_at,
    write_index,
)
from tuningfork.surveys.near import depth

positions = given(st.floats(0, 359.999), st.floats(-89.99, 89.99))


def brick_at_position(ra: float, dec: float) -> Brick:
    number = int(numbers_at(np.array([ra]), np.array([dec]))[0])
    row = int(np.searchsorted(np.cumsum(bricks_per_row()), number))
    return brick_at(row, number - 1 - int(bricks_per_row()[:row].sum()))


def test_the_sky_has_662174_bricks_with_the_numbers_of_the_survey(real_data: Path) -> None:
    assert bricks_per_row().sum() == 662_174
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
    bricks = [
        brick_at(row, int(column)) for row in range(BRICK_ROWS) for column in rng.integers(0, bricks_per_row()[row], 4)
    ]
    assert all(brick_named(brick.name) == brick for brick in bricks)
    whole = [brick_at(row, column).name for row in (0, 1, 240, 720) for column in range(int(bricks_per_row()[row]))]
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
    found = {brick.name for brick in bricks_around(shard, STAMP_MARGIN)}
    edge_ra, edge_dec = shard.boundary(steps=8)
    assert {brick_at_position(x % 360, y).name for x, y in zip(edge_ra, edge_dec, strict=True)} <= found


def test_the_index_of_a_release_is_small_and_made_row_by_row(tmp_path: Path) -> None:
    count = 10_000
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
    assert np.array_equal(np.flatnonzero(index & PRESENT_BIT), np.unique(number))
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
