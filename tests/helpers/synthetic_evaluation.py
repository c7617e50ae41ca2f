"""An evaluation and explanations, drawn at random, beside the results of `synthetic_results`."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from helpers.synthetic_results import BANDS, CLASSES, LINEAGE, SCALE, SIZE, Results, parameters
from tuningfork.calibrate.bars import learn_bars
from tuningfork.calibrate.features import learn_fractions
from tuningfork.calibrate.held_out_bars import raw_table
from tuningfork.catalogue.merge import build_catalogue
from tuningfork.core.checksums import row_checksums
from tuningfork.core.decision_tree import questions
from tuningfork.core.files import new_array, write_json
from tuningfork.core.tables import write_table
from tuningfork.evaluate.audit.bias import audit_votes
from tuningfork.evaluate.bars import bar_auc, baseline_lengths, pipeline_lengths, resolved_bars, score_bars
from tuningfork.evaluate.features import recommended_fractions, score_features
from tuningfork.evaluate.presence import presence_scores
from tuningfork.evaluate.scores import question_scores
from tuningfork.evaluate.stage import confusion, galaxy_table
from tuningfork.evaluate.structure import challenge, network_scores, signal_scores, structure_scores
from tuningfork.evaluate.votes import agreement
from tuningfork.explain import sample
from tuningfork.injection.function import selection_function
from tuningfork.measure.bars.calibration import calibrated_bars
from tuningfork.measure.bars.estimators import BarEstimate
from tuningfork.measure.features.calibration import FeatureCalibration
from tuningfork.report.inputs import ReportFiles
from tuningfork.stamps.store import CHECKSUM_COLUMN, paired

ESTIMATOR_SCATTERS = {"direct": 0.15, "mask": 0.2, "saliency": 0.35, "saliency-paper": 0.5, "fourier": 0.3}
SCATTERS = {
    "mag": 0.03,
    "r_eff": 0.3,
    "sersic_n": 0.4,
    "axis_ratio": 0.04,
    "position_angle": 6.0,
    "bulge_to_total": 0.1,
}


def report_files(run: Results, judged: bool = True) -> ReportFiles:
    """Write what the report reads besides the tables of the shards, and return all of it.

    Without `judged` the evaluation has hardly any galaxies and no figures.
    """
    folder = run.folder
    files = run.catalogue_files()
    build_catalogue(parameters("catalogue"), files)
    evaluation, held_out = _evaluation(600 if judged else 4)
    write_json(folder / "evaluation.json", evaluation | {"lineage": LINEAGE})
    write_table(folder / "evaluation.parquet", held_out, LINEAGE)
    judgement = folder / "vote_bias.json", folder / "label_errors.parquet"
    audit_votes(
        parameters("audit_votes"),
        galaxies=folder / "evaluation.parquet",
        volunteers=None,
        output=judgement[0],
        table=judgement[1],
    )
    explanations, maps = _explanations(run)
    if judged:
        _benchmarks(folder / "benchmarks")
    return ReportFiles(
        sources=run.paths("sources"),
        stamps=paired(run.paths("stamps"), run.arrays("stamps")),
        saliency=run.paths("saliency"),
        saliency_maps=run.arrays("saliency"),
        features=run.paths("features"),
        arm_masks=run.arrays("features"),
        catalogue=files.table,
        accounting=files.accounting,
        evaluation=folder / "evaluation.json",
        evaluation_table=folder / "evaluation.parquet",
        vote_bias=judgement[0],
        label_errors=judgement[1],
        selection=_selection(folder) if judged else None,
        models=run.models,
        explanations=explanations,
        explanation_maps=maps,
        benchmarks=folder / "benchmarks",
    )


def _benchmarks(folder: Path) -> None:
    """Write Snakemake's benchmark files of two stages."""
    for name, seconds in (("stamps/8-1", 12.5), ("stamps/8-2", 7.5), ("train/morphology-0", 90.0)):
        path = folder / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\th:m:s\tmax_rss\tcpu_time\n{seconds}\t0:00:10\t512.5\t{seconds * 0.9}\n")


