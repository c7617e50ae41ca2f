"""The second generator of test scenes: what it draws is what its table of truths says."""

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from second_generator import scenes, surroundings
from second_generator.bars import END_LEVEL, BarShape, draw_shape, ending_at_one, on_sky
from second_generator.files import name_of, write_fits, write_images, write_pictures
from second_generator.frame import Grid, Plane, rotated, turned
from second_generator.imaging import ZERO_POINT, Psf, convolved, draw_conditions
from second_generator.model import REFERENCE, half_light_radius
from second_generator.pictures import draw_picture
from second_generator.scenes import ARTEFACTS, GALAXIES, draw_scene
from second_generator.spheroids import Spheroid

SEED = 77
PACKAGE = Path(__file__).resolve().parents[3] / "benchmarks" / "second_generator"


def bar_on(grid: Grid, shape: BarShape, semi: float, angle: float, plane: Plane) -> np.ndarray:
    """Return the light of a bar alone."""

    def light(west: np.ndarray, north: np.ndarray) -> np.ndarray:
        along, across = rotated(*plane.inside(west, north), angle)
        return shape.light(along / semi, across / semi)

    return grid.drawn(light)


def moments_angle(light: np.ndarray, grid: Grid) -> float:
    """Return the position angle (deg) of an image from its second moments."""
    west, north = np.broadcast_arrays(grid.west, grid.north)
    xx, yy, xy = ((light * product).sum() for product in (west**2, north**2, west * north))
    # From the western axis towards north; position angles begin at north and run the other way round.
    return float((np.rad2deg(0.5 * np.arctan2(2 * xy, xx - yy)) - 90) % 180)


def apart(one: float, other: float) -> float:
    """Return the difference of two position angles (deg)."""
    return abs((one - other + 90) % 180 - 90)


def test_the_generator_is_independent_of_the_package() -> None:
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [name.name for name in node.names] if isinstance(node, ast.Import) else []
            assert not any(name.split(".")[0] == "tuningfork" for name in names), path


@pytest.mark.parametrize("kind", [*GALAXIES, *ARTEFACTS])
def test_a_scene_depends_on_seed_and_index_alone(kind: str) -> None:
    draw_scene(SEED, 4, kind)
    one, other = draw_scene(SEED, 3, kind), draw_scene(SEED, 3, kind)
    np.testing.assert_array_equal(one.image, other.image)
    assert str(one.row()) == str(other.row())
    assert np.isfinite(one.image).all()
    assert not np.array_equal(one.image, draw_scene(SEED + 1, 3, kind).image)


