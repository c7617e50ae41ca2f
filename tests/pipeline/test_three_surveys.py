"""One real galaxy in three surveys, each from a configuration to stamps, and its magnitudes.

The images are cut-outs of about an arcminute. Each is served as if it were the whole tile, in the packing of its
survey, with the tile's true corners. The Pan-STARRS1 cut-outs are linear and have neither variance nor mask: the noise is
measured on them. The SDSS cut-outs have the header of the whole frame, so that their WCS puts them 346 arcsec away from
where they are.
"""

import bz2
import io
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sep
from astropy.io import fits
from helpers.sdss_field import CAMCOL, FIELD, RUN, Field, Listed, Source
from helpers.sdss_server import SdssServer
from helpers.servers.base import NOT_FOUND, Answer, Request
from helpers.servers.des import Des, listed
from helpers.servers.panstarrs import Panstarrs
from helpers.servers.stages import Stages, run_stages

from tuningfork.sky.shards import Shard, pixels

pytestmark = pytest.mark.filterwarnings("ignore::astropy.wcs.FITSFixedWarning")
RA, DEC = 27.9521, 0.2638
BANDS = ("g", "r", "i", "z")
SHARD = Shard(6, int(pixels(np.array([RA]), np.array([DEC]), 6)[0])).name
SOURCE = 1_234_567_890_123
CELL, TILE = "1329.005", "DES0151+0001"
FRAME_SHIFT = 444.0, 752.0
"""Where the SDSS cut-outs begin in their frame (pixel), by the galaxy's centre."""
APERTURE, SKY = 7.0, (12.0, 15.0)
"""Radii (arcsec)."""
# DES minus SDSS for stars, by the colours g - i (for g) and r - i: slope and offset; Data Release 2 gives them with a
# scatter of 0.014 to 0.018 mag (https://des.ncsa.illinois.edu/releases/dr2/dr2-docs/dr2-transformations).
DES_MINUS_SDSS = {"g": (-0.061, 0.008), "r": (-0.155, -0.007), "i": (-0.166, 0.032), "z": (-0.056, 0.027)}


@pytest.fixture(scope="module")
def crops(real_data: Path) -> Path:
    return real_data / "three_surveys_one_galaxy"


def configuration(survey: str, settings: dict[str, Any]) -> dict[str, Any]:
    return {"survey": {"name": survey, survey: settings}, "sources": {"mag_min": 14, "mag_max": 18}}


@pytest.fixture(scope="module")
def panstarrs(crops: Path, tmp_path_factory: pytest.TempPathFactory) -> Stages:
    row: dict[str, Any] = {"objID": SOURCE, "raMean": RA, "decMean": DEC, "rKronMag": 15.4, "rKronRad": 9.0}
    row |= {"primaryDetection": 1, "iPSFMag": 16.5, "iKronMag": 15.0}
    star = row | {"objID": SOURCE + 1, "raMean": RA - 0.1, "rKronMag": 17.0, "iPSFMag": 16.8, "iKronMag": 16.8}
    for band in BANDS:
        row |= {f"{band}psfMajorFWHM": 9.9, f"{band}psfMinorFWHM": 9.9}
        star |= {f"{band}psfMajorFWHM": 1.25, f"{band}psfMinorFWHM": 1.15}
    with Panstarrs({key: np.array([row[key], star[key]]) for key in row}) as server:
        for band in BANDS:
            with fits.open(crops / f"PS1_{band}.fits.gz") as file:
                counts, header = file[0].data.astype(float), clean(file[0].header)
            noise = 1.4826 * np.median(np.abs(counts - np.median(counts)))
            server.add(CELL, band, counts, np.full(counts.shape, noise**2), np.zeros(counts.shape), header)
        values = configuration("panstarrs", server.settings)
        return run_stages(tmp_path_factory.mktemp("panstarrs"), values, SHARD)


