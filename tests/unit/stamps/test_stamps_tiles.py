"""Stamps from several tiles: no seams, no damage carried over, each row read once, bounded memory, linear cost."""

import cProfile
import pstats
import tracemalloc
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.stamping import DESCRIPTION, SIZE, Built, build, galaxy, image, wcs_at

from tuningfork.core.config.stages import Stamps
from tuningfork.core.errors import InputError, TuningforkError
from tuningfork.stamps import store, strips
from tuningfork.surveys.base import Image, Tile

SHAPE = (120, 300)
X, Y = 147.3, 60.2
NOISE = 0.1


def sky(seed: int = 1, masked: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return a noisy galaxy at (X, Y) and its inverse variance, different in each pixel and zero in some."""
    rng = np.random.default_rng(seed)
    weight = rng.uniform(0.5, 1.5, SHAPE).astype(np.float32) / NOISE**2
    pixels = galaxy(SHAPE, X, Y) + rng.normal(0, NOISE, SHAPE).astype(np.float32)
    weight[rng.uniform(size=SHAPE) < masked] = 0
    return pixels, weight


def part(arrays: tuple[np.ndarray, np.ndarray], first: int, last: int, zero_point: float = 22.5) -> Image:
    """Return the columns from `first` to `last` as a tile."""
    pixels, weight = (array[:, first:last] for array in arrays)
    factor = np.float32(10 ** (0.4 * (zero_point - 22.5)))
    return Image.of_arrays(pixels * factor, weight / factor**2, wcs_at(X - first, Y), 1.2 + first / 1000, zero_point)


def both(tile: Image) -> dict[str, Image]:
    return {"r": tile, "g": tile}


def whole(arrays: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return the stamp (2, S, S) that one large tile gives, of pixels with data."""
    left, bottom = round(X) - SIZE // 2, round(Y) - SIZE // 2
    pixels, weight = (array[bottom : bottom + SIZE, left : left + SIZE] for array in arrays)
    return np.stack([np.where(weight > 0, pixels, 0), weight])


@pytest.mark.parametrize("masked", [0.0, 0.004])
@pytest.mark.parametrize("edge", [(155, 100), (152, 152), (140, 140)], ids=["overlap", "touch", "touch left"])
def test_a_galaxy_on_the_border_of_two_tiles_equals_the_one_rendered_whole(
    tmp_path: Path, edge: tuple[int, int], masked: float
) -> None:
    arrays = sky(masked=masked)
    tiles = {"a": both(part(arrays, 0, edge[0])), "b": both(part(arrays, edge[1], SHAPE[1]))}
    built = build(tmp_path / "s.npy", tiles, [10.0], [0.0])
    for band in (0, 1):
        np.testing.assert_array_equal(built.stamps[0, :, band], whole(arrays))
    stitched = edge[0] == edge[1]
    assert ("STITCHED" in built.flags[0]) is stitched
    assert "PADDED" not in built.flags[0]
    best = "a" if edge[0] == 152 else "b"
    assert built.table["tile"] == [best]
    assert built.table["psf_fwhm_g"] == pytest.approx([1.2 if best == "a" else 1.2 + edge[1] / 1000])


def test_tiles_of_another_zero_point_are_put_into_the_unit_of_the_best(tmp_path: Path) -> None:
    arrays = sky()
    tiles = {"a": both(part(arrays, 0, 152)), "b": both(part(arrays, 152, SHAPE[1], zero_point=25.0))}
    built = build(tmp_path / "s.npy", tiles, [10.0], [0.0])
    np.testing.assert_allclose(built.stamps[0, :, 1], whole(arrays), rtol=1e-5)
    assert built.table["zero_point"] == [22.5]


@pytest.mark.parametrize("turn", [0.0, 7.0])
def test_a_turned_or_shifted_neighbour_fills_in_to_the_accuracy_of_interpolation(tmp_path: Path, turn: float) -> None:
    left, right = image((100, 100), 93, 50), image((100, 100), 4.4, 52.3, turn)
    built = build(tmp_path / "s.npy", {"a": both(left), "b": both(right)}, [10.0], [0.0])
    assert "STITCHED" in built.flags[0]
    assert built.table["tile"] == ["a"]
    np.testing.assert_allclose(built.stamps[0, 0, 1], galaxy((SIZE, SIZE), 16, 16), atol=0.1)
    weight = built.stamps[0, 1, 1]
    np.testing.assert_array_equal(weight[:, : 100 - 93 + 16], np.float32(100))
    assert built.table["valid_fraction"][0] > 0.99
    # Interpolation averages over pixels and so never adds noise.
    assert (weight[weight > 0] > 99).all()


@pytest.mark.parametrize("scale", ["fixed", "radius", "whole"])
@pytest.mark.parametrize("border", [None, 152])
def test_stamps_of_another_scale_keep_the_flux_also_across_a_border(
    tmp_path: Path, scale: str, border: int | None
) -> None:
    arrays = galaxy(SHAPE, X, Y), np.full(SHAPE, 100, np.float32)
    tiles = {"a": both(part(arrays, 0, border or SHAPE[1]))}
    if border:
        tiles["b"] = both(part(arrays, border, SHAPE[1]))
    settings = Stamps(size=SIZE, scale=scale, pixel_scale=0.8, radii=10, whole_radii=10)
    built = build(tmp_path / "s.npy", tiles, [10.0], [0.0], settings=settings, radius=SIZE * 0.8 / 10)
    assert built.table["pixel_scale"] == pytest.approx([0.8], rel=1e-4)
    assert built.flags == [["STITCHED"] if border else []]
    flux, weight = built.stamps[0, :, 1]
    assert (weight > 0).all()
    # A pixel across the border is that part of it which the better tile has, weighted up.
    assert flux.sum() == pytest.approx(1000, rel=0.01 if border else 1e-4)
    expected = galaxy((SIZE, SIZE), 16 + X - round(X), 16 + Y - round(Y), sigma=np.hypot(2.5, np.sqrt(4 / 12)) / 2)
    np.testing.assert_allclose(flux, expected, atol=(0.08 if border else 0.02) * expected.max())
    # Four pixels' noise, less where pixels at the border of the wider one are shared with its neighbour.
    assert 1.5 * NOISE < built.table["sky_noise_r"][0] < 2 * NOISE


def test_truncation_follows_the_scale(tmp_path: Path) -> None:
    arrays = galaxy(SHAPE, X, Y), np.full(SHAPE, 100, np.float32)
    tiles = {"a": both(part(arrays, 0, SHAPE[1]))}

    def flags(radius: float, **settings: object) -> list[str]:
        values = Stamps(size=SIZE, **settings)  # type: ignore[arg-type]
        return build(tmp_path / "s.npy", tiles, [10.0], [0.0], settings=values, radius=radius).flags[0]

    # Half of the stamp is 6.4 arcsec wide, and a galaxy reaches 2.5 half-light radii.
    assert flags(2.5, scale="native") == []
    assert flags(3.0, scale="native") == ["LARGER_THAN_STAMP"]
    assert flags(3.0) == []
    assert flags(3.0, whole_radii=4) == ["LARGER_THAN_STAMP"]
    assert flags(3.0, scale="fixed", pixel_scale=0.8) == []
    assert flags(3.0, scale="radius", radii=4) == ["LARGER_THAN_STAMP"]
    assert flags(3.0, scale="radius", radii=6) == []
    assert flags(12.0, scale="radius", radii=6) == ["PADDED"]


TALL = (400, 200)
RNG = np.random.default_rng(5)
ROWS, COLUMNS = RNG.uniform(0, TALL[0], 60), RNG.uniform(0, TALL[1] + 60, 60)


def field(first: int, last: int, damaged: int | None = None) -> Image:
    """Return columns of a large field; from the row `damaged` on, the file cannot be read."""
    rng = np.random.default_rng(3)
    pixels = rng.normal(0, 1, (TALL[0], TALL[1] + 60)).astype(np.float32)[:, first:last]

    def rows(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        if damaged is not None and stop > damaged:
            raise InputError("the file ends within its pixels")
        return pixels[start:stop].copy(), np.ones((stop - start, pixels.shape[1]), np.float32)

    return Image(pixels.shape, rows, wcs_at(100 - first, 200), lambda x, y: 1 + x / 1000, 22.5)


def cut(path: Path, tiles: dict[str, dict[str, Image]]) -> Built:
    ra, dec = wcs_at(100, 200).all_pix2world(COLUMNS, ROWS, 0)
    return build(path, tiles, ra.tolist(), dec.tolist())


@pytest.fixture
def thin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make strips as thin as they can be."""
    monkeypatch.setattr(strips, "STRIP_BYTES", 1)
    monkeypatch.setattr(strips, "STRIP_TO_WINDOW_HEIGHT", 1)


def test_the_height_of_the_strips_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiles = {"a": both(field(0, 160)), "b": both(field(130, 260))}
    expected = cut(tmp_path / "thick.npy", tiles)
    monkeypatch.setattr(strips, "STRIP_BYTES", 1)
    for taller in (1, 2, 3):
        monkeypatch.setattr(strips, "STRIP_TO_WINDOW_HEIGHT", taller)
        found = cut(tmp_path / "thin.npy", tiles)
        np.testing.assert_array_equal(found.stamps, expected.stamps)
        assert found.table == expected.table


@pytest.mark.usefixtures("thin")
@pytest.mark.parametrize("band", ["r", "g"])
@pytest.mark.parametrize("damaged", [0, 200, 390])
def test_a_file_damaged_within_counts_as_if_it_could_not_be_opened(tmp_path: Path, band: str, damaged: int) -> None:
    good, other = both(field(0, 160)), both(field(130, 260))
    found = cut(tmp_path / "found.npy", {"a": good | {band: field(0, 160, damaged)}, "b": other})
    del good[band]
    expected = cut(tmp_path / "expected.npy", {"a": good, "b": other})
    np.testing.assert_array_equal(found.stamps, expected.stamps)
    assert found.table == expected.table
    assert sum("MISSING_BAND" in flags for flags in found.flags) > 10


@pytest.mark.usefixtures("thin")
def test_a_tile_damaged_in_all_bands_is_a_bad_tile(tmp_path: Path) -> None:
    path, broken = tmp_path / "s.npy", field(0, 260, damaged=100)
    ra, dec = wcs_at(100, 200).all_pix2world(COLUMNS, ROWS, 0)
    centre = [float(value) for value in wcs_at(100, 200).all_pix2world(129.5, 199.5, 0)]
    built = build(path, {"a": both(broken)}, ra.tolist(), dec.tolist(), places={"a": Tile("a", *centre)})
    assert not built.stamps.any()
    assert built.flags == [["BAD_TILE"]] * len(ra)


def test_a_tile_whose_coordinates_are_contradicted_is_not_measured(tmp_path: Path) -> None:
    wrong, right = image((100, 100), 50, 50), image((100, 100), 25, 50)
    places = {name: Tile(name, 10.0, 0.0, ((9.9, -0.1), (10.1, -0.1), (10.1, 0.1), (9.9, 0.1))) for name in "ab"}

    def check(image: Image, tile: Tile, band: str) -> str | None:
        return "the sources show no light" if tile.name == "a" else None

    alone = build(tmp_path / "s.npy", {"a": both(wrong)}, [10.0, 11.0], [0.0] * 2, places=places, contradiction=check)
    assert alone.flags == [["BAD_WCS"], ["OUTSIDE_TILES"]]
    assert not alone.stamps.any()
    tiles = {"a": both(wrong), "b": both(right)}
    two = build(tmp_path / "s.npy", tiles, [10.0, 11.0], [0.0] * 2, places=places, contradiction=check)
    assert two.table["tile"] == ["b", None]
    assert two.flags == [[], ["OUTSIDE_TILES"]]


@pytest.mark.usefixtures("thin")
@pytest.mark.parametrize("turn", [0.0, 20.0])
def test_every_row_is_read_once_and_only_where_there_are_sources(tmp_path: Path, turn: float) -> None:
    reads: dict[str, list[int]] = {"r": [], "g": []}

    def counted(band: str, turn: float) -> Image:
        plain = field(0, 260)

        def rows(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
            reads[band] += range(start, stop)
            return plain.rows(start, stop)

        return Image(plain.shape, rows, wcs_at(100, 200, turn), plain.psf_fwhm, 22.5)

    rows = np.concatenate([RNG.uniform(60, 150, 20), RNG.uniform(250, 300, 20)])
    ra, dec = wcs_at(100, 200).all_pix2world(RNG.uniform(60, 140, 40), rows, 0)
    build(tmp_path / "s.npy", {"t": {"r": counted("r", 0), "g": counted("g", turn)}}, ra.tolist(), dec.tolist())
    wanted = {row for centre in np.floor(rows + 0.5).astype(int) for row in range(centre - 16, centre + 16)}
    assert set(reads["r"]) == wanted
    assert max(Counter(reads["r"]).values()) == max(Counter(reads["g"]).values()) == 1


def on_the_fly(height: int) -> Image:
    """Return an image of which nothing is in memory."""

    def rows(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        return np.ones((stop - start, 512), np.float32), np.ones((stop - start, 512), np.float32)

    return Image((height, 512), rows, wcs_at(256, height / 2), lambda x, y: np.ones(len(x)), 22.5)


def peak(work: Callable[[], object]) -> int:
    """Return how much memory (byte) a piece of work takes at most."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def many(path: Path, count: int, height: int) -> Built:
    rng = np.random.default_rng(8)
    wcs = on_the_fly(height).wcs
    ra, dec = wcs.all_pix2world(rng.uniform(20, 490, count), rng.uniform(20, height - 20, count), 0)
    return build(path, {"t": both(on_the_fly(height))}, ra.tolist(), dec.tolist())


def test_memory_depends_neither_on_the_number_of_sources_nor_on_the_height_of_the_tile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strips, "STRIP_BYTES", 2**19)
    monkeypatch.setattr(np, "load", lambda path: np.lib.format.open_memmap(path, mode="r"))
    many(tmp_path / "warm.npy", 10, 1000)
    few, lots, tall = (
        peak(lambda: many(tmp_path / "s.npy", count, height))  # noqa: B023 (called at once)
        for count, height in ((300, 1000), (3000, 1000), (3000, 20_000))
    )
    stamp = 2 * len(DESCRIPTION.bands) * SIZE**2 * 4
    assert (lots - few) / 2700 < stamp / 8
    assert tall < 1.25 * lots


def test_the_cost_grows_with_the_number_of_sources_and_not_faster(tmp_path: Path) -> None:
    calls = []
    for count in (400, 4000):
        profile = cProfile.Profile()
        profile.runcall(many, tmp_path / "s.npy", count, 1000)
        calls.append(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]
    assert calls[1] < 10 * calls[0]


def test_a_full_disk_is_told_in_one_line_and_leaves_no_file(tmp_path: Path) -> None:
    with (
        pytest.raises(TuningforkError, match=r"s\.npy: no room for 10 stamps \(\d+\.\d GB\)"),
        store.new_stamps(tmp_path / "s.npy", (10, 2, 1, 2**22, 2**22)),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_band_that_the_better_tile_lacks_is_put_on_its_grid(tmp_path: Path) -> None:
    corner = both(image((100, 100), 3, 3))
    built = build(tmp_path / "s.npy", {"a": corner, "b": {"r": image((100, 100), 50.4, 50.3)}}, [10.0], [0.0])
    assert built.table["tile"] == ["b"]
    assert built.flags == [["STITCHED"]]
    flux, weight = built.stamps[0, :, 0]
    # Away from the corner of its tile, where interpolation has all that it needs.
    assert (weight[16:, 16:] > 0).all()
    np.testing.assert_allclose(flux[16:, 16:], galaxy((SIZE, SIZE), 16.4, 16.3)[16:, 16:], atol=0.2)


def test_a_neighbour_is_opened_again_only_for_the_bands_that_lack_pixels(tmp_path: Path) -> None:
    arrays = sky()
    opened: list[str] = []

    class Watched(dict[str, Image]):
        def __getitem__(self, band: str) -> Image:
            opened.append(band)
            return super().__getitem__(band)

    wide = part(arrays, 0, SHAPE[1])
    tiles = {
        "a": {"r": part(arrays, 0, 152), "g": wide},
        "b": Watched(both(part(arrays, 152, SHAPE[1]))),
    }
    built = build(tmp_path / "s.npy", tiles, [10.0], [0.0])
    assert opened == ["r", "g", "r"]
    for band in (0, 1):
        np.testing.assert_array_equal(built.stamps[0, :, band], whole(arrays))


def with_core(radius: float, first: int = 0, last: int = SHAPE[1], told: bool = True, off: float = 0.0) -> Image:
    """Return columns of a sky with a masked disc, saturated if the mask tells, `off` pixels beside the galaxy."""
    rows, columns = np.indices(SHAPE)
    core = (np.hypot(rows - round(Y), columns - round(X) - off) <= radius)[:, first:last]
    pixels, weight = (array[:, first:last].copy() for array in sky())
    weight[core] = 0
    tile = part((pixels, weight), 0, core.shape[1])
    return replace(tile, wcs=wcs_at(X - first, Y), saturated=(lambda start, stop: core[start:stop]) if told else None)


@pytest.mark.parametrize("scale", ["native", "fixed"])
def test_a_saturated_core_is_flagged_and_keeps_its_row(tmp_path: Path, scale: str) -> None:
    """Also where wider pixels of the stamp make up for the few that are saturated."""
    settings = Stamps(size=SIZE, scale=scale, pixel_scale=1.2)
    built = build(tmp_path / "s.npy", {"a": both(with_core(0.5))}, [10.0], [0.0], settings=settings)
    assert built.flags == [["SATURATED"] if scale == "fixed" else ["MASKED", "SATURATED"]]
    assert built.stamps[0, 1].any()


def test_only_the_surveys_mask_and_only_pixels_at_the_source_set_the_flag(tmp_path: Path) -> None:
    """A masked core may have any reason; and within 3 arcsec, but beyond one PSF width, a star is a neighbour."""

    def flags(tile: Image) -> list[str]:
        return build(tmp_path / "s.npy", {"a": both(tile)}, [10.0], [0.0]).flags[0]

    assert flags(with_core(1.5, told=False)) == ["MASKED"]
    assert flags(with_core(1.5, off=6)) == ["MASKED"]
    assert flags(with_core(1.5, off=4)) == ["MASKED", "SATURATED"]
    # The reference band is r.
    other = {"r": part(sky(), 0, SHAPE[1]), "g": with_core(1.5)}
    assert build(tmp_path / "s.npy", {"a": other}, [10.0], [0.0]).flags == [[]]


def test_a_core_that_another_tile_shows_unsaturated_is_not_flagged(tmp_path: Path) -> None:
    tiles = {"a": both(with_core(4)), "b": both(part(sky(), 110, SHAPE[1]))}
    built = build(tmp_path / "s.npy", tiles, [10.0], [0.0])
    assert "SATURATED" not in built.flags[0]
    assert built.stamps[0, 1, 1, SIZE // 2, SIZE // 2] > 0
