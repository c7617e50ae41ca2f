"""Pan-STARRS1: the tessellation, the survey's packing, and the way from a configuration to stamps on two sky cells."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.wcs import WCS
from helpers.servers.panstarrs import Panstarrs, header_of, pack, packed, path
from helpers.servers.stages import Stages, run_stages
from hypothesis import given, settings
from hypothesis import strategies as st

from tuningfork.core.config.survey import Panstarrs as Settings
from tuningfork.core.config.transfer import Transfer
from tuningfork.core.description import Description
from tuningfork.core.errors import InputError
from tuningfork.sky.shards import Shard, pixels
from tuningfork.surveys.base import Tile
from tuningfork.surveys.panstarrs.stack import open_stack
from tuningfork.surveys.panstarrs.survey import PanstarrsSurvey
from tuningfork.surveys.transfer.network import Network

WEST, EAST = "1329.005", "1329.004"
BANDS = ("g", "r", "i", "z")
REFERENCE = {WEST: (240.0, 29057.0), EAST: (6000.0, 29057.0)}
"""CRPIX of two neighbours, which share the projection about (28, 2)."""
WIDE, HIGH, BOTTOM, LEFT = 700, 300, 1100, 5540
"""Only a part of each cell is served: its left end of the western one, its right end of the eastern one."""
EXPOSURE, NOISE, SIGMA = 720.0, 0.1, 6.0
PLACES = {11: (600, 150), 12: (-150, 150), 13: (150, 150), 14: (560, 70)}
"""source_id -> pixel in the western part: only west, only east, in the overlap but deeper in the east, masked."""
FIRST = 10**17
"""Identifiers of the survey are larger than what a float64 holds exactly."""


def wcs_of(name: str) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [28.0, 2.0], list(REFERENCE[name])
    wcs.wcs.cdelt = [-6.94444461259988e-05, 6.94444461259988e-05]
    return wcs


def sky(places: dict[int, tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.array(list(places.values()), dtype=float).T
    return wcs_of(WEST).wcs_pix2world(x, y + BOTTOM, 0)


def objects() -> dict[str, np.ndarray]:
    """Return the catalogue: the galaxies, one of them twice, one secondary detection, a faint one, and stars."""
    ra, dec = sky(PLACES)
    stars = 40
    star_ra = np.repeat([27.9, 28.1], stars // 2)
    star_dec = np.full(stars, float(dec[0])) + np.linspace(0, 0.01, stars)
    row = {
        "objID": FIRST + np.array([11, 12, 13, 14, 13, 13, 15, *range(1000, 1000 + stars)]),
        "raMean": np.concatenate([ra, ra[[2, 2, 0]], star_ra]),
        "decMean": np.concatenate([dec, dec[[2, 2, 0]], star_dec]),
        "rKronMag": np.concatenate([np.full(4, 17.0), [16.0, 17.2, 21.0], np.full(stars, 17.0)]),
        "rKronRad": np.full(7 + stars, 6.0),
        "primaryDetection": np.array([1, 1, 1, 1, 0, 1, 1] + [1] * stars),
        "iPSFMag": np.concatenate([np.full(7, 18.0), np.full(stars, 16.5)]),
        "iKronMag": np.concatenate([np.full(7, 16.9), np.full(stars, 16.5)]),
    }
    for band, width in zip(BANDS, (1.4, 1.3, 1.2, 1.1), strict=True):
        row[f"{band}psfMajorFWHM"] = np.where(row["raMean"] < 28, width + 0.05, width - 0.15)
        row[f"{band}psfMinorFWHM"] = np.where(row["raMean"] < 28, width - 0.05, width - 0.25)
    return row


def part(name: str, band: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, Any]:
    """Return counts, variance, mask and header of the served part of a cell."""
    left = 0 if name == WEST else LEFT
    rows, columns = np.mgrid[:HIGH, :WIDE].astype(float)
    counts = np.zeros((HIGH, WIDE))
    for x, y in PLACES.values():
        across = columns + left - x - (0 if name == WEST else 5760)
        counts += flux(band) * EXPOSURE / (2 * np.pi * SIGMA**2) * np.exp(-(across**2 + (rows - y) ** 2) / 2 / SIGMA**2)
    rng = np.random.default_rng(BANDS.index(band))
    counts += rng.normal(0, 0.1 * NOISE * EXPOSURE, counts.shape)
    mask = np.zeros(counts.shape, dtype=int)
    if name == WEST:
        x, y = PLACES[14]
        mask[y - 1 : y + 2, x - 1 : x + 2] = 0x20
        mask[y + 20, x] = 0x200
        counts[y - 20 : y - 17, x : x + 2] = np.nan
    crpix = REFERENCE[name][0] - left, REFERENCE[name][1] - BOTTOM
    variance = np.full(counts.shape, (NOISE * EXPOSURE) ** 2)
    variance[:, ::2] *= 1.1
    return counts, variance, mask, header_of((28.0, 2.0), crpix, band, EXPOSURE)


def flux(band: str) -> float:
    return float(10 ** (0.4 * (25 - 17 + 0.5 * BANDS.index(band))))


def serve() -> Panstarrs:
    server = Panstarrs(objects())
    for name in (WEST, EAST):
        for band in BANDS:
            if (name, band) != (WEST, "z"):
                server.add(name, band, *part(name, band))
    return server


@pytest.fixture(scope="module")
def shard() -> str:
    ra, dec = sky(PLACES)
    (pixel,) = set(pixels(ra, dec, 5).tolist())
    return Shard(5, int(pixel)).name


def configuration(server: Panstarrs) -> dict[str, Any]:
    survey = {"name": "panstarrs", "panstarrs": server.settings}
    return {"survey": survey, "sources": {"mag_min": 14, "mag_max": 18}, "stamps": {"size": 64}}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, shard: str) -> tuple[Stages, Panstarrs]:
    with serve() as server:
        return run_stages(tmp_path_factory.mktemp("panstarrs"), configuration(server), shard), server


def test_the_catalogue_gives_primary_galaxies_once(run: tuple[Stages, Panstarrs]) -> None:
    stages, _ = run
    assert stages.sources["source_id"].to_pylist() == [FIRST + number for number in (11, 12, 13, 14)]
    assert stages.sources["survey_mag"].to_pylist() == [17.0] * 4
    assert stages.sources["survey_radius"].to_pylist() == pytest.approx([6.0 * 1.678 / 5] * 4, rel=2e-3)
    ra, dec = sky(PLACES)
    np.testing.assert_allclose(stages.sources["ra"], ra)
    np.testing.assert_allclose(stages.sources["dec"], dec)


def test_stamps_have_the_galaxies_magnitudes(run: tuple[Stages, Panstarrs]) -> None:
    stages, _ = run
    for number, tile in ((11, WEST), (12, EAST), (13, EAST)):
        values, weight = stages.stamp(FIRST + number)
        assert stages.value("tile", FIRST + number) == tile
        assert stages.value("zero_point", FIRST + number) == 25
        assert stages.value("pixel_scale", FIRST + number) == pytest.approx(0.25, rel=1e-3)
        assert stages.value("sky_noise_r", FIRST + number) == pytest.approx(NOISE, rel=0.06)
        assert np.unique(np.round(1 / weight[1] / NOISE**2, 2)) == pytest.approx([1.0, 1.1])
        for place, band in enumerate(BANDS[:3]):
            assert values[place].sum() == pytest.approx(flux(band), rel=3e-3)
        assert np.unravel_index(values[1].argmax(), values[1].shape) == (32, 32)


def test_the_widths_of_the_psf_are_those_of_the_stars_in_the_cell(run: tuple[Stages, Panstarrs]) -> None:
    stages, _ = run
    for number, width in ((11, 1.3), (12, 1.1)):
        assert stages.value("psf_fwhm_r", FIRST + number) == pytest.approx(width, abs=0.01)


def test_masked_pixels_and_a_missing_band_are_flagged(run: tuple[Stages, Panstarrs]) -> None:
    stages, _ = run
    assert stages.flags(FIRST + 14) == ["MISSING_BAND", "MASKED", "SATURATED"]
    weight = stages.stamp(FIRST + 14)[1]
    assert (weight[1, 31:34, 31:34] == 0).all()
    assert (weight[1, 12:15, 32:34] == 0).all()
    assert np.count_nonzero(weight[1] == 0) == 15
    assert stages.flags(FIRST + 11) == ["MISSING_BAND"]
    assert stages.flags(FIRST + 12) == []
    missing = [row for row in stages.manifest.to_pylist() if row["status"] != "ok"]
    assert [(row["tile"], row["band"]) for row in missing] == [(WEST, "z")]
    assert "404" in missing[0]["reason"]


def test_a_shard_without_galaxies_needs_no_tiles(tmp_path: Path) -> None:
    with serve() as server:
        stages = run_stages(tmp_path, configuration(server), Shard(5, 0).name)
        assert stages.sources.num_rows == stages.manifest.num_rows == stages.table.num_rows == 0
        assert not any(request.path.endswith(".fits") for request in server.requests)


def test_each_file_comes_once(run: tuple[Stages, Panstarrs]) -> None:
    _, server = run
    files = [request for request, status, _ in server.sent if status == 200 and request.endswith(".fits")]
    assert sorted(files) == sorted(server.files)


def test_a_cell_that_is_not_there_leaves_its_overlap_to_its_neighbour(tmp_path: Path, shard: str) -> None:
    with serve() as server:
        for name in [file for file in server.files if EAST in file]:
            del server.files[name]
        stages = run_stages(tmp_path, configuration(server), shard)
    assert stages.value("tile", FIRST + 13) == WEST
    assert stages.stamp(FIRST + 13)[0, 1].sum() == pytest.approx(flux("r"), rel=3e-3)
    assert stages.value("tile", FIRST + 12) is None
    assert set(stages.flags(FIRST + 12)) <= {"BAD_TILE", "OUTSIDE_TILES"}
    assert stages.flags(FIRST + 12)


@pytest.mark.parametrize("name", ["../../etc", "1329.105", "1329.5", "0486.000", "2644.000", "1329.005/..", ""])
def test_a_cell_that_does_not_exist_is_refused(tmp_path: Path, name: str) -> None:
    survey = PanstarrsSurvey(Settings(), description(), Network(Transfer(cache=str(tmp_path))))
    with pytest.raises(InputError, match="expected the projection cell"):
        survey.locate([name])
    with pytest.raises(InputError, match="expected the projection cell"):
        survey.fetch(Tile(name, 1.0, 1.0))


def description() -> Description:
    return Description(
        title="test", bands=["r"], reference_band="r", pixel_scale=0.25, zero_point=25.0, flux_unit="count/s",
        psf_fwhm=[1.2], psf_fwhm_scatter=0.1, psf_beta=3.0, sky_noise=[0.1], sky_noise_scatter=0.1,
    )  # fmt: skip


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 1e5))
def test_packing_is_undone_to_a_part_of_the_noise(
    tmp_path_factory: pytest.TempPathFactory, seed: int, bright: float
) -> None:
    folder = tmp_path_factory.mktemp("stack")
    rng = np.random.default_rng(seed)
    counts = rng.normal(3, 1, (40, 50))
    counts[10, 10] += bright
    counts[5, 6] = np.nan
    header = header_of((28.0, 2.0), (10.0, 10.0), "r", 1.0)
    files = write(folder, packed(counts, header), packed(np.full(counts.shape, 4.0), header), np.zeros(counts.shape))
    image = open_stack(*files, "r", 1.0)
    flux_back, weight = image.rows(3, 12)
    known = np.isfinite(counts[3:12])
    assert np.array_equal(weight > 0, known)
    assert (flux_back[~known] == 0).all()
    spread = float(np.nanstd(counts))
    np.testing.assert_allclose(flux_back[known], counts[3:12][known], rtol=1e-3, atol=1e-3 * spread)
    np.testing.assert_allclose(weight[known], 0.25, rtol=1e-4)


def write(folder: Path, image: bytes, variance: bytes, mask: np.ndarray) -> list[Path]:
    header = header_of((28.0, 2.0), (10.0, 10.0), "r", 1.0)
    contents = {"image": image, "variance": variance, "mask": pack(mask.astype(np.int16), header)}
    for name, content in contents.items():
        (folder / f"{name}.fits").write_bytes(content)
    return [folder / f"{name}.fits" for name in contents]


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4"])
def test_the_mask_may_be_stored_in_any_way(tmp_path: Path, dtype: str) -> None:
    header = header_of((28.0, 2.0), (10.0, 10.0), "r", 1.0)
    mask = np.zeros((20, 30), dtype=dtype)
    mask[4, 5:7] = 0x20, 0x80
    if dtype != "u1":
        mask[4, 7:11] = 0x100, 0x200, 0x1000, 0x2000
    good = packed(np.arange(600.0).reshape(20, 30) + 1, header)
    files = write(tmp_path, good, good, np.zeros((20, 30)))
    files[2].write_bytes(pack(mask, header))
    _, weight = open_stack(*files, "r", 1.0).rows(0, 20)
    expected = [[4, 5]] if dtype == "u1" else [[4, 5], [4, 7], [4, 10]]
    assert np.argwhere(weight == 0).tolist() == expected


def test_files_that_are_not_what_they_should_be_are_named(tmp_path: Path) -> None:
    header = header_of((28.0, 2.0), (10.0, 10.0), "r", 1.0)
    good = packed(np.arange(600.0).reshape(20, 30), header)
    files = write(tmp_path, good, good, np.zeros((20, 31)))
    with pytest.raises(InputError, match=r"mask\.fits: its shape \(20, 31\) is not that of .*image\.fits"):
        open_stack(*files, "r", 1.0)
    files = write(tmp_path, good, good, np.zeros((20, 30)))
    with pytest.raises(InputError, match=r"expected the band g, found 'r\.00000'"):
        open_stack(*files, "g", 1.0)
    files[0].write_bytes(b"<html>")
    with pytest.raises(InputError, match=r"image\.fits: not a stack image"):
        open_stack(*files, "r", 1.0)
    header["EXPTIME"] = 0.0
    files[0].write_bytes(packed(np.arange(600.0).reshape(20, 30), header))
    with pytest.raises(InputError, match="EXPTIME is 0"):
        open_stack(*files, "r", 1.0)


def test_the_server_keeps_files_where_the_survey_does() -> None:
    expected = "/rings.v3.skycell/1360/059/rings.v3.skycell.1360.059.stk.g.unconv.wt.fits"
    assert path("1360.059", "g", ".wt") == expected
