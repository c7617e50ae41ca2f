"""Hypothesis strategies for image files: FITS of many layouts, pictures, and damaged bytes."""

import bz2
import gzip
import io
import lzma
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.io import fits
from hypothesis import strategies as st
from PIL import Image as Picture

from helpers.small_images import header_at, pixels

ALL_BANDS = ["g", "r", "i"]
PACKERS = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
NOISE_NAMES = {"weight": ("WHT", "INVVAR", "WEIGHT"), "variance": ("VAR", "VARIANCE"), "error": ("ERR", "RMS", "SIGMA")}
MASK_NAMES = ("MASK", "MSK", "DQ", "BPM", "FLAGS")
UNUSED_NAMES = ("SEGM", "CTX", "VAR_POISSON", "VAR_RNOISE", "MODEL", "EXPTIME", "COVERAGE", "BKG")


@dataclass
class FitsFile:
    """A file, and what is in it by construction.

    Attributes
    ----------
    bands : list of str
    pixels : dict
        Band -> float64 (H, W), NaN where the file says that there are no data.
    weights : dict or None
        Band -> inverse variances (H, W).
    content : bytes
    ending : str
    """

    bands: list[str]
    pixels: dict[str, np.ndarray]
    weights: dict[str, np.ndarray] | None
    content: bytes
    ending: str


