"""The PSF, the zero point and the pixel scale of the user's own images: which statement counts, and what is refused."""

import gzip
import logging
import lzma
import os
import re
from pathlib import Path
from typing import Any

import galsim
import galsim.des
import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.wcs import WCS
from helpers.folder_runs import check, run, write_bands
from helpers.small_images import header_at, pixels

from tuningfork.core.errors import ConfigurationError, InputError
from tuningfork.surveys.folder.images import read_band
from tuningfork.surveys.folder.names import find_images
from tuningfork.surveys.folder.psf import ImagePsf
from tuningfork.surveys.folder.psf_files import path_below, read_psf
from tuningfork.surveys.folder.psfex import PsfEx
from tuningfork.surveys.folder.zero_point import zero_point_of
from tuningfork.surveys.star_images import StarImage

BANDS = ["g", "r", "i"]
SCALE = 0.4


def star(fwhm: float, size: int = 41) -> np.ndarray:
    """Return the image of a star of some width (px)."""
    return galsim.Moffat(beta=3.0, fwhm=fwhm).drawImage(nx=size, ny=size, scale=1).array


def only_row(tmp_path: Path, **options: Any) -> dict[str, Any]:
    rows, _, _ = run(tmp_path, **options)
    assert len(rows) == 1
    return next(iter(rows.values()))


def add_extension(path: Path, name: str, image: np.ndarray) -> None:
    fits.append(path, image, fits.Header({"EXTNAME": name}))


def test_the_image_of_the_psf_that_is_nearest_to_the_source_counts(tmp_path: Path) -> None:
    images = tmp_path / "images"
    write_bands(images, "a", 10.0, 20.0)
    assert only_row(tmp_path)["psf_model"] == "moffat"
    widths = []
    fits.writeto(images / "a-psf.fits", star(2.0))
    widths.append(only_row(tmp_path))
    (images / "a-psf.fits").unlink()
    for band in BANDS:
        fits.writeto(images / f"a-psf-{band}.fits", star(2.5 if band == "r" else 4.5))
    widths.append(only_row(tmp_path))
    add_extension(images / "a-r.fits", "PSF", star(3.0, size=40))
    widths.append(only_row(tmp_path))
    (images / "psfs").mkdir()
    fits.writeto(images / "psfs" / "star.fits", star(3.5))
    pd.DataFrame({"file": ["a-r.fits"], "PSF_R": ["psfs/star.fits"], "psf_fwhm": [2.5]}).to_csv(tmp_path / "t.csv")
    widths.append(only_row(tmp_path, table="t.csv"))
    found = [row["psf_fwhm_r"] / SCALE for row in widths]
    assert found == pytest.approx([2.0, 2.5, 3.0, 3.5], rel=0.01)
    assert [row["psf_beta"] for row in widths] == pytest.approx([3.0] * 4, rel=0.02)
    assert widths[2]["psf_fwhm_g"] / SCALE == pytest.approx(4.5, rel=0.01)
    for row, fwhm in zip(widths, (2.0, 2.5, 3.0, 3.5), strict=True):
        image = np.array(row["psf_image"]).reshape((round(np.sqrt(len(row["psf_image"]))),) * 2)
        true = star(fwhm, len(image))
        assert image == pytest.approx(true / true.sum(), abs=2e-4)
        assert (row["psf_model"], row["psf_image_scale"]) == ("image", pytest.approx(SCALE))