def _selection(folder: Path) -> Path:
    """Write the selection function of galaxies of which the larger ones are found."""
    rng = np.random.default_rng(6)
    length = rng.uniform(2, 12, 300)
    found = rng.uniform(0, 8, 300) < length
    galaxies = pd.DataFrame(
        {
            "true_mag": rng.uniform(14, 18, 300),
            "true_bar_length": length,
            "true_axis_ratio": rng.uniform(0.3, 1, 300),
            "true_redshift": np.nan,
            "psf_fwhm": 1.3,
            "bar_length": np.where(found, length * rng.normal(1, 0.1, 300), np.nan),
            "recovered": found,
        }
    )
    path = folder / "selection_function.parquet"
    write_table(path, selection_function(galaxies, 1), LINEAGE)
    return path


def _held_out(count: int) -> pd.DataFrame:
    """Return what the evaluation knows about each held-out galaxy: truth and measurements."""
    rng = np.random.default_rng(5)
    kinds = rng.choice(CLASSES, count)
    bar = kinds == "barred_spiral"
    frame = pd.DataFrame(
        {
            "index": np.arange(count),
            "split": np.where(np.arange(count) % 2, "test", "validation"),
            "class": kinds,
            "mag": rng.uniform(14, 18, count),
            "r_eff": rng.uniform(2, 10, count),
            "sersic_n": rng.uniform(0.6, 5, count),
            "axis_ratio": rng.uniform(0.2, 1, count),
            "position_angle": rng.uniform(0, 180, count),
            "bulge_to_total": np.where(bar, rng.uniform(0.02, 0.9, count), np.nan),
            "signal_to_noise": 10 ** rng.uniform(1, 3, count),
            "structure_method": np.where(rng.uniform(size=count) < 0.7, "refined", "network"),
            "reduced_chi2": rng.normal(1, 0.02, count),
            "bar_length": np.where(bar, rng.uniform(3, 20, count), np.nan),
            "bar_position_angle": rng.uniform(0, 180, count),
            "psf": 3.0,
            "pixel_scale": SCALE,
            "morphology": np.where(rng.uniform(size=count) < 0.8, kinds, rng.choice(CLASSES, count)),
            "bar_vote_share": np.clip(np.where(bar, 0.7, 0.3) + rng.normal(0, 0.2, count), 0, 1),
            "bar_probability": np.clip(np.where(bar, 0.8, 0.2) + rng.normal(0, 0.2, count), 0, 1),
            "bar_strength": np.where(bar, 0.2, 0.0),
        }
    )
    for name, scatter in SCATTERS.items():
        frame[f"{name}_predicted"] = np.abs(frame[name] + rng.normal(0, scatter, count))
        frame[f"{name}_error"] = scatter
        frame[f"{name}_network"] = np.abs(frame[name] + rng.normal(0, 1.5 * scatter, count))
    frame["bar_axis_ratio"] = np.where(bar, 0.4, np.nan)
    for question in questions():
        true = rng.dirichlet(np.ones(len(question.answers)), count)
        for k, label in enumerate(question.labels):
            frame[f"{label}_fraction"] = true[:, k] * 0.8 + 0.2 / len(question.answers)
            frame[f"{label}_votes"] = rng.poisson(true[:, k] * 40)
    frame["arm_strength"] = rng.uniform(0, 0.3, count)
    shares = {"bulge": frame["bulge_to_total"], "arms": frame["arm_strength"], "residual": frame["arm_strength"]}
    for name, truth in shares.items():
        frame[f"features_{name}"] = truth * rng.lognormal(0, 0.2, count)
    frame["psf_fwhm_r"] = frame["psf"] * SCALE
    return frame.assign(features_end=rng.uniform(15, 40, count), features_concentration=rng.uniform(2, 3, count))


def _bars(frame: pd.DataFrame, seed: int) -> dict[str, BarEstimate]:
    """Return what the estimators and another way to measure maps say about the bars of N galaxies."""
    rng, number = np.random.default_rng(seed), len(frame)
    return {
        name: BarEstimate(
            length=(frame["bar_length"] / SCALE * rng.lognormal(0, scatter, number)).to_numpy(),
            spread=np.full(number, scatter),
            angle=((frame["bar_position_angle"] + rng.normal(0, 5, number)) % 180).to_numpy(),
            angle_spread=np.full(number, 5.0),
            axis_ratio=(frame["bar_axis_ratio"] * rng.lognormal(0, 0.1, number)).to_numpy(),
            strength=np.full(number, np.nan),
            flags=np.zeros(number, dtype=np.int64),
        )
        for name, scatter in ESTIMATOR_SCATTERS.items()
    }


