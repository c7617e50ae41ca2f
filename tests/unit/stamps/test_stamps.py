"""Stamps: where the pixels come from, and what is said about them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from helpers.stamping import SCALE, SIZE, build, galaxy, image, wcs_at
from hypothesis import given, settings
from hypothesis import strategies as st

from tuningfork.core.flags import Flag
from tuningfork.stamps.cut import MAX_COPY_OFFSET, Mapping, copy, extract
from tuningfork.stamps.quality import has_signal, larger_than_stamp, masked_at_centre, sky_noise
from tuningfork.surveys.base import Image, OwnImages, Tile


def centroid(flux: np.ndarray) -> tuple[float, float]:
    """Return the (x, y) flux-weighted mean position of a stamp."""
    rows, columns = np.indices(flux.shape)
    return float((columns * flux).sum() / flux.sum()), float((rows * flux).sum() / flux.sum())


@given(st.integers(-40, 60), st.integers(-40, 60), st.integers(1, 33))
def test_copy_equals_a_cut_of_the_padded_image(left: int, bottom: int, size: int) -> None:
    pixels = np.arange(20 * 30, dtype=np.float32).reshape(20, 30) + 1
    stamp = copy(pixels, np.ones_like(pixels), left, bottom, size)
    padded = np.pad(pixels, 100)[100 + bottom : 100 + bottom + size, 100 + left : 100 + left + size]
    np.testing.assert_array_equal(stamp[0], padded)
    np.testing.assert_array_equal(stamp[1], padded > 0)


@settings(deadline=None, max_examples=25)
@given(st.floats(0, 1), st.floats(0, 1), st.floats(-180, 180))
def test_resampling_keeps_flux_position_and_shape(x: float, y: float, turn: float) -> None:
    c, s = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    matrix = np.array([[c, -s], [s, c]])
    start = np.array([40 + x, 40 + y]) - matrix @ [16, 16]
    pixels = galaxy((80, 80), 40 + x, 40 + y)
    stamp = extract(pixels, np.ones_like(pixels), Mapping(start[0], start[1], matrix), 32)
    # Offsets below MAX_COPY_OFFSET are left out; a Gaussian's steepest slope is 0.61 of its peak a sigma.
    np.testing.assert_allclose(
        stamp[0], galaxy((32, 32), 16, 16), atol=(0.006 + 0.61 * MAX_COPY_OFFSET / 2.5) * pixels.max()
    )
    assert stamp[0].sum() == pytest.approx(1000, rel=1e-3)


def test_flux_per_pixel_follows_the_area_of_the_pixel() -> None:
    pixels = galaxy((80, 80), 40, 40, sigma=6)
    stamp = extract(pixels, np.ones_like(pixels), Mapping(8.0, 8.0, 2 * np.eye(2)), 32)
    assert stamp[0].sum() == pytest.approx(1000, rel=1e-3)


@pytest.mark.parametrize("turn", [0.0, 20.0])
def test_resampled_pixels_have_the_noise_that_they_claim(turn: float) -> None:
    noise = np.random.default_rng(1).normal(size=(200, 200)).astype(np.float32)
    c, s = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    mapping = Mapping(80.4, 40.5, np.array([[c, -s], [s, c]]))
    stamp = extract(noise, np.ones_like(noise), mapping, 64)
    assert np.std(stamp[0] * np.sqrt(stamp[1])) == pytest.approx(1, abs=0.05)


def test_a_masked_pixel_never_leaks_into_a_stamp() -> None:
    pixels = np.ones((60, 60), dtype=np.float32)
    weight = np.ones_like(pixels)
    pixels[30, 30], weight[30, 30] = 1e6, 0
    for mapping in (
        Mapping(14.0, 14.0, np.eye(2)),
        Mapping(14.3, 14.4, np.eye(2)),
        Mapping(14.0, 14.0, 1.01 * np.eye(2)),
    ):
        stamp = extract(pixels, weight, mapping, 32)
        assert stamp[0].max() < 1.2
        assert (stamp[1] == 0).sum() >= 1


def test_the_source_lies_on_the_central_pixel_in_every_band(tmp_path: Path) -> None:
    tile = {"r": image((100, 100), 50.3, 40.4), "g": image((100, 100), 47.8, 43.9)}
    built = build(tmp_path / "s.npy", {"t": tile}, [10.0], [0.0])
    for band in (0, 1):
        x, y = centroid(built.stamps[0, 0, band])
        assert x == pytest.approx(SIZE // 2 + 0.3, abs=0.02)
        assert y == pytest.approx(SIZE // 2 + 0.4, abs=0.02)
    assert built.flags == [[]]
    assert built.table["pixel_scale"][0] == pytest.approx(SCALE, rel=1e-4)
    assert built.table["valid_fraction"] == [1.0]
    assert built.table["sky_noise_r"][0] == pytest.approx(0.1)
    assert built.table["tile"] == ["t"]


def test_the_reference_band_is_copied_untouched(tmp_path: Path) -> None:
    tile = image((100, 100), 50.3, 40.4)
    built = build(tmp_path / "s.npy", {"t": {"r": tile, "g": tile}}, [10.0], [0.0])
    pixels, _ = tile.rows(40 - 16, 40 + 16)
    np.testing.assert_array_equal(built.stamps[0, 0, 1], pixels[:, 50 - 16 : 50 + 16])


def test_off_image_pixels_are_padded_masked_and_flagged(tmp_path: Path) -> None:
    tile = image((100, 100), 9, 50)
    built = build(tmp_path / "s.npy", {"t": {"r": tile, "g": tile}}, [10.0], [0.0])
    stamp = built.stamps[0]
    assert (stamp[:, :, :, : SIZE // 2 - 9] == 0).all()
    assert (stamp[1, :, :, SIZE // 2 - 9 :] > 0).all()
    assert built.flags == [["PADDED"]]
    assert built.table["valid_fraction"][0] == pytest.approx(25 / 32)


def test_pixels_that_are_no_numbers_or_have_no_weight_are_zero_in_both_planes(tmp_path: Path) -> None:
    pixels, weight = galaxy((100, 100), 50, 50) + 1, np.ones((100, 100), np.float32)
    pixels[40, 40], pixels[41, 41] = np.nan, np.inf
    weight[42, 42], weight[43, 43], weight[44, 44], weight[45, 45] = np.nan, -1, 0, np.inf
    tile = Image.of_arrays(pixels, weight, wcs_at(50, 50), 1.2, 22.5)
    stamp = build(tmp_path / "s.npy", {"t": {"r": tile, "g": tile}}, [10.0], [0.0]).stamps[0]
    bad = np.zeros((SIZE, SIZE), bool)
    bad[range(6, 12), range(6, 12)] = True
    for band in (0, 1):
        np.testing.assert_array_equal(stamp[1, band] == 0, bad)
        np.testing.assert_array_equal(stamp[0, band] == 0, bad)


def test_the_tile_in_which_the_source_is_farthest_from_the_edge_wins(tmp_path: Path) -> None:
    near, far = image((100, 100), 20, 50), image((100, 100), 45, 50)
    for names in (("a", "b"), ("b", "a")):
        tiles = dict(zip(names, ({"r": near, "g": near}, {"r": far, "g": far}), strict=True))
        assert build(tmp_path / "s.npy", tiles, [10.0], [0.0]).table["tile"] == [names[1]]


@pytest.mark.parametrize("limits", [(9.9, 10.1, -1.0, 1.0), (359.9, 10.1, -1.0, 1.0)])
def test_the_tile_that_counts_by_the_survey_s_rule_wins_if_it_is_complete(
    tmp_path: Path, limits: tuple[float, float, float, float]
) -> None:
    far, cut = image((100, 100), 45, 50), image((100, 100), 8, 50)
    for x, best in ((20, "mine"), (8, "other")):
        mine = image((100, 100), x, 50)
        tiles = {"other": {"r": far, "g": far}, "mine": {"r": mine, "g": mine}, "z": {"r": cut, "g": cut}}
        places = {
            "mine": Tile("mine", 10.0, 0.0, unique=limits),
            "other": Tile("other", 10.0, 0.0, unique=(10.1, 10.2, -1.0, 1.0)),
        }
        assert build(tmp_path / "s.npy", tiles, [10.0], [0.0], places=places).table["tile"] == [best]


def test_a_band_that_cannot_be_opened_is_zero_and_flagged(tmp_path: Path) -> None:
    built = build(tmp_path / "s.npy", {"t": {"r": image((100, 100), 50, 50)}}, [10.0], [0.0])
    assert built.mosaic.bad == set()
    assert (built.stamps[0, :, 0] == 0).all()
    assert built.flags == [["MISSING_BAND"]]
    assert built.table["psf_fwhm_g"] == [None]
    assert built.table["sky_noise_g"] == [None]


def test_without_the_reference_band_the_others_are_still_cut(tmp_path: Path) -> None:
    built = build(tmp_path / "s.npy", {"t": {"g": image((100, 100), 50, 50)}}, [10.0], [0.0])
    assert set(built.flags[0]) == {"MISSING_BAND", "MASKED", "NO_SIGNAL"}
    assert built.table["valid_fraction"] == [0.0]
    assert (built.stamps[0, 1, 0] > 0).all()


def test_sources_without_pixels_say_why(tmp_path: Path) -> None:
    good = image((100, 100), 50, 50)
    built = build(
        tmp_path / "s.npy",
        {"bad": {}, "good": {"r": good, "g": good}},
        [10.0, 10.5, 30.0, np.nan],
        [0.0, 0.0, 0.0, np.nan],
        places={"bad": Tile("bad", 10.5, 0.0)},
        flags=[0, 0, 0, int(Flag.NO_POSITION)],
    )
    assert built.mosaic.bad == {0}
    assert built.flags == [[], ["BAD_TILE"], ["OUTSIDE_TILES"], ["NO_POSITION"]]
    assert built.table["tile"] == ["good", None, None, None]
    assert built.table["pixel_scale"][1:] == [None] * 3
    assert built.table["zero_point"][1:] == [None] * 3
    assert built.table["east_is_left"] == [True, None, None, None]


def test_a_source_with_an_image_of_its_own_is_cut_from_no_other(tmp_path: Path) -> None:
    better = image((100, 100), 50, 50)
    mine = Image.of_arrays(
        galaxy((41, 61), 30, 20, flux=500), np.ones((41, 61), dtype=np.float32), wcs_at(30, 20), 1.2, 22.5
    )
    tiles = {"a": {"r": better, "g": better}, "b": {"r": mine, "g": mine}}
    own = OwnImages(["b", "b"], [False, True])
    built = build(tmp_path / "s.npy", tiles, [10.0, np.nan], [0.0, np.nan], own=own)
    assert built.table["tile"] == ["b", "b"]
    for stamp in built.stamps:
        assert stamp[0, 1].sum() == pytest.approx(500, rel=0.01)
        assert centroid(stamp[0, 1]) == pytest.approx((16, 16), abs=0.05)


def test_flags_that_follow_from_the_pixels() -> None:
    flux = np.stack([galaxy((SIZE, SIZE), 16, 16)] * 3)
    weight = np.full(flux.shape, 100, np.float32)
    weight[1, 16, 20] = 0
    flux[2] = 0
    scale, width = np.full(3, SCALE), np.full(3, 1.2)
    assert masked_at_centre(weight, scale).tolist() == [False, True, False]
    assert masked_at_centre(weight, 2 * scale).tolist() == [False, False, False]
    assert has_signal(flux, weight, sky_noise(weight), scale, width).tolist() == [True, True, False]
    assert larger_than_stamp(np.array([np.nan, 2.5, 3.0]), scale, SIZE).tolist() == [False, False, True]


@pytest.mark.parametrize("size", [32, 33, 128])
def test_sky_noise_leaves_the_photons_of_the_galaxy_and_the_masked_pixels_out(size: int) -> None:
    weight = np.zeros((4, size, size), dtype=np.float32)
    weight[0] = 100
    weight[:2, size // 4 : size - size // 4, size // 4 : size - size // 4] = 1
    weight[2, ::3, ::3] = 25
    noise = sky_noise(weight)
    assert noise[:3] == pytest.approx([0.1, 1, 0.2])
    assert np.isnan(noise[3])


def test_an_empty_shard_gives_empty_stamps(tmp_path: Path) -> None:
    built = build(tmp_path / "s.npy", {"t": {"r": image((100, 100), 50, 50)}, "bad": {}}, [], [])
    assert built.stamps.shape == (0, 2, 2, SIZE, SIZE)
    assert built.table["source_id"] == []


def test_own_images_survive_the_table() -> None:
    table = pa.table({"source_id": [1, 2]})
    own = OwnImages(["a", None], [True, False])
    assert OwnImages.of(own.attach(table)) == own
    assert OwnImages.of(table) == OwnImages([None, None], [False, False])
