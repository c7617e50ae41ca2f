"""The check of a tile's coordinates: silent on right ones in awkward fields, loud on wrong ones."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from helpers.sdss_field import Field

from tuningfork.stamps.astrometry.contradiction import Expected, contradiction
from tuningfork.stamps.astrometry.light import Listed
from tuningfork.surveys.base import Image, Tile

SCALE, SIZE, NOISE = 0.4, 600, 0.1
EXPECTED = Expected(SCALE, NOISE, 22.5, 0.0)
ANYWHERE = Tile("t", np.nan, np.nan)


def wcs_of(size: int = SIZE, ra: float = 150.0, dec: float = 30.0) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [ra, dec], [(size + 1) / 2] * 2
    wcs.wcs.cd = np.diag([-SCALE, SCALE]) / 3600
    return wcs


def moved(wcs: WCS, shift: float = 0.0, turn: float = 0.0, mirrored: bool = False) -> WCS:
    """Return the WCS shifted (arcsec), turned (deg) about the image's middle, or mirrored."""
    result = wcs.deepcopy()
    result.wcs.crpix = result.wcs.crpix + np.array([0.6, -0.8]) * shift / SCALE
    c, s = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    matrix = np.array([[c, -s], [s, c]]) @ np.diag([-1 if mirrored else 1, 1])
    if result.wcs.has_cd():
        result.wcs.cd = result.wcs.cd @ matrix
    else:
        result.wcs.pc = result.wcs.pc @ matrix
    return result


def tile_of(wcs: WCS, width: int = SIZE, height: int | None = None) -> Tile:
    right, top = width - 0.5, (height or width) - 0.5
    corners = wcs.all_pix2world([[-0.5, -0.5], [right, -0.5], [right, top], [-0.5, top]], 0)
    centre = wcs.all_pix2world([[(right - 0.5) / 2, (top - 0.5) / 2]], 0)[0]
    return Tile("t", *map(float, centre), tuple((float(a), float(d)) for a, d in corners))


class Sky:
    """A field of round galaxies with noise, whose list of sources may be looked at in part."""

    def __init__(self, number: int, seed: int = 1, mag: tuple[float, float] = (16.0, 18.0)) -> None:
        self.rng = np.random.default_rng(seed)
        self.wcs = wcs_of()
        self.pixels = NOISE * self.rng.standard_normal((SIZE, SIZE)).astype(np.float32)
        self.weight = np.full((SIZE, SIZE), NOISE**-2, dtype=np.float32)
        self.x, self.y = self.rng.uniform(20, SIZE - 20, (2, number))
        self.mag, self.radius = self.rng.uniform(*mag, number), self.rng.uniform(1.0, 2.5, number)
        for x, y, magnitude, radius in zip(self.x, self.y, self.mag, self.radius, strict=True):
            self.add(x, y, magnitude, np.hypot(radius / 1.1774, 0.5) / SCALE)

    def add(self, x: float, y: float, mag: float, sigma: float) -> None:
        axis = np.arange(SIZE)
        across, along = (np.exp(-((axis - centre) ** 2) / (2 * sigma**2)) for centre in (x, y))
        flux = 10 ** (-0.4 * (mag - 22.5)) / (2 * np.pi * sigma**2)
        self.pixels += (flux * along[:, None] * across).astype(np.float32)

    def image(self, wcs: WCS | None = None) -> Image:
        return Image.of_arrays(self.pixels, self.weight, wcs or self.wcs, 1.2, 22.5)

    def listed(self) -> Listed:
        ra, dec = self.wcs.all_pix2world(self.x, self.y, 0)
        return Listed(ra, dec, self.mag, self.radius)


def check(sky: Sky, wcs: WCS | None = None, tile: Tile = ANYWHERE) -> str | None:
    return contradiction(sky.image(wcs), tile, sky.listed(), EXPECTED)


WRONG = {
    "10 arcsec": {"shift": 10.0},
    "60 arcsec": {"shift": 60.0},
    "turned": {"turn": 20.0},
    "mirrored": {"mirrored": True},
}


@pytest.mark.parametrize("number", [1, 5, 50])
def test_right_coordinates_pass_and_wrong_ones_do_not(number: int) -> None:
    sky = Sky(number, seed=number)
    assert check(sky, tile=tile_of(sky.wcs)) is None
    for name, wrong in WRONG.items():
        assert check(sky, moved(sky.wcs, **wrong)), name
    if number >= 5:
        assert "arcsec off its coordinates" in str(check(sky, moved(sky.wcs, shift=3.0)))
        assert check(sky, moved(sky.wcs, turn=2.0))