@pytest.mark.parametrize("seed", range(12))
def test_length_and_angle_of_a_bar_are_those_of_its_outermost_isophote(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape, plane, angle = draw_shape(rng), Plane(rng.uniform(0.4, 1), rng.uniform(0, 180)), rng.uniform(0, np.pi)
    grid = Grid(160, 0.2, 2)
    seen = on_sky(shape, 8.0, angle, plane)
    light = bar_on(
        grid, replace(shape, ansae=0.0, reach=ending_at_one(replace(shape, ansae=0.0)).reach), 8.0, angle, plane
    )
    level = END_LEVEL * light[len(light) // 2, len(light) // 2]
    inside = light > level
    along, _ = turned(*np.broadcast_arrays(grid.west, grid.north), seen.position_angle)
    _, across = turned(*np.broadcast_arrays(grid.west, grid.north), seen.position_angle)
    near = inside & (np.abs(across) < 2 * grid.step)
    assert np.ptp(along[near]) == pytest.approx(seen.length, rel=0.03)
    assert apart(moments_angle(inside, grid), seen.position_angle) < 2.0


def test_the_end_of_a_bar_with_ansae_lies_beyond_them() -> None:
    shape = ending_at_one(BarShape("fermi", 0.05, 0.3, 3.0, 0.8))
    assert shape.end(END_LEVEL) == pytest.approx(1, abs=1e-3)
    assert shape.end(0.5) < 1


def test_a_bar_along_the_minor_axis_is_foreshortened() -> None:
    shape, plane = ending_at_one(BarShape("cut", 0.05, 0.2, 2.0)), Plane(0.5, 30.0)
    along, across = on_sky(shape, 5.0, 0.0, plane), on_sky(shape, 5.0, np.pi / 2, plane)
    assert (along.length, along.position_angle) == (pytest.approx(10, rel=1e-2), pytest.approx(30, abs=0.1))
    assert (across.length, across.position_angle) == (pytest.approx(5, rel=1e-2), pytest.approx(120, abs=0.1))
    assert across.axis_ratio == pytest.approx(0.4, rel=0.02)


def test_the_bar_in_a_galaxy_points_where_the_truth_says() -> None:
    rng, misses = np.random.default_rng(1), []
    for index in range(6):
        scene = draw_scene(SEED, index, "barred")
        plan = GALAXIES["barred"][0](np.random.default_rng(int(rng.integers(1000))), 1.0)
        model = plan.build(Grid(200, 2 * plan.extent / 200, 2))
        assert scene.truth.bar_length > 0
        grid = Grid(200, 2 * plan.extent / 200, 2)
        misses.append(apart(moments_angle(model.layers[1].light, grid), model.bar.position_angle))
    assert max(misses) < 4


@pytest.mark.parametrize("index", [1.0, 4.0])
def test_half_light_radius_and_magnitude_are_those_of_the_image(index: int) -> None:
    grid = Grid(240, 0.25, 2)
    light = grid.drawn(Spheroid(4.0, index, 0.6, 50.0).brightness())
    r_eff = half_light_radius(light, grid, 0.6, 50.0)
    along, across = turned(grid.west, grid.north, 50.0)
    assert light[np.hypot(along, across / 0.6) < r_eff].sum() == pytest.approx(0.5, abs=0.01)
    # The profile ends at a few radii, so that the half-light radius is a little smaller than its scale.
    assert 3.2 < r_eff < 4.05


def test_the_image_holds_the_flux_that_the_magnitude_states(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "draw_surroundings", lambda *_: ([], []))
    monkeypatch.setattr(surroundings, "TRAIL_SHARE", 0.0)
    monkeypatch.setattr(scenes, "exposed", lambda rng, light, conditions, band: light)
    for index in range(4):
        scene = draw_scene(SEED, index, "lenticular")
        mag = ZERO_POINT - 2.5 * np.log10(scene.image[REFERENCE].sum())
        # A few per cent of the light lie beyond the edges of the image.
        assert scene.truth.mag - 0.01 < mag < scene.truth.mag + 0.1


@pytest.mark.parametrize("core", ["kolmogorov", "gaussians"])
def test_the_psf_has_the_stated_width_and_keeps_the_light(core: str) -> None:
    grid = Grid(101, 0.2, 3)
    light = np.zeros((303, 303), dtype=np.float32)
    light[151, 151] = 1
    seen = convolved(light, Psf(core, 1.3, 0.1, 0.03, 2.0), grid)
    row = seen[50, 50:]
    half = np.interp(-0.5, -row / row[0], 0.2 * np.arange(len(row)))
    assert 2 * half == pytest.approx(1.3, rel=0.04)
    assert seen.sum() == pytest.approx(1, abs=0.03)


def test_position_angles_run_from_north_through_east_by_the_wcs(tmp_path: Path) -> None:
    scene = next(scene for k in range(60) if 20 < (scene := draw_scene(SEED, k, "edge_on")).conditions.rotation < 160)
    write_fits(scene, tmp_path / "scene.fits")
    with fits.open(tmp_path / "scene.fits") as hdus:
        assert [hdu.header["BAND"] for hdu in hdus[1:]] == ["g", "r", "i"]
        wcs, image = WCS(hdus[2].header), hdus[2].data
    angle = np.deg2rad(scene.truth.position_angle)
    ra, dec = wcs.wcs.crval
    step = 3 / 3600
    x, y = wcs.wcs_world2pix(ra + step * np.sin(angle) / np.cos(np.deg2rad(dec)), dec + step * np.cos(angle), 0)
    direction = np.array([x - scene.x, y - scene.y]) / np.hypot(x - scene.x, y - scene.y)
    assert np.hypot(x - scene.x, y - scene.y) * scene.conditions.pixel_scale == pytest.approx(3, rel=0.01)
    rows, columns = np.indices(image.shape)
    bright = np.where(image > 0.2 * image[round(scene.y), round(scene.x)], 1.0, 0.0)
    bright[np.hypot(columns - scene.x, rows - scene.y) > 4 * scene.truth.r_eff / scene.conditions.pixel_scale] = 0
    along = (columns - scene.x) * direction[0] + (rows - scene.y) * direction[1]
    across = (rows - scene.y) * direction[0] - (columns - scene.x) * direction[1]
    assert (bright * along**2).sum() > 3 * (bright * across**2).sum()


def test_pictures_hold_north_at_the_top_and_the_galaxy_in_the_middle() -> None:
    scene = draw_scene(SEED, 2, "elliptical")
    picture = draw_picture(scene, SEED)
    grey = picture.pixels.reshape(256, 256, -1).mean(axis=-1)[::-1]
    middle = grey[round(picture.y - 0.5) - 6 : round(picture.y - 0.5) + 7, round(picture.x - 0.5) - 6 :][:, :13]
    assert middle.mean() > 2 * np.median(grey)
    assert abs(picture.x - 128) < 12
    assert abs(picture.y - 128) < 12
    again = draw_picture(scene, SEED)
    np.testing.assert_array_equal(again.pixels, picture.pixels)


def test_the_seeing_and_the_pixels_are_those_of_surveys() -> None:
    drawn = [draw_conditions(np.random.default_rng(k)) for k in range(200)]
    widths = np.array([one.psfs[REFERENCE].fwhm for one in drawn])
    scales = np.array([one.pixel_scale for one in drawn])
    assert 0.9 <= widths.min() < widths.max() <= 1.7
    assert set(scales) == {0.262, 0.33, 0.396, 0.5}
    assert (widths / scales > 2.4).all()


def test_folders_hold_an_image_a_source_and_a_truth_of_every_scene(tmp_path: Path) -> None:
    drawn = [draw_scene(SEED, index) for index in range(3)]
    template = PACKAGE / "fits.yaml"
    truth = write_images(drawn, SEED, tmp_path / "fits", template)
    sources = pd.read_csv(tmp_path / "fits" / "sources.csv")
    assert list(sources["file"]) == [f"{name_of(index)}.fits" for index in range(3)]
    assert all((tmp_path / "fits" / "images" / name).exists() for name in sources["file"])
    assert str(tmp_path / "fits" / "images") in (tmp_path / "fits" / "fits.yaml").read_text()
    shown = write_pictures(drawn, SEED, tmp_path)
    assert list(shown["kind"]) == list(truth["kind"])
    assert len(list((tmp_path / "pictures").iterdir())) == 3
