"""Figures of merit with known values, and the evaluation stage on sets of any size."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers.small_networks import model_card, parameters, training_part
from hypothesis import given, settings
from hypothesis import strategies as st

from tuningfork.calibrate.structure import weigh_profiles
from tuningfork.calibrate.votes import measure_agreement
from tuningfork.core.decision_tree import questions
from tuningfork.core.statistics import (
    angle_difference,
    area_under_curve,
    correlation,
    correlation_error,
    partial_correlation,
    robust_scatter,
)
from tuningfork.core.tables import lineage_of, read_table
from tuningfork.evaluate.bars import ESTIMATORS, bar_auc, learn_bars, measured, score
from tuningfork.evaluate.scores import (
    challenge_scores,
    integral_transform,
    length_scores,
    orientation_scores,
    parameter_scores,
    question_scores,
)
from tuningfork.evaluate.stage import confusion, evaluate
from tuningfork.evaluate.structure import PARAMETERS


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def test_area_under_curve_counts_pairs_and_ties_half() -> None:
    score = np.array([0.1, 0.4, 0.4, 0.8] * 5)
    positive = np.array([False, False, True, True] * 5)
    pairs = [(a > b) + 0.5 * (a == b) for a in score[positive] for b in score[~positive]]
    assert area_under_curve(score, positive)["auc"] == pytest.approx(np.mean(pairs))
    assert area_under_curve(score[:8], positive[:8])["auc"] is None


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000))
def test_the_area_of_the_opposite_score_is_the_rest(seed: int) -> None:
    generator = np.random.default_rng(seed)
    score, positive = generator.normal(size=60).round(1), np.arange(60) % 3 == 0
    one, other = area_under_curve(score, positive)["auc"], area_under_curve(-score, positive)["auc"]
    assert one + other == pytest.approx(1)


def test_partial_correlation_frees_of_what_is_shared() -> None:
    generator = rng()
    size = generator.normal(size=4000)
    one, other = size + generator.normal(0, 0.3, 4000), size + generator.normal(0, 0.3, 4000)
    assert correlation(one, other) == pytest.approx(0.917, abs=0.02)
    assert partial_correlation(one, other, size) == pytest.approx(0, abs=0.05)
    noise = generator.normal(size=4000)
    assert partial_correlation(size + noise, noise, size) == pytest.approx(1, abs=1e-6)


def test_the_bootstrap_error_is_that_of_theory_and_repeats() -> None:
    generator = rng()
    x = generator.normal(size=400)
    y = 0.6 * x + 0.8 * generator.normal(size=400)
    found = correlation_error(x, y, rng())
    assert found == pytest.approx((1 - 0.6**2) / np.sqrt(400), rel=0.25)
    assert found == correlation_error(x, y, rng())


def test_a_constant_or_a_handful_has_no_correlation() -> None:
    assert correlation(np.ones(20), np.arange(20.0)) is None
    assert correlation(np.arange(5.0), np.arange(5.0)) is None


def test_robust_scatter_is_the_standard_deviation_of_a_normal_distribution() -> None:
    values = rng().normal(3, 2, 20_000)
    values[:100] = 1e6
    assert robust_scatter(values) == pytest.approx(2, rel=0.03)


def test_angles_differ_as_axes() -> None:
    assert angle_difference(np.array([179.0, 1.0, 90.0]), np.array([1.0, 179.0, 0.0])).tolist() == [-2.0, 2.0, -90.0]


def test_parameters_are_scored_against_the_constant_predictor() -> None:
    truth = rng().normal(0, 1, 2000)
    predicted = truth + 0.1 + rng().normal(0, 0.2, 2000)
    found = parameter_scores(predicted, np.full(2000, 0.2), truth)
    assert found["bias"] == pytest.approx(0.1, abs=0.02)
    assert found["scatter"] == pytest.approx(0.2, abs=0.02)
    assert found["scatter_constant"] == pytest.approx(1, abs=0.05)
    assert found["r2"] == pytest.approx(1 - 0.05, abs=0.01)
    assert [found[f"coverage{level}"] for level in (50, 68, 95)] == pytest.approx([0.46, 0.64, 0.93], abs=0.02)
    assert parameter_scores(predicted[:3], predicted[:3], truth[:3])["r2"] is None


def test_position_angles_wrap() -> None:
    truth = np.full(50, 179.0)
    found = parameter_scores(np.full(50, 2.0), np.full(50, 5.0), truth, angle=True)
    assert found["bias"] == pytest.approx(3)
    assert found["r2"] is None
    assert found["coverage68"] == 1


@pytest.mark.parametrize(("stated", "shape"), [(1, "flat"), (2, "hill"), (0.5, "bowl")])
def test_the_integral_transform_shows_whether_errors_are_honest(stated: float, shape: str) -> None:
    share = np.array(integral_transform(rng().normal(size=20_000), np.full(20_000, stated)))
    assert share.sum() == pytest.approx(1)
    middle, ends = share[4:6].mean(), share[[0, -1]].mean()
    assert {"flat": abs(middle - ends) < 0.01, "hill": middle > 1.5 * ends, "bowl": middle < ends / 1.5}[shape]
    # A prediction that is too high puts the truth low in it.
    assert integral_transform(np.full(20, 3.0), np.ones(20))[0] == 1


def test_the_challenge_counts_as_published() -> None:
    """Relative errors of sizes, decimal logarithms of indices, differences of axis ratios; 68 % about the median."""
    truth = np.full(1000, 2.0)
    estimate = truth * (1.1 + rng().normal(0, 0.05, 1000))
    estimate[:50] = 8.0
    found = challenge_scores("r_eff", estimate, truth)
    assert found["bias"] == pytest.approx(0.1, abs=0.02)
    assert found["dispersion"] == pytest.approx(0.05, rel=0.2)
    assert found["outliers"] == pytest.approx(0.05)
    assert challenge_scores("sersic_n", truth * 10, truth)["bias"] == pytest.approx(1)
    assert challenge_scores("axis_ratio", truth + 0.1, truth)["bias"] == pytest.approx(0.1)
    assert challenge_scores("r_eff", np.full(1000, np.nan), truth) == {
        "n": 0,
        "bias": None,
        "dispersion": None,
        "outliers": None,
    }


def test_votes_are_scored_where_the_question_was_asked() -> None:
    votes = np.array([[9, 1], [2, 8], [0, 0]] * 10)
    perfect = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]] * 10)
    found = question_scores(perfect, votes, np.array([0.55, 0.45]))
    assert found["n"] == 20
    assert found["accuracy"] == 1
    assert found["mae"] == pytest.approx(0)
    assert found["mae_constant"] == pytest.approx(0.35)
    assert found["cross_entropy"] < found["cross_entropy_constant"]
    assert [entry["n"] for entry in found["reliability"][0]] == [10, 10]
    assert question_scores(perfect[:3], votes[:3], np.array([0.5, 0.5]))["accuracy"] is None


def test_a_length_that_only_follows_size_has_no_partial_correlation() -> None:
    generator = rng()
    size = generator.lognormal(1.5, 0.4, 3000)
    truth = 0.8 * size * generator.lognormal(0, 0.3, 3000)
    null = length_scores(0.8 * size * generator.lognormal(0, 0.1, 3000), truth, size, rng())
    good = length_scores(truth * generator.lognormal(0, 0.1, 3000), truth, size, rng())
    assert null["r"] > 0.5
    assert abs(null["partial_r"]) < 0.05
    assert abs(null["r_scaled"]) < 0.1
    assert good["partial_r"] > 0.9
    assert good["r"] > good["r_size_only"]
    assert good["scatter"] == pytest.approx(0.1, rel=0.1)


def test_a_length_that_depends_on_the_angle_shows() -> None:
    angle = np.linspace(0, 179, 360)
    along = np.abs((angle + 45) % 90 - 45) < 22.5
    found = orientation_scores(np.where(along, 0.5, 1.0), np.ones(360), angle + 4, angle)
    assert found["ratio_along_axes"] == 0.5
    assert found["ratio_diagonal"] == 1
    assert found["angle_median"] == pytest.approx(4)


def frame(number: int = 400, direct: float = 0.1, saliency: float = 0.3) -> pd.DataFrame:
    generator = rng()
    size = generator.lognormal(1.5, 0.3, number)
    barred = np.arange(number) % 2 == 0
    length = np.where(barred, size * generator.lognormal(0.6, 0.3, number), np.nan)
    pixel_scale, angle = np.full(number, 0.4), generator.uniform(0, 180, number)
    columns: dict[str, Any] = {
        "split": np.where(np.arange(number) % 4 < 2, "validation", "test"),
        "mapped": barred,
        "bar_length": length,
        "pixel_scale": pixel_scale,
        "psf": np.full(number, 3.0),
        "r_eff": size,
        "bar_position_angle": angle,
        "p_bar": np.clip(np.where(barred, 0.7, 0.3) + generator.normal(0, 0.1, number), 0, 1),
        "mag": generator.uniform(14, 18, number),
        "axis_ratio": np.full(number, 0.8),
        "class": np.where(barred, "barred_spiral", "spiral"),
    }
    scatters = {"direct": direct, "mask": 0.3, "saliency-moments": saliency, "saliency-paper": 0.5, "fourier": 0.3}
    scatters |= {"size_only": 0}
    for name, scatter in scatters.items():
        truth = size if name == "size_only" else 0.5 * length
        columns |= {
            f"{name}_raw": np.log(truth / 0.4) + generator.normal(0, scatter, number),
            f"{name}_spread": np.zeros(number),
        }
        if name != "size_only":
            columns[f"{name}_angle"] = (angle + generator.normal(0, 5, number)) % 180
            columns[f"{name}_angle_spread"] = np.zeros(number)
    columns |= {"bar_axis_ratio": np.where(barred, 0.4, np.nan), "mask_ratio": np.where(barred, 0.5, np.nan)}
    columns["direct_spread"] = np.full(number, direct)
    return pd.DataFrame(columns)


def test_calibration_removes_the_bias_and_the_combination_is_better_than_its_parts() -> None:
    rows = frame()
    learnt = learn_bars(rows, "moments")
    found = measured(rows, learnt, "moments")
    figures = score(rows, found, learnt, 1)
    assert set(figures) == {"recommended", *ESTIMATORS}
    assert abs(figures["direct"]["bias"]) < 0.05
    assert abs(figures["saliency-moments"]["bias"]) < 0.15
    assert figures["direct"]["r"] > figures["saliency-moments"]["r"] > figures["saliency-paper"]["r"]
    assert figures["size_only"]["partial_r"] is None or abs(figures["size_only"]["partial_r"]) < 0.1
    assert figures["recommended"]["scatter"] < 1.1 * figures["direct"]["scatter"]
    assert 0.5 < figures["recommended"]["coverage_68"] < 0.85
    assert learnt.combination.angle_scatter < 5
    assert set(learnt.combination.names) == {"direct", "mask", "saliency", "fourier"}


def test_bars_are_found_among_clear_galaxies() -> None:
    rows = frame()
    found = bar_auc(rows)
    assert found["all"]["n"] == 400
    assert 0 < found["bright_resolved"]["n"] < 250
    assert found["all"]["auc"] > 0.95


@pytest.mark.parametrize("number", [20, 220])
def test_the_stage_works_on_sets_of_any_size(tmp_path: Path, number: int) -> None:
    training = [training_part(tmp_path / f"part-{k}.parquet", number, seed=k) for k in range(2)]
    profiles, profiles_table = tmp_path / "profiles.json", tmp_path / "profiles.parquet"
    structure = [model_card(tmp_path, "structure")]
    weigh_profiles(parameters("profiles"), training, structure, profiles, profiles_table)
    morphology = [model_card(tmp_path, "morphology", k) for k in range(2)]
    output, table = tmp_path / "evaluation.json", tmp_path / "evaluation.parquet"
    sections = {"evaluate": {"bars": 12}, "saliency": {"samples": 2, "batch_size": 8}}
    agreement = tmp_path / "agreement.json"
    measure_agreement(parameters("agreement"), training, None, morphology, agreement)
    evaluate(
        parameters("evaluate", **sections), training, morphology, agreement, profiles, profiles_table, output, table
    )
    found = json.loads(output.read_text())
    assert found["splits"] == {"train": int(1.6 * number), "validation": number // 5, "test": number // 5}
    assert set(found["morphology"]) == {entry.name for entry in questions()}
    assert set(found["agreement"]) == {"calibration", "simulated", "people"}
    assert set(found["bars"]) == {
        "recommended", "direct", "mask", "saliency", "saliency-paper", "fourier", "size_only"
    }  # fmt: skip
    assert found["bar_combination"]["names"][0] == "direct"
    assert set(found["bars_published"]) == set(found["bars"])
    assert found["bars_published"]["direct"]["n"] <= found["bars"]["direct"]["n"]
    assert set(found["structure"]) == set(PARAMETERS)
    assert set(found["structure_network"]) == set(PARAMETERS) - {"bulge_to_total"}
    assert ("fewer than" in found["structure_calibration"]["note"]) == (number == 20)
    for entry in found["structure_by_signal"]:
        assert entry["n"] >= 10
        assert entry["recommended"]["mag"]["n"] == entry["n"]
    assert sum(map(sum, found["confusion"]["matrix"])) == number // 5
    assert set(found["bar_calibration"]) == {"direct", "mask", "saliency", "fourier", "axis_ratio"}
    rows = read_table(table).to_pandas()
    assert len(rows) == number // 5
    assert set(rows["split"]) == {"test"}
    assert {"r_eff_predicted", "bar_length_saliency-paper", "bar_length_size_only", "bar_yes_fraction"} <= set(rows)
    assert rows["bar_length_direct"].notna().all()
    assert lineage_of(output) == lineage_of(table)
    if number == 20:
        assert "not calibrated" in found["bar_calibration"]["saliency"]["note"]
        assert found["bars"]["saliency"]["r"] is None
    else:
        assert rows["bar_length_saliency"].notna().sum() <= 12


def test_kinds_that_are_no_class_have_a_row_and_say_nothing_about_the_accuracy() -> None:
    """A lens is called an elliptical: neither right nor wrong."""
    test = pd.DataFrame(
        {"class": ["lens", "spiral", "spiral", "sersic"], "morphology": ["elliptical", "spiral", "merger", "spiral"]}
    )
    found = confusion(test)
    assert (found["n"], found["accuracy"]) == (2, 0.5)
    assert np.array(found["matrix"]).sum() == 4
    assert confusion(test.iloc[[0, 3]])["accuracy"] is None


def test_a_network_of_one_parameter_is_judged_by_it(tmp_path: Path) -> None:
    card = model_card(tmp_path, "structure")
    values = json.loads(card.read_text())
    card.write_text(json.dumps(values | {"heads": {"targets": ["mag"]}}))
    output, table = tmp_path / "profiles.json", tmp_path / "profiles.parquet"
    weigh_profiles(parameters("profiles"), [training_part(tmp_path / "part-0.parquet", 100)], [card], output, table)
    found = json.loads(output.read_text())
    assert found["structure"]["mag"]["n"] == 10
    assert found["structure"]["r_eff"]["n"] == 0
    rows = read_table(table).to_pandas()
    assert len(rows) == 20
    assert rows["mag_error"].notna().all()
    assert rows["r_eff_predicted"].isna().all()
    assert set(rows["structure_method"]) == {"network"}