@pytest.fixture(scope="module")
def des(crops: Path, tmp_path_factory: pytest.TempPathFactory) -> Stages:
    row: dict[str, Any] = {"coadd_object_id": SOURCE, "tilename": TILE, "ra": RA, "dec": DEC, "extended_class_coadd": 3}
    star = row | {"coadd_object_id": SOURCE + 1, "ra": RA + 0.1, "extended_class_coadd": 0}
    for band in BANDS:
        row |= {f"mag_auto_{band}": 15.4, f"flux_radius_{band}": 12.0, f"flags_{band}": 0, f"imaflags_iso_{band}": 0}
        star |= {f"mag_auto_{band}": 18.0, f"flux_radius_{band}": 2.0, f"flags_{band}": 0, f"imaflags_iso_{band}": 0}
        row[f"fwhm_image_{band}"], star[f"fwhm_image_{band}"] = 20.0, 1.0 / 0.263
    header = fits.getheader(crops / "DES_r.fits.gz")
    corners = [(float(header[f"RAC{k}"]), float(header[f"DECC{k}"])) for k in (1, 2, 3, 4)]
    files = {band: f"{TILE}_r4907p01_{band}.fits.fz" for band in BANDS}
    with Des({key: np.array([row[key], star[key]]) for key in row}, listed(TILE, corners, files)) as server:
        for band in BANDS:
            with fits.open(crops / f"DES_{band}.fits.gz") as file:
                image, weight, header = file["SCI"].data, file["WGT"].data, clean(file["SCI"].header)
            server.add(files[band], image, np.zeros(image.shape), weight, header)
        values = configuration("des", server.settings)
        return run_stages(tmp_path_factory.mktemp("des"), values, SHARD)


def clean(header: fits.Header) -> fits.Header:
    """Return a header without what its packing will write anew."""
    for key in ("CHECKSUM", "DATASUM", "EXTNAME", "COMMENT", "HISTORY", ""):
        header.remove(key, ignore_missing=True, remove_all=True)
    return header


class Frames(Field):
    """The cut-outs as if they were a field of SDSS; `shift` (pixel) corrects their WCS."""

    def __init__(self, real_data: Path, shift: tuple[float, float]) -> None:
        super().__init__(real_data)
        self.shift = shift

    def frame(self, band: str) -> bytes:
        content = io.BytesIO()
        with fits.open(self.real_data / "three_surveys_one_galaxy" / f"SDSS_{band}.fits.gz") as file:
            for axis, shift in enumerate(self.shift, start=1):
                file[0].header[f"CRPIX{axis}"] -= shift
            file.writeto(content)
        return bz2.compress(content.getvalue(), 1)

    @cached_property
    def listed(self) -> list[Listed]:
        """The field, whose centre the header of the cut-outs has right."""
        header = fits.getheader(self.real_data / "three_surveys_one_galaxy" / "SDSS_r.fits.gz")
        return [Listed((RUN, CAMCOL, FIELD), float(header["CRVAL1"]), float(header["CRVAL2"]), True)]

    @cached_property
    def sources(self) -> list[Source]:
        """The galaxy alone."""
        return [Source(SOURCE, RA, DEC, np.nan, np.nan, 15.4, np.nan, 4.0, True)]


class FramesServer(SdssServer):
    """Without psField files: there are none of this field."""

    def answer(self, request: Request) -> Answer:
        return NOT_FOUND if "psField" in request.path else super().answer(request)


def sdss(real_data: Path, folder: Path, shift: tuple[float, float]) -> Stages:
    with FramesServer(real_data, Frames(real_data, shift)) as server:
        return run_stages(folder, configuration("sdss", server.settings), SHARD)


def magnitudes(stages: Stages, bands: str) -> dict[str, float]:
    """Return aperture magnitudes at the centre of the stamp, above the median of a ring around it."""
    stamp, scale = stages.stamp(SOURCE)[0], stages.value("pixel_scale", SOURCE)
    centre = stamp.shape[-1] // 2
    rows, columns = np.indices(stamp.shape[1:])
    radius = np.hypot(rows - centre, columns - centre) * scale
    ring = (radius > SKY[0]) & (radius < SKY[1])
    found = {}
    for band, image in zip(bands, stamp.astype(float), strict=True):
        level = float(np.median(image[ring]))
        flux, _, _ = sep.sum_circle(image - level, [centre], [centre], APERTURE / scale, subpix=0)
        found[band] = float(stages.value("zero_point", SOURCE) - 2.5 * np.log10(flux[0]))
    return found


