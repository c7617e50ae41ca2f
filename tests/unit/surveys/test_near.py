"""Which tiles the stamps of given sources need."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuningfork.surveys.base import Tile
from tuningfork.surveys.near import depth, needed

WIDTH = 0.3


def square(ra: float, dec: float, turn: float = 0.0, mirrored: bool = False, name: str = "tile") -> Tile:
    """Return a square tile of `WIDTH` degrees about (ra, dec), turned by `turn` degrees."""
    angle = np.deg2rad(turn + np.array([45.0, 135.0, 225.0, 315.0]))
    x, y = WIDTH / np.sqrt(2) * np.cos(angle), WIDTH / np.sqrt(2) * np.sin(angle)
    corners = [on_sky(ra, dec, *point) for point in zip(x, y, strict=True)]
    return Tile(name, ra, dec, tuple(corners[::-1] if mirrored else corners))


def on_sky(ra: float, dec: float, x: float, y: float) -> tuple[float, float]:
    """Return the position whose gnomonic projection about (ra, dec) is (x, y) deg: rotations of unit vectors."""
    vector = np.array([1.0, np.deg2rad(x), np.deg2rad(y)])
    a, d = np.deg2rad(ra), np.deg2rad(dec)
    tilt = np.array([[np.cos(d), 0, -np.sin(d)], [0, 1, 0], [np.sin(d), 0, np.cos(d)]])
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    vx, vy, vz = turn @ tilt @ (vector / np.linalg.norm(vector))
    return float(np.rad2deg(np.arctan2(vy, vx)) % 360), float(np.rad2deg(np.arcsin(vz)))


CENTRES = st.tuples(st.floats(0, 359.999), st.floats(-89.5, 89.5))
OFFSETS = st.lists(st.tuples(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4)), min_size=1, max_size=20)


@settings(deadline=None, max_examples=60)
@given(CENTRES, OFFSETS, st.floats(0, 90), st.booleans())
def test_depth_is_the_distance_to_the_nearest_edge(centre, offsets, turn: float, mirrored: bool) -> None:
    """For a square the distance follows from the coordinates along its sides, wherever on the sky it lies."""
    tile = square(*centre, turn, mirrored)
    ra, dec = np.array([on_sky(*centre, *offset) for offset in offsets]).T
    c, s = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    x, y = np.array(offsets).T
    expected = WIDTH / 2 - np.maximum(np.abs(c * x + s * y), np.abs(-s * x + c * y))
    np.testing.assert_allclose(depth(tile, ra, dec), expected, atol=1e-6)


def test_the_far_side_of_the_sky_is_outside() -> None:
    assert (depth(square(10, 20), np.array([190.0, 100.0]), np.array([-20.0, 0.0])) < 0).all()


def test_what_is_unknown_stays_unknown() -> None:
    assert np.isnan(depth(square(10, 20), np.array([np.nan]), np.array([20.0]))).all()
    assert np.isnan(depth(Tile("x", np.nan, np.nan), np.array([10.0]), np.array([20.0]))).all()


GRID = [square(180 + 0.25 * column, 0.25 * row, name=f"{row}{column}") for row in range(4) for column in range(4)]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.floats(180, 180.75), st.floats(0, 0.75)), min_size=1, max_size=10), st.floats(0.001, 0.1))
def test_every_pixel_of_a_stamp_that_any_tile_has_is_on_a_needed_tile(positions, reach: float) -> None:
    ra, dec = np.array(positions).T
    chosen = needed(GRID, ra, dec, reach)
    assert chosen == [tile for tile in GRID if tile in chosen]
    for up in (-0.99 * reach, 0, 0.99 * reach):
        for aside in (-0.99 * reach, 0, 0.99 * reach):
            covered = np.max([depth(tile, ra + aside, dec + up) for tile in GRID], axis=0) > 0
            assert (np.max([depth(tile, ra + aside, dec + up) for tile in chosen], axis=0)[covered] > 0).all()


def test_a_stamp_that_lies_deep_in_one_tile_needs_no_other() -> None:
    assert [tile.name for tile in needed(GRID, np.array([180.25]), np.array([0.25]), 0.02)] == ["11"]
    both = needed(GRID, np.array([180.125]), np.array([0.25]), 0.05)
    assert [tile.name for tile in both] == ["10", "11"]


def test_a_tile_whose_place_is_unknown_is_needed_by_any_source() -> None:
    unknown = Tile("x", np.nan, np.nan)
    assert needed([unknown], np.array([1.0]), np.array([2.0]), 0.01) == [unknown]
    assert needed([unknown], np.array([]), np.array([]), 0.01) == []


def test_the_reach_may_differ_from_source_to_source() -> None:
    ra, dec = np.array([180.125, 180.0]), np.array([0.25, 0.0])
    assert len(needed(GRID, ra, dec, np.array([0.001, 0.001]))) < len(needed(GRID, ra, dec, np.array([0.05, 0.14])))
    assert pytest.approx(WIDTH / 2, abs=1e-6) == depth(GRID[0], np.array([180.0]), np.array([0.0]))[0]