@st.composite
def stored_numbers(draw: Any, shape: tuple[int, int]) -> tuple[np.ndarray, dict[str, float], np.ndarray]:
    """Return numbers as they stand in a file, the cards of their scale, and the values that they mean (FITS 4.0, 4.4.2.5)."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["u1", "i2", "i4", "i8", "f4", "f8"]))
    if kind.startswith("f"):
        values = random.normal(0, 10, shape).astype(kind)
        values[random.random(shape) < draw(st.sampled_from([0, 0.1]))] = np.nan
        return values, {}, values.astype(float)
    limits = np.iinfo(kind)
    stored = random.integers(max(limits.min, -(2**40)), min(limits.max, 2**40), shape, dtype=kind, endpoint=True)
    bits = 8 * stored.itemsize
    cards: dict[str, float] = draw(
        st.sampled_from([{}, {"BSCALE": 0.5, "BZERO": -7}, {"BZERO": -128 if kind == "u1" else 2 ** (bits - 1)}])
    )
    if draw(st.booleans()):
        cards = cards | {"BLANK": draw(st.sampled_from([0, 7, int(limits.min), int(limits.max)]))}
        stored[random.random(shape) < 0.2] = cards["BLANK"]
    exact = stored.astype(object) * (1 if "BSCALE" not in cards else 0.5) + int(cards.get("BZERO", 0))
    values = exact.astype(float)
    values[stored == cards.get("BLANK", np.nan)] = np.nan
    return stored, cards, values


def hdu_bytes(stored: np.ndarray, cards: dict[str, Any], first: bool) -> bytes:
    """Return an HDU with numbers and cards as they are, which astropy would convert."""
    kind = fits.PrimaryHDU if first else fits.ImageHDU
    header = kind(np.zeros(stored.shape, stored.dtype) if stored.dtype != np.int8 else stored).header
    for key in ("BZERO", "BSCALE"):
        header.remove(key, ignore_missing=True)
    header.update(cards)
    data = stored.astype(stored.dtype.newbyteorder(">")).tobytes()
    return header.tostring().encode() + data + bytes(-len(data) % 2880)


@st.composite
def fits_files(draw: Any) -> FitsFile:
    """Return a FITS file with one to three bands in any layout, with or without mask, noise, PSF and unused images."""
    shape = draw(st.integers(2, 40)), draw(st.integers(2, 40))
    bands = draw(st.permutations(ALL_BANDS))[: draw(st.integers(1, 3))]
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    layout = draw(st.sampled_from(["cube", "deep cube", "flat cube", "named", "marked", "science", "in order"]))
    wcs = dict(header_at(10, 41, shape[1], shape[0])) if draw(st.booleans()) else {}
    hdus: list[tuple[np.ndarray, dict[str, Any]]] = []
    if "cube" in layout:
        stored, cards, values = draw(stored_numbers((len(bands) * shape[0], shape[1])))
        planes = stored.reshape(len(bands), *shape)
        layouts = {"cube": planes, "deep cube": planes[None], "flat cube": planes[..., None]}
        hdus.append((layouts[layout], cards | wcs))
        found = dict(zip(bands, values.reshape(planes.shape), strict=True))
    else:
        found = {}
        for band in bands:
            stored, cards, found[band] = draw(stored_numbers(shape))
            name = {"named": {"EXTNAME": band.upper()}, "marked": {"BAND": band}, "science": {"EXTNAME": f"SCI_{band}"}}
            hdus.append((stored, cards | wcs | name.get(layout, {})))
    others: list[tuple[np.ndarray, dict[str, Any]]] = []
    for band, bad in _of_bands(
        draw, bands, lambda: (random.random(shape) < 0.1).astype(draw(st.sampled_from(["u1", "i2", "i4"])))
    ):
        name = draw(st.sampled_from(MASK_NAMES))
        others.append((bad, {"EXTNAME": name + (f"_{band}" if band else "")}))
        for one in [band] if band else bands:
            found[one] = np.where(bad != 0, np.nan, found[one])
    role, weights = draw(st.sampled_from(list(NOISE_NAMES))), {}
    for band, noise in _of_bands(draw, bands, lambda: random.uniform(-1, 3, shape).astype("f4")):
        name = draw(st.sampled_from(NOISE_NAMES[role]))
        others.append((noise, {"EXTNAME": name + (f"_{band}" if band else "")}))
        power = {"weight": 1, "variance": -1, "error": -2}[role]
        with np.errstate(divide="ignore"):
            value = noise if power == 1 else np.where(noise > 0, noise.astype(float) ** power, 0)
        weights |= dict.fromkeys([band] if band else bands, value)
    others += [
        (random.random(shape), {"EXTNAME": name}) for name in draw(st.lists(st.sampled_from(UNUSED_NAMES), max_size=2))
    ]
    if draw(st.booleans()):
        others.append((random.random((9, 9)), {"EXTNAME": "PSF"}))
    for other in others:
        hdus.insert(draw(st.integers(0, len(hdus))), other)
    if draw(st.booleans()):
        hdus.insert(0, (np.empty(0), {}))
    content = b"".join(hdu_bytes(stored, cards, first=number == 0) for number, (stored, cards) in enumerate(hdus))
    packed = draw(st.sampled_from(list(PACKERS)))
    return FitsFile(bands, found, weights or None, PACKERS[packed](content), f".fits{packed}")


def _of_bands(draw: Any, bands: list[str], make: Any) -> list[tuple[str, np.ndarray]]:
    """Return nothing, one image for all bands (named ""), or one for each."""
    names = draw(st.sampled_from([[], [""], bands]))
    return [(name, make()) for name in names]


@dataclass
class Damaged:
    """A file of which some bytes were changed.

    Attributes
    ----------
    name : str
    content : bytes
    """

    name: str
    content: bytes


def _of_fits(data: np.ndarray, compression: str = "") -> bytes:
    stream, header = io.BytesIO(), header_at(10, 41, data.shape[2], data.shape[1])
    if compression:
        fits.CompImageHDU(data, header, compression_type=compression).writeto(stream)
    else:
        fits.PrimaryHDU(data, header).writeto(stream)
    return stream.getvalue()


def _of_picture(kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    values = np.random.default_rng(6).integers(0, 256, (150, 140, 3)).astype(np.uint8)
    Picture.fromarray(values).save(stream, kind, **options)
    return stream.getvalue()


def good_files() -> dict[str, bytes]:
    """Return the content of some files that are read, each an image of three bands."""
    sky = np.stack([pixels(150, 140, seed=k) for k in range(3)])
    whole = (100 * sky).astype(np.int16)
    plain = _of_fits(sky)
    return {
        "plain.fits": plain,
        "whole.fits": _of_fits(whole),
        "rice.fits": _of_fits(whole, "RICE_1"),
        "quantized.fits": _of_fits(sky, "RICE_1"),
        "gzip.fits": _of_fits(whole, "GZIP_1"),
        "gzip2.fits": _of_fits(whole, "GZIP_2"),
        "hcompress.fits": _of_fits(whole[:1], "HCOMPRESS_1"),
        "plio.fits": _of_fits(np.abs(whole), "PLIO_1"),
        "packed.fits.gz": gzip.compress(plain),
        "packed.fits.xz": lzma.compress(plain),
        "packed.fits.bz2": bz2.compress(plain),
        "picture.png": _of_picture("PNG"),
        "picture.jpg": _of_picture("JPEG"),
    }


NASTY = [
    "",
    "T",
    "-1",
    "0",
    "1",
    "2",
    "999",
    "65536",
    "2147483648",
    "99999999999999999999",
    "1.5",
    "1E400",
    "nan",
    "'x",
    "'x'",
    "RICE",
]
KEYS = [
    "SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "NAXIS3", "CTYPE1", "CTYPE2", "CRPIX1", "CRVAL1", "CDELT1", "WCSAXES", "ZNAXIS",
    "ZNAXIS1", "ZNAXIS2", "ZTILE1", "ZTILE2", "ZBITPIX", "ZCMPTYPE", "ZNAME1", "ZVAL1", "ZVAL2", "ZQUANTIZ", "ZDITHER0", "PCOUNT",
    "GCOUNT", "TFIELDS", "TFORM1", "TTYPE1", "TTYPE2", "THEAP", "XTENSION", "EXTEND", "ZIMAGE", "CUNIT1", "LONPOLE", "RADESYS",
]  # fmt: skip


@st.composite
def damaged_files(draw: Any, files: dict[str, bytes]) -> Damaged:
    """Return one of some files with bytes changed, cut, put in or left out, or a card with another value."""
    name = draw(st.sampled_from(sorted(files)))
    raw = bytearray(files[name])
    for _ in range(draw(st.integers(1, 3))):
        how = draw(st.sampled_from(["change", "cut", "insert", "drop", "card", "card", "zeros"]))
        place = draw(st.one_of(st.integers(0, max(len(raw) - 1, 0)), st.integers(0, min(len(raw), 6000))))
        if how == "change" and raw:
            raw[min(place, len(raw) - 1)] = draw(st.integers(0, 255))
        elif how == "cut":
            del raw[place:]
        elif how == "insert":
            raw[place:place] = draw(st.binary(min_size=1, max_size=80))
        elif how == "drop":
            del raw[place : place + draw(st.sampled_from([1, 80, 2880]))]
        elif how == "zeros":
            raw[place : place + 400] = bytes(len(raw[place : place + 400]))
        else:
            key = draw(st.sampled_from([key for key in KEYS if key.ljust(8).encode() + b"=" in raw] or [""]))
            if key:
                start = raw.index(key.ljust(8).encode() + b"=")
                raw[start + 10 : start + 80] = draw(st.sampled_from(NASTY)).rjust(20).ljust(70).encode()
    return Damaged(name, bytes(raw))


@st.composite
def pictures(draw: Any) -> tuple[Picture.Image, str, dict[str, Any]]:
    """Return a picture of any mode, the ending of its file, and how to save it."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    mode = draw(st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16"]))
    if mode == "I;16":
        picture = Picture.fromarray(random.integers(0, 2**16, shape).astype(np.uint16))
    else:
        picture = Picture.fromarray(random.integers(0, 256, (*shape, 4)).astype(np.uint8), "RGBA")
        picture = (
            picture
            if mode == "RGBA"
            else picture.convert("RGB").convert(mode)
            if mode in {"CMYK", "YCbCr"}
            else picture.convert(mode)
        )
    jpeg = mode in {"CMYK", "YCbCr"} or (mode in {"L", "RGB"} and draw(st.booleans()))
    options: dict[str, Any] = {}
    if orientation := draw(st.integers(0, 8)):
        exif = picture.getexif()
        exif[0x0112] = orientation
        options["exif"] = exif
    if mode == "P" and draw(st.booleans()):
        options["transparency"] = draw(st.integers(0, 255))
    if not jpeg and draw(st.booleans()):
        options["optimize"] = True
    return (
        picture,
        draw(st.sampled_from([".jpg", ".JPEG"])) if jpeg else draw(st.sampled_from([".png", ".PNG"])),
        options,
    )


def png_of_size(width: int, height: int) -> bytes:
    """Return a PNG file that claims a size and holds a megabyte of zeros."""
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(10**6))),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, data) for kind, data in parts)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
