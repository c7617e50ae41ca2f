"""Vote fractions of a shard."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from helpers.small_sets import parameters, write_model, write_stamps
from hypothesis import given, settings
from hypothesis import strategies as st

from tuningfork.core.classes import class_of
from tuningfork.core.decision_tree import answers, questions
from tuningfork.core.errors import InputError
from tuningfork.core.files import write_json
from tuningfork.core.tables import lineage_of
from tuningfork.measure.votes.shard import classify_shard, combine, probability_of, vote_values
from tuningfork.networks.ensemble import load_ensemble
from tuningfork.stamps.store import StampFiles, open_store

NAMES = list(answers())


def fractions(**values: float) -> np.ndarray:
    """Return one galaxy's fractions: an unbarred spiral, but for what is given."""
    usual = {"smooth_or_featured_featured": 0.9, "smooth_or_featured_smooth": 0.1, "edge_on_no": 1.0, "bar_no": 1.0}
    return np.array([[(usual | values).get(name, 0.0) for name in NAMES]])


def learnt(folder: Path, **corrections: dict[str, float]) -> Path:
    """Write what the calibration of the votes has learnt, by default nothing."""
    calibration = {name: {"applied": True, **values} for name, values in corrections.items()}
    write_json(folder / "agreement.json", {"lineage": {"agreement": "a"}, "calibration": calibration})
    return folder / "agreement.json"