@pytest.mark.parametrize(
    ("survey", "scale", "zero_point", "width", "tile"),
    [("panstarrs", 0.25, 25.0, 1.2, CELL), ("des", 0.263, 30.0, 1.0, TILE)],
)
def test_what_is_known_of_the_tile_reaches_the_stamp(
    request: pytest.FixtureRequest, survey: str, scale: float, zero_point: float, width: float, tile: str
) -> None:
    stages: Stages = request.getfixturevalue(survey)
    assert stages.table.num_rows == 1
    assert stages.value("tile", SOURCE) == tile
    assert stages.flags(SOURCE) == []
    assert stages.value("pixel_scale", SOURCE) == pytest.approx(scale, rel=1e-3)
    assert stages.value("zero_point", SOURCE) == zero_point
    for band in BANDS:
        assert stages.value(f"psf_fwhm_{band}", SOURCE) == pytest.approx(width, rel=1e-3)
    offset = centroid(stages) * scale
    assert np.hypot(*offset) < 0.7
    # North is up in both; in the DES cut-outs east is to the right.
    assert stages.value("north_angle", SOURCE) == pytest.approx(0, abs=0.1)
    assert stages.value("east_is_left", SOURCE) is (survey == "panstarrs")


def centroid(stages: Stages) -> np.ndarray:
    """Return how far (pixel) the light of the galaxy's core lies from the centre of the stamp, in x and y."""
    image = stages.stamp(SOURCE)[0, 1].astype(float)
    half = image.shape[0] // 2
    core = image[half - 12 : half + 13, half - 12 : half + 13] - np.median(image)
    core = np.where(core > 0.3 * core.max(), core, 0)
    rows, columns = np.indices(core.shape)
    return np.array([(core * columns).sum(), (core * rows).sum()]) / core.sum() - 12


def test_pan_starrs_and_des_agree(panstarrs: Stages, des: Stages) -> None:
    """Measured: +0.00 in g, +0.08 in r and i, +0.13 in z, whose passbands differ most."""
    first, second = magnitudes(panstarrs, "griz"), magnitudes(des, "griz")
    differences = {band: first[band] - second[band] for band in BANDS}
    assert all(abs(differences[band]) < 0.1 for band in "gri"), differences
    assert abs(differences["z"]) < 0.16, differences


def test_des_and_sdss_agree_by_the_known_transformations(des: Stages, real_data: Path, tmp_path: Path) -> None:
    """Measured, once the WCS of the SDSS cut-outs is put right: to 0.03 mag in g, r and i."""
    stages = sdss(real_data, tmp_path, FRAME_SHIFT)
    assert stages.flags(SOURCE) == []
    assert stages.value("zero_point", SOURCE) == 22.5
    assert stages.value("pixel_scale", SOURCE) == pytest.approx(0.396, rel=1e-2)
    assert np.hypot(*centroid(stages)) * 0.396 < 0.7
    there, here = magnitudes(stages, "gri"), magnitudes(des, "griz")
    colours = {"g": there["g"] - there["i"]} | dict.fromkeys("ri", there["r"] - there["i"])
    for band in "gri":
        slope, offset = DES_MINUS_SDSS[band]
        assert here[band] - there[band] == pytest.approx(slope * colours[band] + offset, abs=0.05)


def test_the_wrong_coordinates_of_the_sdss_images_are_noticed(real_data: Path, tmp_path: Path) -> None:
    stages = sdss(real_data, tmp_path, (0.0, 0.0))
    assert stages.sources["source_id"].to_pylist() == [SOURCE]
    assert stages.flags(SOURCE) == ["BAD_WCS"]
    assert not stages.stamp(SOURCE).any()
    assert stages.value("tile", SOURCE) is None
