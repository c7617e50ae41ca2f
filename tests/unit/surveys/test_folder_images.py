"""Files of the user's own images: bands, extensions, weights, sky."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from helpers.small_images import header_at, pixels

from tuningfork.core.errors import ConfigurationError, InputError
from tuningfork.surveys.background import sky_of, weigh
from tuningfork.surveys.folder.images import read_band
from tuningfork.surveys.folder.names import find_images
from tuningfork.surveys.folder.planes.bands import band_named

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


# Which image is a band


def extension(value: float, name: str = "", size: int = 40, **cards: Any) -> fits.ImageHDU:
    """Return an image that is `value` everywhere."""
    return fits.ImageHDU(np.full((size, size), value, dtype=np.float32), fits.Header(cards), name=name)


def values(path: Path, hdus: list[Any], bands: list[str], combined: bool = True) -> dict[str, float]:
    """Write a file, and return the first pixel of each band that is read from it."""
    fits.HDUList([fits.PrimaryHDU(), *hdus] if hdus[0].header.get("XTENSION") else hdus).writeto(path)
    return {band: float(read_band(path, band, bands, combined).pixels[0, 0]) for band in bands}


@pytest.mark.parametrize("key", ["FILTER", "BAND", "EXTNAME"])
@pytest.mark.parametrize(
    ("marks", "bands"),
    [
        (("R", "G"), ["g", "r"]),
        (("r DECam SDSS c0002 6415.0 1480.0", "g DECam SDSS c0001 4720.0 1520.0"), ["g", "r"]),
        (("F814W", "F606W"), ["f606w", "f814w"]),
        (("Ks", "J"), ["J", "KS"]),
    ],
)
def test_marks_of_bands_are_found_without_case_and_by_their_first_word(
    tmp_path: Path, key: str, marks: tuple[str, str], bands: list[str]
) -> None:
    if key == "EXTNAME" and " " in marks[0]:
        marks = ("sci-r", "sci-g")
    hdus = [extension(number, **{key: mark}) for number, mark in enumerate(marks, 1)]
    assert values(tmp_path / "a.fits", hdus, bands) == {bands[1]: 1, bands[0]: 2}


@pytest.mark.parametrize(
    ("text", "bands", "expected"),
    [
        ("r", ["R", "r"], "r"), ("R", ["r", "R"], "R"), ("R", ["r"], "r"), ("KS", ["Ks", "ks"], None), ("g r", ["g", "r"], None),
        ("r.MP9602", ["g", "r"], "r"), ("R (Bessel)", ["r", "R"], "R"), ("HSC-R", ["r"], None), ("rate", ["r"], None),
    ],
)  # fmt: skip
def test_a_text_names_the_band_that_it_fits_best(text: str, bands: list[str], expected: str | None) -> None:
    assert band_named(text, bands) == expected


def test_images_of_other_bands_are_never_taken_by_their_order(tmp_path: Path) -> None:
    hdus = [extension(1, "SCI", FILTER="r"), extension(2, "SCI", FILTER="i")]
    with pytest.raises(InputError, match=r"a\.fits.*extension SCI has FILTER = 'i', .* \['g', 'r'\].*marked as band g"):
        values(tmp_path / "a.fits", hdus, ["g", "r"])
    # All bands of the configuration are there: a further one is passed over.
    assert values(tmp_path / "b.fits", [*hdus, extension(3, FILTER="g")], ["g", "r"]) == {"g": 3, "r": 1}
    with pytest.raises(InputError, match=r"c\.fits.*2 images.*none of them marked as band g"):
        values(tmp_path / "c.fits", [extension(1, FILTER="r"), extension(2)], ["g", "r"])
    with pytest.raises(
        InputError, match=r"d\.fits.*image 1 without a name names several bands \(BAND 'r', FILTER 'g'\)"
    ):
        values(tmp_path / "d.fits", [extension(1, BAND="r", FILTER="g"), extension(2, BAND="g")], ["g", "r"])


def test_bands_that_differ_in_case_only_are_kept_apart(tmp_path: Path) -> None:
    hdus = [extension(1, FILTER="R"), extension(2, FILTER="r")]
    assert values(tmp_path / "a.fits", hdus, ["r", "R"]) == {"R": 1, "r": 2}
    # astropy writes EXTNAME in capitals, so that nothing tells them apart.
    with pytest.raises(InputError, match=r"b\.fits.*none of them marked as band r"):
        values(tmp_path / "b.fits", [extension(1, "r"), extension(2, "R")], ["r", "R"])


def test_the_weight_of_a_band_is_found_by_its_filter(tmp_path: Path) -> None:
    hdus = [extension(number, FILTER=band) for number, band in enumerate("gr")]
    hdus += [extension(10 + number, "WHT", FILTER=band) for number, band in ((1, "R"), (0, "g filter"))]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(tmp_path / "a.fits")
    for number, band in enumerate("gr"):
        weights = read_band(tmp_path / "a.fits", band, ["g", "r"], combined=True).weights
        assert weights is not None
        assert weights[0, 0] == 10 + number


@pytest.mark.parametrize(("name", "power"), [("STAT", -1), ("NOISE", -2)])
def test_the_names_of_eso_and_others_for_variance_and_error(tmp_path: Path, name: str, power: int) -> None:
    fits.HDUList([fits.PrimaryHDU(), extension(4, name), extension(7, "DATA")]).writeto(tmp_path / "a.fits")
    image = read_band(tmp_path / "a.fits", "r", ["r"], combined=False)
    assert image.pixels[0, 0] == 7
    assert image.weights is not None
    assert image.weights[0, 0] == pytest.approx(4.0**power)
    fits.HDUList([fits.PrimaryHDU(np.ones((40, 40))), extension(4, name)]).writeto(tmp_path / "b.fits")
    with pytest.raises(InputError, match=r"it holds 1 images \(PRIMARY\), none of them marked as band r"):
        read_band(tmp_path / "b.fits", "r", ["g", "r"], combined=True)


@pytest.mark.parametrize("name", ["QUALITY", "QUAL", "FLG", "1-1.FLG", "FLAG"])
def test_the_names_of_masks_of_quality(tmp_path: Path, name: str) -> None:
    mask = extension(0, name)
    mask.data[0, 1] = 1
    fits.HDUList([fits.PrimaryHDU(), mask, extension(7, "1-1.SCI")]).writeto(tmp_path / "a.fits")
    image = read_band(tmp_path / "a.fits", "r", ["r"], combined=False).pixels
    assert image[0, 0] == 7
    assert np.flatnonzero(np.isnan(image)).tolist() == [1]


@pytest.mark.parametrize("name", ["SCI", "IMAGE", "DATA", "r", "SCI_R", "FILTER"])
def test_a_known_name_goes_before_unknown_ones_and_thumbnails(tmp_path: Path, name: str) -> None:
    marked = extension(7, "CHIP", FILTER="r") if name == "FILTER" else extension(7, name)
    thumbnail = fits.PrimaryHDU(np.ones((5, 5), dtype=np.float32))
    assert values(tmp_path / "a.fits", [thumbnail, extension(1, "SMOOTH"), marked], ["r"], combined=False) == {"r": 7}


def test_several_images_of_unknown_names_are_refused_by_name(tmp_path: Path) -> None:
    one, other = extension(1, "COADD"), extension(2, "SMOOTH")
    with pytest.raises(InputError, match=r"a\.fits.*2 images that may be the band r \(COADD, SMOOTH\).*EXTNAME SCI"):
        values(tmp_path / "a.fits", [one, other], ["r"], combined=False)
    primary = fits.PrimaryHDU(np.full((40, 40), 5, dtype=np.float32))
    assert values(tmp_path / "b.fits", [primary, one], ["r"], combined=False) == {"r": 5}
    with pytest.raises(InputError, match=r"c\.fits.*\(PRIMARY, COADD\)"):
        values(tmp_path / "c.fits", [fits.PrimaryHDU(np.ones((5, 5))), one], ["r"], combined=False)


# The planes of a cube


@pytest.mark.parametrize(
    "cards",
    [
        {"BANDS": "irg"}, {"BANDS": "IRG"}, {"BANDS": "i,r,g"}, {"BANDS": "i r g"}, {"BANDS": "['i', 'r', 'g']"}, {"FILTER": "irg"},
        {"FILTER": "i;r;g"}, {"BAND0": "i", "BAND1": "r", "BAND2": "g"}, {"BAND1": "I", "BAND2": "r DECam", "BAND3": "g"},
    ],
)  # fmt: skip
def test_a_cube_states_the_order_of_its_planes(tmp_path: Path, cards: dict[str, str]) -> None:
    data = np.broadcast_to(np.arange(3, dtype=np.float32)[:, None, None], (3, 40, 40))
    fits.writeto(tmp_path / "a.fits", data, fits.Header(cards))
    fits.writeto(tmp_path / "a-weight.fits", data + 1)
    beside = {"weight": tmp_path / "a-weight.fits"}
    for number, band in enumerate("irg"):
        image = read_band(tmp_path / "a.fits", band, BANDS, combined=True, beside=beside)
        assert image.pixels[0, 0] == number
        assert image.weights is not None
        assert image.weights[0, 0] == number + 1


def test_a_statement_about_other_planes_is_refused_by_keyword(tmp_path: Path) -> None:
    data = np.zeros((3, 40, 40), dtype=np.float32)
    for name, cards, message in (
        ("few", {"BANDS": "g,r"}, "BANDS is 'g,r'; expected the band of each of its 3 planes"),
        ("other", {"BANDS": "grz"}, "3 planes g r z, no band i"),
    ):
        fits.writeto(tmp_path / f"{name}.fits", data, fits.Header(cards))
        with pytest.raises(InputError, match=rf"{name}\.fits.*{message}"):
            read_band(tmp_path / f"{name}.fits", "i", BANDS, combined=True)
