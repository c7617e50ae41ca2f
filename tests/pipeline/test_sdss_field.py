"""From SkyServer to stamps on one real SDSS field, served by a loopback server."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from helpers.frozen import frozen, parameters
from helpers.sdss_server import CAMCOL, FIELD, GALAXY_ZOO, RERUN, RUN, Field, SdssServer, Source, shared_field
from helpers.servers.faults import Fault, Faults

from tuningfork.core.config.sky import Box
from tuningfork.core.config.stages import Structure
from tuningfork.core.config.transfer import Transfer
from tuningfork.core.errors import TransferError
from tuningfork.core.files import open_array
from tuningfork.core.flags import Flag, decode
from tuningfork.core.stage.parameters import Parameters, read_parameters
from tuningfork.core.tables import read_table
from tuningfork.measure.structure.refine import Refinement, refine
from tuningfork.networks.posterior import Gaussians
from tuningfork.sky.footprint import shards_of_footprint
from tuningfork.stamps.cut import Mapping, extract
from tuningfork.stamps.quality import disc
from tuningfork.stamps.shard import cut_shard
from tuningfork.surveys.jobs import fetch_tiles, list_sources

BOX = Box(ra_min=351.56, ra_max=351.72, dec_min=-0.01, dec_max=0.22)
SHARD = "8-300736"
MAG_MAX = 20.0
FRAME = f"/sas/dr17/eboss/photoObj/frames/{RERUN}/{RUN}/{CAMCOL}/frame-{{}}-{RUN:06d}-{CAMCOL}-{FIELD:04d}.fits.bz2"
SKYSERVER = "/dr17/en/tools/search/x_results.aspx"


@dataclass
class Stamps:
    """The stamps of the field's shards, one after the other."""

    table: pa.Table
    flux: np.ndarray
    inverse_variance: np.ndarray
    manifests: list[pa.Table]

    def column(self, name: str) -> np.ndarray:
        return self.table[name].to_numpy(zero_copy_only=False)


@pytest.fixture(scope="module")
def field(real_data: Path) -> Field:
    return shared_field(real_data)


@pytest.fixture
def server(real_data: Path, field: Field) -> Iterator[SdssServer]:
    with SdssServer(real_data, field) as server:
        yield server


def configuration(server: SdssServer) -> dict[str, Any]:
    return {"survey": {"name": "sdss", "sdss": server.settings}, "sources": {"mag_max": MAG_MAX}}


def run_shard(stages: dict[str, Parameters], shard: str, folder: Path) -> None:
    sources, tiles = folder / f"{shard}.sources.parquet", folder / f"{shard}.tiles.parquet"
    transfer = transfer_of(folder)
    list_sources(parameters=stages["sources"], shard=shard, transfer=transfer, output=sources)
    fetch_tiles(parameters=stages["tiles"], shard=shard, sources=sources, transfer=transfer, output=tiles)
    cut_shard(
        parameters=stages["stamps"],
        shard=shard,
        sources=sources,
        tiles=tiles,
        transfer=transfer,
        pixels=folder / f"{shard}.npy",
        table=folder / f"{shard}.parquet",
    )


def transfer_of(folder: Path) -> Transfer:
    return Transfer(timeout=10.0, retries=2, backoff=0.01, rate=1000.0, cache=str(folder / "cache"))


def stamps_of(folder: Path, real_data: Path, field: Field, mag_max: float = MAG_MAX) -> Stamps:
    """Return the stamps of what the catalogue of the field calls galaxies."""
    names = [shard.name for shard in shards_of_footprint(BOX, 8)]
    with SdssServer(real_data, field) as server:
        stages = parameters(folder / "params", configuration(server) | {"sources": {"mag_max": mag_max}})
        for name in names:
            run_shard(stages, name, folder)
    arrays = np.concatenate([open_array(folder / f"{name}.npy") for name in names])
    tables = [read_table(folder / f"{name}.parquet") for name in names]
    assert all(
        table["source_id"].equals(read_table(folder / f"{name}.sources.parquet")["source_id"])
        for name, table in zip(names, tables, strict=True)
    )
    table = pa.concat_tables([table.replace_schema_metadata() for table in tables])
    manifests = [read_table(folder / f"{name}.tiles.parquet") for name in names]
    return Stamps(table, arrays[:, 0], arrays[:, 1], manifests)


