"""Any header: its coordinates are those of astropy, or one line says why not, and no row is lost."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from astropy.coordinates import BarycentricMeanEcliptic, SkyCoord
from astropy.io import fits
from astropy.time import Time
from astropy.wcs import WCS
from astropy.wcs.utils import wcs_to_celestial_frame
from helpers.folder_runs import run
from helpers.frozen import ROOT
from helpers.small_images import pixels
from helpers.wcs_headers import truth
from helpers.wcs_strategies import Sky, right_headers, spoiled_headers
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tuningfork.core.config import validate
from tuningfork.core.description import describe
from tuningfork.core.errors import InputError
from tuningfork.core.flags import decode
from tuningfork.sky.coordinates import directions, jacobian
from tuningfork.sky.frames import pixel_positions, sky_positions
from tuningfork.surveys.base import Image
from tuningfork.surveys.folder.survey import FolderSurvey

FEW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(max_examples=750, deadline=None, suppress_health_check=list(HealthCheck))
CONFIGURATION = validate({"survey": {"name": "folder", "folder": {"bands": ["r"], "reference_band": "r"}}})
DESCRIPTION = describe(CONFIGURATION, ROOT / "config" / "surveys")
POSITION_TOLERANCE = 1e-3
"""Fraction of a pixel."""


def write(path: Path, header: fits.Header, shape: tuple[int, int]) -> None:
    fits.writeto(path, pixels(shape[1], shape[0]), header, output_verify="silentfix")


def opened(header: fits.Header, shape: tuple[int, int]) -> Image | str:
    """Return the image that the survey opens, or the reason why it has none."""
    with TemporaryDirectory() as folder:
        write(Path(folder) / "x.fits", header, shape)
        survey = FolderSurvey(CONFIGURATION.survey.folder.model_copy(update={"images": folder}), DESCRIPTION)
        (tile,) = survey.locate(["x"])
        fetched = survey.fetch(tile)
        if fetched.faults:
            assert np.isnan(tile.ra)
            assert folder in fetched.faults["r"]
            with pytest.raises(InputError, match=re.escape(folder)):
                survey.open(fetched, "r")
            return fetched.faults["r"].replace(folder, "")
        image = survey.open(fetched, "r")
        middle = SkyCoord(tile.ra, tile.dec, unit="deg")
        ra, dec = sky_positions(image.wcs, np.array([(shape[1] - 1) / 2]), np.array([(shape[0] - 1) / 2]))
        assert middle.separation(SkyCoord(ra, dec, unit="deg")).arcsec < 1e-6
        return image


def assert_same(image: Image, plain: WCS, frame: Any, x: float, y: float) -> None:
    """Compare position, scale, north, handedness and the inverse at a pixel with astropy's."""
    right = truth(plain, frame, x, y)
    scale = right["pixel_scale"]
    ra, dec = sky_positions(image.wcs, np.array([x]), np.array([y]))
    there = SkyCoord(right["ra"], right["dec"], unit="deg")
    assert there.separation(SkyCoord(ra[0], dec[0], unit="deg")).arcsec < POSITION_TOLERANCE * scale
    found_scale, north, left = directions(jacobian(image.wcs, np.array([x]), np.array([y])))
    assert found_scale[0] == pytest.approx(scale, rel=1e-3)
    assert bool(left[0]) is right["east_is_left"]
    if 3600 * (90 - abs(right["dec"])) > 10 * scale:
        assert abs((north[0] - right["north_angle"] + 180) % 360 - 180) < 0.1
    px, py = pixel_positions(image.wcs, np.array([right["ra"]]), np.array([right["dec"]]))
    assert (px[0], py[0]) == pytest.approx((x, y), abs=0.01)


def too_flat(plain: WCS, frame: Any, shape: tuple[int, int]) -> bool:
    """Return whether the pixels at the image's centre are far from square, by astropy."""
    x, y = (shape[1] - 1) / 2, (shape[0] - 1) / 2
    corners = SkyCoord(*plain.all_pix2world(x + np.array([0, 1, 0]), y + np.array([0, 0, 1]), 0), unit="deg")
    east, north = (part.arcsec for part in corners[0].spherical_offsets_to(corners[1:]))
    long, short = np.linalg.svd(np.array([east, north]), compute_uv=False)
    return bool(long > 1.9 * short)


