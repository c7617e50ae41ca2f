"""Footprints against brute force: every shard with a point of the footprint, and none that is far from it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.time import Time, TimeDelta
from helpers.frozen import ROOT
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as Outline
from mocpy import MOC, TimeMOC

from tuningfork.core.config import validate
from tuningfork.core.config.sky import Box, Cone, Moc, Polygon
from tuningfork.core.description import describe
from tuningfork.core.errors import ConfigurationError
from tuningfork.sky.coordinates import distance
from tuningfork.sky.footprint import shards_of_footprint
from tuningfork.sky.shards import Shard, pixels
from tuningfork.surveys.area import shards_of

FEW = settings(max_examples=100, deadline=None)
SEED = st.integers(0, 2**32 - 1)


def require_exact(footprint: Any, order: int, ra: np.ndarray, dec: np.ndarray) -> None:
    """Check that the shards of a footprint hold all of its points, and that none is farther than its own diameter.

    `ra`, `dec` (deg) are many points of the footprint.
    """
    found = {shard.pixel for shard in shards_of_footprint(footprint, order)}
    touched = set(pixels(ra % 360, dec, order).tolist())
    assert touched <= found
    for pixel in found - touched:
        shard = Shard(order, pixel)
        assert distance(*shard.centre, ra, dec).min() < 3 * shard.radius


@FEW
@given(st.floats(0, 359.9), st.floats(-89.9, 89), st.floats(0.01, 30), st.floats(0.01, 5), st.integers(2, 5), SEED)
def test_boxes(ra: float, dec: float, width: float, height: float, order: int, seed: int) -> None:
    top = min(dec + height, 90.0)
    box = Box(ra_min=ra, ra_max=(ra + width) % 360, dec_min=dec, dec_max=top)
    generator = np.random.default_rng(seed)
    require_exact(box, order, ra + generator.uniform(0, width, 2000), generator.uniform(dec, top, 2000))


@pytest.mark.parametrize(("ra", "dec"), [(0.0, -1.0), (22.5, -1.0), (45.0, -1.0), (359.0, -1.0), (78.75, -80.0)])
def test_boxes_whose_edges_run_through_corners_of_shards(ra: float, dec: float) -> None:
    generator = np.random.default_rng(0)
    for order in (2, 3):
        width = 11.25 if dec < -45 else 1.0
        box = Box(ra_min=ra, ra_max=(ra + width) % 360, dec_min=dec, dec_max=dec + 2)
        require_exact(box, order, ra + generator.uniform(0, width, 2000), generator.uniform(dec, dec + 2, 2000))


@FEW
@given(st.floats(0, 359.9), st.floats(-90, 90), st.floats(0.01, 20), st.integers(2, 6), SEED)
def test_cones(ra: float, dec: float, radius: float, order: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    angle, rho = (
        generator.uniform(0, 2 * np.pi, 2000),
        np.tan(np.deg2rad(radius * np.sqrt(generator.uniform(0, 1, 2000)))),
    )
    assume(order < 5 or radius < 5)
    require_exact(
        Cone(ra=ra, dec=dec, radius=radius), order, *from_plane(rho * np.cos(angle), rho * np.sin(angle), ra, dec)
    )


def from_plane(x: np.ndarray, y: np.ndarray, ra: float, dec: float) -> tuple[np.ndarray, np.ndarray]:
    """Return positions (deg) of points in the plane that touches the sky at (ra, dec); great circles are straight there."""
    lat = np.deg2rad(dec)
    north = np.array([-np.sin(lat), 0, np.cos(lat)])
    east, ahead = np.array([0, 1, 0]), np.array([np.cos(lat), 0, np.sin(lat)])
    point = ahead + np.multiply.outer(x, east) + np.multiply.outer(y, north)
    lon = np.rad2deg(np.arctan2(point[..., 1], point[..., 0])) + ra
    return lon % 360, np.rad2deg(np.arctan2(point[..., 2], np.hypot(point[..., 0], point[..., 1])))


@FEW
@given(
    st.one_of(st.just(0.0), st.floats(0, 359.9)),
    st.one_of(st.sampled_from([-90.0, 89.5, 90.0]), st.floats(-88, 88)),
    st.floats(0.003, 1),
    st.lists(st.tuples(st.floats(0.02, 1), st.floats(0.2, 1)), min_size=3, max_size=8),
    st.booleans(),
    st.integers(1, 3),
    SEED,
)
def test_polygons_of_any_shape_and_winding(
    ra: float, dec: float, size: float, corners: list, turned: bool, finer: int, seed: int
) -> None:
    """Concave ones too, also across right ascension zero and about the poles: straight lines in a tangent plane."""
    steps, radii = np.array(corners).T
    angles = np.cumsum(steps) / steps.sum() * 2 * np.pi
    assume(np.diff(np.append(angles, angles[0] + 2 * np.pi)).max() < 3)
    x, y = size * radii * np.cos(angles), size * radii * np.sin(angles)
    if turned:
        x, y = x[::-1], y[::-1]
    vertices = np.column_stack(from_plane(x, y, ra, dec))
    points = np.random.default_rng(seed).uniform(-size, size, (3000, 2))
    points = points[Outline(np.column_stack([x, y])).contains_points(points)]
    assume(len(points) > 100)
    order = int(np.clip(np.round(np.log2(1 / size)), 0, 7)) + finer - 1
    require_exact(Polygon(vertices=vertices.tolist()), order, *from_plane(*points.T, ra, dec))


def test_a_polygon_whose_middle_is_outside_of_it() -> None:
    horseshoe = [
        [10.0, 0.0],
        [20.0, 0.0],
        [20.0, 10.0],
        [19.0, 10.0],
        [19.0, 1.0],
        [11.0, 1.0],
        [11.0, 10.0],
        [10.0, 10.0],
    ]
    found = shards_of_footprint(Polygon(vertices=horseshoe), 7)
    inside = np.array([[15.0, 0.5], [10.5, 9.0], [19.5, 9.0]])
    assert set(pixels(*inside.T, 7).tolist()) <= {shard.pixel for shard in found}
    assert not any(shard.contains(np.array([15.0]), np.array([6.0])).any() for shard in found)


@pytest.mark.parametrize("kind", ["fits", "json", "ascii"])
@pytest.mark.parametrize("order", [3, 5, 8])
def test_coverage_maps_finer_and_coarser_than_the_shards(tmp_path: Path, kind: str, order: int) -> None:
    cells = {3: [1, 700], 5: [100, 101], 6: [40_000, 40_001], 9: [3_000_000]}
    moc = MOC.from_json({str(depth): numbers for depth, numbers in cells.items()})
    moc.save(tmp_path / "map", kind)
    expected: set[int] = set()
    for depth, numbers in cells.items():
        for number in numbers:
            step = 2 * (order - depth)
            expected |= set(range(number << step, (number + 1) << step)) if step >= 0 else {number >> -step}
    assert [s.pixel for s in shards_of_footprint(Moc(path=str(tmp_path / "map")), order)] == sorted(expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("3/99999", "not a coverage map of the sky in FITS, JSON or ASCII .Too large index"),
        ("hello", "not a coverage map"),
        ("99/1", "orders of cells must be 0 to 29"),
        ("3/5-2", "cells that HEALPix does not have"),
        ('{"3": [99999]}', "cells that HEALPix does not have"),
        ('{"x": 3}', "not a coverage map"),
        ("t59/3 s3/1", "not a coverage map"),
        ("t61/3", "orders of cells must be 0 to 29"),
        ("3/", "touches no shard"),
        ("SIMPLE  = nothing", "not a coverage map"),
        ("{", "not a coverage map"),
    ],
)
def test_files_that_are_no_maps_of_the_sky(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "map").write_text(content)
    with pytest.raises(ConfigurationError, match=message) as caught:
        shards_of_footprint(Moc(path=str(tmp_path / "map")), 5)
    assert "\n" not in str(caught.value)
    assert "sky.footprint" in str(caught.value)


def test_a_map_of_time_is_no_footprint(tmp_path: Path) -> None:
    times = TimeMOC.from_times(Time([2451545.0], format="jd"), delta_t=TimeDelta(1, format="jd"))
    times.save(tmp_path / "map", "fits")
    with pytest.raises(ConfigurationError, match="T-MOC"):
        shards_of_footprint(Moc(path=str(tmp_path / "map")), 5)


def test_a_missing_map() -> None:
    with pytest.raises(ConfigurationError, match=r"sky\.footprint\.path: nowhere\.fits: no such file"):
        shards_of_footprint(Moc(path="nowhere.fits"), 5)


def test_too_many_shards_are_refused_before_memory_is_taken(tmp_path: Path) -> None:
    (tmp_path / "map").write_text("0/0-11")
    for footprint in (
        Box(ra_min=0.0, ra_max=360.0, dec_min=-90.0, dec_max=90.0),
        Cone(ra=0.0, dec=0.0, radius=180.0),
        Moc(path=str(tmp_path / "map")),
    ):
        assert len(shards_of_footprint(footprint, 2)) == 192
        with pytest.raises(ConfigurationError, match=r"touches 201326592 shards of order 12.*lower sky\.shard_order"):
            shards_of_footprint(footprint, 12)


def plan(footprint: dict[str, Any], **values: Any) -> list[Shard]:
    configuration = validate({"sky": {"footprint": footprint, "shard_order": 8}, **values})
    return shards_of(configuration, describe(configuration, ROOT / "config" / "surveys"))


def test_tiles_by_name_and_from_a_file(tmp_path: Path) -> None:
    """The shards of the simulated sky's tiles hold every point of these tiles."""
    from tuningfork.core.config.survey import SimulatedSky
    from tuningfork.surveys.simulated import TileGrid

    (tmp_path / "tiles.txt").write_text("# my tiles\nsim-r0900-c0000\n\nsim-r0901-c0003  # a second one\n")
    found = plan({"kind": "tiles", "names": ["sim-r0900-c0001"], "path": str(tmp_path / "tiles.txt")})
    grid = TileGrid(20260101, SimulatedSky(), 0.396)
    expected: set[int] = set()
    for name in ("sim-r0900-c0000", "sim-r0900-c0001", "sim-r0901-c0003"):
        x, y = np.meshgrid(np.linspace(0, 999, 60), np.linspace(0, 999, 60))
        ra, dec = grid.wcs(name).all_pix2world(x.ravel(), y.ravel(), 0)
        expected |= set(pixels(ra, dec, 8).tolist())
    assert {shard.pixel for shard in found} == expected


@pytest.mark.parametrize(
    ("footprint", "message"),
    [
        ({"names": ["../../etc"]}, r"sky\.footprint\.names: '\.\./\.\./etc' is not the name of a tile"),
        ({"names": ["nothing"]}, r"sky\.footprint: tile 'nothing' of the simulated sky: expected a name such as"),
        ({"path": "nowhere.txt"}, r"sky\.footprint\.path: nowhere\.txt: no such file"),
    ],
)
def test_tiles_that_are_not_there(footprint: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        plan({"kind": "tiles", **footprint})


def test_a_table_of_positions_is_a_footprint_of_any_survey(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("ra,dec\n10,20\n-0.5,3\nnan,4\n200,91\n")
    found = plan({"kind": "table"}, sources={"catalogue": {"kind": "table", "path": str(tmp_path / "t.csv")}})
    assert [shard.pixel for shard in found] == sorted(pixels(np.array([10, 359.5]), np.array([20, 3]), 8).tolist())
