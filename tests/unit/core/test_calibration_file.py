"""Calibrations on disk: typed, and refused in one sentence if they are not what the stage expects."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.corrections import vote_calibration

from tuningfork.core.calibration_file import SCHEMA_VERSION, read_calibration, write_calibration
from tuningfork.core.columns import ESTIMATORS
from tuningfork.core.errors import InputError
from tuningfork.core.tables import lineage_of
from tuningfork.measure.bars.angle import AngleError
from tuningfork.measure.bars.calibration import BarCalibration, uncalibrated
from tuningfork.measure.bars.combination import BarCombination
from tuningfork.measure.bars.length_calibration import LengthCalibration
from tuningfork.measure.bars.limits import TrainedRange
from tuningfork.measure.features.calibration import ARMS, BULGE, FeatureCalibration, FractionCalibration
from tuningfork.measure.structure.combine import StructureCalibration, Weighting
from tuningfork.measure.structure.intervals import ErrorModel
from tuningfork.measure.votes.correction import LearnedCorrection, VoteCorrection
from tuningfork.networks.posterior import GROUPS

LENGTH = LengthCalibration(0.1, 0.9, 0.2, 0.05, 0.11, 300, "")
ANGLE = AngleError(1.5, 0.4, 0.6, 200)
COMBINATION = BarCombination(
    ["direct", "mask"], [[1.0, 0.2], [0.2, 3.0]], 1.2, {"direct": 4.0}, 3.5, 120, angle_error=ANGLE
)
FRACTION = FractionCalibration([0.1, 1 / 3, -0.2, 0.0, 0.5], True, [0.2, 0.6], [0.05, 0.1], 90)
LEARNED = LearnedCorrection(VoteCorrection(1.3, 0.7, (0.2, -0.2)), True, "volunteers", 200, 0.02, 0.004)
CALIBRATIONS = {
    "votes": vote_calibration(bar=LEARNED),
    "bars": BarCalibration(
        dict.fromkeys(ESTIMATORS, LENGTH) | {"mask": replace(LENGTH, scatter=None)},
        LENGTH,
        COMBINATION,
        TrainedRange(7.0, 60.0, 2.0, 25.0),
    ),
    "features": FeatureCalibration({BULGE: FRACTION, ARMS: FractionCalibration([], False, [], [], 3, "too few")}),
    "structure": StructureCalibration(
        {name: Weighting(0.1, 0.2, shared=1 / 7) for name in GROUPS}, 50, 45, "", {"mag": ErrorModel(0.1)}
    ),
}


def changed(path: Path, *keys: Any, value: Any = None, delete: bool = False) -> None:
    """Change a value of the JSON file `path`, or delete it."""
    values = json.loads(path.read_text())
    branch = values
    for key in keys[:-1]:
        branch = branch[key]
    if delete:
        del branch[keys[-1]]
    else:
        branch[keys[-1]] = value
    path.write_text(json.dumps(values))


@pytest.mark.parametrize("recipe", CALIBRATIONS)
def test_a_calibration_survives_the_file(tmp_path: Path, recipe: str) -> None:
    calibration, path = CALIBRATIONS[recipe], tmp_path / "calibration.json"
    write_calibration(path, recipe, calibration, {"calibrate": "c"}, method="moments")
    assert read_calibration(path, recipe, type(calibration)) == calibration
    assert lineage_of(path) == {"calibrate": "c"}
    assert json.loads(path.read_text())["method"] == "moments"


def test_what_nothing_was_learned_for_survives_the_file(tmp_path: Path) -> None:
    write_calibration(tmp_path / "bars.json", "bars", uncalibrated(), {})
    assert read_calibration(tmp_path / "bars.json", "bars", BarCalibration) == uncalibrated()


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (
            ("calibration", "lengths", "direct", "slope_2"),
            1.0,
            "calibration.lengths.direct.slope_2: Unexpected keyword",
        ),
        (("calibration", "more"), {}, "calibration.more: Unexpected keyword"),
        (
            ("calibration", "lengths", "direct", "slope"),
            "0.9",
            "calibration.lengths.direct.slope: Input should be a valid",
        ),
        (
            ("calibration", "lengths", "direct", "n"),
            3.5,
            "calibration.lengths.direct.n: Input should be a valid integer",
        ),
        (
            ("calibration", "combination", "covariance"),
            [1.0, 2.0],
            "calibration.combination.covariance.0: Input should",
        ),
        (("calibration", "axis_ratio"), None, "calibration.axis_ratio: Input should be"),
        (("calibration",), [], "calibration: Input should be"),
        (("recipe",), "votes", "a calibration of votes, schema version 1; expected bars, version 1"),
        (("schema_version",), SCHEMA_VERSION + 1, "schema version 2; expected bars, version 1"),
    ],
)
def test_other_files_are_refused_with_the_key_at_fault(
    tmp_path: Path, keys: tuple[str, ...], value: Any, message: str
) -> None:
    path = tmp_path / "bars.json"
    write_calibration(path, "bars", CALIBRATIONS["bars"], {})
    changed(path, *keys, value=value)
    with pytest.raises(InputError) as caught:
        read_calibration(path, "bars", BarCalibration)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert str(caught.value).endswith("delete it and run again")


@pytest.mark.parametrize("keys", [("calibration", "lengths"), ("calibration",), ("recipe",), ("schema_version",)])
def test_a_key_that_is_missing_is_named(tmp_path: Path, keys: tuple[str, ...]) -> None:
    path = tmp_path / "bars.json"
    write_calibration(path, "bars", CALIBRATIONS["bars"], {})
    changed(path, *keys, delete=True)
    with pytest.raises(InputError, match=rf"bars\.json: .*{keys[-1]}"):
        read_calibration(path, "bars", BarCalibration)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '"bars"', "null"])
def test_what_is_no_calibration_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bars.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"bars\.json: not a calibration of bars"):
        read_calibration(path, "bars", BarCalibration)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json: no such file; run the workflow"):
        read_calibration(tmp_path / "none.json", "bars", BarCalibration)


def test_a_number_that_json_does_not_have_is_not_written(tmp_path: Path) -> None:
    bad = replace(CALIBRATIONS["bars"], axis_ratio=replace(LENGTH, slope=float("nan")))
    with pytest.raises(ValueError, match="JSON"):
        write_calibration(tmp_path / "bars.json", "bars", bad, {})
    assert not (tmp_path / "bars.json").exists()


FAULTS: list[tuple[str, str, Any, str]] = [
    (
        "votes",
        "questions.bar.correction.temperature",
        0.0,
        "questions.bar.correction: temperature is 0, but must be from",
    ),
    ("votes", "questions.bar.correction.concentration", -3.0, "questions.bar.correction: concentration is -3"),
    ("votes", "questions.bar.learned_from", "zzz", "questions.bar: learned_from must be one of volunteers, simulated"),
    ("votes", "questions.bar.gain_error", -1.0, "questions.bar: gain_error is -1, but must be 0 or more"),
    ("votes", "questions", {}, "calibration: questions lacks bar, "),
    ("structure", "groups", {}, "calibration: groups lacks bulge_logit"),
    ("structure", "groups.mag.shared", 2.0, "groups.mag: shared is 2, but must be from 0 to 1"),
    ("structure", "groups.mag.network_scale", 700.0, "groups.mag: network_scale is 700"),
    ("structure", "errors.mag.degrees", 0.0, "errors.mag: degrees is 0"),
    (
        "structure",
        "errors.zzz",
        {"constant": 0.0, "signal": 0.0, "weight": 0.0, "degrees": 5.0},
        "errors may only have",
    ),
    ("structure", "n_fitted", 51, "n_fitted must not be above n"),
    ("bars", "lengths", {}, "calibration: lengths lacks direct, "),
    ("bars", "axis_ratio.floor", -0.1, "axis_ratio: floor is -0.1, but must be 0 or more"),
    ("bars", "combination.covariance", [[1.0], [0.2, 3.0]], "combination: covariance must have 2 rows of 2 numbers"),
    ("bars", "combination.covariance", [[1.0, 0.2]], "combination: covariance must have 2 rows of 2 numbers"),
    ("bars", "combination.covariance", [[1.0, 2.0], [2.0, 3.0]], "covariance must be symmetric and positive definite"),
    ("bars", "combination.names", [], "combination: names must be estimators"),
    ("bars", "combination.names", ["direct", "direct"], "combination: names must be estimators, each of them once"),
    ("bars", "combination.names", ["direct", "zzz"], "calibration: combination.names may only have direct"),
    ("bars", "combination.scale", -1.2, "combination: scale is -1.2"),
    ("bars", "combination.angles", {}, "combination: angles has no estimator"),
    ("bars", "combination.angles", {"zzz": 3.0}, "calibration: combination.angles may only have direct"),
    ("bars", "combination.angles.direct", 0.0, "combination: angles.direct is 0, but must be above zero"),
    ("bars", "combination.angle_error.floor", 0.0, "combination.angle_error: floor is 0, but must be above zero"),
    (
        "bars",
        "combination.angle_error.stated_weight",
        -0.1,
        "angle_error: stated_weight is -0.1, but must be 0 or more",
    ),
    ("bars", "trained.longest", 6.0, "trained: shortest is 7 and longest 6, but they must be above zero and increase"),
    ("bars", "trained.shortest_psf", 0.0, "trained: shortest_psf is 0 and longest_psf 25"),
    ("features", "fractions", {}, "calibration: fractions lacks bulge_fraction, spiral_arm_fraction"),
    ("features", "fractions.bulge_fraction.coefficients", [0.1], "fractions.bulge_fraction.coefficients has 1 numbers"),
    (
        "features",
        "fractions.bulge_fraction.coefficients",
        [],
        "coefficients, fractions and errors must be there together",
    ),
    ("features", "fractions.bulge_fraction.errors", [0.1], "fractions and errors must be of the same length"),
    ("features", "fractions.bulge_fraction.errors", [0.1, -0.1], "errors must be zero or more"),
    ("features", "fractions.bulge_fraction.fractions", [0.6, 0.2], "fractions must increase"),
]


def places(value: Any, keys: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield the keys and the value of every entry of a JSON value."""
    if isinstance(value, dict | list):
        for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*keys, key), entry
            yield from places(entry, (*keys, key))


