"""The coordinates of the user's own images: every frame, order and unit is read right, or refused by name."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from astropy.coordinates import FK4, FK5, BarycentricMeanEcliptic, FK4NoETerms, SkyCoord
from astropy.io import fits
from astropy.time import Time
from astropy.wcs import WCS
from helpers.folder_runs import check, run
from helpers.small_images import pixels
from helpers.wcs_headers import SCALE, header_of, truth
from PIL import Image as Picture

from tuningfork.core.errors import ConfigurationError
from tuningfork.core.flags import decode

SIZE, MIDDLE = 161, 80


def write(folder: Path, header: fits.Header, name: str = "x", shape: tuple[int, ...] = (3, SIZE, SIZE)) -> Path:
    folder.mkdir(exist_ok=True)
    data = np.broadcast_to(pixels(SIZE, SIZE), (3, SIZE, SIZE)).reshape(shape)
    path = folder / f"{name}.fits"
    fits.writeto(path, np.ascontiguousarray(data), header)
    return path


def row_of(tmp_path: Path, header: fits.Header, **section: Any) -> dict[str, Any]:
    write(tmp_path / "images", header)
    rows, _, _ = run(tmp_path, **section)
    return rows["0/x"]


def assert_agrees(row: dict[str, Any], right: dict[str, Any]) -> None:
    assert decode(row["flags"]) == []
    found = SkyCoord(row["ra"], row["dec"], unit="deg")
    assert found.separation(SkyCoord(right["ra"], right["dec"], unit="deg")).arcsec < 1e-3
    assert row["pixel_scale"] == pytest.approx(right["pixel_scale"], rel=1e-5)
    assert abs((row["north_angle"] - right["north_angle"] + 180) % 360 - 180) < 1e-2
    assert row["east_is_left"] is right["east_is_left"]


GALACTIC = {"CTYPE1": "GLON-TAN", "CTYPE2": "GLAT-TAN", "CRVAL1": 121.17, "CRVAL2": -21.57}
FRAMES: dict[str, tuple[dict[str, Any], Any]] = {
    "galactic": (GALACTIC, "galactic"),
    "galactic with a system": (GALACTIC | {"RADESYS": "FK5", "EQUINOX": 2000.0}, "galactic"),
    "supergalactic": ({"CTYPE1": "SLON-TAN", "CTYPE2": "SLAT-TAN"}, "supergalactic"),
    "ecliptic": ({"CTYPE1": "ELON-TAN", "CTYPE2": "ELAT-TAN"}, BarycentricMeanEcliptic()),
    "ecliptic of 1975": (
        {"CTYPE1": "ELON-TAN", "CTYPE2": "ELAT-TAN", "EQUINOX": 1975.0, "RADESYS": "FK5"},
        BarycentricMeanEcliptic(equinox=Time(1975, format="jyear", scale="tt")),
    ),
    "EQUINOX 1950": ({"EQUINOX": 1950.0}, FK4(equinox="B1950")),
    "EQUINOX in quotes": ({"EQUINOX": "B1950.0"}, FK4(equinox="B1950")),
    "EPOCH 1950": ({"EPOCH": 1950}, FK4(equinox="B1950")),
    "FK4": ({"RADESYS": "FK4"}, FK4(equinox="B1950")),
    "RADECSYS": ({"RADECSYS": "fk4"}, FK4(equinox="B1950")),
    "B1875": ({"EQUINOX": 1875.0}, FK4(equinox="B1875")),
    "FK4 without E-terms": ({"RADESYS": "FK4-NO-E", "EQUINOX": 1950.0}, FK4NoETerms(equinox="B1950")),
    "FK5 of 1975": ({"RADESYS": "FK5", "EQUINOX": 1975.0}, FK5(equinox="J1975")),
    "FK5 of today": ({"EQUINOX": 2026.5}, FK5(equinox="J2026.5")),
    "ICRS with an equinox": ({"RADESYS": "ICRS", "EQUINOX": 1950.0}, "icrs"),
}


@pytest.mark.parametrize("case", FRAMES)
def test_every_frame_of_the_sky_becomes_icrs(tmp_path: Path, case: str) -> None:
    """The right value is that of the same pixels of the plain header, put into the frame by astropy."""
    cards, frame = FRAMES[case]
    plain = header_of(CRVAL1=cards.get("CRVAL1", 10.0), CRVAL2=cards.get("CRVAL2", 41.0))
    assert_agrees(row_of(tmp_path, header_of(**cards)), truth(WCS(plain), frame, MIDDLE, MIDDLE))


@pytest.mark.parametrize("case", ["galactic", "ecliptic", "EQUINOX 1950"])
def test_a_position_of_the_table_is_found_on_an_image_in_another_frame(tmp_path: Path, case: str) -> None:
    cards, frame = FRAMES[case]
    plain = header_of(CRVAL1=cards.get("CRVAL1", 10.0), CRVAL2=cards.get("CRVAL2", 41.0))
    right = truth(WCS(plain), frame, 90, 70)
    write(tmp_path / "images", header_of(**cards))
    pd.DataFrame({"ra": [right["ra"]], "dec": [right["dec"]]}).to_csv(tmp_path / "t.csv", index=False)
    rows, stamps, _ = run(tmp_path, table="t.csv")
    # The galaxy is 10 px left of the position and 10 px above it.
    assert np.unravel_index(stamps[0, 0, 1].argmax(), stamps.shape[-2:]) == (74, 54)
    assert rows["0/"]["tile"] == "x"


def test_the_values_by_hand(tmp_path: Path) -> None:
    """M31's galactic coordinates, and the precession of 50 years."""
    write(tmp_path / "images", header_of(**GALACTIC), "galactic")
    write(tmp_path / "images", header_of(EQUINOX=1950.0), "old")
    rows, _, _ = run(tmp_path)
    assert (rows["0/galactic"]["ra"], rows["0/galactic"]["dec"]) == pytest.approx((10.6792, 41.2719), abs=1e-4)
    assert abs(rows["0/galactic"]["north_angle"]) == pytest.approx(2.09, abs=0.01)
    assert (rows["1/old"]["ra"], rows["1/old"]["dec"]) == pytest.approx((10.6843, 41.2738), abs=1e-4)


