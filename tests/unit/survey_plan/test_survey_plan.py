"""What `tuningfork plan` says: exact where things are counted, near the truth where they are estimated."""

import socket
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tuningfork.cli import main
from tuningfork.core.config import Configuration, validate
from tuningfork.core.config.sky import Box, Cone, Polygon
from tuningfork.core.config.sources import Sources
from tuningfork.core.description import Description, describe
from tuningfork.core.files import write_json
from tuningfork.core.stage.parameters import STAGES
from tuningfork.plan import plan_run
from tuningfork.sky.footprint import shards_of_footprint
from tuningfork.sky.shards import Shard
from tuningfork.survey_plan.area import _bricks, _touched, border, count_tiles, footprint_area, shard_area
from tuningfork.survey_plan.costs import PER_SHARD, Costs, costs, count_jobs, jobs_of_stages, stage_times
from tuningfork.survey_plan.figure import Figure, count, duration, size
from tuningfork.survey_plan.galaxies import brighter_than, expected_galaxies
from tuningfork.survey_plan.page import survey_plan
from tuningfork.survey_plan.previous_run import read_previous_run
from tuningfork.survey_plan.work import StageTime
from tuningfork.surveys.simulated import SimulatedSurvey
from tuningfork.surveys.transfer.network import Network

ROOT = Path(__file__).resolve().parents[3]
SMALL = {"footprint": {"kind": "box", "ra_min": 150.0, "ra_max": 152.0, "dec_min": 1.0, "dec_max": 3.0}}


def described(configuration: Configuration) -> Description:
    return describe(configuration, ROOT / "config" / "surveys")


def write(folder: Path, values: dict[str, Any]) -> Path:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def entries(text: str) -> dict[str, str]:
    """Return the lines of a plan by their names."""
    return {line[:18].strip(): " ".join(line[18:].split()) for line in text.splitlines()}


def test_the_default_is_what_the_workflow_will_do(tmp_path: Path) -> None:
    configuration = Configuration()
    description = described(configuration)
    plan = plan_run({}, ROOT)
    shards = [Shard.parse(name) for name in plan.shards]
    survey = SimulatedSurvey(configuration.seed, configuration.survey.simulated, description, Network())
    tiles = {tile.name for shard in shards for tile in survey.tiles(shard)}
    galaxies = sum(survey.catalogue(shard, Sources()).num_rows for shard in shards)
    jobs = jobs_of_stages(configuration, len(shards))
    assert jobs["simulate"] == len(plan.parts)
    assert jobs["train"] == sum(len(numbers) for numbers in plan.members.values())
    lines = entries(survey_plan(None, ROOT, cores=2))
    assert lines["shards"].startswith(f"{len(shards)} order 7")
    assert lines["tiles"] == str(len(tiles))
    assert lines["images"].startswith(f"{3 * len(tiles)} rendered here")
    assert lines["jobs"] == str(sum(jobs.values()))
    assert lines["to fetch"] == "nothing"
    assert "transfer time" not in lines
    expected = expected_galaxies(configuration, description, shards)
    assert abs(expected.number - galaxies) < 4 * np.sqrt(galaxies)


