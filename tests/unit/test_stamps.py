"""Stamps: where the pixels come from, and what is said about them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from tuningfork.core.description import Description
from tuningfork.core.errors import InputError
from tuningfork.core.flags import Flag, decode
from tuningfork.core.tables import shard_table
from tuningfork.stamps.cut import Mapping, copy, extract
from tuningfork.stamps.mosaic import Mosaic
from tuningfork.stamps.quality import inspect, sky_noise
from tuningfork.stamps.shard import describe_stamps
from tuningfork.surveys.base import FetchedTile, Image, OwnImages, Tile

SCALE = 0.4
SIZE = 32
DESCRIPTION = Description(
    title="test", bands=["g", "r"], reference_band="r", pixel_scale=SCALE, zero_point=22.5, flux_unit="nanomaggy",
    psf_fwhm=[1.4, 1.2], psf_fwhm_scatter=0.1, psf_beta=3.0, sky_noise=[0.1, 0.1], sky_noise_scatter=0.1,
)  # fmt: skip


def wcs_at(x: float, y: float, turn: float = 0.0) -> WCS:
    """Return the WCS of an image in which (ra, dec) = (10, 0) lies at pixel (x, y), turned by `turn` deg."""
    c, s = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [10.0, 0.0]
    wcs.wcs.crpix = [x + 1, y + 1]
    wcs.wcs.cd = np.array([[-SCALE * c, SCALE * s], [SCALE * s, SCALE * c]]) / 3600
    return wcs


def galaxy(shape: tuple[int, int], x: float, y: float, flux: float = 1000.0, sigma: float = 2.5) -> np.ndarray:
    """Return a round Gaussian of total `flux` at pixel (x, y)."""
    rows, columns = np.indices(shape)
    profile = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)
    return (flux * profile).astype(np.float32)


def image(shape: tuple[int, int], x: float, y: float, turn: float = 0.0, noise: float = 0.1) -> Image:
    """Return an image of a galaxy at (10, 0), which lies at pixel (x, y)."""
    weight = np.full(shape, 1 / noise**2, dtype=np.float32)
    return Image(galaxy(shape, x, y), weight, wcs_at(x, y, turn), 1.2, 22.5)


def build(
    tiles: dict[str, dict[str, Image]], ra: list[float], dec: list[float], own: OwnImages | None = None
) -> tuple[Mosaic, list[str]]:
    """Cut stamps at `ra`, `dec` from tiles given as name -> band -> image; a missing image cannot be opened."""

    def open_band(tile: FetchedTile, band: str) -> Image:
        if band not in tiles[tile.name]:
            raise InputError("cannot be read")
        return tiles[tile.name][band]

    stamps = np.zeros((len(ra), 2, 2, SIZE, SIZE), dtype=np.float32)
    own = own or OwnImages([None] * len(ra), [False] * len(ra))
    mosaic = Mosaic(stamps, np.array(ra), np.array(dec), own, DESCRIPTION, open_band)
    fetched = [FetchedTile(name, dict.fromkeys(bands or ("g", "r"), "file"), {}) for name, bands in tiles.items()]
    return mosaic, mosaic.build(fetched)


def table_of(mosaic: Mosaic, bad: list[Tile], flags: list[int] | None = None, radius: float = np.nan) -> dict:
    count = len(mosaic.ra)
    rows = shard_table("sources", {
        "source_id": np.arange(count), "flags": flags or [0] * count, "ra": mosaic.ra, "dec": mosaic.dec,
        "survey_radius": np.full(count, radius),
    })  # fmt: skip
    return shard_table("stamps", describe_stamps(mosaic, rows, bad), DESCRIPTION.bands).to_pydict()


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
    np.testing.assert_allclose(stamp[0], galaxy((32, 32), 16, 16), atol=0.006 * pixels.max())
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


def test_the_source_lies_on_the_central_pixel_in_every_band() -> None:
    tile = {"r": image((100, 100), 50.3, 40.4), "g": image((100, 100), 47.8, 43.9)}
    mosaic, _ = build({"t": tile}, [10.0], [0.0])
    for band in (0, 1):
        x, y = centroid(mosaic.stamps[0, 0, band])
        assert x == pytest.approx(SIZE // 2 + 0.3, abs=0.02)
        assert y == pytest.approx(SIZE // 2 + 0.4, abs=0.02)
    row = table_of(mosaic, [])
    assert row["flags"] == [0]
    assert row["pixel_scale"][0] == pytest.approx(SCALE, rel=1e-4)
    assert row["valid_fraction"] == [1.0]
    assert row["sky_noise_r"][0] == pytest.approx(0.1)
    assert row["tile"] == ["t"]


def test_the_reference_band_is_copied_untouched() -> None:
    tile = image((100, 100), 50.3, 40.4)
    mosaic, _ = build({"t": {"r": tile, "g": tile}}, [10.0], [0.0])
    np.testing.assert_array_equal(mosaic.stamps[0, 0, 1], tile.pixels[40 - 16 : 40 + 16, 50 - 16 : 50 + 16])


def test_off_image_pixels_are_padded_masked_and_flagged() -> None:
    tile = image((100, 100), 9, 50)
    mosaic, _ = build({"t": {"r": tile, "g": tile}}, [10.0], [0.0])
    stamp = mosaic.stamps[0]
    assert (stamp[:, :, :, : SIZE // 2 - 9] == 0).all()
    assert (stamp[1, :, :, SIZE // 2 - 9 :] > 0).all()
    row = table_of(mosaic, [])
    assert decode(row["flags"][0]) == ["PADDED"]
    assert row["valid_fraction"][0] == pytest.approx(25 / 32)


@pytest.mark.parametrize("turn", [0.0, 7.0])
def test_a_neighbouring_tile_fills_what_the_best_tile_lacks(turn: float) -> None:
    left = image((100, 100), 93, 50)
    right = image((100, 100), 4.4, 52.3, turn)
    tiles = {"a": {"r": left, "g": left}, "b": {"r": right, "g": right}}
    mosaic, _ = build(tiles, [10.0], [0.0])
    row = table_of(mosaic, [])
    assert decode(row["flags"][0]) == ["STITCHED"] if turn == 0 else "STITCHED" in decode(row["flags"][0])
    assert row["tile"] == ["a"]
    np.testing.assert_allclose(mosaic.stamps[0, 0, 1], galaxy((SIZE, SIZE), 16, 16), atol=0.1)
    assert row["valid_fraction"][0] > 0.99


def test_the_tile_in_which_the_source_is_farthest_from_the_edge_wins() -> None:
    near, far = image((100, 100), 20, 50), image((100, 100), 45, 50)
    for names in (("a", "b"), ("b", "a")):
        tiles = dict(zip(names, ({"r": near, "g": near}, {"r": far, "g": far}), strict=True))
        mosaic, _ = build(tiles, [10.0], [0.0])
        assert mosaic.tile[0] == names[1]


def test_a_band_that_cannot_be_opened_is_zero_and_flagged() -> None:
    mosaic, bad = build({"t": {"r": image((100, 100), 50, 50)}}, [10.0], [0.0])
    row = table_of(mosaic, [])
    assert bad == []
    assert (mosaic.stamps[0, :, 0] == 0).all()
    assert decode(row["flags"][0]) == ["MISSING_BAND"]
    assert row["psf_fwhm_g"] == [None]
    assert row["sky_noise_g"] == [None]


def test_without_the_reference_band_the_others_are_still_cut() -> None:
    mosaic, _ = build({"t": {"g": image((100, 100), 50, 50)}}, [10.0], [0.0])
    row = table_of(mosaic, [])
    assert set(decode(row["flags"][0])) == {"MISSING_BAND", "MASKED", "NO_SIGNAL"}
    assert row["valid_fraction"] == [0.0]
    assert (mosaic.stamps[0, 1, 0] > 0).all()


def test_sources_without_pixels_say_why() -> None:
    good = image((100, 100), 50, 50)
    mosaic, bad = build(
        {"bad": {}, "good": {"r": good, "g": good}}, [10.0, 10.5, 30.0, np.nan], [0.0, 0.0, 0.0, np.nan]
    )
    assert bad == ["bad"]
    row = table_of(mosaic, [Tile("bad", 10.5, 0.0)], flags=[0, 0, 0, int(Flag.NO_POSITION)])
    assert [decode(flags) for flags in row["flags"]] == [[], ["BAD_TILE"], ["OUTSIDE_TILES"], ["NO_POSITION"]]
    assert row["tile"] == ["good", None, None, None]
    assert row["pixel_scale"][1:] == [None] * 3
    assert row["east_is_left"][0] is True
    assert row["east_is_left"][1:] == [None] * 3


def test_a_source_with_an_image_of_its_own_is_cut_from_no_other() -> None:
    better = image((100, 100), 50, 50)
    own = Image(galaxy((41, 61), 30, 20, flux=500), np.ones((41, 61), dtype=np.float32), wcs_at(30, 20), 1.2, 22.5)
    tiles = {"a": {"r": better, "g": better}, "b": {"r": own, "g": own}}
    mosaic, _ = build(tiles, [10.0, np.nan], [0.0, np.nan], OwnImages(["b", "b"], [False, True]))
    assert list(mosaic.tile) == ["b", "b"]
    for stamp in mosaic.stamps:
        assert stamp[0, 1].sum() == pytest.approx(500, rel=0.01)
        assert centroid(stamp[0, 1]) == pytest.approx((16, 16), abs=0.05)


def test_flags_that_follow_from_the_pixels() -> None:
    stamp = np.zeros((2, 2, SIZE, SIZE), dtype=np.float32)
    stamp[0] = galaxy((SIZE, SIZE), 16, 16)
    stamp[1] = 100
    assert inspect(stamp, 1, SCALE, 1.2, np.nan) == 0
    assert decode(inspect(stamp, 1, SCALE, 1.2, 3.0)) == ["LARGER_THAN_STAMP"]
    stamp[1, 1, 16, 20] = 0
    assert decode(inspect(stamp, 1, SCALE, 1.2, np.nan)) == ["MASKED"]
    stamp[:, 1] = [[[0]], [[100]]]
    assert decode(inspect(stamp, 1, SCALE, 1.2, np.nan)) == ["NO_SIGNAL"]


def test_sky_noise_leaves_the_photons_of_the_galaxy_out() -> None:
    weight = np.full((SIZE, SIZE), 100, dtype=np.float32)
    weight[8:24, 8:24] = 1
    assert sky_noise(weight) == pytest.approx(0.1)
    assert np.isnan(sky_noise(np.zeros((SIZE, SIZE), dtype=np.float32)))


def test_an_empty_shard_gives_empty_stamps(tmp_path: Path) -> None:
    mosaic, bad = build({"t": {"r": image((100, 100), 50, 50)}}, [], [])
    assert bad == []
    assert table_of(mosaic, [Tile("x", 1.0, 1.0)])["source_id"] == []


def test_own_images_survive_the_table() -> None:
    table = pa.table({"source_id": [1, 2]})
    own = OwnImages(["a", None], [True, False])
    assert OwnImages.of(own.attach(table)) == own
    assert OwnImages.of(table) == OwnImages([None, None], [False, False])