@pytest.fixture(scope="module")
def stamps(real_data: Path, field: Field, tmp_path_factory: pytest.TempPathFactory) -> Stamps:
    return stamps_of(tmp_path_factory.mktemp("field"), real_data, field)


@pytest.fixture(scope="module")
def everything(real_data: Path, field: Field, tmp_path_factory: pytest.TempPathFactory) -> Stamps:
    """The stamps of all sources to r = 19, as if the catalogue had called its stars galaxies, too."""
    whole = Field(real_data, dict(field.frames))
    whole.sources = [replace(source, galaxy=True) for source in field.sources]
    return stamps_of(tmp_path_factory.mktemp("everything"), real_data, whole, 19.0)


def galaxies(field: Field) -> dict[int, Source]:
    return {source.objid: source for source in field.sources if source.galaxy and source.mag <= MAG_MAX}


def isolated(field: Field, source: Source) -> bool:
    """Whether no other source within 6 arcsec has a tenth of this one's flux."""
    for other in field.sources:
        apart = np.hypot(other.ra - source.ra, other.dec - source.dec) * 3600
        if other is not source and apart < 6 and other.mag < source.mag + 2.5:
            return False
    return True


def test_no_galaxy_is_lost(stamps: Stamps, field: Field) -> None:
    expected = galaxies(field)
    assert sorted(stamps.column("source_id").tolist()) == sorted(expected)
    assert set(GALAXY_ZOO) <= set(stamps.column("source_id").tolist())
    assert len(expected) >= 90
    assert not any({"BAD_TILE", "OUTSIDE_TILES", "MISSING_BAND"} & set(decode(bits)) for bits in stamps.column("flags"))


