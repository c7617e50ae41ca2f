"""Pixels of the user's own images: what each extension is, which pixels count, and that nothing stops the others."""

import bz2
import gzip
import io
import lzma
import os
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from helpers.folder_runs import check, run, shards
from helpers.small_images import header_at, pixels
from PIL import Image as Picture
from PIL import ImageOps

from tuningfork.core.errors import ConfigurationError, InputError
from tuningfork.core.flags import decode
from tuningfork.pictures.read import brightness_of
from tuningfork.surveys.folder.images import read_band
from tuningfork.surveys.folder.names import find_images
from tuningfork.surveys.folder.planes.roles import name_of

BANDS = ["g", "r", "i"]
WIDTH = 161
WCS_HEADER = header_at(10.0, 41.0, WIDTH, WIDTH)
SKY = pixels(WIDTH, WIDTH)


def extension(data: np.ndarray, name: str, header: fits.Header | None = WCS_HEADER) -> fits.ImageHDU:
    return fits.ImageHDU(data, header, name=name)


def write(path: Path, *hdus: fits.ImageHDU, **cards: str) -> None:
    path.parent.mkdir(exist_ok=True)
    fits.HDUList([fits.PrimaryHDU(header=fits.Header(cards)), *hdus]).writeto(path)


def write_cube(path: Path, data: np.ndarray = SKY, header: fits.Header | None = WCS_HEADER) -> None:
    path.parent.mkdir(exist_ok=True)
    fits.writeto(path, np.stack([data] * 3), header)


