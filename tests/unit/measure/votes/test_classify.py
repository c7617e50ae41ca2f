"""Vote fractions of a shard."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from helpers.corrections import vote_calibration
from helpers.inferred import morphology_answers
from helpers.small_sets import parameters, write_model, write_stamps

from tuningfork.core.calibration_file import write_calibration
from tuningfork.core.classes import class_of
from tuningfork.core.decision_tree import answers, questions
from tuningfork.core.errors import InputError
from tuningfork.core.flags import Flag
from tuningfork.core.tables import detail_of, lineage_of, read_table
from tuningfork.measure.votes.correction import LearnedCorrection, PresenceCorrection, VoteCalibration, VoteCorrection
from tuningfork.measure.votes.recipe import share_of_all
from tuningfork.measure.votes.shard import classify_shard

NAMES = list(answers())


def fractions(**values: float) -> np.ndarray:
    """Return one galaxy's fractions: an unbarred spiral, but for what is given."""
    usual = {
        "smooth_or_featured_featured": 0.9,
        "smooth_or_featured_smooth": 0.1,
        "edge_on_no": 1.0,
        "bar_no": 1.0,
        "spiral_arms_yes": 0.9,
    }
    return np.array([[(usual | values).get(name, 0.0) for name in NAMES]])


def calibration(folder: Path, **corrections: VoteCorrection) -> Path:
    """Write what was learned about the votes, by default nothing that helps."""
    learned = {
        entry.name: LearnedCorrection(
            corrections.get(entry.name, VoteCorrection(0.3, 7.0)), entry.name in corrections, "simulated", 100
        )
        for entry in questions()
    }
    write_calibration(
        folder / "votes.json", "votes", VoteCalibration(learned, PresenceCorrection()), {"calibrate_votes": "v"}
    )
    return folder / "votes.json"


def classified(folder: Path, stamps: Path, models: list[Path], **corrections: VoteCorrection) -> pd.DataFrame:
    """Ask the networks about a shard and return its table."""
    table, masks = morphology_answers(stamps, models)
    output, learned = folder / "out.parquet", calibration(folder, **corrections)
    classify_shard(parameters("classify"), answers=table, masks=masks, calibration=learned, output=output)
    return pq.read_table(output).to_pandas()


def test_every_source_has_a_row_and_those_without_a_stamp_are_null(tmp_path: Path) -> None:
    models = [write_model(tmp_path / f"{k}.json", "morphology", k) for k in range(2)]
    table = classified(tmp_path, write_stamps(tmp_path / "shard.parquet"), models)
    assert list(table["source_id"]) == list(range(100, 107))
    artifact = table["morphology"].astype(str) == "artifact"
    assert list(table["flags"] - artifact * int(Flag.STAR_OR_ARTIFACT)) == [0, 4, 0, 0, 4, 0, 0]
    missing = table["bar_vote_share"].isna()
    assert list(np.flatnonzero(missing)) == [1, 4]
    assert list(np.flatnonzero(table["morphology"].isna())) == [1, 4]
    for question in questions():
        total = table[[f"{label}_fraction" for label in question.labels]].sum(axis=1)[~missing]
        np.testing.assert_allclose(total, 1, atol=1e-5)
    assert lineage_of(tmp_path / "out.parquet") == {
        "stamps": "t",
        "train-morphology": "m",
        "infer_morphology": "infer_morphology-digest",
        "calibrate_votes": "v",
        "classify": "d" * 16,
    }
    assert detail_of(tmp_path / "out.parquet", "members") == 2


def test_what_calibration_has_learned_is_applied(tmp_path: Path) -> None:
    stamps, models = write_stamps(tmp_path / "shard.parquet"), [write_model(tmp_path / "m.json", "morphology")]
    plain = classified(tmp_path, stamps, models)
    calibrated = classified(tmp_path, stamps, models, bar=VoteCorrection(0.5, 2.0))
    raw = read_table(stamps.with_name("shard-answers.parquet"), ["fraction"])["fraction"].to_pylist()
    expected = np.array(raw, dtype=np.float32)[:, NAMES.index("bar_yes")]
    np.testing.assert_array_equal(plain["bar_yes_fraction"], expected)
    odds = [table["bar_yes_fraction"] / table["bar_no_fraction"] for table in (plain, calibrated)]
    np.testing.assert_allclose(odds[1], odds[0] ** 2, rtol=1e-3)
    total = [table["bar_yes_dirichlet"] + table["bar_no_dirichlet"] for table in (plain, calibrated)]
    np.testing.assert_allclose(total[1], 2 * total[0], rtol=1e-3)
    leading = share_of_all(calibrated[[f"{name}_fraction" for name in NAMES]].to_numpy(), "bar_yes")
    np.testing.assert_allclose(calibrated["bar_vote_share"], leading, rtol=1e-5)
    np.testing.assert_array_equal(plain["merging_merger_fraction"], calibrated["merging_merger_fraction"])


def test_a_shard_without_sources_gives_an_empty_table(tmp_path: Path) -> None:
    stamps = write_stamps(tmp_path / "shard.parquet", number=0)
    assert len(classified(tmp_path, stamps, [write_model(tmp_path / "m.json", "morphology")])) == 0


def test_the_calibration_of_another_recipe_is_refused(tmp_path: Path) -> None:
    stamps, models = write_stamps(tmp_path / "shard.parquet"), [write_model(tmp_path / "m.json", "morphology")]
    table, masks = morphology_answers(stamps, models)
    wrong = tmp_path / "bars.json"
    write_calibration(wrong, "bars", vote_calibration(), {})
    with pytest.raises(InputError, match=r"bars\.json: a calibration of bars.* expected votes"):
        classify_shard(
            parameters("classify"), answers=table, masks=masks, calibration=wrong, output=tmp_path / "o.parquet"
        )


def test_the_probability_of_an_answer_is_the_product_down_the_tree() -> None:
    values = fractions(smooth_or_featured_featured=0.8, edge_on_no=0.5, bar_yes=0.6)
    assert share_of_all(values, "bar_yes")[0] == pytest.approx(0.24)
    assert share_of_all(values, "smooth_or_featured_featured")[0] == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "spiral"),
        ({"spiral_arms_yes": 0.3}, "disc"),
        ({"bar_yes": 0.7}, "barred_spiral"),
        ({"bar_yes": 0.7, "spiral_arms_yes": 0.3}, "barred_disc"),
        ({"edge_on_yes": 0.6, "bar_yes": 0.7}, "edge_on"),
        ({"smooth_or_featured_smooth": 0.95}, "smooth"),
        ({"merging_merger": 0.6, "smooth_or_featured_smooth": 0.95}, "merger"),
        ({"smooth_or_featured_artifact": 0.95, "merging_merger": 0.6}, "artifact"),
        ({"bar_yes": np.nan}, None),
    ],
)
def test_the_class_follows_the_tree(changes: dict[str, float], expected: str | None) -> None:
    assert class_of(fractions(**changes))[0] == expected
