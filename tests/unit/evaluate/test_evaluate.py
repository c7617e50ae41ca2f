"""The evaluation stages on sets of any size, and bars whose estimators' errors are known."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from helpers.inferred import held_out_profiles
from helpers.learned import Learned, learn_all
from helpers.small_networks import model_card, parameters, training_part
from helpers.small_sets import stamp_files

from tuningfork.calibrate.bars import learn_bars
from tuningfork.calibrate.held_out_bars import raw_table
from tuningfork.calibrate.held_out_profiles import PARAMETERS
from tuningfork.calibrate.structure import calibrate_structure
from tuningfork.core.calibration_file import read_calibration
from tuningfork.core.columns import ESTIMATORS
from tuningfork.core.decision_tree import questions, vote_columns
from tuningfork.core.errors import InputError
from tuningfork.core.tables import lineage_of, read_table, write_table
from tuningfork.evaluate.bars import bar_auc, baseline_lengths, pipeline_lengths, score_bars
from tuningfork.evaluate.stage import EvaluationInputs, confusion, evaluate
from tuningfork.evaluate.structure import evaluate_structure
from tuningfork.measure.bars.calibration import BarCalibration, calibrated_bars
from tuningfork.measure.bars.estimators import BarEstimate, nothing, psf_pixels
from tuningfork.measure.structure.combine import StructureCalibration

SCALE = 0.4
SCATTERS = {"direct": 0.1, "mask": 0.3, "saliency": 0.3, "fourier": 0.3, "saliency-paper": 0.5}


def galaxies(number: int, seed: int) -> pd.DataFrame:
    """Return test galaxies of which every other one has a bar."""
    generator = np.random.default_rng(seed)
    size = generator.lognormal(1.5, 0.3, number)
    barred = np.arange(number) % 2 == 0
    return pd.DataFrame(
        {
            "index": np.arange(number),
            "bar_length": np.where(barred, size * generator.lognormal(0.6, 0.3, number), np.nan),
            "bar_axis_ratio": np.where(barred, 0.4, np.nan),
            "bar_position_angle": generator.uniform(0, 180, number),
            "pixel_scale": np.full(number, SCALE),
            "psf_fwhm_r": np.full(number, 3 * SCALE),
            "psf": np.full(number, 3.0),
            "r_eff": size,
            "bar_probability": np.clip(np.where(barred, 0.7, 0.3) + generator.normal(0, 0.1, number), 0, 1),
            "mag": generator.uniform(14, 18, number),
            "axis_ratio": np.full(number, 0.8),
            "class": np.where(barred, "barred_spiral", "spiral"),
        }
    )


def estimates(rows: pd.DataFrame, seed: int) -> dict[str, BarEstimate]:
    """Return estimates that find half of the true length, with the scatters `SCATTERS`."""
    generator, number = np.random.default_rng(seed), len(rows)
    found = {}
    for name, scatter in SCATTERS.items():
        found[name] = BarEstimate(
            length=(0.5 * rows["bar_length"] / SCALE * generator.lognormal(0, scatter, number)).to_numpy(),
            spread=np.full(number, scatter if name == "direct" else 0.0),
            angle=((rows["bar_position_angle"] + generator.normal(0, 5, number)) % 180).to_numpy(),
            angle_spread=np.zeros(number),
            axis_ratio=np.where(rows["bar_length"].notna(), 0.5, np.nan),
            strength=np.full(number, np.nan),
            flags=np.zeros(number, dtype=np.int64),
        )
    return found


def test_calibration_removes_the_bias_and_the_combination_is_better_than_its_parts() -> None:
    frames = {split: galaxies(400, seed) for seed, split in enumerate(("validation", "test"))}
    frames["validation"] = frames["validation"][::2].reset_index(drop=True)
    rows = {split: pa.Table.from_pandas(frame) for split, frame in frames.items()}
    found = {split: estimates(frame, seed + 10) for seed, (split, frame) in enumerate(frames.items())}
    learned = learn_bars(rows["validation"], found["validation"], "r")
    combined = {name: found["test"][name] for name in ESTIMATORS}
    bars = calibrated_bars(combined, learned, psf_pixels(rows["test"], "r"))
    tables = {split: raw_table(rows[split], found[split], "r") for split in rows}
    lengths = pipeline_lengths(bars, combined, learned.lengths)
    lengths |= baseline_lengths(tables["validation"], tables["test"], found["test"])
    figures = score_bars(frames["test"], lengths, np.ones(400, dtype=bool), 1)
    assert set(figures) == {"recommended", "size_only", *SCATTERS}
    assert abs(figures["direct"]["bias"]) < 0.05
    assert abs(figures["saliency"]["bias"]) < 0.15
    assert figures["direct"]["r"] > figures["saliency"]["r"] > figures["saliency-paper"]["r"]
    assert figures["size_only"]["partial_r"] is None or abs(figures["size_only"]["partial_r"]) < 0.1
    assert figures["recommended"]["scatter"] < 1.1 * figures["direct"]["scatter"]
    # The transfer error is not needed on simulated galaxies, whose lengths hold more often than others.
    assert 0.6 < figures["recommended"]["coverage_68"] < 0.95
    assert figures["recommended"]["angle_coverage_68"] == pytest.approx(0.68, abs=0.1)
    assert learned.combination.angle_scatter < 5
    assert set(learned.combination.names) == set(ESTIMATORS)
    assert bars.axis_ratio[0] == pytest.approx(0.4, abs=0.01)


def test_baselines_know_no_test_galaxy() -> None:
    """Their calibration is that of the validation galaxies, whatever the test galaxies' truth is."""
    rows = galaxies(400, 1)[::2].reset_index(drop=True)
    table = raw_table(pa.Table.from_pandas(rows), estimates(rows, 2), "r")
    spoilt = table.assign(true_length=1.0)
    nobody = {"saliency-paper": nothing(len(rows))}
    one, other = (baseline_lengths(table, test, nobody) for test in (table, spoilt))
    assert set(one) == {"size_only", "saliency-paper"}
    for name in one:
        np.testing.assert_array_equal(one[name].length, other[name].length)


