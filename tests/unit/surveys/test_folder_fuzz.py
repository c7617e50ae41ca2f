"""Image files of many layouts and with damaged bytes: the right value, a row with the reason, and nothing else.

Each test has a variant with ten times as many cases: pytest -m byhand tests/unit/surveys/test_folder_fuzz.py.
"""

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from helpers.folder_runs import run
from helpers.image_files import Damaged, FitsFile, damaged_files, fits_files, good_files, pictures
from helpers.small_images import header_at
from helpers.small_images import pixels as small_pixels
from hypothesis import HealthCheck, Phase, given, settings
from PIL import Image as Picture
from PIL import ImageOps

from tuningfork.core.errors import InputError
from tuningfork.core.flags import decode
from tuningfork.pictures.read import brightness_of, read_picture
from tuningfork.surveys.folder.images import read_band

GOOD = good_files()
BANDS = ["g", "r", "i"]
NOT_MEASURED = {"BAD_TILE", "NO_VALID_PIXELS", "TOO_FEW_PIXELS", "OUTSIDE_TILES"}


def in_both_sizes(usual: int, by_hand: int) -> Callable[[Callable[[int], None]], Callable[[int], None]]:
    """Parametrise a test with its number of cases: the usual one, and the one of `pytest -m byhand`."""
    return pytest.mark.parametrize("cases", [usual, pytest.param(by_hand, marks=pytest.mark.byhand)])


def many(cases: int) -> settings:
    return settings(
        max_examples=cases,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
    )


@in_both_sizes(60, 600)
def test_every_layout_of_fits_gives_the_numbers_that_it_holds(cases: int) -> None:
    @many(cases)
    @given(fits_files())
    def check(file: FitsFile) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"a{file.ending}"
            path.write_bytes(file.content)
            for band in file.bands:
                image, weights, _, _ = read_band(path, band, file.bands, combined=len(file.bands) > 1)
                np.testing.assert_allclose(image, file.pixels[band].astype(np.float32), rtol=1e-6)
                assert (weights is None) is (file.weights is None)
                if weights is not None:
                    np.testing.assert_allclose(weights, file.weights[band], rtol=1e-5)

    check()


@in_both_sizes(40, 500)
def test_a_damaged_file_is_a_row_with_a_reason_or_what_astropy_and_pillow_read(cases: int) -> None:
    @many(cases)
    @given(damaged_files(GOOD))
    def check(file: Damaged) -> None:
        with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            images = Path(name) / "images"
            images.mkdir()
            (images / file.name).write_bytes(file.content)
            fits.writeto(images / "untouched.fits", np.stack([small_pixels(150, 140)] * 3), header_at(200, 0, 150, 140))
            rows, _, manifest = run(Path(name))
            found = {row["name"]: decode(row["flags"]) for row in rows.values()}
            tile = file.name.split(".")[0]
            assert sorted(found) == sorted([tile, "untouched"])
            assert found["untouched"] == []
            reasons = [row["reason"] for row in manifest if row["tile"] == tile and row["status"] != "ok"]
            assert all(file.name in reason and "\n" not in reason for reason in reasons)
            absent = NOT_MEASURED & set(found[tile])
            assert bool(absent) is (next(row["tile"] for row in rows.values() if row["name"] == tile) is None)
            assert ("BAD_TILE" in absent) is (len(reasons) == 3)
            for number, band in enumerate(BANDS):
                _compare(images / file.name, number, band)

    check()


def _compare(path: Path, number: int, band: str) -> None:
    """Compare a band that is read with what astropy or Pillow read."""
    try:
        image = read_band(path, band, BANDS, combined=True).pixels
    except InputError:
        return  # the reason is in the manifest
    expected = _expected(path, number)
    np.testing.assert_allclose(image, expected.astype(np.float32), rtol=1e-6)


def _expected(path: Path, number: int) -> np.ndarray:
    if path.suffix in {".png", ".jpg"}:
        with Picture.open(path) as picture:
            values = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
        return values[::-1, :, 2 - number]
    with fits.open(path, uint=False) as hdus:
        # A plane alone: another one of the cube may be damaged.
        hdu = next(hdu for hdu in hdus if hdu.is_image and hdu.shape)
        return hdu.section[(*[0] * (len(hdu.shape) - 3), number)]


@in_both_sizes(40, 400)
def test_every_picture_is_what_pillow_shows_on_black(cases: int) -> None:
    @many(cases)
    @given(pictures())
    def check(drawn: tuple[Picture.Image, str, dict]) -> None:
        picture, ending, options = drawn
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"a{ending}"
            picture.save(path, **options)
            with Picture.open(path) as opened:
                upright = ImageOps.exif_transpose(opened)
                if upright.mode.startswith("I"):
                    expected, white = np.asarray(upright, dtype=float)[::-1], 2.0**16 - 1
                    white = next((2.0**bits - 1 for bits in (8, 10, 12, 14) if expected.max() < 2**bits), white)
                else:
                    black, white = Picture.new("RGBA", upright.size, "black"), 255.0
                    seen = Picture.alpha_composite(black, upright.convert("RGBA")).convert("RGB")
                    expected = np.asarray(seen, dtype=float)[::-1]
            for number, band in enumerate(BANDS):
                image = read_band(path, band, BANDS, combined=True).pixels
                np.testing.assert_allclose(
                    image, expected if expected.ndim == 2 else expected[..., 2 - number], atol=0.51
                )
            if min(expected.shape[:2]) < 8:
                assert "at least 8 x 8" in read_picture(path, 0).reason
                return
            light = expected if expected.ndim == 2 else expected.mean(axis=-1)
            np.testing.assert_allclose(brightness_of(path)[0] * white, light, atol=0.51)

    check()
