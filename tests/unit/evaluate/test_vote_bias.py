"""Planted label errors and planted biases are found; where there are none, none are found."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from helpers.corrections import vote_calibration
from helpers.inferred import held_out_answers
from helpers.small_networks import BANDS, model_card, training_part
from scipy.special import expit
from scipy.stats import betabinom

from tuningfork.core.calibration_file import write_calibration
from tuningfork.core.columns.table import shard_table
from tuningfork.core.config import validate
from tuningfork.core.decision_tree import question, questions
from tuningfork.core.files import read_json
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import read_table, write_table
from tuningfork.evaluate.audit.bias import audit_votes, bar_bias, corrections, measured_bars, shifts_to, slopes
from tuningfork.evaluate.audit.disagreement import fit_precision, label_errors, tail_probabilities
from tuningfork.evaluate.audit.volunteers import VolunteerFiles, held_out_volunteers
from tuningfork.measure.votes.correction import LearnedCorrection, VoteCorrection

GALAXIES = 800


def judged(rng: np.random.Generator, name: str, precision: float, asked: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Return votes and predicted fractions of many galaxies, the votes scattered about the prediction."""
    fractions = rng.dirichlet(np.full(len(question(name).answers), 0.5), GALAXIES)
    fractions = np.maximum(fractions, 1e-3) / np.maximum(fractions, 1e-3).sum(axis=1, keepdims=True)
    drawn = np.array([rng.dirichlet(row) for row in precision * fractions])
    return np.array([rng.multinomial(asked, row) for row in drawn]).astype(float), fractions


def test_each_answer_follows_a_beta_binomial_distribution() -> None:
    rng = np.random.default_rng(1)
    votes, fractions = judged(rng, "bulge_size", 12.0)
    votes, fractions = votes[:40], fractions[:40]
    law = betabinom(votes.sum(axis=1, keepdims=True), 12.0 * fractions, 12.0 * (1 - fractions))
    expected = np.minimum(2 * np.minimum(law.cdf(votes), law.sf(votes - 1)), 1)
    np.testing.assert_allclose(tail_probabilities(votes, fractions, 12.0), expected, atol=1e-10)


@pytest.mark.parametrize("precision", [4.0, 30.0])
def test_the_precision_is_found_in_spite_of_wrong_labels(precision: float) -> None:
    votes, fractions = judged(np.random.default_rng(2), "bar", precision)
    assert fit_precision(votes, fractions) == pytest.approx(precision, rel=0.15)
    sure = np.flatnonzero(fractions.max(axis=1) > 0.95)[:15]
    votes[sure] = votes[sure][:, ::-1]
    assert fit_precision(votes, fractions) == pytest.approx(precision, rel=0.3)


def held_out(rng: np.random.Generator) -> pd.DataFrame:
    columns: dict[str, np.ndarray] = {"index": 10 * np.arange(GALAXIES)}
    for entry in questions():
        votes, fractions = judged(rng, entry.name, 20.0)
        for place, label in enumerate(entry.labels):
            columns |= {f"{label}_votes": votes[:, place], f"{label}_fraction": fractions[:, place]}
    return pd.DataFrame(columns)


def test_planted_label_errors_lead_the_list_and_honest_votes_make_none() -> None:
    frame = held_out(np.random.default_rng(3))
    table, summary = label_errors(frame, "simulated")
    assert not (table["false_discovery_rate"].to_numpy() < 0.01).any()
    assert all(row["found"] <= 5 and 0.8 < row["residual_scatter"] < 1.2 for row in summary.values())
    yes, no = question("bar").labels
    planted = np.flatnonzero(frame[f"{yes}_fraction"] < 0.03)[:6]
    frame.loc[planted, f"{yes}_votes"], frame.loc[planted, f"{no}_votes"] = 39, 1
    table = label_errors(frame, "simulated")[0].to_pandas()
    first = table[: len(planted)]
    assert set(first["index"]) == set(10 * planted)
    assert (first["question"] == "bar").all()
    assert (first["false_discovery_rate"] < 1e-3).all()
    assert (table["false_discovery_rate"][len(planted) + 5 :] > 0.01).all()


def test_questions_with_few_votes_are_not_judged() -> None:
    frame = held_out(np.random.default_rng(4))[:50]
    frame[[f"{label}_votes" for entry in questions() for label in entry.labels]] = 1
    table, summary = label_errors(frame, "simulated")
    assert table.num_rows == 0
    assert summary == {}


