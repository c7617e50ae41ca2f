"""Pictures made for the eye: what is recovered from them, and what any file can do to the reader."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tuningfork.core.files import as_text
from tuningfork.pictures.read import brightness_of, files_of, read_picture
from tuningfork.stamps.picture.psf import psf_width
from tuningfork.stamps.picture.stamp import GALAXY_RADIUS, sky_of, stamp_of
from tuningfork.stamps.picture.stretch import UNKNOWN_STRETCH, unstretch
from tuningfork.training.sets.pictures import as_pictures, as_seen_in_a_picture

SIDE = 256
SDSS = 8.0
"""Q of the pictures that are drawn here."""


def disc(side: int = SIDE, scale: float = 14.0, ratio: float = 0.7, shift: tuple[float, float] = (0.0, 0.0)):
    """Return the light of a bright exponential disc whose centre lies `shift` (x, y) from the picture's middle."""
    y, x = np.indices((side, side)) - (side - 1) / 2
    x, y = x - shift[0], y - shift[1]
    return 3 * np.exp(-np.hypot(x, y / ratio) / scale)


def picture_of(light: np.ndarray, black: float = 0.0, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """Return a grey 8-bit picture (Lupton+ 2004) of light in noise, with the sky at `black`; row 0 at the top."""
    light = light + np.random.default_rng(seed).normal(0, noise, light.shape) + black
    brightness = np.arcsinh(SDSS * np.maximum(light, 0)) / SDSS
    return np.round(255 * np.clip(brightness, 0, 1)).astype(np.uint8)[::-1]


def seen(picture: np.ndarray):
    return stamp_of(unstretch(picture[::-1] / 255, SDSS))


def lupton(light: np.ndarray, stretch: float, sky: float) -> np.ndarray:
    """Return a coloured picture (H, W, 3) as of Lupton+ (2004), whose sky has this brightness; row 0 at the top."""
    rng = np.random.default_rng(3)
    channels = light[..., None] * np.array([1.3, 1.0, 0.7]) + rng.normal(0, 0.02, (*light.shape, 3))
    mean = np.maximum(channels.mean(axis=-1, keepdims=True), 1e-9)
    shown = channels * np.arcsinh(stretch * mean) / (stretch * mean) + sky
    return np.round(255 * np.clip(shown, 0, 1)).astype(np.uint8)[::-1]


@pytest.mark.parametrize(
    ("stretch", "sky"), [(8.0, 0.01), (6.2, 0.065), (4.47, 0.127)], ids=["SDSS", "Galaxy Zoo DECaLS", "Legacy viewer"]
)
def test_the_usual_makers_of_pictures_are_told_apart_by_their_skies(stretch: float, sky: float, tmp_path) -> None:
    light = disc(200, 14.0, 1.0)
    Image.fromarray(lupton(light, stretch, sky)).save(tmp_path / "coloured.png")
    Image.fromarray(lupton(light, stretch, sky).mean(axis=-1).astype(np.uint8)).save(tmp_path / "grey.png")
    coloured, grey = (read_picture(tmp_path / f"{name}.png") for name in ("coloured", "grey"))
    assert coloured.stretch == stretch
    assert grey.stretch == UNKNOWN_STRETCH
    # Of an exponential disc half of the light lies within 1.68 scale lengths.
    assert coloured.stamp.r50 == pytest.approx(1.68 * 14, rel=0.1)


def test_sizes_of_sdss_pictures_that_were_scaled_to_one_size_agree(real_data) -> None:
    pictures = sorted((real_data / "gz1_stamps" / "images").iterdir())[::20]
    readings = [read_picture(path) for path in pictures]
    sizes = np.array([reading.size_factor * reading.stamp.r90 for reading in readings])
    assert np.median(sizes) == pytest.approx(50, rel=0.06)
    low, high = np.nanpercentile(sizes, [16, 84])
    assert (high - low) / 2 / np.nanmedian(sizes) < 0.16


@pytest.mark.parametrize("black", [-0.01, 0.0, 0.04])
def test_sky_survives_a_cut_at_black(black: float) -> None:
    noise = 0.02
    level, found = sky_of(unstretch(picture_of(disc(), black, noise)[::-1] / 255, SDSS))
    assert level == pytest.approx(black, abs=0.004)
    assert found == pytest.approx(noise, rel=0.25)


def test_size_and_centre_are_those_of_the_disc() -> None:
    stamp = seen(picture_of(disc(shift=(5.0, -3.0)), 0.03, 0.01))
    round_disc = seen(picture_of(disc(ratio=1.0), 0.03, 0.01))
    assert (stamp.x, stamp.y) == pytest.approx(((SIDE - 1) / 2 + 5, (SIDE - 1) / 2 - 3), abs=0.1)
    # Within two Petrosian radii lies 99 % of an exponential disc; half of it within 1.67 scale lengths.
    assert round_disc.r50 == pytest.approx(1.67 * 14, rel=0.04)
    assert round_disc.r90 == pytest.approx(3.8 * 14, rel=0.05)


def test_size_does_not_depend_on_neighbours_or_on_the_scale_of_the_picture() -> None:
    alone = seen(picture_of(disc(), 0.03, 0.01))
    y, x = np.indices((SIDE, SIDE))
    star = 4 * np.exp(-((x - 190) ** 2 + (y - 120) ** 2) / (2 * 3.0**2))
    assert seen(picture_of(disc() + star, 0.03, 0.01)).r90 == pytest.approx(alone.r90, rel=0.05)
    half = seen(picture_of(disc(SIDE // 2, 7.0), 0.03, 0.01))
    assert half.r90 == pytest.approx(alone.r90 / 2, rel=0.1)
    # Both fill the same part of their stamps.
    assert alone.r90 / alone.step == pytest.approx(half.r90 / half.step) == pytest.approx(GALAXY_RADIUS)
    assert np.abs(alone.image - half.image).max() < 0.1 * alone.image.max()


def test_a_turned_picture_gives_the_turned_stamp() -> None:
    picture = picture_of(disc(shift=(3.0, 2.0)) + disc(scale=4.0, ratio=0.3), 0.03, 0.01)
    stamp, turned = seen(picture), seen(np.rot90(picture))
    assert turned.r90 == pytest.approx(stamp.r90, rel=1e-3)
    assert turned.sky_noise == pytest.approx(stamp.sky_noise, rel=0.05)
    # The centre is the pixel S // 2: turned about it, rows and columns 1 to S - 1 stay.
    assert np.allclose(turned.image[1:, 1:], np.rot90(stamp.image[1:, 1:], -1), atol=0.02 * stamp.image.max())


def test_what_lies_outside_the_picture_is_marked() -> None:
    stamp = seen(picture_of(disc(96, 14.0), 0.03, 0.01))
    assert not stamp.valid.all()
    assert (stamp.image[~stamp.valid] == 0).all()


def test_psf_is_that_of_the_stars() -> None:
    y, x = np.indices((SIDE, SIDE))
    light = disc(scale=8.0)
    for place in ((30, 40), (220, 60), (60, 210)):
        light = light + 1.0 * np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / (2 * 2.5**2))
    brightness = picture_of(light, 0.03, 0.01)[::-1] / 255
    found = psf_width(brightness, unstretch(brightness, SDSS), stamp_of(unstretch(brightness, SDSS)))
    assert found == pytest.approx(2.3548 * 2.5, rel=0.12)


def test_grain_tells_how_far_a_picture_was_enlarged() -> None:
    widths = []
    for side in (128, 64):
        picture = Image.fromarray(picture_of(disc(side, side / 18), 0.05, 0.02))
        brightness = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR))[::-1] / 255
        widths.append(psf_width(brightness, unstretch(brightness, SDSS), stamp_of(unstretch(brightness, SDSS))))
    assert widths[1] == pytest.approx(2 * widths[0], rel=0.25)


def test_training_stamps_come_back_from_a_picture_true_to_scale() -> None:
    rng = np.random.default_rng(1)
    y, x = np.indices((128, 128)) - 64
    galaxy = 60 * np.exp(-np.hypot(x, y / 0.6) / 6) + rng.normal(0, 1, (128, 128))
    images = np.repeat(galaxy[None, None].astype(np.float32), 12, axis=0)
    columns = {"pixel_scale": np.full(12, 0.4), "sky_noise_r": np.ones(12), "psf_fwhm_r": np.full(12, 1.2)}
    as_pictures(images, columns, "r", 0.7, rng)
    changed = columns["sky_noise_r"] != 1
    assert 0 < changed.sum() < 12
    assert np.array_equal(images[~changed][0, 0], galaxy.astype(np.float32))
    assert (columns["pixel_scale"][~changed] == 0.4).all()
    # The image is wider by as much as its pixels are narrower: second moments keep their length in arcsec, but for
    # the stretch, which is not that of the pictures.
    widths = [_width_along_x(image[0]) * scale for image, scale in zip(images, columns["pixel_scale"], strict=True)]
    ratios = np.array(widths)[changed] / (_width_along_x(galaxy) * 0.4)
    assert np.median(ratios) == pytest.approx(1.2, rel=0.2)
    assert np.ptp(np.log(ratios)) < np.log(2.5)
    assert all(stamp.image.shape == (128, 128) for stamp in [as_seen_in_a_picture(galaxy, 1.0, rng)])


def _width_along_x(image: np.ndarray) -> float:
    """Return the width at half maximum of the rows about the centre, in pixels."""
    profile = image[61:68].mean(axis=0)
    return float((profile > profile.max() / 2).sum())


def png(width: int, height: int, rows: bytes, depth: int = 8, colour: int = 0) -> bytes:
    """Return a PNG file by hand, true or not."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)), (b"IDAT", zlib.compress(rows))]
    chunks = [*parts, (b"IEND", b"")]
    body = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def encoded(picture: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


GREY = Image.fromarray(picture_of(disc(64, 5.0), 0.03, 0.01))
BAD = {
    "empty": (b"", "not a JPEG or PNG"),
    "text": (b"no picture", "not a JPEG or PNG"),
    "gif": (encoded(GREY, "GIF"), "not a JPEG or PNG"),
    "cut": (encoded(GREY, "JPEG", quality=95)[:600], "damaged"),
    "garbled": (png(64, 64, b"\x07" * 10), "damaged"),
    "bomb": (png(60_000, 60_000, b""), "at most"),
    "tiny": (encoded(GREY.resize((4, 40)), "PNG"), "at least 8 x 8"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_picture_gives_a_reason(name: str, tmp_path) -> None:
    content, reason = BAD[name]
    path = tmp_path / "file.png"
    path.write_bytes(content)
    reading = read_picture(path, SDSS)
    assert reason in reading.reason
    assert reading.stamp is None


GOOD = {
    "grey": GREY,
    "colour": GREY.convert("RGB"),
    "palette": GREY.convert("P"),
    "transparent": GREY.convert("RGBA"),
    "grey and alpha": GREY.convert("LA"),
    "16 bits": Image.fromarray(np.asarray(GREY).astype(np.uint16) * 257),
}


@pytest.mark.parametrize("name", GOOD)
def test_every_kind_of_picture_shows_the_same_light(name: str, tmp_path) -> None:
    path = tmp_path / "file.png"
    GOOD[name].save(path)
    assert np.abs(brightness_of(path)[0] - np.asarray(GREY)[::-1] / 255).max() < 0.02
    assert read_picture(path, SDSS).stamp is not None


def test_cmyk_exif_and_transparency_are_as_a_viewer_shows_them(tmp_path) -> None:
    expected = np.asarray(GREY)[::-1] / 255
    GREY.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    assert np.abs(brightness_of(tmp_path / "cmyk.jpg")[0] - expected).mean() < 0.02
    turned = GREY.getexif()
    turned[0x0112] = 6
    GREY.rotate(90, expand=True).save(tmp_path / "turned.jpg", exif=turned, quality=95)
    assert np.abs(brightness_of(tmp_path / "turned.jpg")[0] - expected).mean() < 0.02
    clear = GREY.convert("RGBA")
    clear.putalpha(0)
    clear.save(tmp_path / "clear.png")
    assert (brightness_of(tmp_path / "clear.png")[0] == 0).all()


def test_pictures_without_a_galaxy_are_read(tmp_path) -> None:
    for name, picture in {
        "black": np.zeros((90, 120), np.uint8),
        "white": np.full((90, 120), 255, np.uint8),
        "noise": np.random.default_rng(0).integers(0, 40, (90, 120), dtype=np.uint8),
        "small": np.zeros((8, 8), np.uint8),
    }.items():
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
        stamp = read_picture(tmp_path / f"{name}.png", SDSS).stamp
        assert np.isfinite(stamp.image).all()
        assert np.isnan(stamp.r90), name


def test_a_large_picture_is_measured_in_its_own_pixels(tmp_path) -> None:
    Image.fromarray(picture_of(disc(1600, 80.0), 0.03, 0.01)).save(tmp_path / "large.png")
    reading = read_picture(tmp_path / "large.png", SDSS)
    assert reading.binned == 2
    assert reading.stamp.r90 * reading.binned == pytest.approx(3.1 * 80, rel=0.1)


def test_a_folder_lists_everything_but_folders(tmp_path) -> None:
    GREY.save(tmp_path / "b.png")
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "sub").mkdir()
    GREY.save(tmp_path / "sub" / "hidden.png")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / os.fsdecode(b"\xff.png")).write_bytes(b"x")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    files = files_of(tmp_path, (tmp_path / "a.txt",))
    assert [as_text(path.name) for path in files] == ["b.png", "gone.png", "pipe", "\\xff.png"]
    reasons = [read_picture(path, SDSS).reason for path in files]
    assert reasons[0] == ""
    assert all(reasons[1:])
    assert "regular" in reasons[2]