STEP = SCALE / 3600
SWAPPED = {"CTYPE1": "DEC--TAN", "CTYPE2": "RA---TAN", "CRVAL1": 41.0, "CRVAL2": 10.0, "CDELT1": None, "CDELT2": None}
SAME_POSITIONS: dict[str, dict[str, Any]] = {
    "declination first": SWAPPED | {"CD1_2": STEP, "CD2_1": -STEP},
    "declination first, in PC": SWAPPED
    | {"CDELT1": STEP, "CDELT2": -STEP, "PC1_1": 0.0, "PC1_2": 1.0, "PC2_1": 1.0, "PC2_2": 0.0},
    "degrees": {"CUNIT1": "degrees", "CUNIT2": "degrees"},
    "DEG": {"CUNIT1": "DEG", "CUNIT2": "Degree"},
    "arcsec": {
        **{"CUNIT1": "arcsec", "CUNIT2": "ARCSEC", "CRVAL1": 36000.0, "CRVAL2": 147600.0},
        **{"CDELT1": -SCALE, "CDELT2": SCALE},
    },
    "lower case": {"CTYPE1": "ra---tan", "CTYPE2": "dec--tan"},
    "other axes": {
        **{"CTYPE3": "FREQ", "CUNIT3": "GHZ", "CRVAL3": 1.4, "CRPIX3": 1.0, "CDELT3": 0.0, "CTYPE4": "STOKES"},
        **{"CRVAL4": 1.0, "CDELT4": 1.0, "CRPIX4": 1.0},
    },
    "a broken third axis": {
        "CTYPE3": "VELO-XYZ",
        "CUNIT3": "parsnips",
        "CRVAL3": "unknown",
        "CDELT3": "",
        "CD3_3": 0.0,
    },
    "CROTA": {"CROTA2": 0.0},
    "the old spelling of PC": {"PC001001": 1.0, "PC001002": 0.0, "PC002001": 0.0, "PC002002": 1.0, "PC003003": 1.0},
    "axes without end": {"WCSAXES": 100000},
    "distortion of two in three axes": {
        **{"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "CTYPE3": "WAVE", "A_ORDER": 2, "B_ORDER": 2},
        **{"A_2_0": 0.0, "B_0_2": 0.0},
    },
    "alternate WCS alone": {
        **dict.fromkeys(("CTYPE1", "CTYPE2", "CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CDELT1", "CDELT2")),
        **{"CTYPE1A": "RA---TAN", "CTYPE2A": "DEC--TAN", "CRVAL1A": 10.0, "CRVAL2A": 41.0},
        **{"CRPIX1A": 81.0, "CRPIX2A": 81.0, "CDELT1A": -STEP, "CDELT2A": STEP},
    },
    "a malformed date": {"DATE-OBS": "yesterday", "MJD-OBS": "?"},
}


@pytest.mark.parametrize("case", SAME_POSITIONS)
def test_spellings_and_orders_do_not_change_the_positions(tmp_path: Path, case: str) -> None:
    assert_agrees(row_of(tmp_path, header_of(**SAME_POSITIONS[case])), truth(WCS(header_of()), "icrs", MIDDLE, MIDDLE))


@pytest.mark.parametrize("code", ["SIN", "ARC", "ZEA", "STG", "AIT", "CAR", "HPX", "ZPN", "SFL", "CEA", "COE"])
def test_every_projection_that_astropy_reads(tmp_path: Path, code: str) -> None:
    cards: dict[str, Any] = {"CTYPE1": f"RA---{code}", "CTYPE2": f"DEC--{code}", "CROTA2": 30.0}
    if code in {"AIT", "CAR", "HPX", "SFL", "CEA"}:
        cards |= {"CRVAL1": 10.0, "CRVAL2": 0.0, "CRPIX2": 81 - 20 / STEP}
    if code in {"ZPN", "COE"}:
        cards |= {"PV2_1": 1.0} if code == "ZPN" else {"PV2_1": 41.0, "PV2_2": 5.0}
    header = header_of(**cards)
    assert_agrees(row_of(tmp_path, header), truth(WCS(header), "icrs", MIDDLE, MIDDLE))


@pytest.mark.parametrize(
    ("ra", "dec"), [(0.0, 90.0), (123.0, -90.0), (0.0, 89.9999), (359.99999, 0.0), (0.00001, 60.0)]
)
def test_poles_and_right_ascension_zero(tmp_path: Path, ra: float, dec: float) -> None:
    write(tmp_path / "images", header_of(CRVAL1=ra, CRVAL2=dec))
    place = WCS(header_of(CRVAL1=ra, CRVAL2=dec)).all_pix2world([[90, 70]], 0)[0]
    pd.DataFrame({"name": ["middle", "aside"], "ra": [ra, place[0]], "dec": [dec, place[1]]}).to_csv(
        tmp_path / "t.csv", index=False
    )
    rows, stamps, _ = run(tmp_path, table="t.csv")
    assert len(rows) == 2
    for key in ("0/middle", "1/aside"):
        assert rows[key]["pixel_scale"] == pytest.approx(SCALE, rel=1e-5)
        assert set(decode(rows[key]["flags"])) <= {"NO_SIGNAL", "PADDED"}
        assert rows[key]["east_is_left"] is True
    # The galaxy is at the image's centre: at that of the first stamp, and 10 px left of it and above it in the other.
    peak = np.unravel_index(stamps[rows["0/middle"]["row"]][0, 1].argmax(), stamps.shape[-2:])
    assert peak == (64, 64)
    peak = np.unravel_index(stamps[rows["1/aside"]["row"]][0, 1].argmax(), stamps.shape[-2:])
    assert peak == (74, 54)


def with_lookup_table(path: Path, keyword: str, record: str, extension: str) -> None:
    """Write an image with lookup tables of the distortion (Paper IV), as those of HST have them."""
    header = header_of()
    extensions = []
    for axis in (1, 2):
        header[f"{keyword}{axis}"] = "LOOKUP"
        for name, value in (("EXTVER", axis), ("NAXES", 2), ("AXIS.1", 1), ("AXIS.2", 2)):
            header[f"{record}{axis}.{name}"] = value
        table = fits.ImageHDU(np.full((5, 5), 3.0 * axis, dtype=np.float32), name=extension, ver=axis)
        for name, value in (("CRPIX", 1.0), ("CRVAL", 1.0), ("CDELT", 40.0)):
            table.header[f"{name}1"] = table.header[f"{name}2"] = value
        extensions.append(table)
    path.parent.mkdir()
    image = fits.PrimaryHDU(np.stack([pixels(SIZE, SIZE)] * 3), header)
    fits.HDUList([image, *extensions]).writeto(path)


@pytest.mark.parametrize(
    ("keyword", "record", "extension"), [("CPDIS", "DP", "WCSDVARR"), ("D2IMDIS", "D2IM", "D2IMARR")]
)
def test_the_lookup_tables_of_a_distortion_are_read_from_the_file(
    tmp_path: Path, keyword: str, record: str, extension: str
) -> None:
    path = tmp_path / "images" / "x.fits"
    with_lookup_table(path, keyword, record, extension)
    with fits.open(path) as hdus:
        plane = hdus[0].header.copy()
        plane["NAXIS"] = 2
        wcs = WCS(plane, hdus)
        right = truth(wcs, "icrs", MIDDLE, MIDDLE)
        shift = SkyCoord(right["ra"], right["dec"], unit="deg").separation(SkyCoord(10, 41, unit="deg"))
        assert shift.arcsec == pytest.approx(SCALE * np.hypot(3, 6), rel=1e-3)
    rows, _, _ = run(tmp_path)
    assert_agrees(rows["0/x"], right)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "helioprojective": ({"CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN"}, "CTYPE1 is 'HPLN-TAN'.*helioprojective"),
    "planetary": ({"CTYPE1": "MALN-TAN", "CTYPE2": "MALT-TAN"}, "CTYPE1 is 'MALN-TAN'"),
    "spectral": ({"CTYPE1": "FREQ", "CTYPE2": "STOKES"}, "CTYPE1 is 'FREQ'"),
    "half": ({"CTYPE2": None}, "CTYPE1 is 'RA---TAN' and CTYPE2 is ''"),
    "two frames": ({"CTYPE2": "GLAT-TAN"}, "CTYPE2 is 'GLAT-TAN'"),
    "a number as type": ({"CTYPE1": 5}, "CTYPE1 is 5; expected text"),
    "too few dashes": ({"CTYPE1": "RA--TAN", "CTYPE2": "DEC-TAN"}, "CTYPE1 is 'RA--TAN'"),
    "unknown projection": ({"CTYPE1": "RA---XYZ", "CTYPE2": "DEC--XYZ"}, "projection code.*XYZ"),
    "IRAF's TNX": ({"CTYPE1": "RA---TNX", "CTYPE2": "DEC--TNX"}, "IRAF.*TPV or SIP"),
    "IRAF's ZPX": ({"CTYPE1": "RA---ZPX", "CTYPE2": "DEC--ZPX"}, "IRAF"),
    "TPV without CD": (
        {"CTYPE1": "RA---TPV", "CTYPE2": "DEC--TPV", "PV1_1": 1.0, "PV2_1": 1.0, "PV1_4": 0.01},
        "CDELT1 is .* with the polynomial of TPV; expected the matrix CD1_1",
    ),
    "SCAMP's TAN without CD": ({"PV1_1": 1.0, "PV2_1": 1.0, "PV1_7": 0.01}, "expected the matrix CD1_1"),
    "TPV with the declination first": (
        SWAPPED
        | {"CTYPE1": "DEC--TPV", "CTYPE2": "RA---TPV", "CD1_2": STEP, "CD2_1": -STEP, "PV1_1": 1.0, "PV2_1": 1.0},
        "expected the longitude first",
    ),
    "unknown system": ({"RADESYS": "J2000"}, "RADESYS is 'J2000'; expected one of ICRS, FK5"),
    "apparent places": ({"RADESYS": "GAPPT"}, "RADESYS is 'GAPPT'"),
    "negative equinox": ({"EQUINOX": -5.0}, "EQUINOX is -5.0; expected an equinox"),
    "equinox in words": ({"EQUINOX": "now"}, "EQUINOX is 'now'"),
    "unit of a length": ({"CUNIT1": "pc"}, "CUNIT1 is 'pc'; expected deg"),
    "number in quotes": ({"CRVAL1": "10.0"}, "CRVAL1 is '10.0'; expected a number"),
    "not a number": ({"CRVAL2": "NaN"}, "CRVAL2 is 'NaN'; expected a number"),
    "no value": ({"CRPIX1": fits.card.UNDEFINED}, "CRPIX1 is empty; expected a number"),
    "no position": ({"CRVAL1": None}, "no CRVAL1"),
    "no scale": ({"CDELT1": None, "CDELT2": None}, "neither CDELT1 nor CD1_1"),
    "CDELT 0": ({"CDELT1": 0.0}, "singular"),
    "singular matrix": (
        {"CDELT1": None, "CDELT2": None, "CD1_1": STEP, "CD1_2": STEP, "CD2_1": STEP, "CD2_2": STEP},
        "singular|0 arcsec wide",
    ),
    "turns without end": ({"CRVAL1": 2.0**31}, r"CRVAL says 2.14748e\+09 deg"),
    "turns of the pole": ({"LONPOLE": 4.28e16}, r"LONPOLE says 4.28e\+16 deg"),
    "beyond the pole": ({"CRVAL2": 95.0}, "coordinate transformation|parameter"),
    "degrees taken for arcsec": ({"CDELT1": -20.0, "CDELT2": 20.0}, "arcsec wide; expected|no position for the centre"),
    "flat pixels": ({"CDELT1": -STEP / 10}, "a pixel is 0.4 by 0.04 arcsec"),
    "SIP of an absurd order": ({"A_ORDER": 1000000, "B_ORDER": 2}, "A_ORDER is 1000000"),
    "SIP of one axis": ({"A_ORDER": 2, "A_2_0": 1e-6}, "B_ORDER"),
    "a lookup table that is not there": ({"CPDIS1": "LOOKUP", "DP1.EXTVER": 1.0}, "cannot be read"),
    "a polynomial distortion": ({"CPDIS1": "Polynomial"}, "CPDIS1 is 'Polynomial'; expected 'LOOKUP'"),
    "a matrix over three axes": ({"PC1_3": 0.5, "CTYPE3": "FREQ"}, "PC1_3 is 0.5; expected 0"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_used_is_named_once_and_flagged(
    tmp_path: Path, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    cards, message = REFUSED[case]
    path = write(tmp_path / "images", header_of(**cards))
    check(tmp_path)
    rows, _, manifest = run(tmp_path)
    assert decode(rows["0/x"]["flags"]) == ["NO_POSITION", "BAD_TILE"]
    for row in manifest:
        assert row["status"] == "missing"
        assert re.search(message, row["reason"]), row["reason"]
        assert str(path) in row["reason"]
        assert "survey.folder.pixel_scale" in row["reason"]
    named = [record for record in caplog.records if "coordinates are not used" in record.message]
    assert len(named) == 1
    assert str(path) in named[0].message


def test_a_given_pixel_scale_takes_the_place_of_a_wcs_that_cannot_be_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    row = row_of(tmp_path, header_of(CDELT1=0.0), pixel_scale=0.3)
    assert "NO_POSITION" in decode(row["flags"])
    assert row["pixel_scale"] == pytest.approx(0.3, rel=1e-5)
    assert "singular" in caplog.text


def _add(path: Path, card: bytes) -> None:
    """Put a card before the END of the first header, whose last card is blank."""
    content = path.read_bytes()
    end = content.index(b"END".ljust(80))
    assert not content[2800:2880].strip()
    path.write_bytes(content[:end] + card.ljust(80) + content[end:2800] + content[2880:])


def keyword_twice(path: Path) -> None:
    _add(path, b"CRVAL1  =                 20.0")


def type_twice(path: Path) -> None:
    _add(path, b"CTYPE1  = 'RA---SIN'")


def not_a_number(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"CRVAL1  =                 10.0", b"CRVAL1  =                  NAN"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [(keyword_twice, "CRVAL1 occurs 2 times"), (type_twice, "CTYPE1 occurs 2 times"), (not_a_number, "CRVAL1|NAN")],
)
def test_cards_that_contradict_each_other_or_hold_no_number(
    tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    path = write(tmp_path / "images", header_of())
    before = path.stat().st_size
    spoil(path)
    assert path.stat().st_size == before
    rows, _, manifest = run(tmp_path)
    assert "BAD_TILE" in decode(rows["0/x"]["flags"])
    assert re.search(message, manifest[0]["reason"]), manifest[0]["reason"]


def test_a_source_far_outside_the_domain_of_a_sip_is_one_flagged_row(tmp_path: Path) -> None:
    cards = {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "A_ORDER": 2, "B_ORDER": 2}
    cards |= {"A_2_0": 4e-5, "B_0_2": 4e-5, "CRPIX1": -15000.0, "CRPIX2": -3000.0}
    header = header_of(**cards)
    write(tmp_path / "images", header, "far")
    write(tmp_path / "images", header_of(), "near")
    centre = WCS(header, naxis=2).all_pix2world([[80, 80]], 0)[0]
    pd.DataFrame({"file": ["far", "near"], "ra": [centre[0], 10.0], "dec": [centre[1], 41.0]}).to_csv(
        tmp_path / "t.csv", index=False
    )
    rows, _, _ = run(tmp_path, table="t.csv")
    flags = {row["tile"]: decode(row["flags"]) for row in rows.values()}
    assert flags == {None: ["OUTSIDE_TILES"], "near": []}


def test_a_frequency_axis_of_one_pixel_may_come_first(tmp_path: Path) -> None:
    cards: dict[str, Any] = {"CTYPE1": "FREQ", "CRVAL1": 1.4e9, "CRPIX1": 1.0, "CDELT1": 1e6}
    for axis, kind, value, step in ((2, "RA---TAN", 10.0, -STEP), (3, "DEC--TAN", 41.0, STEP)):
        cards |= {f"CTYPE{axis}": kind, f"CRVAL{axis}": value, f"CRPIX{axis}": 81.0, f"CDELT{axis}": step}
    (tmp_path / "images").mkdir()
    for band in "gri":
        fits.writeto(tmp_path / "images" / f"x-{band}.fits", pixels(SIZE, SIZE)[:, :, None], header_of(**cards))
    rows, _, _ = run(tmp_path)
    assert_agrees(rows["0/x"], truth(WCS(header_of()), "icrs", MIDDLE, MIDDLE))


def test_the_wcs_of_an_empty_first_header_is_that_of_its_extension(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    hdus = [fits.PrimaryHDU(header=header_of()), fits.ImageHDU(np.stack([pixels(SIZE, SIZE)] * 3))]
    fits.HDUList(hdus).writeto(tmp_path / "images" / "x.fits")
    rows, _, _ = run(tmp_path)
    assert_agrees(rows["0/x"], truth(WCS(header_of()), "icrs", MIDDLE, MIDDLE))


NO_WCS = dict.fromkeys(("CTYPE1", "CTYPE2", "CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CDELT1", "CDELT2"))


@pytest.mark.parametrize("cards", [NO_WCS, NO_WCS | {"CTYPE1": "LINEAR", "CTYPE2": "LINEAR"}, "png"])
def test_without_a_wcs_and_without_the_key_the_run_stops(tmp_path: Path, cards: Any) -> None:
    write(tmp_path / "images", header_of(), "good")
    if cards == "png":
        Picture.fromarray(np.full((64, 64, 3), 9, dtype=np.uint8)).save(tmp_path / "images" / "bare.png")
    else:
        write(tmp_path / "images", header_of(**cards), "bare")
    with pytest.raises(
        ConfigurationError, match=r"survey\.folder\.pixel_scale: 1 of 2 images have no WCS.*bare\.(fits|png)"
    ):
        check(tmp_path)
    pd.DataFrame({"file": ["bare", "good"], "pixel_scale": [0.25, np.nan]}).to_csv(tmp_path / "t.csv", index=False)
    check(tmp_path, "t.csv")
    rows, _, _ = run(tmp_path, table="t.csv")
    assert {row["tile"]: row["pixel_scale"] for row in rows.values()} == {
        "bare": pytest.approx(0.25, rel=1e-5),
        "good": pytest.approx(SCALE, rel=1e-5),
    }


def test_a_band_without_a_wcs_does_not_borrow_a_place_on_the_sky(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for band, cards in (("g", {}), ("r", {}), ("i", NO_WCS)):
        fits.writeto(tmp_path / "images" / f"x-{band}.fits", pixels(SIZE, SIZE), header_of(**cards))
    rows, _, manifest = run(tmp_path, pixel_scale=0.4)
    assert decode(rows["0/x"]["flags"]) == ["MISSING_BAND"]
    assert "another band of the image has one" in next(row["reason"] for row in manifest if row["band"] == "i")


def test_no_source_is_cut_from_an_image_whose_place_is_unknown(tmp_path: Path) -> None:
    """The assumed WCS of such an image has a position, which must not be taken for one on the sky."""
    write(tmp_path / "images", header_of(), "good")
    write(tmp_path / "images", header_of(**NO_WCS), "bare")
    pd.DataFrame({"name": ["a", "b"], "file": ["", "bare"], "ra": [180.0, 180.0], "dec": [0.0, 0.0]}).to_csv(
        tmp_path / "t.csv", index=False
    )
    rows, _, _ = run(tmp_path, table="t.csv", pixel_scale=0.4)
    assert decode(rows["0/a"]["flags"]) == ["OUTSIDE_TILES"]
    assert rows["1/b"]["tile"] == "bare"


def chip(name: str, value: float, **cards: Any) -> fits.ImageHDU:
    return fits.ImageHDU(pixels(SIZE, SIZE) * np.float32(value), header_of(**cards), name=name)


@pytest.mark.parametrize("names", [("S1", "S2"), ("SCI", "SCI"), ("", "")])
@pytest.mark.parametrize("bands", [["r"], ["g", "r"]])
def test_the_chips_of_a_camera_in_one_file_are_refused(
    tmp_path: Path, names: tuple[str, str], bands: list[str]
) -> None:
    (tmp_path / "images").mkdir()
    chips = [chip(name, 1, CRVAL1=10.0 + 0.1 * number) for number, name in enumerate(names)]
    fits.HDUList([fits.PrimaryHDU(), *chips]).writeto(tmp_path / "images" / "x.fits")
    pd.DataFrame({"name": ["second"], "file": ["x"], "ra": [10.1], "dec": [41.0]}).to_csv(
        tmp_path / "t.csv", index=False
    )
    rows, _, manifest = run(tmp_path, table="t.csv", bands=bands)
    assert "BAD_TILE" in decode(rows["0/second"]["flags"])
    for row in (row for row in manifest if row["tile"] == "x"):
        assert re.search(r"x\.fits.*lie at different places on the sky.*split the file", row["reason"]), row["reason"]


def test_a_thumbnail_does_not_say_where_its_image_lies(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    thumbnail = fits.PrimaryHDU(
        np.ones((8, 8), dtype=np.float32), header_of(CRPIX1=4.5, CRPIX2=4.5, CDELT1=-20 * STEP, CDELT2=20 * STEP)
    )
    fits.HDUList([thumbnail, chip("SCI", 1)]).writeto(tmp_path / "images" / "x.fits")
    fits.HDUList([fits.PrimaryHDU(np.ones((8, 8), dtype=np.float32)), chip("SCI", 1)]).writeto(
        tmp_path / "images" / "y.fits"
    )
    rows, _, _ = run(tmp_path, bands=["r"])
    right = truth(WCS(header_of()), "icrs", MIDDLE, MIDDLE)
    for key in ("0/x", "1/y"):
        assert_agrees(rows[key], right)