def test_widths_of_the_table_belong_to_single_sources(tmp_path: Path) -> None:
    write_bands(tmp_path / "images", "field", 10.0, 20.0, width=400, height=300, sky=0.0)
    frame = pd.DataFrame({"source_id": [1, 2, 3], "ra": [10.0, 10.01, 9.99], "dec": [20.0] * 3, "file": "field"})
    frame.assign(psf_fwhm=[1.0, 1.5, np.nan], psf_fwhm_g=[np.nan, 1.8, np.nan]).to_csv(tmp_path / "t.csv")
    rows, _, _ = run(tmp_path, table="t.csv", psf_fwhm=1.2)
    found = [(row["psf_fwhm_g"], row["psf_fwhm_r"], row["psf_model"]) for row in rows.values()]
    assert [row[:2] for row in found] == [pytest.approx(pair) for pair in ((1.0, 1.0), (1.8, 1.5), (1.2, 1.2))]
    assert all(row[2] == "moffat" for row in found)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (np.zeros((41, 41)), "the sum of its pixels is 0; expected a positive one"),
        (np.full((41, 41), np.nan), "some of its pixels are not finite"),
        (-star(3.0), "the sum of its pixels is -"),
        (star(3.0, 600), "expected one image of 7 to 513 pixels a side"),
        (np.stack([star(3.0)] * 2), r"it has 2 planes; expected one, or one for each of the bands \['g', 'r', 'i'\]"),
        (star(3.0) + 0.01, "its edge is not dark"),
        (star(3.0, 61)[:31, :31], "its edge is not dark|from the edge"),
        (np.ones((3, 3)), "expected one image"),
    ],
)
def test_a_bad_image_of_the_psf_is_named_and_the_width_takes_its_place(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, bad: np.ndarray, reason: str
) -> None:
    write_bands(tmp_path / "images", "a", 10.0, 20.0)
    fits.writeto(tmp_path / "images" / "a-psf.fits", bad)
    with pytest.raises(InputError, match=reason):
        read_psf(tmp_path / "images" / "a-psf.fits", "r", BANDS)
    with caplog.at_level(logging.WARNING):
        row = only_row(tmp_path, psf_fwhm=1.1)
    assert (row["psf_fwhm_r"], row["psf_model"], row["psf_image"]) == (pytest.approx(1.1), "moffat", None)
    assert any("image a, band r: the PSF of" in text and "a-psf.fits is not used" in text for text in caplog.messages)


@pytest.mark.parametrize("name", ["/etc/star.fits", "../star.fits", "psfs/../../star.fits", "..\\star.fits", "C:\\x"])
def test_a_psf_outside_of_the_folder_is_not_opened(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="is not a name below the folder of the images"):
        path_below(tmp_path, name)
    write_bands(tmp_path / "images", "a", 10.0, 20.0)
    fits.writeto(tmp_path / "star.fits", star(3.0))
    pd.DataFrame({"file": ["a"], "psf": [name]}).to_csv(tmp_path / "t.csv")
    assert only_row(tmp_path, table="t.csv", psf_fwhm=1.1)["psf_fwhm_r"] == pytest.approx(1.1)


def with_card(path: Path, card: str) -> None:
    """Add a card to the first header of a file, as it is."""
    raw = path.read_bytes()
    end = raw.index(b"END" + b" " * 77)
    path.write_bytes(raw[:end] + card.ljust(80).encode() + raw[end : end + 80] + raw[end + 160 :])


def test_files_that_are_no_psf_are_named_whatever_is_wrong_with_them(tmp_path: Path) -> None:
    good = tmp_path / "good.fits"
    fits.writeto(good, star(3.0))
    packed = gzip.compress(good.read_bytes())
    (tmp_path / "torn.fits.gz").write_bytes(packed[:200] + b"\xff" * 200 + packed[400:])
    (tmp_path / "empty.fits").write_bytes(b"")
    (tmp_path / "picture.fits").write_bytes(b"\x89PNG" + bytes(4000))
    (tmp_path / "huge.fits").write_bytes(good.read_bytes().replace(b"        41", b"2147483648", 1))
    (tmp_path / "folder.fits").mkdir()
    (tmp_path / "dangling.fits").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.fits")
    for name, card in (("name.fits", "EXTNAME = 25.0.1"), ("finer.fits", "OVERSAMP= 2.0.1")):
        (tmp_path / name).write_bytes(good.read_bytes())
        with_card(tmp_path / name, card)
    for path in sorted(set(tmp_path.iterdir()) - {good}):
        with pytest.raises(InputError, match=r"not a readable FITS file|it is no file"):
            read_psf(path, "r", BANDS)


def test_a_broken_card_about_the_zero_point_is_ignored_by_name(tmp_path: Path, caplog: Any) -> None:
    write_bands(tmp_path / "images", "a", 10.0, 20.0)
    with_card(tmp_path / "images" / "a-r.fits", "MAGZERO = 25.0.1")
    with caplog.at_level(logging.WARNING):
        assert only_row(tmp_path, zero_point=23.0)["zero_point"] == pytest.approx(23.0)
    assert "a-r.fits: the zero point of the header (MAGZERO nan) is ignored" in caplog.text


def write_cube(path: Path, psfs: list[Any], **keywords: str) -> None:
    """Write a cube of three bands, and the PSF of widths 4, 3 and 2 px or other extensions."""
    data = np.array([pixels()] * 3)
    path.parent.mkdir(exist_ok=True)
    header = header_at(10.0, 20.0, data.shape[2], data.shape[1])
    header.update(keywords)
    fits.HDUList([fits.PrimaryHDU(data, header), *psfs]).writeto(path)