def flags(rows: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    return {key.split("/")[1]: decode(row["flags"]) for key, row in rows.items()}


def reasons(manifest: list[dict[str, Any]]) -> dict[str, str]:
    return {row["tile"]: row["reason"] for row in manifest if row["reason"]}


# What an extension is


@pytest.mark.parametrize("mask", ["MASK", "MSK", "DQ", "BPM", "FLAGS", "mask_r", "R-MASK", "BADPIX"])
@pytest.mark.parametrize(
    ("noise", "power"),
    [("VARIANCE", -1), ("VAR_R", -1), ("ERR", -2), ("RMS", -2), ("SIGMA", -2), ("WHT", 1), ("r_invvar", 1)],
)
def test_masks_and_noise_are_used_and_are_no_bands(tmp_path: Path, mask: str, noise: str, power: int) -> None:
    bad = SKY > 20
    given = np.random.default_rng(2).uniform(0.5, 2.0, SKY.shape).astype(np.float32)
    given[:3] = 0
    hdus = [extension(bad.astype(np.int16), mask, None), extension(SKY, "IMAGE"), extension(given, noise, None)]
    write(tmp_path / "a.fits", *hdus, extension(SKY * 7, "SEGM"), extension(SKY * 5, "VAR_POISSON"))
    image, weights, wcs, _ = read_band(tmp_path / "a.fits", "r", ["r"], combined=False)
    np.testing.assert_array_equal(image, np.where(bad, np.nan, SKY))
    with np.errstate(divide="ignore"):
        expected = np.where(given > 0, given.astype(float) ** power, 0)
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    assert tuple(wcs.wcs.crval) == (10, 41)


@pytest.mark.parametrize(
    ("name", "role", "band"),
    [
        ("IMAGE", None, ""), ("SCI", None, ""), ("SCI_R", None, "R"), ("r.image", None, "r"), ("R", None, "R"), ("", None, ""),
        ("CTX", "other", ""), ("CON", "other", ""), ("SEGM", "other", ""), ("SEGMENTATION", "other", ""), ("MODEL", "other", ""),
        ("VAR_POISSON", "other", ""), ("VAR_RNOISE", "other", ""), ("VAR_i", "variance", "i"), ("SCI_ERR", "error", ""),
        ("MASK2", "mask", ""), ("WHT-g", "weight", "g"), ("EXPTIME", "other", ""), ("BACKGROUND", "other", ""), ("M31", None, ""),
    ],
)  # fmt: skip
def test_the_name_of_an_extension_says_what_it_is(name: str, role: str | None, band: str) -> None:
    assert name_of(fits.Header({"EXTNAME": name}), BANDS) == (role, band)


def test_an_image_with_mask_and_variance_is_no_image_of_three_bands(tmp_path: Path) -> None:
    names = ("IMAGE", "MASK", "VARIANCE")
    write(tmp_path / "images" / "a.fits", *(extension(SKY + k, name) for k, name in enumerate(names)))
    rows, _, manifest = run(tmp_path)
    assert flags(rows) == {"a": ["BAD_TILE"]}
    assert "it holds 1 images (IMAGE), none of them marked as band" in reasons(manifest)["a"]
    image = read_band(tmp_path / "images" / "a.fits", "r", ["r"], combined=False).pixels
    assert np.isnan(image).all()  # the mask of this file is one everywhere


def test_every_band_has_its_own_mask(tmp_path: Path) -> None:
    hdus = []
    for k, band in enumerate(BANDS):
        mask = np.zeros(SKY.shape, np.uint8)
        mask[k] = 1
        hdus += [extension(SKY + k, f"SCI_{band}"), extension(mask, f"DQ_{band}")]
    write(tmp_path / "a.fits", *reversed(hdus))
    for k, band in enumerate(BANDS):
        image = read_band(tmp_path / "a.fits", band, BANDS, combined=True).pixels
        assert np.flatnonzero(np.isnan(image).all(axis=1)).tolist() == [k]
        assert image[10, 10] == SKY[10, 10] + k


def test_images_with_different_unknown_names_are_not_taken_for_bands_by_their_order(tmp_path: Path) -> None:
    write(tmp_path / "a.fits", *(extension(SKY, name) for name in ("COADD", "SMOOTHED", "OLD")))
    with pytest.raises(InputError, match=r"a\.fits.*\(COADD, SMOOTHED, OLD\), none of them marked as band r"):
        read_band(tmp_path / "a.fits", "r", BANDS, combined=True)


@pytest.mark.parametrize(
    ("cards", "first"),
    [({"MP_BAD": 0, "MP_NO_DATA": 8, "MP_DETECTED": 5, "MP_SAT": 1}, {}), ({}, {"TELESCOP": "JWST"}), ({}, {})],
)
def test_bits_that_only_mark_detections_mask_nothing(
    tmp_path: Path, cards: dict[str, int], first: dict[str, str]
) -> None:
    mask = np.zeros(SKY.shape, np.int32)
    mask[0, :4] = 1 << 0, 1 << 5, 1 << 8, 1 << 2
    header = fits.Header(cards)
    write(tmp_path / "a.fits", extension(SKY, "SCI"), extension(mask, "DQ", header), **first)
    image = read_band(tmp_path / "a.fits", "r", ["r"], combined=False).pixels
    expected = [True, False, True, False] if cards else [True, False, False, False] if first else [True] * 4
    assert np.isnan(image[0, :4]).tolist() == expected


def test_files_beside_an_image_are_its_mask_and_weight(tmp_path: Path) -> None:
    for name, data in {
        "a-r.fits": SKY, "a-r.weight.fits": SKY * 2, "a-mask-r.fits": np.eye(WIDTH, dtype=np.int16), "a_segm.fits": SKY,
        "lonely_mask.fits": SKY, "b.fits": SKY, "b_rms.fits.gz": SKY,
        "c_drz_sci.fits": SKY, "c_drz_wht.fits": SKY, "c_drz_ctx.fits": SKY[:5],
    }.items():  # fmt: skip
        fits.writeto(tmp_path / name, data, WCS_HEADER)
    found = find_images(tmp_path, ["r"])
    assert sorted(found) == ["a", "b", "c_drz_sci", "lonely_mask"]
    assert {role: path.name for role, path in found["c_drz_sci"].beside["r"].items()} == {"weight": "c_drz_wht.fits"}
    assert {role: path.name for role, path in found["b"].beside["r"].items()} == {"error": "b_rms.fits.gz"}
    image, weights, _, _ = read_band(found["a"].files["r"], "r", ["r"], False, found["a"].beside["r"])
    np.testing.assert_array_equal(image, np.where(np.eye(WIDTH), np.nan, SKY))
    np.testing.assert_array_equal(weights, SKY * 2)
    (tmp_path / "a-mask-r.fits").write_bytes(b"SIMPLE  = nothing")
    with pytest.raises(InputError, match=r"a-mask-r\.fits: not a readable image"):
        read_band(found["a"].files["r"], "r", ["r"], False, found["a"].beside["r"])


def test_a_mask_beside_the_image_is_added_to_its_own_and_a_weight_takes_the_place_of_its_own(tmp_path: Path) -> None:
    """The weight comes before the image and has no WCS."""
    own, other = np.zeros(SKY.shape, np.int16), np.zeros(SKY.shape, np.int16)
    own[0], other[1] = 1, 1
    write(tmp_path / "a.fits", extension(SKY * 2, "WHT", None), extension(own, "MASK", None), extension(SKY, "SCI"))
    image = read_band(tmp_path / "a.fits", "r", ["r"], combined=False)
    np.testing.assert_array_equal(image.weights, SKY * 2)
    assert tuple(image.wcs.wcs.crval) == (10, 41)
    assert np.flatnonzero(np.isnan(image.pixels).all(axis=1)).tolist() == [0]
    fits.writeto(tmp_path / "a-mask.fits", other)
    fits.writeto(tmp_path / "a-weight.fits", SKY * 3)
    found = find_images(tmp_path, ["r"])["a"]
    image = read_band(found.files["r"], "r", ["r"], False, found.beside["r"])
    np.testing.assert_array_equal(image.weights, SKY * 3)
    assert np.flatnonzero(np.isnan(image.pixels).all(axis=1)).tolist() == [0, 1]


@pytest.mark.parametrize(("dtype", "zero"), [("u2", 2**15), ("u4", 2**31), ("i2", 0), ("i4", 0), ("u1", 0)])
@pytest.mark.parametrize("compressed", [False, True])
def test_blank_pixels_are_masked_whatever_the_zero_of_the_scale(
    tmp_path: Path, dtype: str, zero: int, compressed: bool
) -> None:
    """BLANK is compared with the numbers in the file, before BZERO is added (FITS 4.0, section 4.4.2.5)."""
    values = np.clip(SKY * 5, 1, 250).astype(dtype)
    stored = (values.astype(np.int64) - zero).astype(dtype.replace("u2", "i2").replace("u4", "i4"))
    stored[:, :60] = blank = 0 if dtype == "u1" else np.iinfo(stored.dtype).min
    hdu = fits.PrimaryHDU(np.stack([stored] * 3), WCS_HEADER)
    hdu.writeto(tmp_path / "plain.fits")
    cards = "".join(str(fits.Card(key, value)) for key, value in (("BZERO", zero), ("BLANK", int(blank))))
    raw = (tmp_path / "plain.fits").read_bytes()
    end = raw.index(b"END" + b" " * 77)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.fits").write_bytes(raw[:end] + cards.encode() + raw[end:2720] + raw[2880:])
    if compressed:
        with fits.open(tmp_path / "images" / "a.fits", do_not_scale_image_data=True) as hdus:
            packed = fits.CompImageHDU(hdus[0].data, hdus[0].header, compression_type="RICE_1")
            packed.header["BZERO"], packed.header["BLANK"] = zero, int(blank)
            packed.writeto(tmp_path / "images" / "b.fits")
            (tmp_path / "images" / "a.fits").unlink()
    rows, stamps, _ = run(tmp_path)
    row = next(iter(rows.values()))
    inside = stamps[row["row"]]
    assert (inside[1] == 0).sum(axis=(1, 2)).tolist() == [128 * (60 - 16)] * 3 == [5632] * 3
    expected = values[16:144, 16:144].astype(float)
    good = inside[1, 1] > 0
    offset = (expected - inside[0, 1])[good]
    assert np.ptp(offset) < 1e-3  # the level of the sky


# What cannot be read


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int) -> bytes:
    """Return a PNG file that claims a size and holds a megabyte of zeros."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b"")


def with_value(raw: bytes, **values: str) -> bytes:
    """Return a file in which the cards of some keywords have other values."""
    for key, value in values.items():
        start = raw.index(key.ljust(8).encode() + b"=")
        raw = raw[: start + 10] + value.rjust(20).encode() + raw[start + 30 :]
    return raw


def sip(order: int) -> bytes:
    header = WCS_HEADER.copy()
    header.update(CTYPE1="RA---TAN-SIP", CTYPE2="DEC--TAN-SIP", A_ORDER=order, B_ORDER=order)
    return fits_bytes(np.stack([SKY] * 3), header)


def fits_bytes(data: np.ndarray, header: fits.Header, compressed: bool = False) -> bytes:
    stream = io.BytesIO()
    (fits.CompImageHDU if compressed else fits.PrimaryHDU)(data, header).writeto(stream)
    return stream.getvalue()


def unreadable() -> dict[str, tuple[bytes, str]]:
    """Return the content of some files that cannot be read, and what the reason must say."""
    cube = np.stack([SKY] * 3)
    good, packed = fits_bytes(cube, WCS_HEADER), fits_bytes(cube, WCS_HEADER, compressed=True)
    zeros = gzip.compress(bytes(2**24))
    picture = bytearray(png(64, 64))
    picture[37:41] = b"\x00\xffQQ"
    return {
        "claims.fits": (with_value(good, NAXIS1="2147483648", NAXIS2="100000000"), "2147483648 x 100000000 x 3 pixels"),
        "packed.fits.gz": (gzip.compress(with_value(good, NAXIS1="2147483648")), "2147483648 x 161 x 3 pixels"),
        "long.fits": (with_value(good, NAXIS1="16100"), "truncated: HDU 0 needs"),
        "negative.fits": (with_value(good, NAXIS1="-161"), "NAXIS1 is -161"),
        "axes.fits": (with_value(good, NAXIS="999"), "NAXIS is 999"),
        "bits.fits": (with_value(good, BITPIX="7"), "BITPIX is 7"),
        "zaxis.fits": (with_value(packed, ZNAXIS1="2147483648"), "2147483648 x 161 x 3 pixels"),
        "zaxes.fits": (with_value(packed, ZNAXIS="200"), "ZNAXIS is 200"),
        "ztile.fits": (with_value(packed, ZTILE1="0"), r"ZTILE1, \.\.\. are \[0"),
        "ztiles.fits": (with_value(packed, ZTILE1="1"), "77763 tiles .* and 483 rows"),
        "sip.fits": (sip(10**6), "A_ORDER is 1000000"),
        "zeros.fits.gz": (zeros * 400, "expected a FITS file"),
        "endless.fits.gz": (
            gzip.compress(good[:800]) + gzip.compress(b" " * 2**24) * 400,
            "header of HDU 0 has no end",
        ),
        "short.fits.xz": (lzma.compress(good)[:3000], "readable"),
        "other.fits.zst": (b"(\xb5/\xfd", "ending .zst are not unpacked"),
        "picture.tif": (b"II*\0", "ending .tif are not read"),
        "wavelet.J2K": (b"", "ending .J2K are not read"),
        "new.avif": (b"", "ending .avif are not read"),
        "tree.asdf": (b"#ASDF", "ending .asdf are not read"),
        "photo.heic": (b"", "ending .heic are not read"),
        "web.webp": (b"RIFF", "ending .webp are not read"),
        "faint.fits": (fits_bytes(cube * np.float32(1e-25), WCS_HEADER), "the noise of its pixels is .*e-27; expected"),
        "page.fits": (b"<html><title>404</title>", "an HTML page"),
        "none.fits": (b"", "it is empty"),
        "large.png": (png(14_000, 14_000), "pixels; at most 100 million"),
        "huge.png": (png(60_000, 60_000), "pixels; at most 100 million"),
        "broken.png": (bytes(picture), "readable image"),
        "chunk.png": (png(64, 64).replace(b"IDAT", b"ID\xff\xfe"), "readable image"),
    }


def test_one_bad_image_stops_nothing(tmp_path: Path) -> None:
    write_cube(tmp_path / "images" / "good.fits")
    bad = unreadable()
    for name, (content, _) in bad.items():
        (tmp_path / "images" / name).write_bytes(content)
    (tmp_path / "images" / "dangling.fits").symlink_to("nowhere.fits")
    (tmp_path / "images" / "round.fits").symlink_to("round.fits")
    os.mkfifo(tmp_path / "images" / "pipe.fits")
    texts = {name.split(".")[0]: text for name, (_, text) in bad.items()}
    texts |= {"dangling": "a link to a file that does not exist", "round": "readable", "pipe": "it is no regular file"}
    rows, _, manifest = run(tmp_path)
    found = flags(rows)
    assert found.pop("good") == []
    assert set(found) == set(texts)
    assert all("BAD_TILE" in names for names in found.values())
    for name, text in texts.items():
        assert f"images/{name}." in reasons(manifest)[name]
        assert re.search(text, reasons(manifest)[name]), (name, reasons(manifest)[name])


def test_trailing_zeros_of_a_packed_file_are_not_unpacked(tmp_path: Path) -> None:
    """Seven gigabytes after the last HDU, which would take minutes."""
    raw = fits_bytes(np.stack([SKY] * 3), WCS_HEADER)
    (tmp_path / "a.fits.gz").write_bytes(gzip.compress(raw) + gzip.compress(bytes(2**24)) * 400)
    np.testing.assert_array_equal(read_band(tmp_path / "a.fits.gz", "r", BANDS, combined=True).pixels, SKY)


@pytest.mark.parametrize(("ending", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)])
def test_packed_files_are_read(tmp_path: Path, ending: str, pack: Any) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / f"a.FITS.{ending}").write_bytes(pack(fits_bytes(np.stack([SKY] * 3), WCS_HEADER)))
    rows, _, _ = run(tmp_path)
    assert flags(rows) == {"a": []}
    assert (rows["0/a"]["ra"], rows["0/a"]["dec"]) == pytest.approx((10, 41))


@pytest.mark.parametrize("card", ["EXTNAME = SCI", "FILTER  = r / band", "BUNIT   = nJy", "OBJECT  = M31 nucleus"])
def test_words_without_quotes_are_read(tmp_path: Path, card: str) -> None:
    raw = fits_bytes(np.stack([SKY] * 3), WCS_HEADER)
    end = raw.index(b"END" + b" " * 77)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.fits").write_bytes(raw[:end] + card.ljust(80).encode() + raw[end:2800] + raw[2880:])
    rows, _, _ = run(tmp_path)
    assert flags(rows) == {"a": []}
    assert rows["0/a"]["zero_point"] == pytest.approx(31.4 if "nJy" in card else 22.5)


# Names


def test_names_in_other_scripts_and_encodings_are_kept_apart_and_kept(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    names = {"星系": 10.0, "星云": 11.0, "Галактика": 12.0, os.fsdecode(b"gal\xe9"): 13.0, "a b": 14.0, "a_b": 15.0}
    for name, ra in names.items():
        write_cube(images / f"{name}.fits", header=header_at(ra, 41.0, WIDTH, WIDTH))
    rows, _, _ = run(tmp_path)
    found = {key.split("/")[1]: row for key, row in rows.items()}
    expected = {os.fsencode(name).decode("utf-8", "backslashreplace"): ra for name, ra in names.items()}
    assert {name: row["ra"] for name, row in found.items()} == pytest.approx(expected)
    assert all(decode(row["flags"]) == [] for row in found.values())
    assert len({row["tile"] for row in found.values()}) == len(names)
    assert all(row["tile"].isascii() for row in found.values())


@pytest.mark.parametrize(
    ("on_disk", "in_table"),
    [
        ("星系", "星系.fits"),
        ("星系", "星系"),
        (os.fsdecode(b"gal\xe9"), "galé.fits"),
        ("gale\u0301", "gal\xe9.fits"),
        ("a b", "a b"),
    ],
)
def test_a_table_names_files_in_any_script(tmp_path: Path, on_disk: str, in_table: str) -> None:
    write_cube(tmp_path / "images" / f"{on_disk}.fits")
    pd.DataFrame({"file": [in_table], "name": ["x"]}).to_csv(tmp_path / "t.csv", index=False)
    rows, _, _ = run(tmp_path, table="t.csv")
    assert flags(rows) == {"x": []}
    assert rows["0/x"]["ra"] == pytest.approx(10)


def test_a_line_break_in_a_name_does_not_hide_its_band(tmp_path: Path) -> None:
    for name in ("new\nline-r.fits", "new\nline-r-weight.fits", "new\nline-psf.fits", "new\nline-g_sci.fits"):
        (tmp_path / name).touch()
    found = find_images(tmp_path, ["r"])
    image = found["new_line"]
    assert image.files["r"].name == "new\nline-r.fits"
    assert image.psfs["r"].name == "new\nline-psf.fits"
    assert image.beside["r"]["weight"].name == "new\nline-r-weight.fits"
    assert sorted(found) == ["new_line", "new_line-g_sci"]


# Pictures


def coloured(height: int = 64, width: int = 96) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)


def pictures() -> dict[str, tuple[Picture.Image, dict[str, Any]]]:
    plain = Picture.fromarray(coloured())
    clear = plain.convert("RGBA")
    clear.putalpha(Picture.fromarray(coloured()[..., 0]))
    kinds: dict[str, tuple[Picture.Image, dict[str, Any]]] = {"rgb": (plain, {}), "alpha": (clear, {})}
    for orientation in range(2, 9):
        exif = plain.getexif()
        exif[0x0112] = orientation
        kinds[f"turned {orientation}"] = (plain, {"exif": exif})
    kinds["grey and alpha"] = (clear.convert("LA"), {})
    kinds["palette"] = (plain.quantize(20), {})
    kinds["black and white"] = (plain.convert("1"), {})
    return kinds


@pytest.mark.parametrize("kind", pictures())
def test_both_readers_of_pictures_see_the_same(tmp_path: Path, kind: str) -> None:
    picture, options = pictures()[kind]
    picture.save(tmp_path / "a.png", **options)
    with Picture.open(tmp_path / "a.png") as opened:
        upright = ImageOps.exif_transpose(opened).convert("RGBA")
    black = Picture.new("RGBA", upright.size, (0, 0, 0, 255))
    expected = np.asarray(Picture.alpha_composite(black, upright).convert("RGB"), dtype=float)[::-1]
    image = read_band(tmp_path / "a.png", "r", ["r"], combined=True).pixels
    np.testing.assert_allclose(image, expected.mean(axis=-1), atol=0.5)
    np.testing.assert_allclose(brightness_of(tmp_path / "a.png")[0] * 255, expected.mean(axis=-1), atol=0.5)
    if kind in {"rgb", "alpha"} or kind.startswith("turned"):
        blue = read_band(tmp_path / "a.png", "g", BANDS, combined=True).pixels
        np.testing.assert_array_equal(blue, expected[..., 2])


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_white_of_a_grey_picture_of_16_bits_is_that_of_its_camera(tmp_path: Path, bits: int) -> None:
    values = np.linspace(0, 2**bits - 1, 64 * 64).round().reshape(64, 64).astype(np.uint16)
    Picture.fromarray(values).save(tmp_path / "a.png")
    np.testing.assert_allclose(brightness_of(tmp_path / "a.png")[0], values[::-1] / (2**bits - 1), atol=1e-5)
    np.testing.assert_array_equal(read_band(tmp_path / "a.png", "r", BANDS, combined=True).pixels, values[::-1])


def test_colours_of_12_bits_in_16_are_refused_and_those_of_16_are_read(tmp_path: Path) -> None:
    for name, largest in (("twelve", 2**12), ("sixteen", 2**16)):
        values = np.random.default_rng(4).integers(0, largest, (40, 50, 3)).astype(">u2")
        lines = b"".join(b"\0" + line.tobytes() for line in values)
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", 50, 40, 16, 2, 0, 0, 0))
        (tmp_path / f"{name}.png").write_bytes(
            b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
        )
    assert np.abs(brightness_of(tmp_path / "sixteen.png")[0] - values[::-1].mean(axis=-1) / 65535).max() < 1 / 255
    with pytest.raises(InputError, match=r"twelve\.png.*colours of 16 bits that reach only 16 of 256"):
        read_band(tmp_path / "twelve.png", "r", BANDS, combined=True)


def grey_with_transparency(values: np.ndarray) -> bytes:
    """Return a PNG of 16 bits with opaque grey pixels."""
    pairs = np.stack([values, np.full_like(values, 65535)], axis=-1).astype(">u2")
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *values.shape[::-1], 16, 4, 0, 0, 0))
    lines = b"".join(b"\0" + line.tobytes() for line in pairs)
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def test_grey_of_12_bits_with_transparency_is_refused_and_that_of_16_is_read(tmp_path: Path) -> None:
    values = np.random.default_rng(4).integers(0, 2**12, (40, 50), dtype=np.uint16)
    (tmp_path / "twelve.png").write_bytes(grey_with_transparency(values))
    (tmp_path / "sixteen.png").write_bytes(grey_with_transparency(values * 16))
    image = read_band(tmp_path / "sixteen.png", "r", ["r"], combined=True).pixels
    np.testing.assert_allclose(image, values[::-1] / 16, atol=1)
    with pytest.raises(InputError, match=r"twelve\.png.*grey with transparency of 16 bits that reach only 16 of 256"):
        read_band(tmp_path / "twelve.png", "r", ["r"], combined=True)


@pytest.mark.parametrize("ending", ["jfif", "jpe", "JFIF"])
def test_other_endings_of_jpeg_are_read(tmp_path: Path, ending: str) -> None:
    (tmp_path / "images").mkdir()
    picture = Picture.fromarray(coloured())
    picture.save(tmp_path / "images" / f"a.{ending}", format="JPEG")
    with Picture.open(tmp_path / "images" / f"a.{ending}") as opened:
        blue = np.asarray(opened.convert("RGB"))[::-1, :, 2]
    path = find_images(tmp_path / "images", BANDS)["a"].files["g"]
    np.testing.assert_array_equal(read_band(path, "g", BANDS, combined=True).pixels, blue)


def test_images_in_sub_folders_are_named_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    images = tmp_path / "images"
    (images / "more" / "deep").mkdir(parents=True)
    for name in ("more/b.fits", "more/deep/c.png", "more/b-psf.fits", "more/notes.txt"):
        (images / name).touch()
    with pytest.raises(
        ConfigurationError, match=r"no FITS, PNG or JPEG image; there are 2 in sub-folders.*more/b\.fits"
    ):
        check(tmp_path)
    write_cube(images / "a.fits")
    check(tmp_path)
    assert re.search(r"images in sub-folders of .* are not read: 2, such as .*more/b\.fits; move", caplog.text)


# The scale of Pan-STARRS


def packed_by_asinh(values: np.ndarray, softening: float, offset: float) -> tuple[np.ndarray, fits.Header]:
    stored = 2.5 * np.log10(np.e) * np.arcsinh((values.astype(float) - offset) / (2 * softening))
    return stored.astype(np.float32), fits.Header({"BSOFTEN": softening, "BOFFSET": offset})


def test_the_inverse_hyperbolic_sine_of_pan_starrs_is_undone(tmp_path: Path) -> None:
    variance = np.random.default_rng(2).uniform(0.5, 2.0, SKY.shape)
    image, weight = packed_by_asinh(SKY, 10.0, 2.0), packed_by_asinh(variance, 0.3, -0.1)
    fits.HDUList([fits.PrimaryHDU(*image), fits.ImageHDU(*weight, name="VAR")]).writeto(tmp_path / "a.fits")
    fits.writeto(tmp_path / "b.fits", *image)
    fits.writeto(tmp_path / "b-var.fits", *weight)
    for name, beside in (("a", {}), ("b", {"variance": tmp_path / "b-var.fits"})):
        found = read_band(tmp_path / f"{name}.fits", "r", ["r"], combined=False, beside=beside)
        np.testing.assert_allclose(found.pixels, SKY, rtol=1e-5, atol=1e-4)
        assert found.weights is not None
        np.testing.assert_allclose(found.weights, 1 / variance, rtol=1e-4)


@pytest.mark.parametrize(("key", "value"), [("BSOFTEN", "ten"), ("BSOFTEN", 0.0), ("BOFFSET", None)])
def test_a_broken_scale_of_pan_starrs_is_refused_by_keyword(tmp_path: Path, key: str, value: Any) -> None:
    header = fits.Header({"BSOFTEN": 10.0, "BOFFSET": 0.0} | {key: value})
    fits.writeto(tmp_path / "a.fits", SKY, header)
    with pytest.raises(InputError, match=r"a\.fits.*BSOFTEN and BOFFSET are .*; expected a positive number"):
        read_band(tmp_path / "a.fits", "r", ["r"], combined=False)


# Images without usable pixels


@pytest.mark.parametrize("located", [True, False])
def test_images_without_usable_pixels_have_a_flag_that_says_so(tmp_path: Path, located: bool) -> None:
    images, header = tmp_path / "images", WCS_HEADER if located else None
    write_cube(images / "tiny.fits", pixels(20, 20), header_at(10.0, 41.0, 20, 20) if located else None)
    write_cube(images / "nan.fits", np.full_like(SKY, np.nan), header)
    bands = [extension(SKY, band, header) for band in BANDS]
    write(images / "weightless.fits", *bands, extension(np.zeros_like(SKY), "WHT", None))
    write(images / "masked.fits", *bands, extension(np.ones(SKY.shape, np.int16), "MASK", None))
    write(images / "infinite.fits", *bands, extension(np.full_like(SKY, np.inf), "VARIANCE", None))
    rows, stamps, _ = run(tmp_path, pixel_scale=0.4)
    position = [] if located else ["NO_POSITION"]
    blank = [*position, "NO_VALID_PIXELS"]
    few = [*position, "TOO_FEW_PIXELS"]
    assert flags(rows) == {"tiny": few, "nan": blank, "weightless": blank, "masked": blank, "infinite": blank}
    assert not stamps.any()


def test_sources_beyond_a_blank_image_are_outside(tmp_path: Path) -> None:
    write_cube(tmp_path / "images" / "nan.fits", np.full_like(SKY, np.nan))
    pd.DataFrame({"ra": [10.0, 10.1], "dec": [41.0, 41.0], "name": ["on", "off"]}).to_csv(
        tmp_path / "t.csv", index=False
    )
    rows, _, _ = run(tmp_path, table="t.csv")
    assert flags(rows) == {"on": ["NO_VALID_PIXELS"], "off": ["OUTSIDE_TILES"]}


def test_a_band_that_is_named_twice_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"survey\.folder\.bands.*'r', 'r'.*r more than once"):
        shards(tmp_path, bands=["r", "r"])


def test_the_pixel_scale_of_the_header_goes_before_that_of_the_configuration(tmp_path: Path) -> None:
    for name, cards in (
        ("a", {"PIXSCALE": 0.3}),
        ("b", {"SECPIX1": 0.5, "SECPIX2": 0.5}),
        ("c", {"PIXSCALE": 25.0}),
        ("d", {}),
    ):
        write_cube(tmp_path / "images" / f"{name}.fits", header=fits.Header(cards))
    rows, _, _ = run(tmp_path, pixel_scale=0.4)
    scales = {row["name"]: row["pixel_scale"] for row in rows.values()}
    assert scales == pytest.approx({"a": 0.3, "b": 0.5, "c": 0.4, "d": 0.4}, rel=1e-4)