def refusal(path: Path, recipe: str) -> str:
    """Return the message with which a calibration is refused."""
    with pytest.raises(InputError) as caught:
        read_calibration(path, recipe, type(CALIBRATIONS[recipe]))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


@pytest.mark.parametrize(("recipe", "key", "value", "message"), FAULTS)
def test_values_out_of_range_are_refused_with_the_field(
    tmp_path: Path, recipe: str, key: str, value: Any, message: str
) -> None:
    path = tmp_path / "calibration.json"
    write_calibration(path, recipe, CALIBRATIONS[recipe], {})
    changed(path, "calibration", *key.split("."), value=value)
    assert message in refusal(path, recipe)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), -1e9])
@pytest.mark.parametrize("recipe", CALIBRATIONS)
def test_no_number_may_be_nan_infinite_or_absurd(tmp_path: Path, recipe: str, value: float) -> None:
    path = tmp_path / "calibration.json"
    write_calibration(path, recipe, CALIBRATIONS[recipe], {})
    whole = json.loads(path.read_text())["calibration"]
    numbers = [keys for keys, entry in places(whole) if isinstance(entry, float)]
    assert numbers
    for keys in numbers:
        write_calibration(path, recipe, CALIBRATIONS[recipe], {})
        changed(path, "calibration", *keys, value=value)
        assert f"calibration.{'.'.join(map(str, keys))} is {value:g}" in refusal(path, recipe)


