"""Injected galaxies: right in flux, place and angle, alone in their stamps; and the figures that follow from them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.corrections import vote_calibration
from helpers.drawn_survey import CENTRE, DESCRIPTION, FIELD, FWHM, NOISE, SCALE, Drawn, galaxies
from helpers.small_networks import model_card
from helpers.small_sets import stamp_files
from scipy.stats import binomtest

from tuningfork.core.calibration_file import write_calibration
from tuningfork.core.config import validate
from tuningfork.core.config.population import Population
from tuningfork.core.config.transfer import Transfer
from tuningfork.core.description import describe
from tuningfork.core.flags import decode
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import lineage_of, read_table, write_table
from tuningfork.injection.cut import cut_stamps
from tuningfork.injection.function import SCHEMA, gather, selection_function, wilson
from tuningfork.injection.images import draw, spots, with_galaxies
from tuningfork.injection.place import Injection, groups, place_galaxies
from tuningfork.injection.shard import InjectionInputs, inject_shard
from tuningfork.measure.bars.calibration import uncalibrated
from tuningfork.simulate.galaxies.draw import draw_galaxy
from tuningfork.simulate.light.profiles import Sersic
from tuningfork.simulate.truth import Part
from tuningfork.sky.coordinates import distance, orientation, pixel_to_sky_angle
from tuningfork.sky.shards import Shard
from tuningfork.surveys.base import Image
from tuningfork.surveys.manifest import fetch_all
from tuningfork.surveys.registry import open_survey
from tuningfork.surveys.transfer.network import Network

SIZE = 300
EMPTY = galaxies(1, 100.0)[:0]


def injection(ra: float = CENTRE[0], dec: float = CENTRE[1], angle: float = 30.0, mag: float = 16.0) -> Injection:
    """Return a galaxy of one elongated Sersic profile."""
    galaxy = draw_galaxy(np.random.default_rng(1), Population())
    part = Part(Sersic(1.0, 3.0, 0.4, angle), 1.0, "disc")
    galaxy = replace(galaxy, mag=mag, r_eff=3.0, parts=[part], position_angle=angle, reddening=0.0)
    return Injection(7, galaxy, ra, dec, 2.0)


def whole(image: Image) -> tuple[np.ndarray, np.ndarray]:
    flux, weight = image.rows(0, image.shape[0])
    return np.array(flux), np.array(weight)


@pytest.fixture(scope="module")
def survey() -> Drawn:
    return Drawn(EMPTY, [(*CENTRE, 0.0), (CENTRE[0], CENTRE[1], 160.0)], SIZE)


@pytest.mark.parametrize("tile", ["t0", "t1"])
def test_light_lands_where_and_as_it_should(survey: Drawn, tile: str) -> None:
    """Flux, centroid and position angle on the sky, in tiles of any orientation; pixels far away stay as they are."""
    image = survey.images[tile]
    one = injection(CENTRE[0] + 5.3 / 3600, CENTRE[1] - 8.1 / 3600)
    before, after = whole(image), whole(with_galaxies(image, tile, "r", [one], DESCRIPTION, 1))
    light = after[0] - before[0]
    assert light.sum() == pytest.approx(10 ** (-0.4 * (16.0 - 22.5)), rel=0.02)
    x, y = image.wcs.all_world2pix(one.ra, one.dec, 0)
    rows, columns = np.indices(light.shape)
    core = light * (np.hypot(columns - x, rows - y) < 20)
    centre = (core * columns).sum() / core.sum(), (core * rows).sum() / core.sum()
    assert np.hypot(centre[0] - x, centre[1] - y) < 0.15
    u, v = columns - x, rows - y
    xx, yy, xy = ((core * product).sum() for product in (u * u, v * v, u * v))
    pixel_angle = np.rad2deg(0.5 * np.arctan2(2 * xy, xx - yy)) - 90
    north, left = orientation(image.wcs, np.array([x]), np.array([y]))
    sky = float(pixel_to_sky_angle(np.array([pixel_angle]), north, left)[0])
    assert abs((sky - 30 + 90) % 180 - 90) < 3
    far = np.hypot(u, v) > 150
    assert (light[far] == 0).all()
    assert (before[1][far] == after[1][far]).all()


@pytest.mark.parametrize("tile", ["t0", "t1"])
def test_a_point_has_the_shape_of_the_image_of_the_psf(survey: Drawn, tile: str) -> None:
    """On the pixels of the tile, whatever its orientation: a PSF that is longer in one direction, with a lobe."""
    rows, columns = np.indices((41, 41)) - 20
    star = np.exp(-(columns**2) / 18 - rows**2 / 6) + 0.2 * np.exp(-((columns - 6) ** 2 + (rows - 4) ** 2) / 6)
    star = (star / star.sum()).astype(np.float32)
    plain = replace(survey.images[tile], psf_images=lambda x, y: [star] * len(x))
    one = injection(mag=12.0)
    point = replace(one.galaxy, parts=[Part(Sersic(1.0, 0.02, 1.0, 0.0), 1.0, "disc")])
    spot = replace(spots(plain, [replace(one, galaxy=point)])[0], x=100.0, y=100.0, width=64)
    light, _ = draw(spot, plain, "r", NOISE, DESCRIPTION, np.random.default_rng(1))
    assert light[12:53, 12:53] / light.sum() == pytest.approx(star, abs=0.02 * float(star.max()))


def test_photon_noise_follows_the_light_and_lowers_the_weight(survey: Drawn) -> None:
    image, one = survey.images["t0"], injection(mag=15.0)
    drawn = [whole(with_galaxies(image, "t0", "r", [replace(one, source_id=k)], DESCRIPTION, 1)) for k in range(60)]
    middle = (slice(SIZE // 2 - 2, SIZE // 2 + 3),) * 2
    scatter = np.std([flux[middle] for flux, _ in drawn], axis=0).mean()
    added = np.mean([1 / weight[middle] for _, weight in drawn]) - NOISE**2
    assert scatter == pytest.approx(np.sqrt(added), rel=0.1)
    assert added > NOISE**2


def test_rows_read_in_pieces_are_the_rows_read_at_once(survey: Drawn) -> None:
    placed = with_galaxies(survey.images["t0"], "t0", "r", [injection()], DESCRIPTION, 1)
    whole_flux, whole_weight = whole(placed)
    for start in range(0, SIZE, 50):
        flux, weight = placed.rows(start, start + 50)
        np.testing.assert_allclose(flux, whole_flux[start : start + 50], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(weight, whole_weight[start : start + 50], rtol=1e-5)


def test_masked_pixels_and_other_zero_points(survey: Drawn) -> None:
    flux, weight = whole(survey.images["t0"])
    weight[SIZE // 2 :] = 0
    image = Image.of_arrays(flux, weight, survey.wcs["t0"], FWHM, 25.0)
    after = whole(with_galaxies(image, "t0", "r", [injection()], DESCRIPTION, 1))
    assert (after[0] - flux)[: SIZE // 2].sum() == pytest.approx(0.5 * 10 ** (-0.4 * (16.0 - 25.0)), rel=0.1)
    assert (after[0][SIZE // 2 :] == flux[SIZE // 2 :]).all()
    assert (after[1][SIZE // 2 :] == 0).all()


def test_galaxies_are_barred_and_lie_in_the_tiles(survey: Drawn) -> None:
    corners = tuple((CENTRE[0] + a, CENTRE[1] + b) for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1)))
    tiles = [replace(survey.locate(["t0"])[0], corners=corners)]
    placed = place_galaxies(5, FIELD, 12, Population(), tiles)
    assert len(placed) == 12
    assert all(np.isfinite(one.galaxy.bar_length) for one in placed)
    ra, dec = (np.array([getattr(one, name) for one in placed]) for name in ("ra", "dec"))
    assert FIELD.contains(ra, dec).all()
    assert (np.abs(ra - CENTRE[0]) < 1.01).all()
    more = place_galaxies(5, FIELD, 20, Population(), tiles)
    assert [(one.source_id, one.ra, one.galaxy.mag) for one in more[:12]] == [
        (one.source_id, one.ra, one.galaxy.mag) for one in placed
    ]
    assert place_galaxies(5, FIELD, 12, Population(), [replace(tiles[0], corners=())]) == []


def test_no_group_holds_two_galaxies_that_are_close() -> None:
    rng = np.random.default_rng(2)
    crowd = [
        replace(injection(), source_id=k, ra=ra, dec=dec) for k, (ra, dec) in enumerate(rng.uniform(0, 0.2, (80, 2)))
    ]
    found = list(groups(crowd, 0.03, 10))
    assert sorted(one.source_id for group in found for one in group) == list(range(80))
    assert max(map(len, found)) <= 10
    for group in found:
        ra, dec = np.array([(one.ra, one.dec) for one in group]).T
        apart = distance(ra[:, None], dec[:, None], ra, dec)
        assert (apart[~np.eye(len(group), dtype=bool)] >= 0.03).all()


def parameters() -> Parameters:
    return Parameters("inject", "digest", validate({"stamps": {"size": 48}}), DESCRIPTION)


def test_stamps_hold_the_galaxy_and_what_was_there(tmp_path: Path) -> None:
    """Cut from a field with galaxies: the difference to the same stamp without the injection is the galaxy alone."""
    survey = Drawn(galaxies(25, 90.0), [(*CENTRE, 7.0)], SIZE)
    network = Network(Transfer(cache=str(tmp_path)))
    tiles = [survey.fetch(tile) for tile in survey.locate(["t0"])]
    there = [injection(CENTRE[0] + k * 25 / 3600, mag=15.0) for k in (-1, 1)]
    there = [replace(one, source_id=k) for k, one in enumerate(there)]
    nearly_dark = [replace(one, galaxy=replace(one.galaxy, mag=29.9)) for one in there]
    stamps = []
    for name, group in (("with", there), ("without", nearly_dark)):
        cut_stamps(parameters(), survey, network, tiles, group, stamp_files(tmp_path / f"{name}.parquet"))
        stamps.append(np.load(tmp_path / f"{name}.npy"))
    light = (stamps[0] - stamps[1])[:, 0, 0]
    assert light.sum(axis=(1, 2)) == pytest.approx(10 ** (-0.4 * (15.0 - 22.5)), rel=0.06)
    assert np.abs(np.array(np.unravel_index(light[0].argmax(), light[0].shape)) - 24).max() <= 1
    rows = read_table(tmp_path / "with.parquet")
    assert rows["source_id"].to_pylist() == [0, 1]
    np.testing.assert_allclose(rows["psf_fwhm_r"], FWHM)
    np.testing.assert_allclose(rows["pixel_scale"], SCALE, rtol=1e-4)


def test_a_galaxy_across_two_tiles_is_whole(tmp_path: Path) -> None:
    """It is put into both, each with its own orientation, and what one lacks comes from the other."""
    width = 100 * SCALE / 3600
    survey = Drawn(EMPTY, [(CENTRE[0], CENTRE[1], 0.0), (CENTRE[0] - 0.9 * width, CENTRE[1], 4.0)], 100)
    network = Network(Transfer(cache=str(tmp_path)))
    tiles = [survey.fetch(tile) for tile in survey.locate(["t0", "t1"])]
    one = injection(CENTRE[0] - 0.4 * width, mag=14.0)
    cut_stamps(parameters(), survey, network, tiles, [one], stamp_files(tmp_path / "one.parquet"))
    stamp = np.load(tmp_path / "one.npy")[0, :, 0]
    assert "STITCHED" in decode(read_table(tmp_path / "one.parquet")["flags"][0].as_py())
    assert (stamp[1] > 0).mean() > 0.97
    assert stamp[0].sum() == pytest.approx(10 ** (-0.4 * (14.0 - 22.5)), rel=0.04)


def test_a_large_galaxy_fills_its_rebinned_stamp(tmp_path: Path) -> None:
    """A stamp of 700 pixels of the tile shows the light of the disc, and no edge where its drawing ends."""
    survey = Drawn(EMPTY, [(*CENTRE, 0.0)], 1000)
    network = Network(Transfer(cache=str(tmp_path)))
    tiles = [survey.fetch(tile) for tile in survey.locate(["t0"])]
    disc = replace(injection(mag=10.0).galaxy, r_eff=50.0, parts=[Part(Sersic(1.0, 50.0, 1.0, 0.0), 1.0, "disc")])
    cut_stamps(
        parameters(), survey, network, tiles, [Injection(7, disc, *CENTRE, 47.0)], stamp_files(tmp_path / "one.parquet")
    )
    scale = read_table(tmp_path / "one.parquet")["pixel_scale"][0].as_py()
    assert scale == pytest.approx(6 * 47 / 48, rel=1e-3)
    light = np.load(tmp_path / "one.npy")[0, 0, 0]
    radius = np.hypot(*(np.indices(light.shape) - 24) * scale)
    expected = np.exp(-1.678 * radius / 50) * 10 ** (-0.4 * (10.0 - 22.5)) * (scale * 1.678 / 50) ** 2 / (2 * np.pi)
    for ring in (radius < 50, (radius > 50) & (radius < 110), (radius > 110) & (radius < 140)):
        assert light[ring].sum() == pytest.approx(expected[ring].sum(), rel=0.05)


def measured_galaxies(count: int = 1200) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    length = rng.uniform(2, 12, count)
    found = rng.uniform(size=count) < np.clip(length / 10, 0, 1)
    return pd.DataFrame(
        {
            "true_mag": rng.uniform(14, 18, count),
            "true_bar_length": length,
            "true_axis_ratio": rng.uniform(0.3, 1, count),
            "true_redshift": np.nan,
            "psf_fwhm": 1.25,
            "bar_length": np.where(found, length * np.exp(rng.normal(0.05, 0.1, count)), np.nan),
            "recovered": found,
        }
    )


def test_the_selection_function_finds_what_was_planted() -> None:
    table = selection_function(measured_galaxies(), 1).to_pandas()
    assert table["quantity"].tolist() == ["all", *["magnitude"] * 6, *["bar_length_over_psf"] * 6, *["axis_ratio"] * 6]
    whole = table.iloc[0]
    assert whole["n"] == 1200
    assert whole["length_bias"] == pytest.approx(0.05, abs=3 * float(whole["length_bias_error"]))
    assert whole["length_scatter"] == pytest.approx(0.1, rel=0.1)
    resolved = table[table["quantity"] == "bar_length_over_psf"]
    planted = np.clip((resolved["low"] + resolved["high"]) / 2 * 1.25 / 10, 0, 1)
    off = (resolved["completeness"] - planted) / (resolved["completeness_high"] - resolved["completeness_low"]) * 2
    assert (np.abs(off) < 3).all()
    flat = table[table["quantity"] == "magnitude"]
    assert np.ptp(flat["completeness"]) < 0.15


def test_few_galaxies_and_none_give_no_figures() -> None:
    few = selection_function(measured_galaxies(5), 1)
    assert few["quantity"].to_pylist() == ["all"]
    assert few["length_bias"].to_pylist() == [None]
    none = selection_function(measured_galaxies(5)[:0], 1)
    assert none["completeness"].to_pylist() == [None]
    assert none.schema.equals(SCHEMA)


@pytest.mark.parametrize(("found", "n"), [(0, 10), (10, 10), (3, 17), (140, 200)])
def test_the_interval_is_wilsons(found: int, n: int) -> None:
    expected = binomtest(found, n).proportion_ci(confidence_level=0.6826894921, method="wilson")
    assert wilson(found, n) == pytest.approx((expected.low, expected.high), abs=1e-6)


SKY = {
    "survey": {"simulated": {"tile_size": 300, "tile_overlap": 60, "star_density": 500.0}},
    "stamps": {"size": 64},
    "saliency": {"samples": 2, "rotations": 2},
    "selection": {"galaxies": 4},
}


def test_the_job_measures_every_galaxy_in_the_images_of_a_simulated_sky(tmp_path: Path, root: Path) -> None:
    """Two tiles, untrained networks: one row a galaxy, with truth, conditions and measurements; the same again."""
    configuration = validate(SKY)
    given = Parameters("inject", "digest", configuration, describe(configuration, root / "config" / "surveys"))
    transfer = Transfer(cache=str(tmp_path / "cache"))
    network = Network(transfer)
    survey = open_survey(given, network)
    shard = Shard(8, 416156)
    tiles = sorted(survey.tiles(shard), key=lambda tile: np.hypot(*np.subtract((tile.ra, tile.dec), shard.centre)))[:2]
    manifest = tmp_path / "tiles.parquet"
    write_table(manifest, fetch_all(survey, tiles, given.survey.bands, 1, network.path), {"tiles": "t"})
    votes, bars = tmp_path / "votes.json", tmp_path / "bars.json"
    write_calibration(votes, "votes", vote_calibration(), {"calibrate_votes": "v"})
    write_calibration(bars, "bars", uncalibrated(), {"calibrate_bars": "b"})
    inputs = InjectionInputs(manifest, [model_card(tmp_path, "morphology")], votes, bars)
    tables = []
    for name in ("one.parquet", "two.parquet"):
        inject_shard(given, shard=shard.name, inputs=inputs, transfer=transfer, output=tmp_path / name)
        tables.append(read_table(tmp_path / name))
    assert tables[0].equals(tables[1])
    assert not list(tmp_path.glob(".inject-*"))
    assert lineage_of(tmp_path / "one.parquet") == {
        "tiles": "t",
        "calibrate_votes": "v",
        "calibrate_bars": "b",
        "train-morphology": "m0",
        "inject": "digest",
    }
    rows = tables[0].to_pandas()
    assert len(rows) == 4
    assert shard.contains(rows["ra"].to_numpy(), rows["dec"].to_numpy()).all()
    assert rows["tile"].isin([tile.name for tile in tiles]).all()
    for name in ("true_bar_length", "psf_fwhm", "sky_noise", "bar_vote_share", "bar_length_direct"):
        assert np.isfinite(rows[name].astype(float)).all(), name
    assert (rows["recovered"] == rows["bar_length"].notna()).all()
    selection = Parameters("selection_function", "digest", validate({}), None)
    shards = [tmp_path / "one.parquet", tmp_path / "two.parquet"]
    gather(selection, shards=shards, output=tmp_path / "all.parquet", table=tmp_path / "function.parquet")
    assert read_table(tmp_path / "all.parquet").num_rows == 8
    assert read_table(tmp_path / "function.parquet")["n"].to_pylist() == [8]