def crowd(sky: Sky) -> None:
    for x, y, mag in zip(*sky.rng.uniform(0, SIZE, (2, 300)), sky.rng.uniform(16, 21, 300), strict=True):
        sky.add(x, y, mag, 1.5 / SCALE)


def large_neighbours(sky: Sky) -> None:
    for x, y, angle in zip(sky.x, sky.y, sky.rng.uniform(0, 2 * np.pi, len(sky.x)), strict=True):
        sky.add(x + 25 * np.cos(angle), y + 25 * np.sin(angle), 14.5, 4.0 / SCALE)


def saturated_stars(sky: Sky) -> None:
    for x, y in zip(sky.x[::2] + 25, sky.y[::2] + 10, strict=True):
        column, row = int(x), int(y)
        sky.pixels[max(row - 60, 0) : row + 60, max(column - 1, 0) : column + 2] += 500
        sky.add(x, y, 11.0, 1.0 / SCALE)


def masked_centres(sky: Sky) -> None:
    for x, y in zip(sky.x.astype(int), sky.y.astype(int), strict=True):
        sky.pixels[y - 6 : y + 7, x - 6 : x + 7] = 0
        sky.weight[y - 6 : y + 7, x - 6 : x + 7] = 0


def off_centres(sky: Sky) -> None:
    """Every other galaxy has a knot off its centre, each in another direction."""
    for x, y, angle in zip(sky.x[::2], sky.y[::2], sky.rng.uniform(0, 2 * np.pi, len(sky.x[::2])), strict=True):
        sky.add(x + 7 * np.cos(angle), y + 7 * np.sin(angle), 17.0, 1.0 / SCALE)


def spurious_entries(sky: Sky) -> None:
    """A third of the list is not there."""
    number = len(sky.x) // 2
    sky.x, sky.y = (np.append(v, sky.rng.uniform(20, SIZE - 20, number)) for v in (sky.x, sky.y))
    sky.mag, sky.radius = np.append(sky.mag, np.full(number, 17.0)), np.append(sky.radius, np.full(number, 1.0))


def wrong_magnitudes(sky: Sky) -> None:
    sky.mag = sky.mag - 0.7


def too_faint(sky: Sky) -> None:
    """What the list tells cannot be seen, even where nothing is."""
    sky.mag, sky.x = sky.mag + 6, sky.rng.uniform(20, SIZE - 20, len(sky.x))


@pytest.mark.parametrize("number", [6, 40])
@pytest.mark.parametrize(
    "spoil",
    [
        crowd,
        large_neighbours,
        saturated_stars,
        masked_centres,
        off_centres,
        spurious_entries,
        wrong_magnitudes,
        too_faint,
    ],
)
def test_awkward_fields_raise_no_alarm(spoil: Callable[[Sky], None], number: int) -> None:
    sky = Sky(number, seed=100 + number)
    spoil(sky)
    assert check(sky, tile=tile_of(sky.wcs)) is None