def assert_read_right(case: tuple[Sky, fits.Header], where: tuple[float, float]) -> None:
    sky, header = case
    found, plain = opened(header, sky.shape), sky.plain()
    if isinstance(found, str):
        assert "about square" in found
        assert too_flat(plain, sky.frame, sky.shape)
        return
    assert_same(found, plain, sky.frame, where[0] * (sky.shape[1] - 1), where[1] * (sky.shape[0] - 1))


def frame_by_astropy(wcs: WCS) -> Any:
    """Return the frame that astropy finds, but for those that it does not know, and in any case of letters."""
    wcs.wcs.radesys = wcs.wcs.radesys.upper()
    if wcs.wcs.lngtyp == "SLON":
        return "supergalactic"
    if wcs.wcs.lngtyp == "ELON":
        equinox, old = wcs.wcs.equinox, wcs.wcs.radesys.startswith("FK4")
        year = equinox if np.isfinite(equinox) else 1950.0 if old else 2000.0
        return BarycentricMeanEcliptic(equinox=Time(year, format="byear" if old else "jyear", scale="tt"))
    return wcs_to_celestial_frame(wcs)


def longitude_first(wcs: WCS) -> Any:
    """Return something with the positions of a WCS, longitude first."""

    class Ordered:
        @staticmethod
        def all_pix2world(x: np.ndarray, y: np.ndarray, origin: int) -> np.ndarray:
            world = wcs.all_pix2world(x, y, origin)
            return np.array([world[wcs.wcs.lng], world[wcs.wcs.lat]])

    return Ordered()


KEYWORD = re.compile(
    r"C(TYPE|UNIT|RVAL|RPIX|DELT|ROTA)|(CD|PC|PV)\d|[AB]P?_|LONPOLE|LATPOLE|RADE|EQUINOX|EPOCH|D2IMDIS|CPDIS|its WCS"
)


def assert_astropy_or_refused(case: tuple[Sky, fits.Header]) -> None:
    sky, header = case
    found = opened(header, sky.shape)
    if isinstance(found, str):
        assert "\n" not in found
        assert KEYWORD.search(found) or "has no WCS" in found, found
        return
    x, y = (sky.shape[1] - 1) / 2, (sky.shape[0] - 1) / 2
    try:
        plain = WCS(header, naxis=2)
        frame = frame_by_astropy(plain)
    except (ValueError, MemoryError):
        # What astropy does not read was in a card that matters for no position.
        plain, frame = sky.plain(), sky.frame
        assert_same(found, plain, frame, x, y)
        return
    assert_same(found, longitude_first(plain), frame, x, y)


WHERE = st.tuples(st.floats(0, 1), st.floats(0, 1))


@FEW
@given(right_headers(), WHERE)
def test_every_way_to_write_a_header_gives_the_positions_of_the_plain_one(
    case: tuple[Sky, fits.Header], where: tuple[float, float]
) -> None:
    assert_read_right(case, where)


@FEW
@given(spoiled_headers())
def test_a_spoiled_header_is_read_as_astropy_reads_it_or_refused_in_one_line(case: tuple[Sky, fits.Header]) -> None:
    assert_astropy_or_refused(case)


@pytest.mark.byhand
@MANY
@given(right_headers(), WHERE)
def test_many_ways_to_write_a_header(case: tuple[Sky, fits.Header], where: tuple[float, float]) -> None:
    assert_read_right(case, where)


@pytest.mark.byhand
@MANY
@given(spoiled_headers())
def test_many_spoiled_headers(case: tuple[Sky, fits.Header]) -> None:
    assert_astropy_or_refused(case)


@settings(max_examples=1, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(st.lists(right_headers() | spoiled_headers(), min_size=12, max_size=12))
def test_no_row_is_lost_among_headers_of_all_kinds(cases: list[tuple[Sky, fits.Header]]) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / "images").mkdir()
        for number, (sky, header) in enumerate(cases):
            write(Path(folder) / "images" / f"x{number:02d}.fits", header, sky.shape)
        rows, _, manifest = run(Path(folder), bands=["r"], reference_band="r")
    assert sorted(row["name"] for row in rows.values()) == [f"x{number:02d}" for number in range(len(cases))]
    reasons = {row["tile"]: row["reason"] for row in manifest}
    for row in rows.values():
        bad = {"NO_POSITION", "BAD_TILE"} <= set(decode(row["flags"]))
        assert bad is (reasons[row["name"]] is not None)
        assert bad is (row["pixel_scale"] is None), (row["name"], decode(row["flags"]), row["ra"], row["dec"])
