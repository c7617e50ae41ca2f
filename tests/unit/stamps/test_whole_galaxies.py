"""Large galaxies are rebinned, with a listed radius or one measured on the tile; small ones keep the tile's pixels."""

from pathlib import Path

import numpy as np
import pytest
from astropy.modeling.models import Sersic2D
from astropy.nddata import block_reduce
from helpers.stamping import SCALE, SIZE, build, wcs_at

from tuningfork.core.config.stages import Stamps
from tuningfork.core.errors import InputError
from tuningfork.surveys.base import Image, OwnImages

WIDE, CENTRE = 600, 300
NOISE = 0.1
WHOLE, NATIVE = Stamps(size=SIZE), Stamps(size=SIZE, scale="native")


def disc(radius: float, *, bar: float = 0.0, stars: int = 0, seed: int = 1) -> np.ndarray:
    """Return an exponential disc of half-light radius `radius` (px), with a bar of that half length and field stars."""
    y, x = np.indices((WIDE, WIDE), dtype=float)
    light = Sersic2D(1.0, radius, 1, CENTRE, CENTRE, ellip=0.2, theta=0.4)(x, y)
    if bar:
        along, across = (x - CENTRE) * 0.8 + (y - CENTRE) * 0.6, (y - CENTRE) * 0.8 - (x - CENTRE) * 0.6
        light += 5 * np.clip(1 - (along / bar) ** 2 - (across / (0.3 * bar)) ** 2, 0, None)
    rng = np.random.default_rng(seed)
    light += NOISE * rng.standard_normal(light.shape)
    places = rng.uniform(CENTRE - 150, CENTRE + 150, (2, stars))
    for star_x, star_y, flux in zip(*places, rng.uniform(3, 300, stars), strict=True):
        light += flux * np.exp(-((x - star_x) ** 2 + (y - star_y) ** 2) / 4)
    return light.astype(np.float32)


