"""An evaluation and explanations, drawn at random, beside the results of `synthetic_results`."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from helpers.synthetic_results import BANDS, CLASSES, LINEAGE, SCALE, SIZE, Results, parameters
from tuningfork.catalogue.merge import build_catalogue
from tuningfork.core.decision_tree import questions
from tuningfork.core.files import new_array, write_json
from tuningfork.core.tables import write_table
from tuningfork.evaluate import bars as bar_evaluation
from tuningfork.evaluate import features as feature_evaluation
from tuningfork.evaluate import stage as evaluate
from tuningfork.evaluate import structure as structure_evaluation
from tuningfork.evaluate.audit.bias import report_bias
from tuningfork.evaluate.scores import question_scores
from tuningfork.evaluate.votes import agreement
from tuningfork.explain import sample
from tuningfork.injection.function import selection_function
from tuningfork.report.inputs import ReportFiles
from tuningfork.stamps.store import paired

ESTIMATORS = {
    "direct": 0.15,
    "mask": 0.2,
    "saliency-moments": 0.35,
    "saliency-paper": 0.5,
    "fourier": 0.3,
    "size_only": 0.6,
}
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
    evaluation, held_out = _evaluation(_held_out(600 if judged else 4))
    write_json(folder / "evaluation.json", evaluation | {"lineage": LINEAGE})
    write_table(folder / "evaluation.parquet", held_out, LINEAGE)
    judgement = folder / "vote_bias.json", folder / "label_errors.parquet"
    report_bias(parameters("bias"), folder / "evaluation.parquet", None, *judgement)
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
            "mapped": bar,
            "morphology": np.where(rng.uniform(size=count) < 0.8, kinds, rng.choice(CLASSES, count)),
            "p_bar": np.clip(np.where(bar, 0.7, 0.3) + rng.normal(0, 0.2, count), 0, 1),
        }
    )
    for name, scatter in SCATTERS.items():
        frame[f"{name}_predicted"] = np.abs(frame[name] + rng.normal(0, scatter, count))
        frame[f"{name}_error"] = scatter
        frame[f"{name}_network"] = np.abs(frame[name] + rng.normal(0, 1.5 * scatter, count))
    for name, scatter in ESTIMATORS.items():
        frame[f"{name}_raw"] = np.log(frame["bar_length"] / SCALE) + rng.normal(0, scatter, count)
        frame[f"{name}_spread"] = scatter
        if name != "size_only":
            frame[f"{name}_angle"] = (frame["bar_position_angle"] + rng.normal(0, 5, count)) % 180
            frame[f"{name}_angle_spread"] = 5.0
    frame["bar_axis_ratio"] = np.where(bar, 0.4, np.nan)
    frame["mask_ratio"] = frame["bar_axis_ratio"] * rng.lognormal(0, 0.1, count)
    for question in questions():
        true = rng.dirichlet(np.ones(len(question.answers)), count)
        for k, label in enumerate(question.labels):
            frame[f"{label}_fraction"] = true[:, k] * 0.8 + 0.2 / len(question.answers)
            frame[f"{label}_votes"] = rng.poisson(true[:, k] * 40)
    frame["arm_strength"] = rng.uniform(0, 0.3, count)
    shares = {"bulge": frame["bulge_to_total"], "arms": frame["arm_strength"], "residual": frame["arm_strength"]}
    for name, truth in shares.items():
        frame[f"features_{name}"] = truth * rng.lognormal(0, 0.2, count)
    return frame.assign(features_end=rng.uniform(15, 40, count), features_concentration=rng.uniform(2, 3, count))


def _evaluation(frame: pd.DataFrame) -> tuple[dict[str, Any], pa.Table]:
    """Return the content of evaluation.json and of evaluation.parquet."""
    features = feature_evaluation.learn_features(frame)
    frame = frame.assign(**feature_evaluation.fractions(frame, features))
    learnt = bar_evaluation.learn_bars(frame, "moments")
    found = bar_evaluation.measured(frame, learnt, "moments")
    test = frame[frame["split"] == "test"]
    names = bar_evaluation.published_names("moments")
    scores = bar_evaluation.score(frame, found, learnt, 0)
    morphology = {}
    for question in questions():
        kinds = ([f"{label}_{kind}" for label in question.labels] for kind in ("fraction", "votes"))
        fractions, votes = (test[names].to_numpy() for names in kinds)
        morphology[question.name] = question_scores(fractions, votes, np.full(len(question.answers), 0.2))
    values = {
        "agreement": _agreement(test),
        "splits": {"test": len(test)},
        "morphology": morphology,
        "confusion": evaluate.confusion(test),
        "structure": structure_evaluation.structure_scores(test, {}),
        "structure_network": structure_evaluation.network_scores(test),
        "structure_by_signal": structure_evaluation.signal_scores(test, {}),
        "structure_calibration": {"note": "drawn at random"},
        "bars": {names.get(name, name): row for name, row in scores.items()},
        "bars_published": {names.get(name, name): row for name, row in scores.items()},
        "bar_auc": bar_evaluation.bar_auc(test),
        "features": feature_evaluation.score_features(frame, features, 0),
        "bar_combination": learnt.combination.as_dict(),
    }
    return values, evaluate.test_table(frame, found, "moments")


def _agreement(test: pd.DataFrame) -> dict[str, Any]:
    """Return what agreement.json has to say, the same of simulated volunteers and of people."""
    found, learnt = {}, {}
    for place, question in enumerate(questions()):
        kinds = ([f"{label}_{kind}" for label in question.labels] for kind in ("fraction", "votes"))
        fractions, votes = (test[names].to_numpy(dtype=float) for names in kinds)
        constant = np.full(len(question.answers), 0.2)
        found[question.name] = agreement(fractions, votes, constant, np.random.default_rng(6))
        learnt[question.name] = {"temperature": 1.1, "concentration": 0.9, "applied": place % 2 == 0}
    return {"calibration": learnt, "simulated": found, "people": found}


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
    table = run.folder / "explanations.parquet"
    write_table(table, pa.Table.from_pylist(rows, schema=sample.schema(BANDS)), LINEAGE, bands=BANDS)
    return table, maps