@pytest.mark.parametrize("told", ["planes of the image", "planes of the PSF", "bands of the PSFs"])
def test_the_psf_of_a_cube_is_that_of_the_band_in_whatever_order_they_are(tmp_path: Path, told: str) -> None:
    widths = dict(zip("irg", (4.0, 3.0, 2.0), strict=True))
    cube = fits.ImageHDU(np.array([star(width) for width in widths.values()]), name="PSF")
    if told == "planes of the PSF":
        cube.header["BANDS"] = "irg"
    marked = [fits.ImageHDU(star(width), fits.Header({"BAND": band}), name="PSF") for band, width in widths.items()]
    keywords = {"BANDS": "irg"} if told == "planes of the image" else {}
    write_cube(tmp_path / "images" / "a.fits", marked if told == "bands of the PSFs" else [cube], **keywords)
    row = only_row(tmp_path)
    assert [row[f"psf_fwhm_{band}"] / SCALE for band in "gri"] == pytest.approx([2.0, 3.0, 4.0], rel=0.01)


def test_of_several_psfs_none_is_guessed(tmp_path: Path) -> None:
    write_cube(tmp_path / "images" / "a.fits", [fits.ImageHDU(star(width), name="PSF") for width in (2.0, 3.0)])
    assert only_row(tmp_path, psf_fwhm=1.1)["psf_fwhm_r"] == pytest.approx(1.1)
    write_psfex(tmp_path / "mosaic.psf")
    with fits.open(tmp_path / "mosaic.psf", mode="append") as hdus:
        hdus.append(hdus[1].copy())
    with pytest.raises(InputError, match="2 extensions are the PSF of the band r; expected one"):
        read_psf(tmp_path / "mosaic.psf", "r", BANDS)


def test_files_with_the_psf_are_no_images_and_rerun_the_stamps(tmp_path: Path) -> None:
    images = tmp_path / "images"
    write_bands(images, "a", 10.0, 20.0)
    before = check(tmp_path)
    for name in ("a-psf-r.fits", "a-i.psf", "b-psf.fits", "c.psf"):
        fits.writeto(images / name, star(3.0))
    found = find_images(images, BANDS)
    assert sorted(found) == ["a", "b-psf"]
    assert {band: path.name for band, path in found["a"].psfs.items()} == {"r": "a-psf-r.fits", "i": "a-i.psf"}
    (images / "b-psf.fits").unlink()
    after = check(tmp_path)
    assert {stage for stage in after if after[stage] != before[stage]} == {"stamps"}


def write_psfex(path: Path, degree: int = 2, sampling: float = 0.7, size: int = 45) -> None:
    """Write a model of PSFEx whose terms are all at work: wide in one corner, narrow in the other."""
    wide, narrow = (
        galsim.Moffat(beta=3.5, fwhm=fwhm).drawImage(nx=size, ny=size, scale=sampling).array for fwhm in (3.6, 2.4)
    )
    terms = (degree + 1) * (degree + 2) // 2
    basis = np.array([wide if term == 0 else (wide - narrow) * 0.3 / (term + 1) for term in range(terms)])
    table = fits.BinTableHDU.from_columns(
        [fits.Column("PSF_MASK", f"{basis.size}E", dim=str(basis.shape[::-1]), array=basis[None].astype(np.float32))]
    )
    table.header.update(
        EXTNAME="PSF_DATA", POLNAXIS=2, POLNGRP=1, POLGRP1=1, POLGRP2=1, POLNAME1="X_IMAGE", POLNAME2="Y_IMAGE",
        POLZERO1=200.0, POLZERO2=150.0, POLSCAL1=380.0, POLSCAL2=290.0, POLDEG1=degree, PSF_SAMP=sampling, PSF_FWHM=3.0,
        PSFNAXIS=3, PSFAXIS1=size, PSFAXIS2=size, PSFAXIS3=terms,
    )  # fmt: skip
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)