def test_every_source_has_a_row_and_those_without_a_stamp_are_null(tmp_path: Path) -> None:
    stamps = write_stamps(tmp_path / "shard.parquet")
    models = [write_model(tmp_path / f"{k}.json", "morphology", k) for k in range(2)]
    settings_ = {"classify": {"rotations": 2, "batch_size": 3}}
    classify_shard(parameters("classify", **settings_), stamps, models, learnt(tmp_path), tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet").to_pandas()
    assert list(table["source_id"]) == list(range(100, 107))
    assert list(table["flags"]) == [0, 4, 0, 0, 4, 0, 0]
    missing = table["p_bar"].isna()
    assert list(np.flatnonzero(missing)) == [1, 4]
    assert list(np.flatnonzero(table["morphology"].isna())) == [1, 4]
    for question in questions():
        total = table[[f"{label}_fraction" for label in question.labels]].sum(axis=1)[~missing]
        np.testing.assert_allclose(total, 1, atol=1e-5)
    assert lineage_of(tmp_path / "out.parquet") == {
        "stamps": "t", "train-morphology": "m", "agreement": "a", "classify": "d" * 16,
    }  # fmt: skip


def test_the_result_does_not_depend_on_the_batch_size(tmp_path: Path) -> None:
    ensemble = load_ensemble([write_model(tmp_path / "m.json", "morphology")], "morphology")
    table, stamps = open_store(StampFiles.beside(write_stamps(tmp_path / "shard.parquet")), ensemble.bands, "r")
    one, other = (vote_values(ensemble, table, stamps, 4, size) for size in (2, 64))
    np.testing.assert_allclose(one["bar_yes_fraction"], other["bar_yes_fraction"], atol=2e-3)


def test_what_calibration_has_learnt_is_applied(tmp_path: Path) -> None:
    stamps, models = write_stamps(tmp_path / "shard.parquet"), [write_model(tmp_path / "m.json", "morphology")]
    tables = []
    for corrections in ({}, {"bar": {"temperature": 0.5, "concentration": 2.0}}):
        agreement = learnt(tmp_path, **corrections)
        classify_shard(parameters("classify"), stamps, models, agreement, tmp_path / "out.parquet")
        tables.append(pq.read_table(tmp_path / "out.parquet").to_pandas())
    plain, calibrated = tables
    odds = [table["bar_yes_fraction"] / table["bar_no_fraction"] for table in tables]
    np.testing.assert_allclose(odds[1], odds[0] ** 2, rtol=1e-3)
    total = [table["bar_yes_dirichlet"] + table["bar_no_dirichlet"] for table in tables]
    np.testing.assert_allclose(total[1], 2 * total[0], rtol=1e-3)
    leading = probability_of(calibrated[[f"{name}_fraction" for name in NAMES]].to_numpy(), "bar_yes")
    np.testing.assert_allclose(calibrated["p_bar"], leading, rtol=1e-5)
    np.testing.assert_array_equal(plain["merging_merger_fraction"], calibrated["merging_merger_fraction"])


def test_a_shard_without_sources_gives_an_empty_table(tmp_path: Path) -> None:
    stamps = write_stamps(tmp_path / "shard.parquet", number=0)
    classify_shard(
        parameters("classify"),
        stamps,
        [write_model(tmp_path / "m.json", "morphology")],
        learnt(tmp_path),
        tmp_path / "o.parquet",
    )
    assert pq.read_table(tmp_path / "o.parquet").num_rows == 0


def test_stamps_in_other_bands_are_refused(tmp_path: Path) -> None:
    stamps = write_stamps(tmp_path / "shard.parquet")
    table = pq.read_table(stamps)
    metadata = {**table.schema.metadata, b"tuningfork.bands": b'["u", "r"]'}
    pq.write_table(table.replace_schema_metadata(metadata), stamps)
    with pytest.raises(InputError, match=r"shard.parquet.*\['u', 'r'\].*\['g', 'r'\]"):
        classify_shard(
            parameters("classify"),
            stamps,
            [write_model(tmp_path / "m.json", "morphology")],
            learnt(tmp_path),
            tmp_path / "o.parquet",
        )


@settings(deadline=None)
@given(st.lists(st.floats(0.05, 100), min_size=len(NAMES), max_size=len(NAMES)))
def test_one_dirichlet_distribution_is_its_own_mixture(alpha: list[float]) -> None:
    fraction, error, concentration = combine(np.array(alpha)[None, None])
    np.testing.assert_allclose(concentration[0], np.maximum(alpha, 1e-3), rtol=1e-6)
    for question in questions():
        a = np.array(alpha)[question.slice]
        mean = a / a.sum()
        np.testing.assert_allclose(fraction[0, question.slice], mean)
        np.testing.assert_allclose(error[0, question.slice], np.sqrt(mean * (1 - mean) / (a.sum() + 1)))


def test_members_that_disagree_are_less_certain_than_each() -> None:
    one, other = np.full((1, len(NAMES)), 20.0), np.full((1, len(NAMES)), 20.0)
    other[0, NAMES.index("bar_yes")] = 200.0
    _, error, concentration = combine(np.stack([one, other]))
    _, alone, own = combine(one[None])
    bar = NAMES.index("bar_yes")
    assert error[0, bar] > 2 * alone[0, bar]
    assert concentration[0, bar] < own[0, bar]


def test_the_mixture_agrees_with_draws() -> None:
    rng = np.random.default_rng(0)
    alpha = rng.uniform(0.5, 20, (3, 1, len(NAMES)))
    fraction, error, _ = combine(alpha)
    place = questions()[0].slice
    draws = np.concatenate([rng.dirichlet(alpha[k, 0, place], 40_000) for k in range(3)])
    np.testing.assert_allclose(fraction[0, place], draws.mean(0), atol=0.005)
    np.testing.assert_allclose(error[0, place], draws.std(0), atol=0.005)


def test_the_probability_of_an_answer_is_the_product_down_the_tree() -> None:
    values = fractions(smooth_or_featured_featured=0.8, edge_on_no=0.5, bar_yes=0.6)
    assert probability_of(values, "bar_yes")[0] == pytest.approx(0.24)
    assert probability_of(values, "smooth_or_featured_featured")[0] == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "spiral"),
        ({"bar_yes": 0.7}, "barred_spiral"),
        ({"edge_on_yes": 0.6, "bar_yes": 0.7}, "edge_on"),
        ({"smooth_or_featured_smooth": 0.95}, "elliptical"),
        ({"merging_merger": 0.6, "smooth_or_featured_smooth": 0.95}, "merger"),
        ({"smooth_or_featured_artifact": 0.95, "merging_merger": 0.6}, "artifact"),
        ({"bar_yes": np.nan}, None),
    ],
)
def test_the_class_follows_the_tree(changes: dict[str, float], expected: str | None) -> None:
    assert class_of(fractions(**changes))[0] == expected