def test_bars_are_found_among_clear_galaxies() -> None:
    found = bar_auc(galaxies(400, 1))
    assert found["all"]["n"] == 400
    assert 0 < found["clear"]["n"] < 250
    assert found["all"]["auc"] > 0.95


def judged_profiles(learned: Learned, folder: Path) -> tuple[Path, Path]:
    output, table = folder / "structure.json", folder / "structure.parquet"
    evaluate_structure(
        parameters("evaluate_structure"),
        training=learned.training,
        held_out=learned.held_out_structure,
        calibration=learned.structure,
        output=output,
        table=table,
    )
    return output, table


@pytest.mark.parametrize("name", ["bars_table", "features_table", "structure_table"])
def test_tables_of_other_galaxies_or_another_configuration_are_refused(tmp_path: Path, name: str) -> None:
    training = [training_part(tmp_path / "part-0.parquet", 40, seed=0)]
    maps = {"samples": 2, "batch_size": 8}
    sections = {"evaluate": {"bars": 10, "features": 10}, "calibrate": {"bars": 10}, "saliency": maps, "features": maps}
    learned = learn_all(tmp_path, training, **sections)
    structure, structure_table = judged_profiles(learned, tmp_path)
    inputs = inputs_of(learned, structure, structure_table)
    path = getattr(inputs, name)
    table, lineage = read_table(path), lineage_of(path)
    assert table.num_rows > 1
    backwards = table.take(np.arange(table.num_rows)[::-1])
    foreign = table.set_column(table.column_names.index("index"), "index", pa.array(np.arange(table.num_rows) + 5000))
    for changed, text in ((backwards, "another order"), (foreign, "galaxies are not"), (None, "different parameters")):
        if changed is None:
            write_table(path, table, lineage | {"simulate": "another"})
        else:
            write_table(path, changed, lineage)
        with pytest.raises(InputError, match=text) as caught:
            evaluate(parameters("evaluate", **sections), inputs=inputs, output=tmp_path / "o", table=tmp_path / "t")
        assert path.name in str(caught.value)
    assert not (tmp_path / "t").exists()


def inputs_of(learned: Learned, structure: Path, structure_table: Path) -> EvaluationInputs:
    return EvaluationInputs(
        training=learned.training,
        held_out=learned.held_out,
        models=learned.morphology,
        votes=learned.votes,
        bars=learned.bars,
        bars_table=learned.bars_table,
        features=learned.features,
        features_table=learned.features_table,
        structure=structure,
        structure_table=structure_table,
    )