@pytest.mark.parametrize("recipe", CALIBRATIONS)
def test_every_field_must_be_there(tmp_path: Path, recipe: str) -> None:
    path = tmp_path / "calibration.json"
    write_calibration(path, recipe, CALIBRATIONS[recipe], {})
    whole = json.loads(path.read_text())["calibration"]
    optional = {("errors", "mag"), ("combination", "angles", "direct"), ("trained",)} | {
        ("combination", name) for name in ("angle_error", "transfer")
    }
    for keys, _ in places(whole):
        if not isinstance(keys[-1], int) and keys not in optional and keys[-1] != "shift":
            write_calibration(path, recipe, CALIBRATIONS[recipe], {})
            changed(path, "calibration", *keys, delete=True)
            assert keys[-1] in refusal(path, recipe)


def test_a_calibration_of_bars_from_before_the_angle_errors_is_read_without_them(tmp_path: Path) -> None:
    path = tmp_path / "bars.json"
    write_calibration(path, "bars", CALIBRATIONS["bars"], {})
    changed(path, "calibration", "combination", "angle_error", delete=True)
    changed(path, "calibration", "trained", delete=True)
    expected = replace(CALIBRATIONS["bars"], combination=replace(COMBINATION, angle_error=None), trained=None)
    assert read_calibration(path, "bars", BarCalibration) == expected


@pytest.mark.parametrize("version", [True, 1.0, "1", None])
def test_the_schema_version_is_the_whole_number_itself(tmp_path: Path, version: Any) -> None:
    path = tmp_path / "bars.json"
    write_calibration(path, "bars", CALIBRATIONS["bars"], {})
    changed(path, "schema_version", value=version)
    assert f"schema version {version!r}; expected bars, version {SCHEMA_VERSION}" in refusal(path, "bars")