def tile(light: np.ndarray, first: int = 0, last: int = WIDE, damaged: int | None = None) -> dict[str, Image]:
    """Return the columns from `first` to `last` as a tile in both bands; from the row `damaged` on it cannot be read."""
    pixels = light[:, first:last]
    weight = np.full(pixels.shape, NOISE**-2, dtype=np.float32)

    def rows(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        if damaged is not None and stop > damaged:
            raise InputError("the file ends within its pixels")
        return pixels[start:stop].copy(), weight[start:stop]

    image = Image(pixels.shape, rows, wcs_at(CENTRE - first, CENTRE), lambda x, y: np.full(np.shape(x), 1.2), 22.5)
    return {"r": image, "g": image}


def true_radius(light: np.ndarray, radius: float) -> float:
    """Return the radius (arcsec) of the circle with half of the light within 5 `radius` (px), without noise."""
    y, x = np.indices(light.shape)
    distance = np.hypot(x - CENTRE, y - CENTRE)
    order = np.argsort(distance, axis=None)[: np.count_nonzero(distance < 5 * radius)]
    grown = np.cumsum(light.ravel()[order], dtype=float)
    return float(np.interp(0.5, grown / grown[-1], distance.ravel()[order])) * SCALE


def extent(flux: np.ndarray, scale: float) -> np.ndarray:
    """Return the eigenvalues of the second moments (arcsec2) of a bright galaxy about the middle."""
    axis = (np.arange(len(flux)) - len(flux) // 2) * scale
    light = np.where(flux > 0.2 * flux.max(), flux, 0).astype(float)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    moments = [[(light * one * two).sum() for one in (x, y)] for two in (x, y)]
    return np.linalg.eigvalsh(np.array(moments) / light.sum())


def test_a_bar_longer_than_the_stamp_is_rebinned_and_keeps_its_flux_and_size(tmp_path: Path) -> None:
    light, step = disc(30.0, bar=40.0), 5
    listed = step * SIZE * SCALE / WHOLE.whole_radii
    built = build(tmp_path / "s.npy", {"a": tile(light)}, [10.0], [0.0], settings=WHOLE, radius=listed)
    assert built.table["pixel_scale"] == pytest.approx([step * SCALE], rel=1e-5)
    assert built.flags == [[]]
    first = CENTRE - step // 2 - SIZE // 2 * step
    seen = light[first : first + SIZE * step, first : first + SIZE * step]
    np.testing.assert_allclose(built.stamps[0, 0, 1], block_reduce(seen, step), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(built.stamps[0, 1, 1], 1 / (NOISE * step) ** 2, rtol=1e-3)
    grown, cut = extent(built.stamps[0, 0, 1], step * SCALE), extent(light, SCALE)
    assert grown == pytest.approx(cut, rel=0.15)
    native = build(tmp_path / "n.npy", {"a": tile(light)}, [10.0], [0.0], settings=NATIVE, radius=listed)
    assert native.flags == [["LARGER_THAN_STAMP"]]
    assert extent(native.stamps[0, 0, 1], SCALE)[1] < 0.5 * cut[1]


@pytest.mark.parametrize("scale", ["whole", "radius"])
@pytest.mark.parametrize("radius", [12.0, 45.0])
@pytest.mark.parametrize("own", [False, True], ids=["position", "own image"])
def test_a_radius_that_the_list_lacks_is_measured_on_the_tile(
    tmp_path: Path, scale: str, radius: float, own: bool
) -> None:
    settings = Stamps(size=SIZE, scale=scale, radii=6)
    image = OwnImages(["a"], [True]) if own else None
    tiles = {"a": tile(disc(radius, stars=12))}
    built = build(tmp_path / "s.npy", tiles, [10.0], [0.0], settings=settings, own=image)
    truth = true_radius(disc(radius, seed=5), radius)
    assert built.table["pixel_scale"] == pytest.approx([6 * truth / SIZE], rel=0.1)


@pytest.mark.parametrize("listed", [2.0, np.nan], ids=["listed", "measured"])
def test_small_galaxies_keep_the_very_pixels_of_the_tile(tmp_path: Path, listed: float) -> None:
    tiles = {"a": tile(disc(4.0, stars=5))}
    stamps = [
        build(tmp_path / "s.npy", tiles, [10.0], [0.0], settings=settings, radius=listed)
        for settings in (WHOLE, NATIVE)
    ]
    assert stamps[0].table == stamps[1].table
    np.testing.assert_array_equal(stamps[0].stamps, stamps[1].stamps)


def test_where_no_galaxy_is_seen_the_pixels_of_the_tile_stay(tmp_path: Path) -> None:
    empty = tile(disc(0.01, seed=3) * 0 + np.float32(0.02))
    built = build(tmp_path / "s.npy", {"a": empty}, [10.0, 11.0], [0.0, 0.0], settings=WHOLE)
    assert built.table["pixel_scale"][0] == pytest.approx(SCALE, rel=1e-4)
    assert built.flags == [["NO_SIGNAL"], ["OUTSIDE_TILES"]]


@pytest.mark.parametrize("order", ["ab", "ba"])
@pytest.mark.parametrize("border", [CENTRE + 30, CENTRE + 100])
def test_tiles_next_to_that_on_which_a_galaxy_is_measured_fill_its_stamp(
    tmp_path: Path, order: str, border: int
) -> None:
    """Also a tile that comes before it, and that the stamp reaches only because the galaxy turns out to be large."""
    light = disc(45.0)
    parts = {"a": tile(light, 0, border), "b": tile(light, border, WIDE)}
    built = build(tmp_path / "s.npy", {name: parts[name] for name in order}, [10.0], [0.0], settings=WHOLE)
    assert built.table["tile"] == ["a"]
    assert built.flags == [["STITCHED"]]
    assert built.table["pixel_scale"] == pytest.approx([6 * true_radius(light, 45.0) / SIZE], rel=0.1)
    assert (built.stamps[0, 1] > 0).all()


def test_what_is_measured_on_a_damaged_tile_is_forgotten(tmp_path: Path) -> None:
    """The damage is met only when the second source is cut, which is listed and therefore not measured."""
    good, bad = tile(disc(45.0), 0, CENTRE + 60), tile(disc(20.0), damaged=CENTRE + 200)
    ra, dec = wcs_at(CENTRE, CENTRE).all_pix2world([CENTRE, 400], [CENTRE, 560], 0)
    sources = {"ra": ra.tolist(), "dec": dec.tolist(), "radius": [np.nan, 2.0], "settings": WHOLE}
    found = build(tmp_path / "f.npy", {"a": bad, "b": good}, **sources)
    expected = build(tmp_path / "e.npy", {"a": {}, "b": good}, **sources)
    assert found.table == expected.table
    np.testing.assert_array_equal(found.stamps, expected.stamps)
