"""SDSS frames: pixels and noise by rows."""

import bz2
from pathlib import Path

import astropy.units as u
import fitsio
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from tuningfork.core.errors import InputError
from tuningfork.surveys.sdss.camera import DARK_VARIANCE, GAIN, gain_and_dark_variance
from tuningfork.surveys.sdss.frame import Frame


def sky_table(coarse: np.ndarray, across: np.ndarray, along: np.ndarray) -> np.ndarray:
    kind = [("allsky", "f4", coarse.shape), ("xinterp", "f4", across.shape), ("yinterp", "f4", along.shape)]
    table = np.zeros(1, dtype=kind)
    table["allsky"], table["xinterp"], table["yinterp"] = coarse, across, along
    return table


def test_noise_follows_from_the_counts() -> None:
    image = np.zeros((30, 40), dtype=np.float32)
    image[3, 4], image[5, 6] = 0.005 * 900, np.nan
    image[7, 8] = 0.005 * 70_000
    sky = sky_table(np.full((4, 8), 100.0), np.linspace(0, 7, 40), np.linspace(0, 3, 30))
    frame = Frame.of_parts(image, WCS(naxis=2), np.full(40, 0.005, dtype=np.float32), sky)
    pixels, weight = frame.rows(5.0, 1.5)(0, 30)
    np.testing.assert_array_equal(pixels, image)
    assert 1 / np.sqrt(weight[0, 0]) == pytest.approx(0.005 * np.sqrt(100 / 5 + 1.5), rel=1e-4)
    assert 1 / np.sqrt(weight[3, 4]) == pytest.approx(0.005 * np.sqrt(1000 / 5 + 1.5), rel=1e-4)
    assert weight[5, 6] == weight[7, 8] == 0


def test_the_sky_is_interpolated_like_a_plane_is() -> None:
    """Bilinear interpolation is exact for a plane; beyond the coarse image its edge is kept, as by IDL's interpolate."""
    rows, columns = np.indices((20, 30))
    across, along = np.linspace(-0.4, 29.4, 200), np.linspace(0.3, 19.4, 150)
    image, factor = np.zeros((150, 200), dtype=np.float32), np.linspace(0.004, 0.006, 200).astype(np.float32)
    frame = Frame.of_parts(image, WCS(naxis=2), factor, sky_table(100.0 + 3 * rows + 2 * columns, across, along))
    level = 100 + 3 * np.clip(along, 0, 19)[:, None] + 2 * np.clip(across, 0, 29)[None]
    expected = 1 / ((level / 4.7 + 1.3) * factor**2)
    read = frame.rows(4.7, 1.3)
    strips = np.concatenate([read(start, min(start + 37, 150))[1] for start in range(0, 150, 37)])
    np.testing.assert_allclose(strips, expected, rtol=1e-5)
    np.testing.assert_array_equal(strips, read(0, 150)[1])


def test_callers_may_change_what_they_got() -> None:
    frame = Frame.of_parts(np.ones((4, 5), dtype=np.float32), WCS(naxis=2), None, None)
    read = frame.rows(5.0, 1.5)
    read(0, 2)[0][:] = -1
    assert (read(0, 4)[0] == 1).all()


def test_without_calibration_the_noise_is_that_of_the_image() -> None:
    image = np.random.default_rng(1).normal(0, 0.03, (200, 200)).astype(np.float32)
    _, weight = Frame.of_parts(image, WCS(naxis=2), None, None).rows(5.0, 1.5)(10, 20)
    assert weight.shape == (10, 200)
    assert 1 / np.sqrt(weight[0, 0]) == pytest.approx(0.03, rel=0.03)


def test_a_real_frame_opens_with_plausible_noise(real_data: Path) -> None:
    frame = Frame.read(real_data / "sdss_dr8_frame_crop" / "frame-r-001000-1-0100.fits.bz2", "r")
    image, weight = frame.rows(*gain_and_dark_variance(1000, 1, "r"))(0, 100)
    noise = 1 / np.sqrt(np.median(weight))
    spread = 1.4826 * np.median(np.abs(image - np.median(image)))
    assert 0.8 < noise / spread < 1.2
    scale = np.sqrt(abs(np.linalg.det(frame.wcs.pixel_scale_matrix))) * u.deg
    assert scale.to_value(u.arcsec) == pytest.approx(0.396, abs=0.001)


@pytest.mark.parametrize(
    ("run", "camcol", "path"),
    [
        (1000, 1, "sdss_dr8_frame_crop/psField-001000-1-0100.fit"),
        (1000, 4, "sdss_dr7_field/6377/40/objcs/4/psField-006377-4-0399.fit.gz"),
    ],
)
def test_gains_are_those_of_real_psf_files(real_data: Path, run: int, camcol: int, path: str) -> None:
    """Run 6377 (DR7) states the variances of the early runs; the table of the data model has others since run 1500."""
    row = fits.getdata(real_data / path, 6)
    for place, band in enumerate("ugriz"):
        gain, dark = gain_and_dark_variance(run, camcol, band)
        assert gain == pytest.approx(row["gain"][0][place], rel=1e-5)
        assert dark == pytest.approx(row["dark_variance"][0][place], rel=1e-5)


def test_gains_change_with_the_run() -> None:
    assert gain_and_dark_variance(1100, 2, "u") == (1.595, 12.6025)
    assert gain_and_dark_variance(1101, 2, "u") == (1.825, 12.6025)
    assert gain_and_dark_variance(1500, 4, "z") == (4.775, 9.61)
    assert gain_and_dark_variance(1501, 4, "z") == (4.775, 12.6025)
    assert {band for table in (*GAIN.values(), *DARK_VARIANCE.values()) for band in table} == set("ugriz")


@pytest.mark.parametrize("content", [b"<html>", b"", b"SIMPLE  ="])
def test_a_file_that_is_no_frame_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "frame-r.fits.bz2"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"frame-r\.fits\.bz2: .*delete it and run again"):
        Frame.read(path, "r")


def test_damaged_frames_never_break_anything_else(real_data: Path, tmp_path: Path) -> None:
    """Whatever bytes are wrong in an unpacked frame, there is an image or an error that names the file."""
    whole = bz2.decompress((real_data / "sdss_dr8_frame_crop" / "frame-r-001000-1-0100.fits.bz2").read_bytes())
    rng, path, refused = np.random.default_rng(1), tmp_path / "frame-r.fits", 0
    headers = np.flatnonzero(np.frombuffer(whole, dtype="S80") != b"")[:400]
    for _ in range(150):
        content = bytearray(whole)
        for place in [80 * rng.choice(headers) + rng.integers(0, 40), *rng.integers(0, len(whole), 20)]:
            content[place] = rng.integers(0, 256)
        path.write_bytes(content)
        try:
            frame = Frame.read(path, "r")
        except InputError as error:
            refused += "frame-r.fits: " in str(error)
            continue
        pixels, weight = frame.rows(4.7, 1.8)(0, frame.pixels.shape[0])
        assert np.isfinite(weight).all()
        assert (weight >= 0).all()
        assert not weight[~np.isfinite(pixels)].any()
    assert 0 < refused < 150


def test_a_frame_of_another_band_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "frame.fits"
    fitsio.write(path, np.zeros((5, 5), dtype=np.float32), header={"FILTER": "g"})
    with pytest.raises(InputError, match="expected an SDSS frame of the band r"):
        Frame.read(path, "r")