def test_galaxies_lie_where_the_independent_list_says(stamps: Stamps, field: Field) -> None:
    """Centroids in the stamps, against the centroids of the independent pipeline: 0.1 arcsec in the median."""
    offsets = []
    expected = galaxies(field)
    size = stamps.flux.shape[-1]
    for objid, flux, bits in zip(stamps.column("source_id"), stamps.flux[:, 1], stamps.column("flags"), strict=True):
        source = expected[objid]
        if bits & ~Flag.LARGER_THAN_STAMP or not isolated(field, source) or not np.isfinite(source.x):
            continue
        fraction = np.array([value - np.floor(value + 0.5) for value in (source.x, source.y)])
        x, y = _centroid(flux, size)
        offsets.append(0.396 * np.hypot(x - size // 2 - fraction[0], y - size // 2 - fraction[1]))
    assert len(offsets) >= 30
    assert np.median(offsets) < 0.1


def _centroid(flux: np.ndarray, size: int, sigma: float = 2.0) -> tuple[float, float]:
    """Return the centroid (px) under a Gaussian window that follows it."""
    rows, columns = np.indices(flux.shape)
    x = y = float(size // 2)
    for _ in range(20):
        window = flux * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
        # A Gaussian window halves the offset of a galaxy of its own width.
        x += 1.5 * ((window * columns).sum() / window.sum() - x)
        y += 1.5 * ((window * rows).sum() / window.sum() - y)
    return x, y


def test_magnitudes_in_the_stamps_are_those_of_the_independent_list(stamps: Stamps, field: Field) -> None:
    """The same aperture (6 px), our zero point against one from the reference stars: 0.1 mag in the median."""
    differences = []
    expected = galaxies(field)
    for objid, flux, bits in zip(stamps.column("source_id"), stamps.flux[:, 1], stamps.column("flags"), strict=True):
        source = expected[objid]
        if bits & ~Flag.LARGER_THAN_STAMP or not isolated(field, source) or not np.isfinite(source.aperture_mag):
            continue
        total = flux[disc(flux.shape[0], 6.0)].sum()
        differences.append(22.5 - 2.5 * np.log10(total) - source.aperture_mag)
    assert len(differences) >= 30
    assert abs(np.median(differences)) < 0.05
    assert 1.4826 * np.median(np.abs(differences - np.median(differences))) < 0.05


def test_bands_are_aligned_to_a_fifth_of_a_pixel(stamps: Stamps, field: Field) -> None:
    """The bands' frames are offset by whole and broken pixels; on the stamps the galaxies must coincide."""
    expected = galaxies(field)
    size = stamps.flux.shape[-1]
    offsets = []
    for objid, flux, bits in zip(stamps.column("source_id"), stamps.flux, stamps.column("flags"), strict=True):
        # Saturated and masked sources, pieces of bright stars among them, have no centre.
        if expected[objid].mag < 19.2 and not bits and isolated(field, expected[objid]):
            places = np.array([_centroid(band, size) for band in flux])
            offsets.append(places[[0, 2]] - places[1])
    assert len(offsets) >= 10
    assert np.abs(np.median(offsets, axis=0)).max() < 0.2


def test_the_noise_that_is_claimed_is_the_noise_that_is_there(stamps: Stamps) -> None:
    pulls = stamps.flux * np.sqrt(stamps.inverse_variance)
    good = stamps.column("valid_fraction") > 0.99
    for band in range(3):
        spread = [1.4826 * np.median(np.abs(pull - np.median(pull))) for pull in pulls[good, band]]
        assert 0.9 < np.median(spread) < 1.15


def test_stamps_at_the_edge_of_the_field_are_padded(stamps: Stamps) -> None:
    row = stamps.column("source_id").tolist().index(GALAXY_ZOO[1])
    assert "PADDED" in decode(stamps.column("flags")[row])
    assert 0.9 < stamps.column("valid_fraction")[row] < 1
    assert (stamps.flux[row][stamps.inverse_variance[row] == 0] == 0).all()


def test_the_psf_is_that_of_the_place(stamps: Stamps) -> None:
    """0.88 arcsec were measured on 40 stars of the r image, 1.05 is the survey's median."""
    widths = stamps.column("psf_fwhm_r")
    assert np.median(widths) == pytest.approx(0.88, abs=0.05)
    assert 0.01 < np.ptp(widths) < 0.1


def test_saturated_stars_have_a_row_that_says_so(everything: Stamps, field: Field) -> None:
    """The centres that the independent pipeline calls saturated, and no others."""
    sources = {source.objid: source for source in field.sources}
    centres = [row for row in field.detections if row["base_PixelFlags_flag_saturatedCenter"] == "True"]
    places = np.array([(row["base_SdssCentroid_x"], row["base_SdssCentroid_y"]) for row in centres])
    real = [objid for objid in everything.column("source_id") if sources[objid].aperture_mag < sources[objid].mag + 1]
    bits = dict(zip(everything.column("source_id"), everything.column("flags"), strict=True))
    listed = {objid for objid in real if np.hypot(*(places - (sources[objid].x, sources[objid].y)).T).min() < 1}
    assert len(listed) >= 10
    assert {objid for objid in real if bits[objid] & Flag.SATURATED} == listed
    assert all("MASKED" in decode(bits[objid]) for objid in listed)


def fits_of(stamps: Stamps, rows: list[Source], table: pa.Table) -> Refinement:
    """Return the fits in r, started at the list's aperture magnitudes and twice the width of the PSF."""
    start = np.zeros((len(rows), 5))
    start[:, 0] = [source.aperture_mag - 22.5 for source in rows] + 2.5 * np.log10(stamps.column("sky_noise_r"))
    start[:, 1] = np.log(2 * stamps.column("psf_fwhm_r") / stamps.column("pixel_scale"))
    light = np.stack([stamps.flux[:, 1], stamps.inverse_variance[:, 1]], axis=1)[:, :, None]
    network = Gaussians(start, np.tile(np.eye(5), (len(rows), 1, 1)))
    return refine(network, table, light, "r", Structure(), torch.device("cpu"))


def test_no_star_passes_as_a_galaxy_and_no_galaxy_as_a_star(everything: Stamps, field: Field) -> None:
    """By the fit alone, without a network: it starts at the aperture magnitude and twice the width of the PSF."""
    sources = {source.objid: source for source in field.sources}
    rows = [sources[objid] for objid in everything.column("source_id")]
    star = fits_of(everything, rows, everything.table).star
    saturated = everything.column("flags") & Flag.SATURATED > 0
    # Entries of the list without the light that their Gaussian fit claims are artefacts.
    real = np.array([source.aperture_mag < source.mag + 1 for source in rows])
    galaxy = np.array([source.galaxy for source in rows])
    assert star[real & saturated].all()
    assert np.count_nonzero(real & ~galaxy & ~saturated) >= 40
    assert star[real & ~galaxy & ~saturated].all()
    # The list calls two sources extended (r = 15.6 and 18.7) that are not.
    assert np.count_nonzero(real & galaxy & ~saturated) >= 15
    assert np.count_nonzero(star & real & galaxy & ~saturated) <= 2
    assert not star[np.isin(everything.column("source_id"), GALAXY_ZOO)].any()


def test_the_images_of_the_psf_fit_stars_better_than_its_widths(everything: Stamps, field: Field) -> None:
    sources = {source.objid: source for source in field.sources}
    rows = [sources[objid] for objid in everything.column("source_id")]
    assert set(everything.column("psf_model")) == {"image"}
    image, width = (
        fits_of(everything, rows, table).reduced_chi2
        for table in (everything.table, everything.table.drop_columns(["psf_image"]))
    )
    saturated = everything.column("flags") & Flag.SATURATED > 0
    real = np.array([source.aperture_mag < source.mag + 1 for source in rows])
    alone = np.array([not source.galaxy and isolated(field, source) for source in rows])
    star = real & alone & ~saturated
    assert star.sum() >= 25
    assert (image[star] < width[star]).all()
    assert (image[star] - 1).mean() < 0.6 * (width[star] - 1).mean()


def test_orientation_and_scale(stamps: Stamps, field: Field) -> None:
    """The stripe runs along the equator: rows of pixels point north, columns east."""
    assert np.allclose(stamps.column("north_angle"), -90, atol=0.2)
    assert stamps.column("east_is_left").all()
    # Some pieces of bright stars have half-light radii of 20 arcsec in the list.
    radius = np.array([galaxies(field)[source].radius for source in stamps.column("source_id").tolist()])
    assert np.allclose(stamps.column("pixel_scale"), np.maximum(0.396, 6 * radius / 128), rtol=0.003)


def test_nothing_lands_in_the_users_home(server: SdssServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    run_shard(parameters(tmp_path / "params", configuration(server)), SHARD, tmp_path)
    assert [path for path in home.rglob("*") if path.is_file()] == []


def test_faults_of_the_server_become_rows_and_flags(server: SdssServer, tmp_path: Path) -> None:
    wrong = {"g": Fault.GONE, "r": Fault.TRUNCATED, "i": Fault.HTML}
    server.faults = Faults(permanent={FRAME.format(band): fault for band, fault in wrong.items()}, most=0)
    run_shard(parameters(tmp_path / "params", configuration(server)), SHARD, tmp_path)
    manifest = read_table(tmp_path / f"{SHARD}.tiles.parquet").to_pylist()
    assert [row["status"] for row in manifest] == ["missing", "missing", "missing"]
    assert "HTTP 404" in manifest[0]["reason"]
    assert "HTML page" in manifest[2]["reason"]
    table = read_table(tmp_path / f"{SHARD}.parquet")
    assert table.num_rows == read_table(tmp_path / f"{SHARD}.sources.parquet").num_rows > 0
    assert {tuple(decode(bits)) for bits in table["flags"].to_pylist()} == {("BAD_TILE",)}
    assert not np.any(open_array(tmp_path / f"{SHARD}.npy"))


def test_a_missing_band_is_measured_without(server: SdssServer, tmp_path: Path) -> None:
    server.faults = Faults(permanent={FRAME.format("g"): Fault.GONE}, most=0)
    run_shard(parameters(tmp_path / "params", configuration(server)), SHARD, tmp_path)
    table = read_table(tmp_path / f"{SHARD}.parquet")
    assert all("MISSING_BAND" in decode(bits) for bits in table["flags"].to_pylist())
    assert table["sky_noise_g"].null_count == table.num_rows
    assert table["sky_noise_r"].null_count == 0


def test_a_passing_fault_leaves_no_trace(server: SdssServer, tmp_path: Path) -> None:
    kinds = [Fault.UNAVAILABLE, Fault.HTML, Fault.TRUNCATED]
    server.faults = Faults(kinds=kinds, least=2, most=2)
    run_shard(parameters(tmp_path / "params", configuration(server)), SHARD, tmp_path)
    manifest = read_table(tmp_path / f"{SHARD}.tiles.parquet").to_pylist()
    assert [(row["band"], row["role"], row["status"]) for row in manifest] == [
        (band, role, "ok") for band in "gri" for role in ("image", "psf", "mask")
    ]
    assert server.faults.injected.total() >= 2 * 5


def test_a_dead_skyserver_fails_the_job_with_a_message(server: SdssServer, tmp_path: Path) -> None:
    server.faults = Faults(permanent={SKYSERVER: Fault.GONE}, most=0)
    stages = parameters(tmp_path / "params", configuration(server))
    with pytest.raises(TransferError, match=r"SkyServer: http://127\.0\.0\.1.*HTTP 404.*survey\.sdss\.skyserver_url"):
        list_sources(
            parameters=stages["sources"], shard=SHARD, transfer=transfer_of(tmp_path), output=tmp_path / "s.parquet"
        )
    assert not (tmp_path / "s.parquet").exists()


def test_what_the_cache_has_is_not_fetched_again_and_what_it_lost_is(server: SdssServer, tmp_path: Path) -> None:
    stages = parameters(tmp_path / "params", configuration(server))
    run_shard(stages, SHARD, tmp_path)
    before = np.array(open_array(tmp_path / f"{SHARD}.npy"))
    server.requests.clear()
    run_shard(stages, SHARD, tmp_path)
    assert {request.path for request in server.requests} == {SKYSERVER}
    shutil.rmtree(tmp_path / "cache")
    sources, tiles = (tmp_path / f"{SHARD}.{kind}.parquet" for kind in ("sources", "tiles"))
    output = tmp_path / f"{SHARD}.npy"
    output.unlink()
    cut_shard(
        parameters=stages["stamps"],
        shard=SHARD,
        sources=sources,
        tiles=tiles,
        transfer=transfer_of(tmp_path),
        pixels=output,
        table=tmp_path / f"{SHARD}.parquet",
    )
    np.testing.assert_array_equal(open_array(output), before)


def test_without_skyserver_the_flat_files_give_the_same_stamps(
    server: SdssServer, tmp_path: Path, stamps: Stamps
) -> None:
    values = configuration(server)
    values["survey"]["sdss"]["catalogue"] = "files"
    server.faults = Faults(where=lambda request: False, permanent={SKYSERVER: Fault.GONE})
    run_shard(parameters(tmp_path / "params", values), SHARD, tmp_path)
    assert server.queries == []
    table = read_table(tmp_path / f"{SHARD}.parquet")
    both = stamps.column("source_id").tolist()
    rows = [both.index(number) for number in table["source_id"].to_pylist()]
    assert len(rows) > 10
    np.testing.assert_array_equal(open_array(tmp_path / f"{SHARD}.npy")[:, 0], stamps.flux[rows])


def test_the_example_configuration_selects_the_field(root: Path, tmp_path: Path) -> None:
    import yaml

    values = yaml.safe_load((root / "config" / "examples" / "sdss-stripe82.yaml").read_text(encoding="utf-8"))
    assert values["survey"]["name"] == "sdss"
    stages = frozen(tmp_path, values)
    assert read_parameters(stages["stamps"]).survey.bands == ["g", "r", "i"]


def test_lanczos_is_not_needed_where_grids_agree() -> None:
    """A stamp on the pixels of its frame is a copy, so the photometry is that of the frame."""
    pixels = np.random.default_rng(1).normal(size=(80, 80)).astype(np.float32)
    stamp = extract(pixels, np.ones_like(pixels), Mapping(10.0, 12.0, np.eye(2)), 32)
    np.testing.assert_array_equal(stamp[0], pixels[12:44, 10:42])
