"""What `tuningfork check` calls valid can be planned, and what cannot is named by its key; `tuningfork init` begins."""

import itertools
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from astropy.io import fits
from astropy.wcs import WCS
from helpers.configurations import make_inputs

from tuningfork.cli import ROOT, main
from tuningfork.core.config import load
from tuningfork.core.errors import ConfigurationError
from tuningfork.networks.compact import compact_card
from tuningfork.plan import plan_files
from tuningfork.run.configuration import STARTS, check_configuration

PATHS: dict[str, dict[str, Any]] = {
    "sky.footprint.path": {"sky": {"footprint": {"kind": "moc", "path": ...}}},
    "sources.catalogue.path": {"sources": {"catalogue": {"kind": "table", "path": ...}}},
    "survey.folder.images": {"survey": {"name": "folder", "folder": {"images": ...}}, "sky": {"footprint": {"kind": "table"}}},
    "simulate.psf_images": {"simulate": {"psf_images": ...}},
    "simulate.sky_patches": {"simulate": {"sky_patches": ...}},
    "train.morphology.start": {"train": {"morphology": {"start": ...}}},
    "train.morphology.votes.table": {"train": {"morphology": {"votes": {"table": ...}}}},
    "train.morphology.votes.tree": {"train": {"morphology": {"votes": {"tree": ..., "vizier": "x"}}}},
    "train.morphology.picture_votes": {"train": {"morphology": {"picture_votes": ...}}},
    "train.structure.measurements.table": {"train": {"structure": {"measurements": {"table": ...}}}},
}  # fmt: skip
"""Key -> a configuration with this path."""
FOLDERS = {"survey.folder.images", "simulate.sky_patches"}
FILES_OR_FOLDERS = {"sources.catalogue.path", "train.morphology.votes.table", "train.structure.measurements.table"}
"""Tables, which may be folders of files."""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The name of a configuration in a folder with files of all kinds."""
    monkeypatch.chdir(tmp_path)
    make_inputs(tmp_path)
    return Path("mine.yaml")


def refusal(path: Path, values: dict[str, Any]) -> str:
    """Return what is said by the check, which is also what is said by the plan of a run."""
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigurationError) as checked:
        check_configuration(path, ROOT)
    with pytest.raises(ConfigurationError) as planned:
        plan_files([path], (), ROOT)
    assert str(checked.value) == str(planned.value)
    assert "\n" not in str(checked.value)
    return str(checked.value)


def filled(values: Any, path: str) -> Any:
    if isinstance(values, dict):
        return {key: filled(value, path) for key, value in values.items()}
    return path if values is ... else values


UNUSABLE = ["pipe", "/dev/zero", "x" * 256, "folder/" + "y" * 256, "table.csv/x"]


@pytest.mark.parametrize(
    ("key", "path"),
    [*itertools.product(PATHS, UNUSABLE), *((key, "wrong kind") for key in PATHS if key not in FILES_OR_FOLDERS)],
)
def test_a_path_that_cannot_be_read_is_named_by_its_key(mine: Path, key: str, path: str) -> None:
    if path == "wrong kind":
        path = "table.csv" if key in FOLDERS else "folder"
    said = refusal(mine, filled(PATHS[key], path))
    line = next(n for n, text in enumerate(mine.read_text().splitlines(), 1) if f"{key.rpartition('.')[2]}:" in text)
    assert said.startswith(f"mine.yaml, line {line}: {key}: {path[:80]}")
    assert "; expected " in said


@pytest.mark.parametrize("key", PATHS)
def test_a_file_that_is_not_there_yet_is_said_by_the_check_and_stops_the_plan(mine: Path, key: str) -> None:
    mine.write_text(yaml.safe_dump(filled(PATHS[key], "nowhere.fits")))
    said = check_configuration(mine, ROOT)
    assert "is valid" not in said
    assert f"{key}: nowhere.fits: no such f" in said
    with pytest.raises(ConfigurationError, match=rf"mine\.yaml, line \d+: {key}: nowhere\.fits: no such f"):
        plan_files([mine], (), ROOT)


@pytest.mark.parametrize("cache", ["table.csv", "pipe", "table.csv/cache", "/dev/null/cache"])
def test_a_cache_that_cannot_be_made_is_refused(mine: Path, cache: str) -> None:
    assert f"transfer.cache: {cache}: " in refusal(mine, {"transfer": {"cache": cache}})


@pytest.mark.parametrize(
    ("vertices", "says"),
    [
        ([[1, 1], [2, 2]], "expected a list .* with 3 to 4000 entries"),
        ([[1, 1], [1, 1], [2, 2]], "2 different corners"),
        ([[1, 1], [2, 2], [1, 1]], "2 different corners"),
        ([[0, 1], [360, 1], [2, 2]], "2 different corners"),
        ([[0, 0], [10, 0], [20, 0]], "all corners lie on one great circle"),
        ([[0, 0], [1, 1], [1, 0], [0, 1]], r"the side from \[0, 0\] to \[1, 1\] crosses the side from \[1, 0\] to \[0, 1\]"),
        ([[359, 0], [1, 1], [1, 0], [359, 1]], "crosses the side"),
        ([[0, 89], [180, 89], [90, 89], [270, 80]], "crosses the side"),
        ([[0, 0], [180, 0], [90, 5], [45, 20]], "opposite each other"),
    ],
)  # fmt: skip
def test_a_polygon_without_an_inside_is_refused(mine: Path, vertices: list, says: str) -> None:
    values = {"sky": {"footprint": {"kind": "polygon", "vertices": [[float(a), float(b)] for a, b in vertices]}}}
    said = refusal(mine, values)
    with pytest.raises(ConfigurationError, match=rf"^mine.yaml, line 4: sky.footprint.vertices: .*{says}"):
        raise ConfigurationError(said)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            "sky: {footprint: {kind: cone, ra: 1, dec: -0:00:30.5, radius: 0.1}}",
            "line 1: sky.footprint.dec: .*-0.00847",
        ),
        ("sky: {footprint: {kind: cone, ra: 3:30, dec: 0, radius: 0.1}}", "line 1: sky.footprint.ra: .*write 52.5"),
        ("seed: 010", "line 1: seed: 010 .*write 10"),
        ("sky: {shard_order: 7}\nseed: 1\nsky: {shard_order: 8}", "lines 1 and 3: sky: this key stands twice"),
    ],
)
def test_text_that_programs_read_differently_is_refused_by_the_check_and_by_the_run(
    mine: Path, content: str, says: str
) -> None:
    mine.write_text(content)
    for what in (lambda: check_configuration(mine, ROOT), lambda: plan_files([mine], (), ROOT)):
        with pytest.raises(ConfigurationError, match=f"mine.yaml, {says}"):
            what()


def test_a_polygon_whose_last_corner_closes_it_is_the_same_without_it(mine: Path) -> None:
    corners = [[10.0, 1.0], [12.0, 1.0], [12.0, 3.0]]
    shards = []
    for vertices in (corners, [*corners, corners[0]]):
        mine.write_text(yaml.safe_dump({"sky": {"footprint": {"kind": "polygon", "vertices": vertices}}}))
        shards.append(plan_files([mine], (), ROOT).shards)
    assert shards[0] == shards[1] != []


def test_more_shards_than_can_be_planned_are_refused(mine: Path) -> None:
    sky = {"kind": "box", "ra_min": 0.0, "ra_max": 360.0, "dec_min": -90.0, "dec_max": 90.0}
    said = refusal(mine, {"sky": {"footprint": sky, "shard_order": 8}})
    assert said.startswith(f"mine.yaml, line 2: sky.footprint: it touches {12 * 4**8} shards of order 8")
    table = {"kind": "table", "path": "many.csv"}
    positions = np.random.default_rng(0).uniform((0, -90), (360, 90), (60_000, 2))
    np.savetxt("many.csv", positions, delimiter=",", header="ra,dec", comments="")
    said = refusal(mine, {"sky": {"footprint": {"kind": "table"}, "shard_order": 12}, "sources": {"catalogue": table}})
    assert "sky.footprint: it touches" in said


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"architecture": None}, "architecture is wrong"),
        ({"task": ...}, "task is missing"),
        ({"input": {}}, "input.bands must be a list"),
        ({"weights": "../x.safetensors"}, "weights must be the name of a file beside it"),
        ({"weights": "none.safetensors"}, "none.safetensors: no such file"),
        ({"weights_sha256": "0"}, "sha256 differs"),
        ({"format": [1]}, "model format"),
        ({"task": "structure"}, "a network for 'structure'"),
        ({"input": {"bands": ["g", "r"]}}, "input.reference_band must be one of input.bands"),
        ({"input": {"bands": ["g", "r"], "reference_band": "r"}}, "a network for the bands"),
    ],
)
def test_the_card_of_a_foreign_network_is_refused_before_the_run(mine: Path, change: dict, says: str) -> None:
    card = json.loads(compact_card("morphology").read_text()) | change
    card = {key: value for key, value in card.items() if value is not ...}
    Path("own.json").write_text(json.dumps(card))
    Path("morphology.safetensors").write_bytes(compact_card("morphology").with_suffix(".safetensors").read_bytes())
    said = refusal(mine, {"train": {"morphology": {"start": "own.json"}}})
    assert said.startswith("mine.yaml, line 3: train.morphology.start: ")
    assert says in said


@pytest.mark.parametrize("content", ["[]", "{", "3", "[" * 100_000, '{"format": 2, "model": "resnet"}', "", "\0"])
def test_a_file_that_is_no_card_is_refused_before_the_run(mine: Path, content: str) -> None:
    Path("own.json").write_text(content)
    said = refusal(mine, {"train": {"structure": {"start": "own.json"}}})
    assert said.startswith("mine.yaml, line 3: train.structure.start: own.json: not a model card")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"columns": {"count": "{question.__class__}"}}, "only placeholders are {question} and {answer}"),
        ({"columns": {"count": "{question:>99999999999}"}}, "only placeholders"),
        ({"columns": {"count": "{"}}, "columns"),
        ({"columns": {}}, "count or fraction is needed"),
        ({"questions": {}}, "there must be a question"),
        ({"questions": {"a": {}}}, "each must have an answer"),
    ],
)
def test_a_tree_that_cannot_be_used_is_named(mine: Path, change: dict, says: str) -> None:
    tree = {"title": "t", "columns": {"count": "{question}_{answer}"}, "questions": {"a": {"yes": None}}, "meaning": {}}
    Path("tree.yaml").write_text(yaml.safe_dump(tree | change))
    said = refusal(mine, {"train": {"morphology": {"votes": {"vizier": "x", "tree": "tree.yaml"}}}})
    assert "mine.yaml, line 4: train.morphology.votes.tree: tree.yaml: " in said
    assert says in said


@pytest.mark.parametrize("survey", STARTS)
def test_a_begun_configuration_is_valid_short_and_never_overwritten(
    mine: Path, survey: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("images").mkdir()
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [10.0, 41.0], [48.5, 48.5]
    wcs.wcs.cdelt = [-0.4 / 3600, 0.4 / 3600]
    for band in "gri":
        fits.writeto(f"images/galaxy-{band}.fits", np.ones((96, 96), np.float32), wcs.to_header())
    main(["init", survey])
    path = Path(f"{survey}.yaml")
    lines = path.read_text().splitlines()
    schema = lines[0].removeprefix("# yaml-language-server: $schema=")
    assert Path(schema).resolve() == ROOT / "config" / "schema.json"
    assert len(lines) < 40
    assert load(path).survey.name == survey
    main(["check", str(path)])
    assert f"{path} is valid" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="this file exists and is not overwritten"):
        main(["init", survey])
    assert path.read_text().splitlines() == lines


def test_init_lists_the_surveys_and_refuses_other_names(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["init"])
    shown = capsys.readouterr().out
    names = {path.stem for path in (ROOT / "config" / "surveys").glob("*.yaml")}
    assert {line.split()[0] for line in shown.splitlines()} == names | {"Write"}
    before = sorted(os.listdir())  # noqa: PTH208
    for arguments in (["SDSS"], ["2mass"], ["sdss", "a.txt"], ["sdss", "none/a.yaml"], ["sdss", "folder/"]):
        with pytest.raises(SystemExit, match=r"^tuningfork: "):
            main(["init", *arguments])
    assert sorted(os.listdir()) == before  # noqa: PTH208


@pytest.mark.parametrize("path", [ROOT / "config" / "config.yaml", *sorted((ROOT / "config" / "examples").iterdir())])
def test_every_configuration_of_the_repository_names_its_schema(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    schema = path.parent / first.removeprefix("# yaml-language-server: $schema=")
    assert schema.resolve() == ROOT / "config" / "schema.json"
    document = json.loads(schema.read_text())
    assert set(yaml.safe_load(path.read_text())) <= set(document["properties"])
