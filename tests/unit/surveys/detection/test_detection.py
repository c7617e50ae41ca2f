"""Sources found on the tiles: complete, pure, unbiased, each once whatever the tiles, windows and shards."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.drawn_survey import CENTRE, DESCRIPTION, FIELD, Drawn, galaxies, wcs_at
from hypothesis import given, settings
from hypothesis import strategies as st

from tuningfork.core.config import Configuration
from tuningfork.core.config.sources import Detection, Sources
from tuningfork.core.config.survey import SimulatedSky
from tuningfork.core.config.transfer import Transfer
from tuningfork.core.description import Description, describe
from tuningfork.core.errors import InputError, TransferError
from tuningfork.core.flags import Flag
from tuningfork.sky.coordinates import distance
from tuningfork.sky.shards import Shard, pixels
from tuningfork.surveys.base import Tile
from tuningfork.surveys.detection import windows
from tuningfork.surveys.detection.overlaps import each_once, in_box, tiles_that_count
from tuningfork.surveys.lists.sources.listed import list_of_sources
from tuningfork.surveys.lists.sources.rows import ids_of_positions
from tuningfork.surveys.simulated import SimulatedSurvey
from tuningfork.surveys.transfer.network import Network


def detect(survey: Any, shard: Shard = FIELD, description: Description = DESCRIPTION, **values: Any) -> pd.DataFrame:
    settings = {"mag_min": 10.0, "mag_max": 20.0} | {k: v for k, v in values.items() if k.startswith("mag")}
    chosen = Detection(**{k: v for k, v in values.items() if not k.startswith("mag")})
    network = Network(Transfer(cache="nowhere", rate=1000))
    return list_of_sources(Sources(catalogue=chosen, **settings), survey, shard, description, network).to_pandas()


def match(found: pd.DataFrame, truth: pd.DataFrame, reach: float = 1.0) -> np.ndarray:
    """Return for each true object the row of `found` that is within `reach` (arcsec), -1 without one."""
    if not len(found):
        return np.full(len(truth), -1)
    apart = 3600 * distance(
        truth["ra"].to_numpy()[:, None],
        truth["dec"].to_numpy()[:, None],
        found["ra"].to_numpy(),
        found["dec"].to_numpy(),
    )
    return np.where(apart.min(axis=1) < reach, apart.argmin(axis=1), -1)


def test_galaxies_are_complete_pure_and_unbiased_and_stars_are_left_out() -> None:
    truth = galaxies(40, 230, stars=20, spacing=22)
    found = detect(Drawn(truth, [(*CENTRE, 20.0)], 800))
    real = truth["radius"] > 0
    place = match(found, truth)
    assert (place[real] >= 0).all()
    assert (place[~real] < 0).all()
    assert len(found) == real.sum()
    rows = found.iloc[place[real]]
    assert (rows["flags"] == 0).mean() > 0.9
    bright = truth[real]
    error = rows["survey_mag"].to_numpy() - (22.5 - 2.5 * np.log10(bright["flux"].to_numpy()))
    assert abs(np.median(error)) < 0.08
    assert np.percentile(np.abs(error), 90) < 0.2
    error = np.log(rows["survey_radius"].to_numpy() / bright["radius"].to_numpy())
    assert abs(np.median(error)) < 0.08
    assert np.percentile(np.abs(error), 90) < 0.3
    apart = 3600 * distance(
        rows["ra"].to_numpy(), rows["dec"].to_numpy(), bright["ra"].to_numpy(), bright["dec"].to_numpy()
    )
    assert np.median(apart) < 0.1
    ids = ids_of_positions(found["ra"].to_numpy(), found["dec"].to_numpy())
    assert found["source_id"].tolist() == ids.tolist() == sorted(ids)


def test_the_simulated_sky_is_found_again(root: Path, tmp_path: Path) -> None:
    """Through tiles in files, some mirrored and all turned: bright galaxies against the truth of the catalogue."""
    description = describe(Configuration(), root / "config" / "surveys")
    settings = SimulatedSky(tile_size=512, tile_overlap=128, star_density=1000.0, galaxy_density=4000.0)
    network = Network(Transfer(cache=str(tmp_path)))
    survey = SimulatedSurvey(3, settings, description, network)
    shard = Shard(11, 416156 * 64 + 21)
    selection = Sources(catalogue=Detection(), mag_min=10.0, mag_max=18.0)
    found = list_of_sources(selection, survey, shard, description, network).to_pandas()
    truth = survey.catalogue(shard, Sources(mag_min=0.0, mag_max=17.3)).to_pandas()
    assert len(truth) >= 2
    place = match(found, truth, 2.0)
    assert (place >= 0).all()
    every = survey.catalogue(shard, Sources(mag_min=0.0, mag_max=40.0)).to_pandas()
    assert (match(every, found, 2.0) >= 0).all()
    assert abs(np.median(found["survey_mag"].to_numpy()[place] - truth["true_mag"])) < 0.3
    assert shard.contains(found["ra"].to_numpy(), found["dec"].to_numpy()).all()
    assert found["survey_mag"].between(10, 18).all()


def test_overlapping_tiles_give_each_source_once() -> None:
    """Also the sources on the very line where one tile takes over from the other, each seen with other noise."""
    truth = galaxies(40, 300, seed=2)
    line = galaxies(12, 300, seed=3)
    line["ra"] = CENTRE[0]
    line["dec"] = CENTRE[1] + np.linspace(-140, 140, 12) / 3600
    apart = distance(
        truth["ra"].to_numpy()[:, None], truth["dec"].to_numpy()[:, None], line["ra"].to_numpy(), line["dec"].to_numpy()
    )
    truth = pd.concat([truth[apart.min(axis=1) > 12 / 3600], line], ignore_index=True)
    half = 40 / 3600
    survey = Drawn(truth, [(CENTRE[0] + half, CENTRE[1], 3.0), (CENTRE[0] - half, CENTRE[1], -3.0)], 700)
    found = detect(survey)
    place = match(found, truth)
    inside = distance(truth["ra"].to_numpy(), truth["dec"].to_numpy(), *CENTRE) < 130 / 3600
    assert (place[inside] >= 0).all()
    assert len(np.unique(place[place >= 0])) == (place >= 0).sum()
    # At the outer edge of the imaging a galaxy that is cut may be found off its centre.
    spurious = match(truth, found) < 0
    assert not (spurious & (distance(found["ra"].to_numpy(), found["dec"].to_numpy(), *CENTRE) < 130 / 3600)).any()


def test_windows_of_a_large_tile_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    survey = Drawn(galaxies(60, 280, seed=4, spacing=15), [(*CENTRE, 10.0)], 800)
    whole = detect(survey)
    monkeypatch.setattr(windows, "MAX_WHOLE_WIDTH", 500)
    monkeypatch.setattr(windows, "CORE_WIDTH", 250)
    monkeypatch.setattr(windows, "OVERLAP_WIDTH", 100)
    parts = detect(survey)
    assert len(parts) > 50
    pd.testing.assert_frame_equal(parts[["source_id", "flags"]], whole[["source_id", "flags"]])
    # A faint pixel between two galaxies that touch may go to the other one.
    np.testing.assert_allclose(parts["survey_mag"], whole["survey_mag"], atol=0.03)
    np.testing.assert_allclose(parts["survey_radius"], whole["survey_radius"], rtol=0.03)
    assert (parts["survey_mag"] == whole["survey_mag"]).mean() > 0.8


def test_neighbouring_shards_share_a_field_without_loss_or_doubles() -> None:
    truth = galaxies(60, 280, seed=5)
    half = 30 / 3600
    survey = Drawn(truth, [(CENTRE[0] + half, CENTRE[1], 0.0), (CENTRE[0] - half, CENTRE[1], 0.0)], 700)
    whole = detect(survey)
    order = 10
    shards = [
        Shard(order, k) for k in np.unique(pixels(whole["ra"].to_numpy(), whole["dec"].to_numpy(), order)).tolist()
    ]
    assert len(shards) > 3
    parts = pd.concat([detect(survey, shard) for shard in shards])
    assert sorted(parts["source_id"]) == whole["source_id"].tolist()


def test_touching_galaxies_are_split_and_flagged() -> None:
    single = galaxies(1, 1)
    truth = pd.concat([single] * 4, ignore_index=True)
    truth["flux"], truth["radius"], truth["axis_ratio"], truth["sersic_n"] = 150.0, 2.0, 0.8, 1.0
    truth["ra"] = CENTRE[0] + np.array([-40, -33, 40, 70]) / 3600
    truth["dec"] = CENTRE[1]
    found = detect(Drawn(truth, [(*CENTRE, 0.0)], 500))
    place = match(found, truth, 1.5)
    assert (place >= 0).all()
    assert ((found["flags"].to_numpy()[place] & int(Flag.BLENDED)) > 0).tolist() == [True, True, False, False]
    error = found["survey_mag"].to_numpy()[place] - (22.5 - 2.5 * np.log10(150))
    assert np.abs(error[2:]).max() < 0.1
    assert np.abs(error[:2]).max() < 0.35


def test_masked_pixels_are_not_searched() -> None:
    truth = galaxies(20, 200, seed=6, spacing=20)
    survey = Drawn(truth, [(*CENTRE, 0.0)], 600)
    pixels_of, weights = survey.images["t0"].rows(0, 600)
    x, y = survey.wcs["t0"].all_world2pix(truth["ra"], truth["dec"], 0)
    column, row = round(float(x[0])), round(float(y[0]))
    weights[row - 25 : row + 26, column - 25 : column + 26] = 0
    pixels_of[row - 25 : row + 26, column - 25 : column + 26] = np.nan
    pixels_of[300, 300] = 1e6  # a cosmic ray that the mask knows
    weights[300, 300] = 0
    place = match(detect(survey), truth)
    assert place[0] < 0
    assert (place[1:] >= 0).all()


@pytest.mark.parametrize("error", [InputError("damaged"), TransferError("gone")])
def test_a_tile_that_cannot_be_had_is_told_and_the_others_searched(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    truth = galaxies(30, 200, seed=7)
    survey = Drawn(truth, [(*CENTRE, 0.0), (*CENTRE, 90.0)], 600)
    whole = detect(survey)
    survey.broken["t0"] = error
    with caplog.at_level(logging.WARNING):
        rest = detect(survey)
    assert len(rest) == len(whole)
    assert [record.getMessage() for record in caplog.records] == [f"tile t0, band r: {error}; not searched"]
    survey.broken["t1"] = error
    assert len(detect(survey)) == 0
    with pytest.raises(TransferError, match="offline, and 2 of 2 tiles to search are not in the cache"):
        offline = Network(Transfer(cache="nowhere", offline=True))
        list_of_sources(Sources(catalogue=Detection()), survey, FIELD, DESCRIPTION, offline)  # type: ignore[arg-type]


def test_the_survey_says_which_tile_counts() -> None:
    truth = galaxies(30, 200, seed=8)
    survey = Drawn(truth, [(*CENTRE, 0.0), (*CENTRE, 0.0)], 600)
    east, west = survey.locate(["t0", "t1"])
    tiles = [
        Tile(east.name, east.ra, east.dec, east.corners, (CENTRE[0], 160.0, -10.0, 10.0)),
        Tile(west.name, west.ra, west.dec, west.corners, (100.0, CENTRE[0], -10.0, 10.0)),
    ]
    survey.tiles = lambda shard: tiles  # type: ignore[method-assign]
    survey.images["t1"] = Drawn(truth[:0], [(*CENTRE, 0.0)], 600).images["t0"]
    found = detect(survey)
    assert (found["ra"] > CENTRE[0] - 2 / 3600).all()
    expected = truth["ra"] > CENTRE[0]
    assert (match(found, truth)[expected] >= 0).all()


def test_only_tiles_that_count_are_fetched() -> None:
    step = 0.05
    centres = [(CENTRE[0] + i * step, CENTRE[1] + j * step, 0.0) for i in range(-5, 6) for j in range(-5, 6)]
    tiles = []
    for k, (ra, dec, _) in enumerate(centres):
        x, y = wcs_at(ra, dec, 600).all_pix2world([0, 600, 600, 0], [0, 0, 600, 600], 0)
        tiles.append(Tile(f"t{k}", ra, dec, tuple(zip(x.tolist(), y.tolist(), strict=True))))
    shard = Shard(9, int(pixels(np.array([CENTRE[0]]), np.array([CENTRE[1]]), 9)[0]))
    chosen = tiles_that_count(tiles, shard)
    assert 2 < len(chosen) < 40
    assert tiles_that_count(chosen, shard) == chosen


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-10, 10), st.floats(-0.3, 0.3), st.booleans()), min_size=1, max_size=12),
    st.integers(0, 99),
)
def test_whatever_the_noise_a_source_on_the_line_is_kept_once(sources: list, seed: int) -> None:
    """Two tiles meet at x = 0 (arcsec); each places every source with an error of up to 0.3."""
    x, error, _ = (np.array(values) for values in zip(*sources, strict=True))
    y = 10.0 * np.arange(len(x))
    ra = np.concatenate([x + error, x - error]) / 3600 + 10
    dec = np.concatenate([y, y]) / 3600
    tile = np.repeat([0, 1], len(x))
    here = np.where(tile == 0, 1, -1) * (ra - 10) + 0.1
    keep = each_once(tile, 0.2 - here, here, ra, dec, 1.2 / 3600)
    assert (keep[: len(x)] ^ keep[len(x) :]).all()


def test_boxes_across_zero() -> None:
    ra = np.array([359.9, 0.05, 0.2, 180.0])
    assert in_box((359.8, 0.1, -1, 1), ra, np.zeros(4)).tolist() == [True, True, False, False]
    assert in_box((0.0, 0.1, -1, 1), ra, np.zeros(4)).tolist() == [False, True, False, False]