def surveyed(seed: int, votes_slope: float = 0.0, model_slope: float = 0.0, truth: bool = True) -> pd.DataFrame:
    """Return galaxies whose bars are rarer when faint in truth, and are missed besides with the planted slopes."""
    rng = np.random.default_rng(seed)
    mag = rng.uniform(14, 18, GALAXIES)
    r_eff = 10 ** (0.9 - 0.1 * (mag - 16) + rng.normal(0, 0.15, GALAXIES))
    barred = rng.uniform(size=GALAXIES) < expit(-0.4 * (mag - 16))
    seen = [np.where(barred, 1.2, -1.5) + slope * (mag - 16) for slope in (votes_slope, model_slope)]
    votes = rng.binomial(30, rng.beta(8 * expit(seen[0]), 8 * (1 - expit(seen[0]))))
    model = expit(seen[1] + rng.normal(0, 0.3, GALAXIES))
    return pd.DataFrame(
        {
            "class": pd.Series(
                np.where(barred, "barred_spiral", "spiral") if truth else [None] * GALAXIES, dtype=object
            ),
            "bar_length": np.where(barred & truth, 5.0, np.nan),
            "mag": mag,
            "r_eff": r_eff,
            "axis_ratio": rng.uniform(0.5, 1, GALAXIES),
            "psf_fwhm": rng.normal(1.3, 0.1, GALAXIES),
            "bar_yes_votes": votes,
            "bar_no_votes": 30 - votes,
            "bar_yes_fraction": model,
        }
    )


