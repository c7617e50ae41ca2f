"""The Dark Energy Survey: its lists and files, and the way from a configuration to stamps on two overlapping tiles."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.wcs import WCS
from helpers.servers.des import Des, header_of, listed, packed
from helpers.servers.stages import Stages, run_stages

from tuningfork.core.config.sources import Sources
from tuningfork.core.config.survey import Des as Settings
from tuningfork.core.config.transfer import Transfer
from tuningfork.core.description import Description
from tuningfork.core.errors import InputError, TransferError
from tuningfork.sky.shards import Shard, pixels
from tuningfork.surveys.base import Tile
from tuningfork.surveys.des.coadd import open_coadd
from tuningfork.surveys.des.survey import DesSurvey
from tuningfork.surveys.transfer.network import Network

WEST, EAST = "DES0152+0001", "DES0155+0001"
CENTRES = {WEST: (28.094449, 0.016667), EAST: (28.808235, 0.016667)}
"""The tiles share 62 arcsec, from right ascension 28.4427 to 28.4597."""
BANDS = ("g", "r", "i", "z")
LEFT = {WEST: 0, EAST: 9480}
"""Only a part of each tile is served: the eastern end of the western one, the western end of the eastern one."""
WIDE, HIGH, BOTTOM = 520, 320, 4840
SIZE, NOISE, SIGMA = 256, 2.0, 5.0
WIDTH = 0.9
"""Of the PSF in the west (arcsec); it is 0.2 less in the east."""
MIDDLE = 28.451342
PLACES = {21: (28.4350, 0.0167), 22: (28.4650, 0.0160), 23: (MIDDLE, 0.0165), 24: (28.4385, 0.0120)}
"""source_id -> position: west, east, in the middle of the overlap, masked."""


def wcs_of(name: str) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], list(CENTRES[name]), [5000.5, 5000.5]
    wcs.wcs.cdelt = [-7.305555555556e-05, 7.305555555556e-05]
    return wcs


def file_of(name: str, band: str) -> str:
    return f"{name}_r4907p01_{band}.fits.fz"


def flux(band: str) -> float:
    return float(10 ** (0.4 * (30 - 17 + 0.5 * BANDS.index(band))))


def objects() -> dict[str, np.ndarray]:
    """Return the catalogue: four galaxies, sources that the release's authors advise against, and stars."""
    ra, dec = np.array(list(PLACES.values())).T
    stars = 20
    columns: dict[str, Any] = {
        "coadd_object_id": np.concatenate([list(PLACES), [31, 32, 33, 34], 100 + np.arange(stars)]),
        "tilename": np.array([WEST, EAST, WEST, WEST] + [WEST] * 4 + [WEST, EAST] * (stars // 2)),
        "ra": np.concatenate([ra, np.full(4, ra[0]), [ra[0], ra[1]] * (stars // 2)]),
        "dec": np.concatenate([dec, np.full(4 + stars, dec[0])]),
        "extended_class_coadd": np.array([3, 2, 3, 3, 1, 3, 3, 3] + [0] * stars),
    }
    for band in BANDS:
        columns[f"mag_auto_{band}"] = np.array([17.0] * 7 + [22.0] + [18.0] * stars)
        columns[f"flux_radius_{band}"] = np.full(8 + stars, 6.0)
        columns[f"flags_{band}"] = np.array([0, 2, 0, 0, 0, 4, 0, 0] + [0] * stars)
        columns[f"imaflags_iso_{band}"] = np.array([0, 0, 0, 0, 0, 0, 1, 0] + [0] * stars)
        widths = np.where(columns["tilename"] == WEST, WIDTH, WIDTH - 0.2) + 0.1 * BANDS.index(band)
        columns[f"fwhm_image_{band}"] = widths / 0.263
    return columns


def part(name: str, band: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, Any]:
    """Return image, mask, weight and header of the served part of a tile."""
    rows, columns = np.mgrid[:HIGH, :WIDE].astype(float)
    image = np.random.default_rng(BANDS.index(band)).normal(0, 0.1 * NOISE, rows.shape)
    mask = np.zeros(rows.shape, dtype=int)
    weight = np.full(rows.shape, 1 / NOISE**2)
    for number, place in PLACES.items():
        x, y = wcs_of(name).wcs_world2pix(*place, 0)
        x, y = float(x) - LEFT[name], float(y) - BOTTOM
        shape = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 2 / SIGMA**2)
        image += flux(band) / (2 * np.pi * SIGMA**2) * shape
        if number == 24 and name == WEST:
            mask[round(y), round(x)] = 1
            weight[round(y) + 1, round(x)] = -1
    header = header_of(CENTRES[name], (5000.5 - LEFT[name], 5000.5 - BOTTOM), band)
    return image, mask, weight, header


def corners(name: str) -> list[tuple[float, float]]:
    """Return the corners of the whole tile: lower left, lower right, upper right, upper left."""
    ra, dec = wcs_of(name).wcs_pix2world([1, 10000, 10000, 1], [1, 1, 10000, 10000], 1)
    return list(zip(ra.tolist(), dec.tolist(), strict=True))


def serve() -> Des:
    """Return a server whose list lacks z in the west, and whose archive lacks z in the east."""
    rows = listed(WEST, corners(WEST), {band: file_of(WEST, band) for band in BANDS[:3]})
    rows += listed(EAST, corners(EAST), {band: file_of(EAST, band) for band in BANDS})
    server = Des(objects(), rows)
    for name in (WEST, EAST):
        for band in BANDS[:3]:
            server.add(file_of(name, band), *part(name, band))
    return server


@pytest.fixture(scope="module")
def shard() -> Shard:
    (pixel,) = set(pixels(*np.array(list(PLACES.values())).T, 5).tolist())
    return Shard(5, int(pixel))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, shard: Shard) -> tuple[Stages, Des]:
    with serve() as server:
        survey = {"name": "des", "des": server.settings}
        values = {"survey": survey, "sources": {"mag_min": 14, "mag_max": 18}, "stamps": {"size": SIZE}}
        return run_stages(tmp_path_factory.mktemp("des"), values, shard.name), server


def test_the_catalogue_gives_galaxies_that_the_release_trusts(run: tuple[Stages, Des]) -> None:
    stages, _ = run
    assert stages.sources["source_id"].to_pylist() == list(PLACES)
    assert stages.sources["survey_radius"].to_pylist() == pytest.approx([6 * 0.263] * 4)
    assert stages.sources["survey_mag"].to_pylist() == [17.0] * 4
    assert ["BLENDED" in stages.flags(number) for number in PLACES] == [False, True, False, False]


def test_stamps_have_the_galaxies_magnitudes(run: tuple[Stages, Des]) -> None:
    stages, _ = run
    for number, tile, width in ((21, WEST, WIDTH), (22, EAST, WIDTH - 0.2)):
        values = stages.stamp(number)[0]
        assert stages.value("tile", number) == tile
        assert stages.value("zero_point", number) == 30
        assert stages.value("pixel_scale", number) == pytest.approx(0.263, rel=1e-3)
        assert stages.value("sky_noise_r", number) == pytest.approx(NOISE, rel=0.02)
        assert stages.value("psf_fwhm_r", number) == pytest.approx(width + 0.1, abs=0.01)
        half = SIZE // 2
        for place, band in enumerate(BANDS[:3]):
            core = values[place, half - 20 : half + 21, half - 20 : half + 21]
            assert core.sum() == pytest.approx(flux(band), rel=3e-3)
        assert np.unravel_index(values[1].argmax(), values[1].shape) == (half, half)


def test_a_galaxy_on_the_border_of_two_tiles_is_whole(run: tuple[Stages, Des]) -> None:
    stages, _ = run
    assert "STITCHED" in stages.flags(23)
    values, weight = stages.stamp(23)
    assert (weight[1] > 0).mean() > 0.99
    tile = stages.value("tile", 23)
    x, y = (float(value) for value in wcs_of(tile).wcs_world2pix(*PLACES[23], 0))
    rows, columns = np.mgrid[:SIZE, :SIZE]
    left, bottom = np.floor(x + 0.5) - SIZE // 2, np.floor(y + 0.5) - SIZE // 2
    expected = np.zeros((SIZE, SIZE))
    for place in PLACES.values():
        there = [float(value) for value in wcs_of(tile).wcs_world2pix(*place, 0)]
        square = (columns + left - there[0]) ** 2 + (rows + bottom - there[1]) ** 2
        expected += flux("r") / (2 * np.pi * SIGMA**2) * np.exp(-square / 2 / SIGMA**2)
    known = weight[1] > 0
    np.testing.assert_allclose(values[1][known], expected[known], atol=0.01 * expected.max())


def test_masked_pixels_have_no_weight(run: tuple[Stages, Des]) -> None:
    stages, _ = run
    weight = stages.stamp(24)[1][1]
    half = SIZE // 2
    assert weight[half, half] == weight[half + 1, half] == 0
    assert "MASKED" in stages.flags(24)


def test_a_missing_band_is_flagged_with_its_reason(run: tuple[Stages, Des]) -> None:
    stages, _ = run
    assert all("MISSING_BAND" in stages.flags(number) for number in PLACES)
    missing = {row["tile"]: row["reason"] for row in stages.manifest.to_pylist() if row["status"] != "ok"}
    assert set(missing) == {WEST, EAST}
    assert missing[WEST] == "the survey does not list this band of the tile"
    assert "404" in missing[EAST]


def test_each_file_comes_once(run: tuple[Stages, Des]) -> None:
    _, server = run
    files = [request for request, status, _ in server.sent if status == 200 and request.endswith(".fz")]
    assert sorted(files) == sorted(server.files)


@pytest.fixture
def survey(tmp_path: Path) -> Iterator[tuple[DesSurvey, Des]]:
    odd = listed("../../x", corners(WEST), {"r": "../../x.fits.fz"}) + listed(WEST, corners(WEST), {"r": "../../y"})
    description = Description(
        title="test", bands=["r"], reference_band="r", pixel_scale=0.263, zero_point=30.0, flux_unit="1",
        psf_fwhm=[0.95], psf_fwhm_scatter=0.1, psf_beta=3.0, sky_noise=[2.0], sky_noise_scatter=0.1,
    )  # fmt: skip
    with Des(objects(), odd) as server:
        transfer = Transfer(cache=str(tmp_path / "cache"), timeout=5.0, retries=0, backoff=0.01, rate=1000.0)
        yield DesSurvey(Settings(**server.settings), description, Network(transfer)), server


def test_names_of_the_service_never_become_paths(
    survey: tuple[DesSurvey, Des], shard: Shard, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found, server = survey
    with caplog.at_level(logging.WARNING):
        (tile,) = found.tiles(shard)
    assert tile.name == WEST
    assert "with the unexpected name '../../x'" in caplog.text
    before = len(server.requests)
    fetched = found.fetch(tile)
    assert fetched.files == {}
    assert "expected one such as DES0152+0001_r4907p01_r.fits.fz" in fetched.faults["r"]
    assert (
        "expected one such as"
        in found.fetch(Tile("../x", 1, 1, facts={"files": {"r": "../x_r4907p01_r.fits.fz"}})).faults["r"]
    )
    assert len(server.requests) == before
    assert not list(tmp_path.rglob("*.fz"))


def test_a_tile_is_found_wherever_the_shard_lies_in_it(survey: tuple[DesSurvey, Des]) -> None:
    found, _ = survey
    ra, dec = np.array(corners(WEST)).T
    middle = np.array([CENTRES[WEST]] * 4).T
    for part_of_the_way in (0.0, 0.9):
        place = middle + part_of_the_way * (np.array([ra, dec]) - middle)
        for pixel in set(pixels(*place, 9).tolist()):
            assert [tile.name for tile in found.tiles(Shard(9, pixel))] == [WEST]
    far = pixels(np.array([CENTRES[WEST][0] + 3]), np.array([0.0]), 9)
    assert found.tiles(Shard(9, int(far[0]))) == []
    assert found.catalogue(Shard(9, int(far[0])), Sources()).num_rows == 0


def test_tiles_are_found_by_name(survey: tuple[DesSurvey, Des]) -> None:
    found, server = survey
    (tile,) = found.locate([WEST])
    assert (tile.ra, tile.dec) == pytest.approx(CENTRES[WEST], abs=1e-4)
    np.testing.assert_allclose(tile.corners, corners(WEST))
    with pytest.raises(InputError, match=r"DES0000\+0000.* no such tile"):
        found.locate(["DES0000+0000"])
    asked = len(server.requests)
    with pytest.raises(InputError, match="expected a name such as"):
        found.locate(["DES0000+0000' OR 1=1 --"])
    assert len(server.requests) == asked


def test_without_the_stars_the_psf_is_the_median(survey: tuple[DesSurvey, Des], tmp_path: Path) -> None:
    found, server = survey
    server.add(file_of(WEST, "r"), *part(WEST, "r"))
    tile = Tile(WEST, *CENTRES[WEST], tuple(corners(WEST)), facts={"files": {"r": file_of(WEST, "r")}})
    server.tap.path = "/elsewhere"
    image = found.open(found.fetch(tile), "r")
    assert image.psf_fwhm(np.zeros(3), np.zeros(3)).tolist() == [0.95] * 3


def test_offline_a_tile_is_whole_or_missing(survey: tuple[DesSurvey, Des], tmp_path: Path) -> None:
    """The width of the PSF must not depend on whether the network was used."""
    found, server = survey
    server.add(file_of(WEST, "r"), *part(WEST, "r"))
    tile = Tile(WEST, *CENTRES[WEST], tuple(corners(WEST)), facts={"files": {"r": file_of(WEST, "r")}})
    cached = found.fetch(tile)
    offline = Network(Transfer(cache=str(tmp_path / "cache"), offline=True))
    found = DesSurvey(Settings(**server.settings), found._description, offline)
    assert found.fetch(tile) == cached
    (tmp_path / "cache" / cached.files["r"]["psf"]).unlink()
    again = found.fetch(tile)
    assert again.files == {}
    assert "offline" in again.faults["r"]


def test_a_service_that_is_down_fails_the_job(survey: tuple[DesSurvey, Des], shard: Shard) -> None:
    found, server = survey
    server.tap.path = "/elsewhere"
    with pytest.raises(TransferError, match=r"127\.0\.0\.1.*404"):
        found.tiles(shard)


def test_files_that_are_not_what_they_should_be_are_named(tmp_path: Path) -> None:
    path = tmp_path / "tile.fits.fz"
    image, mask, weight, header = part(WEST, "r")
    path.write_bytes(packed(image, mask, weight, header))
    with pytest.raises(InputError, match="expected the band g, found 'r'"):
        open_coadd(path, "g", 1.0)
    path.write_bytes(packed(image, mask[:-1], weight, header))
    with pytest.raises(InputError, match="shapes of SCI, MSK, WGT"):
        open_coadd(path, "r", 1.0)
    scale, header["CD1_1"] = header["CD1_1"], 0.0
    path.write_bytes(packed(image, mask, weight, header))
    with pytest.raises(InputError, match=r"tile\.fits\.fz: not a coadded tile of DES \(header: .*singular"):
        open_coadd(path, "r", 1.0)
    header["CD1_1"] = scale
    del header["MAGZERO"]
    path.write_bytes(packed(image, mask, weight, header))
    with pytest.raises(InputError, match=r"tile\.fits\.fz: not a coadded tile of DES .*MAGZERO"):
        open_coadd(path, "r", 1.0)
    path.write_bytes(b"<html>")
    with pytest.raises(InputError, match=r"tile\.fits\.fz: not a coadded tile of DES"):
        open_coadd(path, "r", 1.0)