@pytest.mark.parametrize("number", [20, 220])
def test_the_stages_work_on_sets_of_any_size(tmp_path: Path, number: int) -> None:
    training = [training_part(tmp_path / f"part-{k}.parquet", number, seed=k) for k in range(2)]
    maps = {"samples": 2, "batch_size": 8}
    sections = {"evaluate": {"bars": 12, "features": 20}, "calibrate": {"bars": 12}, "saliency": maps, "features": maps}
    learned = learn_all(tmp_path, training, **sections)
    structure, structure_table = judged_profiles(learned, tmp_path)
    inputs = inputs_of(learned, structure, structure_table)
    output, table = tmp_path / "summary.json", tmp_path / "galaxies.parquet"
    evaluate(parameters("evaluate", **sections), inputs=inputs, output=output, table=table)
    found = json.loads(output.read_text())
    assert found["splits"] == {"train": int(1.6 * number), "validation": number // 5, "test": number // 5}
    assert set(found["morphology"]) == {entry.name for entry in questions()}
    assert set(found["agreement"]) == {"calibration", "simulated", "volunteers"}
    assert set(found["bars"]) == {"recommended", *ESTIMATORS, "saliency-paper", "size_only"}
    assert set(found["bars_published"]) == set(found["bars"])
    assert found["bars_published"]["direct"]["n"] <= found["bars"]["direct"]["n"]
    assert set(found["structure"]) == set(PARAMETERS)
    assert set(found["structure_network"]) == set(PARAMETERS) - {"bulge_to_total"}
    profiles = read_calibration(learned.structure, "structure", StructureCalibration)
    assert ("fewer than" in profiles.note) == (number == 20)
    for entry in found["structure_by_signal"]:
        assert entry["n"] >= 10
        assert entry["recommended"]["mag"]["n"] == entry["n"]
    assert sum(map(sum, found["confusion"]["matrix"])) == number // 5
    bars = read_calibration(learned.bars, "bars", BarCalibration)
    assert set(bars.lengths) == set(ESTIMATORS)
    assert bars.combination.names[0] == "direct"
    assert len(read_table(learned.bars_table)) <= 12
    rows = read_table(table).to_pandas()
    assert len(rows) == number // 5
    assert set(rows["split"]) == {"test"}
    assert {"r_eff_predicted", "bar_length_saliency-paper", "bar_length_size_only", "bar_yes_fraction"} <= set(rows)
    assert rows["bar_length_direct"].notna().all()
    assert lineage_of(output) == lineage_of(table)
    assert set(lineage_of(output)) == {
        "simulate", "train-morphology", "train-structure", "infer_held_out", "infer_held_out_structure",
        "calibrate_votes", "calibrate_structure", "calibrate_bars", "calibrate_features", "evaluate_structure",
        "evaluate",
    }  # fmt: skip
    if number == 20:
        assert "not calibrated" in bars.lengths["saliency"].note
        assert found["bars"]["saliency"]["r"] is None
        assert rows["bulge_fraction"].isna().all()
    else:
        assert rows["bar_length_saliency"].notna().sum() <= 12
        assert rows["bulge_fraction"].notna().sum() <= 20


def test_the_confusion_is_that_of_the_volunteers_majority_and_the_predicted_class() -> None:
    votes = pd.DataFrame(0.0, index=range(4), columns=vote_columns())
    votes.loc[:2, ["smooth_or_featured_featured_votes", "edge_on_no_votes", "merging_none_votes"]] = 10.0
    votes.loc[:1, "spiral_arms_yes_votes"] = 10.0  # two spirals, a disc, and a galaxy that nobody has seen
    found = confusion(votes.assign(morphology=["spiral", "merger", "spiral", "spiral"]))
    assert found["classes"] == ["merger", "spiral", "disc"]
    assert found["matrix"] == [[0, 0, 0], [1, 1, 0], [0, 1, 0]]
    assert (found["n"], found["accuracy"]) == (3, pytest.approx(1 / 3))
    assert confusion(votes.assign(morphology=None))["accuracy"] is None


def test_a_network_of_one_parameter_is_judged_by_it(tmp_path: Path) -> None:
    card = model_card(tmp_path, "structure")
    values = json.loads(card.read_text())
    card.write_text(json.dumps(values | {"heads": {"targets": ["mag"]}}))
    part = training_part(tmp_path / "part-0.parquet", 100)
    answers, calibration = held_out_profiles([part], [card]), tmp_path / "calibration.json"
    calibrate_structure(
        parameters("calibrate_structure"), training=[stamp_files(part)], held_out=answers, output=calibration
    )
    output, table = tmp_path / "structure.json", tmp_path / "structure.parquet"
    evaluate_structure(
        parameters("evaluate_structure"),
        training=[stamp_files(part)],
        held_out=answers,
        calibration=calibration,
        output=output,
        table=table,
    )
    found = json.loads(output.read_text())
    assert found["structure"]["mag"]["n"] == 10
    assert found["structure"]["r_eff"]["n"] == 0
    rows = read_table(table).to_pandas()
    assert len(rows) == 10
    assert rows["mag_error"].notna().all()
    assert rows["r_eff_predicted"].isna().all()
    assert set(rows["structure_method"]) == {"network"}