def _evaluation(count: int) -> tuple[dict[str, Any], pa.Table]:
    """Return the content of the evaluation's summary and of its table of test galaxies."""
    frame = _held_out(count)
    validation, test = (frame[frame["split"] == split].reset_index(drop=True) for split in ("validation", "test"))
    features = FeatureCalibration(learn_fractions(validation))
    test = test.assign(**recommended_fractions(test, features))
    barred = validation[validation["bar_length"].notna()].reset_index(drop=True)
    rows = {"validation": pa.Table.from_pandas(barred), "test": pa.Table.from_pandas(test)}
    estimates = {"validation": _bars(barred, 7), "test": _bars(test, 8)}
    learned = learn_bars(rows["validation"], estimates["validation"], "r")
    combined = {name: estimates["test"][name] for name in learned.lengths}
    bars = calibrated_bars(combined, learned, test["psf"].to_numpy())
    tables = {split: raw_table(rows[split], estimates[split], "r") for split in rows}
    lengths = pipeline_lengths(bars, combined, learned.lengths)
    lengths |= baseline_lengths(tables["validation"], tables["test"], estimates["test"])
    scores = score_bars(test, lengths, resolved_bars(test, test["psf"].to_numpy()), 0)
    morphology = {}
    for question in questions():
        kinds = ([f"{label}_{kind}" for label in question.labels] for kind in ("fraction", "votes"))
        fractions, votes = (test[names].to_numpy() for names in kinds)
        morphology[question.name] = question_scores(fractions, votes, np.full(len(question.answers), 0.2))
    values = {
        "agreement": _agreement(test),
        "splits": {"test": len(test)},
        "morphology": morphology,
        "confusion": confusion(test),
        "structure": structure_scores(test, {}),
        "structure_network": network_scores(test),
        "structure_by_signal": signal_scores(test, {}),
        "structure_challenge": challenge(test),
        "bars": scores,
        "bars_published": scores,
        "bar_method": "moments",
        "bar_auc": bar_auc(test),
        "bar_presence": presence_scores(test, 0.5),
        "features": score_features(validation, test, features, 0),
    }
    return values, galaxy_table(test, lengths)


def _agreement(test: pd.DataFrame) -> dict[str, Any]:
    """Return how votes agree, the same for simulated and for real volunteers."""
    found, learned = {}, {}
    for place, question in enumerate(questions()):
        kinds = ([f"{label}_{kind}" for label in question.labels] for kind in ("fraction", "votes"))
        fractions, votes = (test[names].to_numpy(dtype=float) for names in kinds)
        constant = np.full(len(question.answers), 0.2)
        found[question.name] = agreement(fractions, votes, constant, np.random.default_rng(6))
        learned[question.name] = {"temperature": 1.1, "concentration": 0.9, "applied": place % 2 == 0}
    return {"calibration": learned, "simulated": found, "volunteers": found}


def _explanations(run: Results) -> tuple[Path, Path]:
    rows = []
    for path in run.paths("morphology"):
        table = pq.read_table(path, columns=["source_id", "morphology"]).to_pylist()
        for place, row in enumerate(table[:10]):
            if row["morphology"] is not None:
                numbers = {f"band_{band}": 0.1 * k for k, band in enumerate(BANDS)}
                numbers |= {
                    "ring_centre": 0.3,
                    "ring_inner": 0.1,
                    "ring_outer": -0.05,
                    "fraction": 0.7,
                    "bar_logit": 1.0,
                }
                step = 0.2 if place % 2 else None
                names = {"shard": path.stem, "row": place, "answer": "bar_yes"}
                rows.append(row | numbers | names | {"adversarial_step": step})
    maps = run.folder / "maps.npy"
    with new_array(maps, (len(rows), SIZE, SIZE), np.float16) as array:
        array[:] = np.hypot(*(np.mgrid[:SIZE, :SIZE] - SIZE / 2)) < SIZE / 5
        array[:, 0, 0] = np.arange(len(rows))  # Every map is another one.
    for row, checksum in zip(rows, row_checksums(np.load(maps)), strict=True):
        row[CHECKSUM_COLUMN] = int(checksum)
    table = run.folder / "explanations.parquet"
    write_table(table, pa.Table.from_pylist(rows, schema=sample.schema(BANDS)), LINEAGE, bands=BANDS)
    return table, maps
