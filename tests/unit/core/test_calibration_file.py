"""Calibrations on disk: typed, and refused in one sentence if they are not what the stage expects."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tuningfork.core.calibration_file import SCHEMA_VERSION, read_calibration, write_calibration
from tuningfork.core.errors import InputError
from tuningfork.core.tables import lineage_of
from tuningfork.measure.bars.calibration import BarCalibration, uncalibrated
from tuningfork.measure.bars.combination import BarCombination
from tuningfork.measure.bars.length_calibration import LengthCalibration
from tuningfork.measure.features.calibration import ARMS, BULGE, FeatureCalibration, FractionCalibration
from tuningfork.measure.structure.combine import StructureCalibration, Weighting
from tuningfork.measure.structure.intervals import ErrorModel
from tuningfork.measure.votes.correction import LearnedCorrection, PresenceCorrection, VoteCalibration, VoteCorrection

LENGTH = LengthCalibration(0.1, 0.9, 0.2, 0.05, 0.11, 300, "")
COMBINATION = BarCombination(["direct", "mask"], [[1.0, 0.2], [0.2, 3.0]], 1.2, {"direct": 4.0}, 3.5, 120)
FRACTION = FractionCalibration([0.1, 1 / 3, -0.2], True, [0.2, 0.6], [0.05, 0.1], 90)
LEARNED = LearnedCorrection(VoteCorrection(1.3, 0.7), True, "volunteers", 200, 0.02, 0.004)
CALIBRATIONS = {
    "votes": VoteCalibration(
        {"bar": LEARNED, "merging": LearnedCorrection(VoteCorrection(), False, "simulated", 0)},
        PresenceCorrection(1.1, 0.2, 50),
    ),
    "bars": BarCalibration({"direct": LENGTH, "mask": replace(LENGTH, scatter=None)}, LENGTH, COMBINATION),
    "features": FeatureCalibration({BULGE: FRACTION, ARMS: FractionCalibration([], False, [], [], 3, "too few")}),
    "structure": StructureCalibration({"mag": Weighting(0.1, 0.2, shared=1 / 7)}, 50, 45, "", {"mag": ErrorModel(0.1)}),
}


def changed(path: Path, *keys: str, value: Any = None, delete: bool = False) -> None:
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