def test_little_is_read() -> None:
    sky = Sky(200, seed=9)
    read: list[int] = []
    image = sky.image()
    rows = image.rows

    def counted(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        read.append(stop - start)
        return rows(start, stop)

    assert contradiction(replace(image, rows=counted), ANYWHERE, sky.listed(), EXPECTED) is None
    assert 0 < len(read) <= 4


def test_the_place_in_the_survey_s_list() -> None:
    sky = Sky(0)
    tile = tile_of(sky.wcs)
    bare = Tile("t", tile.ra, tile.dec)
    part = tile_of(wcs_of(SIZE // 2), SIZE // 2)
    whole = tile_of(wcs_of(4 * SIZE), 4 * SIZE)
    for place in (tile, bare, part, whole, ANYWHERE):
        assert check(sky, tile=place) is None
    for place in (tile, part, whole):
        assert "from its place in the survey's list" in str(check(sky, moved(sky.wcs, shift=600), place))
    assert "puts it 180.0 arcsec from" in str(check(sky, moved(sky.wcs, shift=180), tile))
    assert check(sky, moved(sky.wcs, shift=300), bare)
    assert check(sky, tile=tile_of(wcs_of(ra=0.001, dec=-60.0)))
    finer = wcs_of()
    finer.wcs.cd = finer.wcs.cd / 1.2
    assert "pixel scale of 0.3333 arcsec, the survey one of 0.4 arcsec" in str(check(sky, finer, tile))
    across = Sky(0)
    across.wcs = wcs_of(ra=359.999, dec=0.0)
    assert check(across, tile=tile_of(across.wcs)) is None


def test_sources_that_lie_on_the_tile_by_the_list_but_not_by_its_wcs() -> None:
    sky = Sky(3, mag=(24.0, 25.0))
    large = tile_of(wcs_of(4 * SIZE), 4 * SIZE)
    assert check(sky, tile=large) is None
    assert "none by its WCS" in str(check(sky, moved(sky.wcs, shift=300), large))


def test_a_wcs_that_gives_no_coordinates() -> None:
    sky = Sky(1)
    for wrong in ({"crval": [np.nan, np.nan]}, {"crval": [150.0, 95.0]}, {"cd": np.full((2, 2), np.nan)}):
        wcs = wcs_of()
        for key, value in wrong.items():
            setattr(wcs.wcs, key, value)
        assert check(sky, wcs, tile_of(sky.wcs)), wrong


def listed_in_field(field: Field) -> Listed:
    galaxies = [source for source in field.sources if source.galaxy]
    return Listed(*(np.array([getattr(source, key) for source in galaxies]) for key in ("ra", "dec", "mag", "radius")))


@pytest.fixture(scope="module")
def field(real_data: Path) -> Field:
    return Field(real_data)


@pytest.mark.parametrize("band", ["g", "r", "i"])
def test_a_real_field(field: Field, band: str) -> None:
    counts, header = field.counts(band)
    pixels = ((counts - float(header["SKY"])) * field.nanomaggies_per_count(band)).astype(np.float32)
    noise = float(1.4826 * np.median(np.abs(pixels - np.median(pixels))))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wcs, listed = WCS(header), listed_in_field(field)
    expected = Expected(0.396, noise, 22.5, 0.0 if band == "r" else 1.5)
    weight, tile = np.full_like(pixels, noise**-2), tile_of(wcs, pixels.shape[1], pixels.shape[0])

    def check_part(sources: Listed, coordinates: WCS) -> str | None:
        return contradiction(Image.of_arrays(pixels, weight, coordinates, 1.3, 22.5), tile, sources, expected)

    assert check_part(listed, wcs) is None
    for wrong in ({"shift": 3.0}, {"shift": 10.0}, {"shift": 600.0}, {"turn": 1.0}, {"mirrored": True}):
        assert check_part(listed, moved(wcs, **wrong)), wrong
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(40):
        some = rng.choice(len(listed.ra), 60, replace=False)
        alarms += check_part(Listed(*(values[some] for values in vars(listed).values())), wcs) is not None
    assert alarms <= 1


def test_a_real_bad_header(real_data: Path) -> None:
    folder = real_data / "three_surveys_one_galaxy"
    galaxy = Listed(*(np.array([value]) for value in (27.9521, 0.2638, 14.5, 4.0)))
    tile = Tile("crop", 27.9521, 0.2638)
    for survey, scale, zero_point, noise in (
        ("SDSS", 0.396, 22.5, 0.03),
        ("PS1", 0.25, 25 + 2.5 * np.log10(750), 25.0),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pixels, header = fits.getdata(folder / f"{survey}_r.fits.gz", 0, header=True)
            wcs = WCS(header, naxis=2)
        image = Image.of_arrays(
            np.nan_to_num(pixels), np.where(np.isfinite(pixels), noise**-2, 0).astype(np.float32), wcs, 1.3, zero_point
        )
        reason = contradiction(image, tile, galaxy, Expected(scale, noise, zero_point, 0.0))
        if survey == "SDSS":
            assert "from its place in the survey's list" in str(reason)
            # Without a place in a list, the galaxy is off the image: nothing can be said.
            assert contradiction(image, ANYWHERE, galaxy, Expected(scale, noise, zero_point, 0.0)) is None
        else:
            assert reason is None
            shifted = replace(image, wcs=moved(wcs, shift=20))
            assert contradiction(shifted, tile, galaxy, Expected(scale, noise, zero_point, 0.0))
