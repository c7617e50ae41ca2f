"""Is a file what it should be: structure and checksums of FITS, and what came instead."""

import bz2
import gzip
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from tuningfork.surveys.transfer.attempts import AttemptError
from tuningfork.surveys.transfer.fits_walk import ones_sum
from tuningfork.surveys.transfer.verify import verify_fits


def fits_bytes(size: int, seed: int = 1) -> bytes:
    """Return an image with checksums after an empty primary HDU."""
    pixels = np.random.default_rng(seed).normal(size=(size, size)).astype(np.float32)
    buffer = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(pixels)]).writeto(buffer, checksum=True)
    return buffer.getvalue()


WHOLE = fits_bytes(200)
PACKINGS: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "plain": (bytes, bytes),
    "gzip": (gzip.compress, gzip.decompress),
    "bzip2": (bz2.compress, bz2.decompress),
}


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_flipped_or_missing_byte_anywhere_is_found(tmp_path: Path, packing: str) -> None:
    pack, unpack = PACKINGS[packing]
    content = fits_bytes(20)
    whole, path = pack(content), tmp_path / "f"
    path.write_bytes(whole)
    verify_fits(path)
    rng, harmless = np.random.default_rng(5), 0
    for place in rng.integers(0, len(whole), 150).tolist():
        spoilt = whole[:place] + bytes([whole[place] ^ (1 << int(rng.integers(8)))]) + whole[place + 1 :]
        path.write_bytes(spoilt)
        try:
            verify_fits(path)
        except AttemptError:
            continue
        # A few bits say nothing of the content: those of a packed file's end, or of the word CHECKSUM itself.
        assert np.array_equal(fits.getdata(io.BytesIO(unpack(spoilt)), 1), fits.getdata(io.BytesIO(content), 1))
        harmless += 1
    assert harmless < 5
    for length in rng.integers(0, len(whole), 50).tolist():
        path.write_bytes(whole[:length])
        with pytest.raises(AttemptError):
            verify_fits(path)


def layouts() -> Iterator[fits.HDUList]:
    rng = np.random.default_rng(2)
    pixels = rng.normal(size=(31, 47))
    yield fits.HDUList([fits.PrimaryHDU((pixels * 100).astype(np.int16)), fits.ImageHDU(pixels)])
    yield fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(pixels.astype(np.float32), compression_type="RICE_1")])
    names = [np.array(["a" * int(k)]) for k in rng.integers(0, 50, 7)]
    strings = fits.Column("s", "PA()", array=np.array([n[0] for n in names], dtype=object))
    numbers = fits.Column("n", "3J", array=rng.integers(0, 9, (7, 3)))
    yield fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns([strings, numbers]), fits.ImageHDU()])
    yield fits.HDUList(
        [fits.GroupsHDU(fits.GroupData(rng.normal(size=(4, 3, 2)), parnames=["p"], pardata=[np.ones(4)]))]
    )
    long = fits.PrimaryHDU()
    for number in range(300):
        long.header[f"KEY{number}"] = number
    yield fits.HDUList([long])


@pytest.mark.parametrize("hdus", list(layouts()), ids=["images", "fpacked", "tables", "groups", "long header"])
def test_the_structure_and_sums_of_astropy_are_accepted(tmp_path: Path, hdus: fits.HDUList) -> None:
    path = tmp_path / "f.fits"
    hdus.writeto(path, checksum=True)
    verify_fits(path)
    whole = path.read_bytes()
    with fits.open(path, checksum=True) as again:
        places = [(hdu._header_offset, hdu._data_offset) for hdu in again]
    for header, data in places:
        for place in {header + 130, min(data + 5, len(whole) - 1)}:
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            with pytest.raises(AttemptError):
                verify_fits(path)


def test_old_checksums_can_be_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "f.fits"
    path.write_bytes(WHOLE[:-3000] + b"changed!" + WHOLE[-2992:])
    with pytest.raises(AttemptError, match="DATASUM"):
        verify_fits(path)
    verify_fits(path, sums=False)


def test_real_files_pass_and_the_truncated_one_does_not(real_data: Path) -> None:
    files = [path for path in (real_data / "decals_fits").rglob("*.fits*") if "TRUNCATED" not in path.name]
    files += list((real_data / "sdss_dr8_frame_crop").rglob("*.fit*"))
    assert len(files) > 8
    for path in files:
        verify_fits(path)
    with pytest.raises(AttemptError, match="truncated: 773836 bytes are missing in HDU 0"):
        verify_fits(real_data / "decals_fits/zooniverse_decals/example_incomplete_TRUNCATED.fits")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "got nothing"),
        (b"<!DOCTYPE html><html><head><title>Down\n today</title>", r"got an HTML page \(Down today\)"),
        (b'<?xml version="1.0"?><VOTABLE/>', "got an XML document"),
        (b'{"error": 1}', "got a JSON document"),
        (b"not FITS at all", "got something else"),
        (b"SIMPLE  =                    T", "no end"),
        (gzip.compress(b"<html>", mtime=0), "got "),
    ],
)
def test_what_came_instead_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "f"
    path.write_bytes(content)
    with pytest.raises(AttemptError, match=reason):
        verify_fits(path)


def header(**cards: object) -> bytes:
    lines = [f"{key:8s}= {value!s:>20}".ljust(80) for key, value in cards.items()] + ["END".ljust(80)]
    return "".join(lines).ljust(2880).encode()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (header(SIMPLE="T", BITPIX=8, NAXIS=1, NAXIS1=10**15), "the limit is"),
        (header(SIMPLE="T", BITPIX=9, NAXIS=0), "impossible"),
        (header(SIMPLE="T", BITPIX=8, NAXIS=2, NAXIS1=3), "does not describe its data"),
        (header(SIMPLE="T", BITPIX=8, NAXIS=1, NAXIS1=-1), "impossible"),
        (header(SIMPLE="T", BITPIX="x", NAXIS=0), "does not describe its data"),
        (header(SIMPLE="T", BITPIX=8, NAXIS=0) + b"garbage".ljust(2880), "bytes that are not an HDU"),
    ],
)
def test_headers_that_lie_are_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "f"
    path.write_bytes(content)
    with pytest.raises(AttemptError, match=reason):
        verify_fits(path)


@pytest.mark.parametrize("blocks", [1, 7, 2000])
def test_sums_are_those_of_astropy(blocks: int) -> None:
    data = np.random.default_rng(blocks).integers(0, 256, blocks * 2880, dtype=np.uint8)
    assert ones_sum(data.tobytes()) == fits.ImageHDU()._compute_checksum(data)
