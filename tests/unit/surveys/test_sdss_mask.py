"""Saturated pixels of SDSS, from real fpM files."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from helpers.sdss_field import Field, shared_field

from tuningfork.core.errors import InputError
from tuningfork.surveys.sdss.camera import SATURATION_COUNTS
from tuningfork.surveys.sdss.frame import Frame
from tuningfork.surveys.sdss.mask import read_saturated

SHAPE = (1489, 2048)


@pytest.fixture(scope="module")
def field(real_data: Path) -> Field:
    return shared_field(real_data)


@pytest.fixture
def path(field: Field, tmp_path: Path) -> Path:
    path = tmp_path / "fpM.fit.gz"
    path.write_bytes(field.mask("r"))
    return path


def test_saturated_stars_are_found_where_the_counts_do_not_betray_them(field: Field, path: Path) -> None:
    """The survey's pipeline has interpolated over them; the independent list flags the same centres."""
    saturated, counts = read_saturated(path, SHAPE), field.counts("r")[0]
    assert saturated.sum() == 774
    assert counts[saturated].max() < SATURATION_COUNTS < counts[~saturated].max()
    centres = [row for row in field.detections if row["base_PixelFlags_flag_saturatedCenter"] == "True"]
    places = [(round(row["base_SdssCentroid_y"]), round(row["base_SdssCentroid_x"])) for row in centres]
    assert len(places) >= 10
    assert all(saturated[y - 2 : y + 3, x - 2 : x + 3].any() for y, x in places)


def test_saturated_pixels_have_no_weight_and_bright_unsaturated_ones_do(field: Field, path: Path) -> None:
    counts, header = field.counts("r")
    sky = {"allsky": np.full((4, 8), header["SKY"]), "xinterp": np.zeros(SHAPE[1]), "yinterp": np.zeros(SHAPE[0])}
    factor = np.full(SHAPE[1], 0.005, np.float32)
    image = ((counts - header["SKY"]) * 0.005).astype(np.float32)
    frame, saturated = Frame.of_parts(image, None, factor, sky), read_saturated(path, SHAPE)  # type: ignore[arg-type]
    weight = frame.rows(4.7, 1.8, saturated)(0, SHAPE[0])[1]
    np.testing.assert_array_equal(weight == 0, saturated)
    plain = Frame.of_parts(image, None, None, None).rows(4.7, 1.8, saturated)(300, 330)[1]  # type: ignore[arg-type]
    np.testing.assert_array_equal(plain == 0, saturated[300:330])


def test_a_mask_without_saturated_pixels_is_empty(tmp_path: Path, path: Path) -> None:
    with fits.open(path) as hdus:
        hdus[2].data = hdus[2].data[:0]
        hdus.writeto(tmp_path / "none.fit")
    assert not read_saturated(tmp_path / "none.fit", SHAPE).any()


def test_files_that_are_no_mask_of_the_frame_are_refused(tmp_path: Path, field: Field, path: Path) -> None:
    with pytest.raises(
        InputError, match=r"fpM\.fit\.gz: not the mask .*\(row .* of a frame of 100 x 100 pixels\); delete"
    ):
        read_saturated(path, (100, 100))
    whole = gzip.decompress(field.mask("r"))
    for name, content in (("page.fit", b"<html>"), ("empty.fit", b""), ("cut.fit", whole[:9000])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=rf"{name}: not the mask of a frame of SDSS"):
            read_saturated(tmp_path / name, SHAPE)