@pytest.mark.parametrize("name", ["simulated", "sdss", "legacy", "euclid", "panstarrs", "des"])
def test_no_survey_needs_the_network_to_be_planned(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the plan asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    path = write(tmp_path, {"survey": {"name": name}, "sky": SMALL | {"shard_order": 6}})
    lines = entries(survey_plan(path, ROOT, cores=4))
    assert lines["shards"].split()[0].isdigit()
    assert lines["galaxies"].startswith("about ")
    if name != "simulated":
        assert lines["to fetch"].endswith("what the cache does not have already")
        assert lines["transfer time"].startswith("about ")


def test_a_legacy_survey_of_14000_square_degrees_is_planned_in_seconds(tmp_path: Path) -> None:
    box = {"kind": "box", "ra_min": 0.0, "ra_max": 360.0, "dec_min": -20.0, "dec_max": 19.65}
    path = write(tmp_path, {"survey": {"name": "legacy"}, "sky": {"footprint": box, "shard_order": 5}})
    start = time.process_time()
    lines = entries(survey_plan(path, ROOT, cores=200))
    assert time.process_time() - start < 10
    assert lines["footprint"] == "13,991 deg2 box"
    number = float(lines["tiles"].split()[1].replace(",", ""))
    assert 14_000 / 0.0625 < number < 1.1 * 14_600 / 0.0625
    galaxies = float(lines["galaxies"].split()[1].replace(",", ""))
    assert 14_000 * 60 < galaxies < 14_700 * 150
    assert "TB" in lines["to fetch"]
    assert lines["disk: cache"].startswith("about 500 GB its limit")


def test_touched_squares_agree_with_counted_bricks() -> None:
    """In the mean over places: where bricks line up with the circle, a single one is some per cent off."""
    rng = np.random.default_rng(4)
    cones = [Cone(ra=rng.uniform(0, 359), dec=rng.uniform(-60, 60), radius=rng.uniform(2, 6)) for _ in range(40)]
    areas = [shards_of_footprint(cone, 6) for cone in cones]
    ratios = np.array([_touched(shards, 0.0625) / _bricks(shards) for shards in areas])
    assert abs(ratios.mean() - 1) < 0.03
    assert np.abs(ratios - 1).max() < 0.12


def test_the_border_of_shards() -> None:
    side = np.sqrt(shard_area(4))
    assert border([Shard(4, 300)]) == pytest.approx(4 * side)
    assert border([Shard(4, pixel) for pixel in range(4 * 75, 4 * 76)]) == pytest.approx(8 * side)
    assert border([Shard(1, pixel) for pixel in range(48)]) == 0


@settings(max_examples=30, deadline=None)
@given(ra=st.floats(0, 359), dec=st.floats(-80, 80), radius=st.floats(1, 30))
def test_areas_of_footprints_agree_with_their_pixels(ra: float, dec: float, radius: float) -> None:
    """The polygon is inscribed in the cone, and the pixels are those whose middle is near it."""
    cone = Cone(ra=ra, dec=dec, radius=radius)
    angles = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    pole = np.array([np.cos(np.deg2rad(dec)), 0, np.sin(np.deg2rad(dec))])
    north, east = np.array([-pole[2], 0, pole[0]]), np.array([0.0, 1.0, 0.0])
    ring = np.cos(np.deg2rad(radius)) * pole + np.sin(np.deg2rad(radius)) * (
        np.outer(np.cos(angles), north) + np.outer(np.sin(angles), east)
    )
    corners = [
        [float((np.rad2deg(np.arctan2(y, x)) + ra) % 360), float(np.rad2deg(np.arcsin(np.clip(z, -1, 1))))]
        for x, y, z in ring
    ]
    assert footprint_area(Polygon(vertices=corners)) == pytest.approx(footprint_area(cone), rel=0.01)


def test_areas_of_boxes() -> None:
    assert footprint_area(Box(ra_min=0, ra_max=360, dec_min=-90, dec_max=90)) == pytest.approx(41252.96, abs=0.01)
    across = Box(ra_min=359, ra_max=1, dec_min=-1, dec_max=1)
    assert footprint_area(across) == pytest.approx(footprint_area(Box(ra_min=9, ra_max=11, dec_min=-1, dec_max=1)))


def test_number_counts_rise_and_meet_their_sources() -> None:
    values = [brighter_than(mag, "r") for mag in np.arange(10, 27, 0.1)]
    assert (np.diff(values) > 0).all()
    assert brighter_than(17.77, "r") == pytest.approx(92)
    assert brighter_than(24.5, "i") == pytest.approx(24.6 * 3600, rel=0.01)
    assert brighter_than(15.0, "r") / brighter_than(14.0, "r") == pytest.approx(10**0.6)
    # Euclid Q1 has 2.8e4 and 6.8e4 extended sources brighter than 23.5 and 24.5 in VIS.
    assert 0.5 < brighter_than(23.5, "VIS") / 2.8e4 < 2
    assert 0.5 < brighter_than(24.5, "VIS") / 6.8e4 < 2


def test_the_rows_of_a_table_are_counted(tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("ra,dec\n151,2\n151.1,2\n20,2\nnan,2\n")
    values: dict[str, Any] = {
        "survey": {"name": "sdss"},
        "sources": {"catalogue": {"kind": "table", "path": str(table)}},
        "sky": SMALL | {"shard_order": 6},
    }
    lines = entries(survey_plan(write(tmp_path, values), ROOT))
    assert lines["galaxies"] == "2"
    assert lines["tiles"].startswith("about 2 ")
    values["sky"]["footprint"] = {"kind": "table"}
    assert entries(survey_plan(write(tmp_path, values), ROOT))["galaxies"] == "4"


def test_transfers_are_bound_by_bandwidth_or_by_requests() -> None:
    configuration = validate({"survey": {"name": "des"}, "sky": SMALL, "transfer": {"rate": 2.0}})
    description = described(configuration)

    def planned(galaxies: float, bandwidth: float) -> Costs:
        return costs(
            configuration, description, shards=9, tiles=Figure(100.0), galaxies=Figure(galaxies), bandwidth=bandwidth
        )

    slow = planned(1e5, 1e6)
    assert slow.fetched.number == 100 * description.tile_megabytes * 1e6
    assert slow.transfer == slow.fetched.number / 1e6
    fast = planned(1e5, 1e12)
    assert fast.transfer == 100 * len(description.bands) / 2
    assert fast.stamps == 1e5 * (2 * len(description.bands) * 128**2 * 4 + 2 * 128**2 * 2)
    per_shard = sum(stage in STAGES for stage in PER_SHARD)
    more = planned(2e5, 1e12)
    assert fast.computing < more.computing < 2 * fast.computing
    assert count_jobs(configuration, 1009) - count_jobs(configuration, 9) == 1000 * per_shard


def test_what_is_not_known_is_said() -> None:
    configuration = validate({"survey": {"name": "des"}, "sky": SMALL})
    description = described(configuration).model_copy(update={"tile_area": None})
    shards = shards_of_footprint(configuration.sky.footprint, 6)
    tiles = count_tiles(configuration, description, shards)
    assert (tiles.value, count(tiles)) == (None, "not known")
    taken = costs(configuration, description, shards=len(shards), tiles=tiles, galaxies=Figure(10.0), bandwidth=1e6)
    assert (taken.images.value, taken.fetched.value) == (None, None)


def test_numbers_with_units() -> None:
    assert [count(Figure(value)) for value in (12.0, 1234567.0)] == ["12", "1,234,567"]
    assert count(Figure(1234567.0, "counts")) == "about 1,230,000"
    assert [size(value) for value in (512, 3.15e9, 2.24e13, 3e15)] == ["0.512 kB", "3.15 GB", "22.4 TB", "3,000 TB"]
    assert [duration(value) for value in (0.2, 90, 600, 7200, 1e6)] == ["1 s", "90 s", "10 min", "2 h", "11.6 days"]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"survey": {"nam": "sdss"}}, "survey.nam: unknown key; did you mean name?"),
        ({"sky": {"footprint": {"kind": "moc", "path": "nowhere.fits"}}}, "nowhere.fits: no such file"),
        (
            {"survey": {"name": "euclid"}, "sky": {"footprint": {"kind": "tiles", "names": ["102158277"]}}},
            "network once",
        ),
    ],
)
def test_a_broken_configuration_is_one_line(values: dict[str, Any], reason: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as found:
        main(["plan", "--configfile", str(write(tmp_path, values))])
    message = str(found.value)
    assert message.startswith("tuningfork: ")
    assert reason in message
    assert "\n" not in message


def test_the_command_prints_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    main(["plan", "--cores", "3"])
    lines = entries(capsys.readouterr().out)
    assert lines["survey"] == "simulated sky bands g r i"
    assert lines["computing time"].endswith("3 cores")


def test_the_time_of_a_previous_run_replaces_built_in_speeds(tmp_path: Path) -> None:
    """Of a run with half the galaxies and the same training set: stages of sources take twice as long."""
    configuration = Configuration()
    plan = plan_run({}, ROOT)
    write_json(tmp_path / "plan.json", asdict(plan))
    write_json(tmp_path / "accounting.json", {"total": {"rows_out": 500}})
    for name, seconds in (
        ("stamps/8-1", 30.0),
        ("stamps/8-2", 10.0),
        ("train/morphology-0", 100.0),
        ("explain/all", 9.0),
    ):
        path = tmp_path / "benchmarks" / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\tmax_rss\tcpu_time\n{seconds / 2}\t100\t{seconds}\n")
    previous = read_previous_run(tmp_path)
    assert previous is not None
    times = stage_times(configuration, 4, 1000, previous)
    assert times["stamps"] == StageTime(80, measured=True)
    assert times["train"] == StageTime(100, measured=True)
    assert times["explain"] == StageTime(9, measured=True)
    assert not times["saliency"].measured
    longer = configuration.model_copy(update={"simulate": configuration.simulate.model_copy(update={"size": 16_000})})
    assert stage_times(longer, 4, 1000, previous)["train"].seconds == pytest.approx(
        100 * 16_000 / configuration.simulate.size
    )
    assert "3 stages as measured" in entries(survey_plan(None, ROOT, results=tmp_path))["computing"]
    assert "by built-in speeds" in entries(survey_plan(None, ROOT, results=tmp_path / "none"))["computing"]


def test_a_stage_whose_work_is_not_known_keeps_its_built_in_speed(tmp_path: Path) -> None:
    path = tmp_path / "benchmarks" / "stamps" / "8-1.tsv"
    path.parent.mkdir(parents=True)
    path.write_text("s\n3\n")
    (tmp_path / "plan.json").write_text("{")
    previous = read_previous_run(tmp_path)
    assert not stage_times(Configuration(), 4, 1000, previous)["stamps"].measured
    assert read_previous_run(tmp_path / "nothing") is None


def test_the_held_out_galaxies_and_every_orientation_are_counted() -> None:
    """Masks and lengths of bars come from 8 orientations, also where votes average fewer."""
    few, many = (validate({"infer": {"rotations": number}}) for number in (1, 4))
    times = [stage_times(configuration, 4, 1000, None) for configuration in (few, many)]
    assert times[0]["infer_morphology"] == times[1]["infer_morphology"]
    assert times[0]["infer_structure"].seconds < times[1]["infer_structure"].seconds
    assert times[0]["infer_held_out"].seconds > 10
