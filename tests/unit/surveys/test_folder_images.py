"""Files of the user's own images: bands, extensions, weights, sky."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from helpers.small_images import header_at, pixels

from tuningfork.core.errors import ConfigurationError, InputError
from tuningfork.surveys.background import sky_of, weigh
from tuningfork.surveys.folder.images import read_band
from tuningfork.surveys.folder.names import find_images

BANDS = ["g", "r", "i"]


def write_cube(path: Path) -> None:
    data = np.stack([pixels(seed=k, sky=k) for k in range(3)])
    fits.writeto(path, data, header_at(10, 20, 81, 61))


def write_extensions(path: Path) -> None:
    hdus = [fits.PrimaryHDU()]
    for k, band in enumerate("irg"):
        hdus.append(fits.ImageHDU(pixels(seed=2 - k, sky=2 - k), header_at(10, 20, 81, 61), name=band))
    fits.HDUList(hdus).writeto(path)


def write_legacy_extensions(path: Path) -> None:
    hdus = [fits.PrimaryHDU()]
    for k, band in enumerate("gri"):
        header = header_at(10, 20, 81, 61)
        for kind, data in (("image", pixels(seed=k, sky=k)), ("invvar", np.full((61, 81), 100.0, dtype=np.float32))):
            header["IMAGETYP"], header["BAND"] = kind, band
            hdus.append(fits.ImageHDU(data, header.copy()))
    fits.HDUList(hdus).writeto(path)


@pytest.mark.parametrize("write", [write_cube, write_extensions, write_legacy_extensions])
def test_all_bands_in_one_file(tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path / "all.fits")
    for k, band in enumerate(BANDS):
        image, weight, wcs, _ = read_band(tmp_path / "all.fits", band, BANDS, combined=True)
        np.testing.assert_array_equal(image, pixels(seed=k, sky=k))
        assert (weight is not None) is (write is write_legacy_extensions)
        assert wcs is not None


def test_a_cube_with_other_bands_is_refused(tmp_path: Path) -> None:
    write_cube(tmp_path / "all.fits")
    with pytest.raises(InputError, match=r"3 planes .*no band u; survey\.folder\.bands is \['u', 'r'\]"):
        read_band(tmp_path / "all.fits", "u", ["u", "r"], combined=True)


def test_names_of_files_say_the_band(tmp_path: Path) -> None:
    for name in ("a-g.fits", "a_r.fits.gz", "a.i.fits.fz", "b-g.jpg", "notes.txt", ".hidden.fits"):
        (tmp_path / name).touch()
    found = find_images(tmp_path, BANDS)
    assert {name: {band: path.name for band, path in layout.files.items()} for name, layout in found.items()} == {
        "a": {"g": "a-g.fits", "r": "a_r.fits.gz", "i": "a.i.fits.fz"},
        "b-g": dict.fromkeys(BANDS, "b-g.jpg"),
    }
    (tmp_path / "a-r.fits").touch()
    with pytest.raises(ConfigurationError, match=r"a-r\.fits and .*a_r\.fits\.gz are both the band r of the image a"):
        find_images(tmp_path, BANDS)


def test_sky_and_noise_of_a_stamp_that_a_galaxy_fills() -> None:
    level, noise = sky_of(pixels(200, 200), None)
    assert level == pytest.approx(10, abs=0.02)
    assert noise == pytest.approx(0.1, rel=0.1)


def test_weights_in_another_unit_are_rescaled() -> None:
    image = pixels(100, 100)
    image[0, 0] = np.nan
    weights = np.full(image.shape, 4.0, dtype=np.float32)
    weights[1, 1] = -1
    weight = weigh(image, weights, 0.1, "image")
    assert weight[50, 50] == pytest.approx(100)
    assert weight[0, 0] == weight[1, 1] == 0
    assert weigh(image, np.full(image.shape, 90, dtype=np.float32), 0.1, "image")[50, 50] == 90


@pytest.mark.parametrize("noise", [1e-22, 1e30])
def test_an_image_in_units_beyond_numbers_of_32_bits_is_refused_by_name(noise: float) -> None:
    with pytest.raises(InputError, match=r"a\.fits: the noise of its pixels is 1e.*: multiply the image by a constant"):
        weigh(np.ones((100, 100), dtype=np.float32), None, noise, "a.fits")


def test_an_image_without_noise_does_not_divide_by_zero() -> None:
    level, noise = sky_of(np.full((50, 50), 7, dtype=np.float32), None)
    assert (level, noise) == (7.0, 1.0)