def test_a_model_of_psfex_is_evaluated_as_by_galsim(tmp_path: Path) -> None:
    write_psfex(tmp_path / "field.psf")
    ours = read_psf(tmp_path / "field.psf", "r", BANDS)
    assert isinstance(ours, PsfEx)
    theirs = galsim.des.DES_PSFEx(str(tmp_path / "field.psf"))
    for x, y in ((10.0, 20.0), (380.0, 250.0)):
        image = ours.image(x, y)
        profile = theirs.getPSF(galsim.PositionD(x + 1, y + 1))
        other = profile.drawImage(nx=len(image), ny=len(image), scale=1, method="no_pixel").array
        # GalSim interpolates with another kernel.
        assert image == pytest.approx(other / other.sum(), abs=3e-3 * float(image.max()))
    width, beta = ours.measured((300, 400))
    corner = [np.array([value]) for value in (380.0, 250.0)]
    fit = ours.moffat(380.0, 250.0)
    assert (width(*corner)[0], beta(*corner)[0]) == pytest.approx((fit.fwhm, fit.beta), rel=2e-3)


def test_each_source_of_a_field_gets_the_psf_of_psfex_at_its_place(tmp_path: Path) -> None:
    write_bands(tmp_path / "images", "field", 10.0, 20.0, width=400, height=300, sky=0.0)
    write_psfex(tmp_path / "images" / "field-r.psf")
    model = read_psf(tmp_path / "images" / "field-r.psf", "r", BANDS)
    pd.DataFrame({"ra": [10.0, 10.015], "dec": [20.0, 20.01]}).to_csv(tmp_path / "t.csv", index=False)
    rows, _, _ = run(tmp_path, table="t.csv")
    first, second = rows.values()
    for row, (x, y) in ((first, (199.5, 149.5)), (second, (199.5 - 0.015 * np.cos(np.deg2rad(20)) * 9000, 239.5))):
        assert np.array(row["psf_image"]) == pytest.approx(model.image(x, y).ravel(), abs=1e-5)
        assert row["psf_fwhm_r"] == pytest.approx(SCALE * model.moffat(x, y).fwhm, rel=2e-3)
    assert abs(first["psf_fwhm_r"] / second["psf_fwhm_r"] - 1) > 0.01


