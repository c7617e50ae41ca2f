"""The configuration: generated files, strictness, and what a user is told."""

import difflib
import json
from pathlib import Path

import pytest
import yaml

from tuningfork.core.config import Configuration, load, validate
from tuningfork.core.config.document import default_yaml, json_schema
from tuningfork.core.config.population import ClassFractions
from tuningfork.core.errors import ConfigurationError


@pytest.mark.parametrize(("name", "write"), [("config.yaml", default_yaml), ("schema.json", json_schema)])
def test_generated_files_do_not_drift_from_the_models(root: Path, name: str, write: object) -> None:
    stored = (root / "config" / name).read_text()
    current = write()  # type: ignore[operator]
    difference = "".join(difflib.unified_diff(stored.splitlines(True), current.splitlines(True), name, "models"))
    assert not difference, f"run `make docs`:\n{difference}"


def test_the_default_file_is_the_default() -> None:
    assert validate(yaml.safe_load(default_yaml())) == Configuration() == validate({})


def test_every_key_has_a_description_and_every_number_with_a_dimension_a_unit() -> None:
    def described(schema: dict) -> list[str]:
        return [
            f"{name}.{key}"
            for name, model in schema["$defs"].items()
            for key, value in model["properties"].items()
            if "description" not in value
        ]

    assert described(json.loads(json_schema())) == []


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[3] / "config" / "examples").glob("*.yaml")), ids=lambda path: path.name
)
def test_the_examples_are_valid(path: Path) -> None:
    load(path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sed": 1}, "sed: unknown key; did you mean seed?"),
        ({"stamps": {"size": 128, "colour": 1}}, "stamps.colour: unknown key; known here: "),
        ({"stamps": {"size": "128"}}, "stamps.size: '128' is not allowed: expected an integer from 32 to 512 (pixel); write 128"),
        ({"stamps": {"size": 8}}, "stamps.size: 8 is not allowed: expected an integer from 32 to 512 (pixel)"),
        ({"stamps": 3}, "stamps: 3 is not allowed"),
        ({"sky": {"footprint": {"kind": "cone", "ra": 10.0, "dec": 0.0}}}, "sky.footprint.radius: this key is needed"),
        ({"sky": {"footprint": {"kind": "box", "ra_mni": 10.0}}}, "sky.footprint.ra_mni: unknown key; did you mean ra_min?"),
        ({"sky": {"footprint": {"kind": "table"}}}, "sky.footprint kind table needs sources.catalogue kind table or survey.name folder"),
        ({"sky": {"footprint": {"kind": "cone", "ra": 1.0, "dec": 2.0, "radus": 3.0}}}, "sky.footprint.radus: unknown key; did you mean radius?"),
        ({"sky": {"footprint": {"kind": "circle", "ra": 1.0}}}, "sky.footprint.kind: 'circle' is not allowed: it is one of box, cone, polygon, moc, tiles, table"),
        ({"sky": {"footprint": {"ra": 1.0}}}, "sky.footprint.kind: this key is needed; it is one of box, cone"),
        ({"sky": {"footprint": 3}}, "sky.footprint: 3 is not allowed: it has keys of its own, kind (box, cone"),
        ({"sky": {"footprint": {"kind": "polygon", "vertices": [[1.0, 2.0], [1.0], [3.0, 3.0]]}}}, "sky.footprint.vertices.1: the corner [1.0] is no right ascension"),
        ({"sky": {"footprint": {"kind": "tiles"}}}, "sky.footprint: no tile is named; give names, or a path"),
        ({"sources": {"catalogue": {"kind": "table"}}}, "sources.catalogue.path: this key is needed"),
        ({"sources": {"catalogue": {"kind": "vizier", "tabel": "x"}}}, "sources.catalogue.tabel: unknown key; did you mean table?"),
        ({"sources": {"catalogue": "survey"}}, "sources.catalogue: 'survey' is not allowed: it has keys of its own, kind (survey, table, vizier, hats, detection)"),
        ({"train": {"morphology": {"votes": {"units": {"source_id": "deg"}}}}}, "train.morphology.votes.units: 'source_id' is no column with a unit (ra, dec)"),
        ({"train": {"structure": {"measurements": {"units": {"size": "deg"}}}}}, "train.structure.measurements.units: 'size' is no column with a unit (ra, dec, mag, "),
        ({"sources": {"catalogue": {"kind": "hats", "path": "a", "columns": {"RA": "x"}}}}, "sources.catalogue.columns: 'RA' is none of our columns (ra, dec, "),
        ({"sources": {"catalogue": {"kind": "detection", "threshold": -1.0}}}, "sources.catalogue.threshold: -1.0 is not allowed: expected a number of at most 100 above 0"),
        ({"catalogue": {"nme": "x"}}, "catalogue.nme: unknown key; did you mean name?"),
        ({"survey": {"sdss": {"catalogue": "x"}}}, "survey.sdss.catalogue: 'x' is not allowed: expected one of skyserver, files"),
        ({"sources": {"mag_min": 18.0, "mag_max": 17.0}}, "sources.mag_min (18.0) must be below sources.mag_max (17.0)"),
        ({"simulate": {"population": {"classes": dict.fromkeys(ClassFractions.model_fields, 0.0)}}}, "simulate.population.classes: at least one class fraction"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_path_and_what_is_allowed(values: dict, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        validate(values)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "not a readable YAML file"),
        ("- a", "expected keys and values, found a list"),
        (None, "no such configuration file"),
    ],
)
def test_an_unreadable_file_is_named(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "mine.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigurationError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_values_cannot_change_after_the_check() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Configuration().seed = 3  # type: ignore[misc]