def dependence(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return slopes(measured_bars(frame), np.random.default_rng(1))


def test_a_truth_that_depends_on_magnitude_is_no_bias() -> None:
    """Pooled significances over several skies: a method with wrong errors would show."""
    found = [row for seed in range(6) for row in dependence(surveyed(seed))]
    significance = np.array([row["significance"] for row in found])
    assert {row["sample"] for row in found} == {"barred", "unbarred"}
    assert np.mean(np.abs(significance) > 2) < 0.12
    assert 0.8 < significance.std() < 1.25


def test_planted_slopes_are_found_in_votes_and_model_apart() -> None:
    rows = dependence(surveyed(7, votes_slope=-0.5))
    found = {(row["sample"], row["of"], row["covariate"]): row for row in rows}
    for sample in ("barred", "unbarred"):
        planted = found[sample, "votes", "mag"]
        assert planted["slope"] == pytest.approx(-0.5, abs=4 * planted["error"])
        assert planted["significant"]
        assert not found[sample, "model", "mag"]["significant"]
        assert not found[sample, "votes", "axis_ratio"]["significant"]
    model = {(row["of"], row["covariate"]): row for row in dependence(surveyed(8, model_slope=0.4))}
    assert model["model", "mag"]["significant"]
    assert not model["votes", "mag"]["significant"]


def test_the_shifts_undo_the_bias() -> None:
    """Applied to the galaxies, they give the true fraction back, or the best-seen bin's where the truth is unknown."""
    rows = measured_bars(surveyed(9, votes_slope=-0.6))
    table = [row for row in corrections(rows, np.random.default_rng(1)) if row["covariate"] == "mag"]
    assert len(table) == 5
    assert table[-1]["shift_votes"] > table[0]["shift_votes"] + 5 * table[-1]["error_votes"]
    for row in table:
        inside = rows[(rows["mag"] >= row["low"]) & (rows["mag"] <= row["high"])]
        fraction = (inside["votes"] * 30 + 0.5) / 31
        debiased = expit(np.log(fraction / (1 - fraction)) + row["shift_votes"]).mean()
        assert debiased == pytest.approx(inside["truth"].mean(), abs=0.01)
    unknown = measured_bars(surveyed(9, votes_slope=-0.6, truth=False))
    table = [row for row in corrections(unknown, np.random.default_rng(1)) if row["covariate"] == "mag"]
    assert table[0]["shift_votes"] == pytest.approx(0, abs=1e-6)
    assert np.ptp([row["target_votes"] for row in table]) == 0
    assert table[0]["target_votes"] == pytest.approx(table[0]["fraction_votes"])


def test_a_shift_beyond_reach_ends_at_the_limit() -> None:
    weights = np.full((2, 4), 0.25)
    found = shifts_to(np.full(4, 0.5), weights, np.array([1.0, 0.5]))
    assert found[0] > 11
    assert found[1] == pytest.approx(0, abs=1e-6)


def full(seed: int) -> pd.DataFrame:
    """Return galaxies with votes on every question."""
    seen, others = surveyed(seed), held_out(np.random.default_rng(seed))
    return pd.concat([seen, others.drop(columns=[name for name in others if name in seen])], axis=1)


def test_the_stage_writes_both_files(tmp_path: Path) -> None:
    frame = full(10)
    source = tmp_path / "evaluation.parquet"
    write_table(source, pa.Table.from_pandas(frame), {"evaluate": "e"})
    parameters = Parameters("audit_votes", "digest", validate({}), None)
    audit_votes(
        parameters,
        galaxies=source,
        volunteers=None,
        output=tmp_path / "bias.json",
        table=tmp_path / "errors.parquet",
    )
    written = read_json(tmp_path / "bias.json")
    assert written["lineage"] == {"evaluate": "e", "audit_votes": "digest"}
    assert set(written["labels"]["simulated"]) == {entry.name for entry in questions()}
    assert set(written["bars"]) == {"simulated"}
    assert read_table(tmp_path / "errors.parquet").num_rows == len(questions()) * GALAXIES


def test_few_galaxies_have_no_slopes() -> None:
    assert bar_bias(surveyed(10)[:20], 1) == {"n": 20, "slopes": [], "corrections": []}


def test_votes_of_volunteers_are_judged_beside_the_simulated_ones(tmp_path: Path) -> None:
    """With magnitudes and sizes from the source list, joined by identifier, in whatever order that is."""
    galaxies = tmp_path / "galaxies.parquet"
    write_table(galaxies, pa.Table.from_pandas(full(11)[:40]), {"evaluate": "e"})
    part = training_part(tmp_path / "volunteers.parquet", 80)
    rows = read_table(part)
    rows = rows.set_column(rows.column_names.index("class"), "class", pa.array([""] * 80))
    rows = rows.append_column("source_id", pa.array(np.arange(80) + 500))
    write_table(part, rows, {"match_votes": "v"}, bands=BANDS, reference_band="r")
    sources = tmp_path / "sources.parquet"
    mag = np.linspace(14, 18, 80)
    listed = {"source_id": np.arange(80)[::-1] + 500, "flags": np.zeros(80, int), "survey_mag": mag[::-1]}
    write_table(sources, shard_table("sources", listed | {"survey_radius": np.full(80, 3.0)}), {"sources": "s"})
    answers = held_out_answers([part], [model_card(tmp_path, "morphology")])
    plain, corrected = tmp_path / "plain.json", tmp_path / "corrected.json"
    correction = LearnedCorrection(VoteCorrection(2.0, 1.0), True, "volunteers", 100)
    write_calibration(plain, "votes", vote_calibration(), {"calibrate_votes": "c"})
    write_calibration(corrected, "votes", vote_calibration(bar=correction), {"calibrate_votes": "c"})
    volunteers = VolunteerFiles(part, [sources], answers, plain)
    frame = held_out_volunteers(volunteers)
    held_out = rows.filter(pa.array(rows["split"].to_numpy() != "train"))
    assert frame["index"].tolist() == held_out["source_id"].to_pylist()
    np.testing.assert_allclose(frame["mag"], mag[frame["index"] - 500], rtol=1e-6)
    np.testing.assert_array_equal(frame["bar_yes_votes"], held_out["bar_yes_votes"])
    odds = [
        (one["bar_yes_fraction"] / one["bar_no_fraction"]).to_numpy()
        for one in (frame, held_out_volunteers(replace(volunteers, calibration=corrected)))
    ]
    np.testing.assert_allclose(odds[1], np.sqrt(odds[0]))
    parameters = Parameters("audit_votes", "digest", validate({}), None)
    outputs = {"output": tmp_path / "bias.json", "table": tmp_path / "errors.parquet"}
    audit_votes(parameters, galaxies=galaxies, volunteers=volunteers, **outputs)
    written = read_json(tmp_path / "bias.json")
    assert set(written["lineage"]) == {
        "evaluate", "match_votes", "sources", "train-morphology", "infer_held_out", "calibrate_votes", "audit_votes"
    }  # fmt: skip
    assert set(written["bars"]) == set(written["labels"]) == {"simulated", "volunteers"}
    found = read_table(tmp_path / "errors.parquet")
    assert set(found["origin"].to_pylist()) == {"simulated", "volunteers"}
    assert found["probability"].to_pylist() == sorted(found["probability"].to_pylist())


def test_what_voters_take_for_a_star_is_none_of_the_galaxies() -> None:
    frame = surveyed(11)
    stars = np.arange(len(frame)) % 5 == 0
    frame["smooth_or_featured_smooth_votes"], frame["smooth_or_featured_featured_votes"] = 10, 5
    frame["smooth_or_featured_artifact_votes"] = np.where(stars, 20, 1)
    assert len(measured_bars(surveyed(11))) == len(frame)
    assert len(measured_bars(frame)) == np.count_nonzero(~stars)