@pytest.mark.parametrize(
    ("header", "expected", "ignored"),
    [
        ({}, None, None),
        ({"MAGZERO": 30.0}, 30.0, None),
        ({"ZP": 25.1, "MAGZPT": 25.1}, 25.1, None),
        ({"ZP": 25.1, "MAGZPT": 26.3}, None, "they contradict each other"),
        ({"MAGZERO": -2.5}, None, "expected magnitudes from 0 to 40"),
        ({"MAGZERO": "unknown"}, None, "expected magnitudes from 0 to 40"),
        ({"PHOTZP": 25.0, "MAGSYS": "VEGAMAG"}, None, "expected AB"),
        ({"FLUXMAG0": 1e12}, 30.0, None),
        ({"BUNIT": "nanomaggy", "NMGY": 0.0045}, 22.5, None),
        ({"BUNIT": "ADU", "NMGY": 0.01}, 27.5, None),
        ({"NMGY": 0.01}, None, None),
        ({"MAGZEROPOINT": 25.0}, 25.0, None),
        ({"ABMAGZP": 26.5}, 26.5, None),
        ({"ZEROPNT": 24.0}, 24.0, None),
        ({"BUNIT": "Jy/beam"}, None, "BUNIT is 'Jy/beam'"),
        ({"BUNIT": "mjy"}, None, "BUNIT is 'mjy', which is not understood"),
        ({"BUNIT": "MJy/sr"}, None, "expected PIXAR_SR or a WCS"),
        ({"BUNIT": "electrons/s"}, None, None),
        ({"BUNIT": "erg/s/cm2/Angstrom"}, None, "expected PHOTPLAM"),
        ({"BUNIT": "DN/s"}, None, None),
        ({"BUNIT": "K"}, None, None),
        ({"BUNIT": "ELECTRONS/S", "PHOTFLAM": 7e-20}, None, "PHOTFLAM is 7e-20; expected PHOTPLAM"),
        ({"PHOTFLAM": 7e-20, "PHOTPLAM": 8045.0}, None, "BUNIT ''; expected electrons/s, or electrons and EXPTIME"),
    ],
)  # fmt: skip
def test_a_header_states_the_zero_point_only_where_nothing_is_guessed(
    header: dict[str, Any], expected: float | None, ignored: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert zero_point_of(fits.Header(header), "a.fits") == (None if expected is None else pytest.approx(expected))
    assert (len(caplog.messages), ignored or "") == (int(ignored is not None), ignored or "")
    assert not ignored or (ignored in caplog.text and "a.fits" in caplog.text)


@pytest.mark.filterwarnings("ignore::astropy.units.UnitsWarning", "ignore::astropy.io.fits.verify.VerifyWarning")
@pytest.mark.parametrize(
    ("cards", "flux"),
    [
        ({"BUNIT": "mJy"}, u.mJy), ({"BUNIT": "NJY"}, u.nJy), ({"BUNIT": "uJy/pix"}, u.uJy), ({"BUNIT": "Jy/pixel"}, u.Jy),
        ({"BUNIT": "10^-29 erg/(s cm2 Hz)"}, 1e-29 * u.erg / u.s / u.cm**2 / u.Hz),
        ({"BUNIT": "MJy/sr", "PIXAR_SR": 2.3e-14}, 1e6 * 2.3e-14 * u.Jy), ({"BUNIT": "nJy arcsec-2", "PIXAR_A2": 0.04}, 0.04 * u.nJy),
        ({"BUNIT": "MJy/sr", "PIXSCALE": 0.5}, (1 * u.MJy / u.sr) * (0.5 * u.arcsec) ** 2),
        ({"BUNIT": "MJy/sr", "WCS": True}, (1 * u.MJy / u.sr) * (0.4 * u.arcsec) ** 2),
    ],
)  # fmt: skip
def test_a_flux_unit_gives_the_zero_point(cards: dict[str, Any], flux: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The right value is that of astropy's AB magnitudes."""
    wcs = WCS(header_at(10.0, 60.0, 81, 61)) if cards.get("WCS") else None
    found = zero_point_of(fits.Header(cards), "a.fits", wcs)
    assert found == pytest.approx(u.Quantity(1 * flux).to_value(u.ABmag), abs=2e-4)
    assert not caplog.messages


@pytest.mark.parametrize(
    ("cards", "exposure"), [({"BUNIT": "ELECTRONS/S"}, 1), ({"BUNIT": "COUNTS", "EXPTIME": 500.0}, 500)]
)
def test_photflam_of_hst_is_turned_from_st_to_ab(cards: dict[str, Any], exposure: float) -> None:
    """As in the handbook of ACS: ABMAG_ZEROPT = -2.5 log10 PHOTFLAM - 5 log10 PHOTPLAM - 2.408."""
    header = fits.Header({"PHOTFLAM": 7.0332e-20, "PHOTPLAM": 8045.0, "PHOTZPT": -21.1, **cards})
    expected = -2.5 * np.log10(7.0332e-20) - 5 * np.log10(8045.0) - 2.408 + 2.5 * np.log10(exposure)
    assert zero_point_of(header, "a.fits") == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("unit", ["mag", "mag/arcsec2", "ABmag", "mag(AB)", "AB magnitudes", "dex(Jy)", "mmag"])
def test_magnitudes_are_no_flux_and_refused(tmp_path: Path, unit: str) -> None:
    fits.writeto(tmp_path / "a.fits", pixels(), fits.Header({"BUNIT": unit}))
    with pytest.raises(InputError, match=rf"a\.fits.*BUNIT is '{re.escape(unit)}'.*expected a linear flux"):
        read_band(tmp_path / "a.fits", "r", ["r"], combined=False)


@pytest.mark.parametrize("unit", ["nanomaggies", "image units", "MJy/sr", "maggy"])
def test_linear_units_are_no_magnitudes(tmp_path: Path, unit: str) -> None:
    fits.writeto(tmp_path / "a.fits", pixels(), fits.Header({"BUNIT": unit}))
    assert read_band(tmp_path / "a.fits", "r", ["r"], combined=False).pixels.shape == pixels().shape


def test_table_header_and_configuration_are_asked_in_this_order(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for name in ("a", "b", "c"):
        header = fits.Header({"MAGZERO": 27.0}) if name != "c" else fits.Header()
        header.update(header_at(10.0, 20.0, 81, 61) if name == "b" else {})
        fits.writeto(images / f"{name}.fits", pixels(), header)
    frame = pd.DataFrame({"source_id": [1, 2, 3], "file": ["a", "b", "c"], "ra": 10.0, "dec": 20.0})
    frame["zero_point"], frame["pixel_scale"] = [25.0, np.nan, np.nan], [0.3, 0.3, np.nan]
    frame.to_csv(tmp_path / "t.csv", index=False)
    rows, _, _ = run(tmp_path, table="t.csv", bands=["r"], zero_point=23.0, pixel_scale=0.5)
    found = [(row["zero_point"], row["pixel_scale"]) for row in rows.values()]
    assert found == [pytest.approx(pair) for pair in ((25.0, 0.3), (27.0, 0.4), (23.0, 0.5))]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"file": ["a", "a"], "psf_fwhm": [1.0, -1.0]}, "row 2: psf_fwhm is -1; expected more than 0 and at most 20"),
        ({"file": ["a", "a"], "zero_point": [25.0, 26.0]}, "zero_point of the image a is 25 in one row and 26 in ano"),
        ({"file": ["a", "a"], "zero_point": ["25", "bright"]}, "row 2: zero_point is 'bright'; expected a number"),
        (
            {"file": ["a", "a"], "psf_fwhm_r": [1.0, 1.1]},
            "the image a has two sources at one place.*: psf_fwhm_r is 1.0 in",
        ),
        ({"psf_fwhm": [1.0, 1.1]}, "column psf_fwhm describes the image of each source, but there is no column file"),
    ],
)
def test_a_wrong_table_ends_the_run_before_any_job(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    write_bands(tmp_path / "images", "a", 10.0, 20.0)
    pd.DataFrame({"ra": [10.0, 10.0], "dec": [20.0, 20.0], **columns}).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(ConfigurationError, match=message):
        check(tmp_path, table="t.csv")


@pytest.mark.parametrize("offset", [(0.0, 0.0), (0.5, 0.5), (0.3, -0.2), (3.3, -2.6)])
@pytest.mark.parametrize(("size", "fwhm"), [((40, 40), 1.5), ((41, 41), 1.5), ((40, 51), 2.0), ((64, 40), 4.0)])
@pytest.mark.parametrize(
    "profile", [galsim.Moffat(beta=3, fwhm=1), galsim.Moffat(beta=2.5, fwhm=1).shear(g1=0.2, g2=0.1)]
)
def test_an_even_or_off_centre_psf_does_not_move_the_galaxy(
    profile: galsim.GSObject, size: tuple[int, int], fwhm: float, offset: tuple[float, float]
) -> None:
    """The place of the star is that of the profile which it was drawn with, by least squares with its derivatives."""
    found = StarImage.of(draw(profile.dilate(fwhm), *size, offset)).pixels
    width = len(found)
    true = draw(profile.dilate(fwhm), width, width)
    step = 0.05
    slopes = []
    for x, y in ((step, 0), (0, step)):
        there, back = (draw(profile.dilate(fwhm), width, width, (sign * x, sign * y)) for sign in (1, -1))
        slopes.append((there - back).ravel() / (2 * step))
    shift = np.linalg.lstsq(np.stack(slopes, axis=1), (found * true.sum() - true).ravel(), rcond=None)[0]
    assert np.abs(shift).max() < 0.01
    assert width % 2 == 1


def draw(profile: galsim.GSObject, nx: int, ny: int, offset: tuple[float, float] = (0, 0)) -> np.ndarray:
    return profile.drawImage(nx=nx, ny=ny, scale=1, offset=offset).array.astype(float)


def test_every_source_has_the_psf_of_the_nearest_entry() -> None:
    """20,000 entries of one image took 19 s, because each was compared with each."""
    random = np.random.default_rng(5)
    x, y = random.uniform(0, 4000, (2, 20_000))
    asked_x, asked_y = random.uniform(-100, 4100, (2, 300))
    asked_x[7] = np.nan
    psf = ImagePsf.nearest(x, y, lambda number: ImagePsf.constant(1 + number, 3.0))
    nearest = np.hypot(asked_x[:, None] - x, asked_y[:, None] - y).argmin(axis=1)
    nearest[7] = 0
    np.testing.assert_array_equal(psf.fwhm(asked_x, asked_y), 1 + nearest)
    assert psf.images(asked_x, asked_y) == [None] * 300
    assert psf.beta(np.empty(0), np.empty(0)).shape == (0,)


def test_a_psf_that_is_packed_by_xz_or_says_that_it_is_huge(tmp_path: Path) -> None:
    fits.writeto(tmp_path / "a.fits", star(3.0))
    raw = (tmp_path / "a.fits").read_bytes()
    (tmp_path / "a.fits.xz").write_bytes(lzma.compress(raw))
    assert read_psf(tmp_path / "a.fits.xz", "r", BANDS).fwhm == pytest.approx(3.0, rel=0.01)
    (tmp_path / "a.fits.gz").write_bytes(
        gzip.compress(raw.replace(b"NAXIS1  =                   41", b"NAXIS1  =           2147483648"))
    )
    with pytest.raises(InputError, match="2147483648 x 41 pixels; at most"):
        read_psf(tmp_path / "a.fits.gz", "r", BANDS)
