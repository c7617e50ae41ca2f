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
from tuningfork.evaluate import stage as evaluate
from tuningfork.evaluate import structure as structure_evaluation
from tuningfork.evaluate.audit.bias import audit_votes
from tuningfork.evaluate.bars import BarLengths, bar_auc, score_bars
from tuningfork.evaluate.scores import question_scores
from tuningfork.evaluate.votes import agreement
from tuningfork.explain import sample
from tuningfork.injection.function import selection_function
from tuningfork.report.inputs import ReportFiles
from tuningfork.stamps.store import paired

ESTIMATORS = {
    "recommended": 0.12,
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
            "mapped": bar,
            "morphology": np.where(rng.uniform(size=count) < 0.8, kinds, rng.choice(CLASSES, count)),
            "p_bar": np.clip(np.where(bar, 0.7, 0.3) + rng.normal(0, 0.2, count), 0, 1),
        }
    )
    for name, scatter in SCATTERS.items():
        frame[f"{name}_predicted"] = np.abs(frame[name] + rng.normal(0, scatter, count))
        frame[f"{name}_error"] = scatter
        frame[f"{name}_network"] = np.abs(frame[name] + rng.normal(0, 1.5 * scatter, count))
    for question in questions():
        true = rng.dirichlet(np.ones(len(question.answers)), count)
        for k, label in enumerate(question.labels):
            frame[f"{label}_fraction"] = true[:, k] * 0.8 + 0.2 / len(question.answers)
            frame[f"{label}_votes"] = rng.poisson(true[:, k] * 40)
    frame["arm_strength"] = rng.uniform(0, 0.3, count)
    for name, truth in (("bulge_fraction", frame["bulge_to_total"]), ("spiral_arm_fraction", frame["arm_strength"])):
        frame[name] = np.clip(truth * rng.lognormal(0, 0.2, count), 0, 1)
        frame[f"{name}_error"] = 0.05
    return frame


def _evaluation(frame: pd.DataFrame) -> tuple[dict[str, Any], pa.Table]:
    """Return the content of evaluation/summary.json and of evaluation/galaxies.parquet."""
    test = frame[frame["split"] == "test"]
    lengths = _bar_lengths(test)
    scores = score_bars(test, lengths, np.ones(len(test), dtype=bool), 0)
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
        "bars": scores,
        "bars_published": scores,
        "bar_auc": bar_auc(test),
        "features": {name: _feature_scores(test, name) for name in ("bulge_fraction", "spiral_arm_fraction")},
    }
    return values, evaluate.galaxy_table(test, lengths)


def _bar_lengths(test: pd.DataFrame) -> dict[str, BarLengths]:
    """Return the true lengths (px) with the scatter of each estimator."""
    rng = np.random.default_rng(8)
    result = {}
    for name, scatter in ESTIMATORS.items():
        length = (test["bar_length"] / SCALE * rng.lognormal(0, scatter, len(test))).to_numpy()
        angle = (test["bar_position_angle"] + rng.normal(0, 5, len(test))).to_numpy() % 180
        knows_angle = name != "size_only"
        result[name] = BarLengths(
            length, np.full(len(test), scatter), angle if knows_angle else np.full(len(test), np.nan), None
        )
    return result


def _feature_scores(test: pd.DataFrame, name: str) -> dict[str, Any]:
    """Return figures of a fraction as :func:`tuningfork.evaluate.features.score_features` has them."""
    known = len(test) >= 20
    figures = {
        "n": len(test),
        "r": 0.8 if known else None,
        "r_error": 0.03 if known else None,
        "partial_r": 0.4 if known else None,
        "bias": 0.01 if known else None,
        "rms": 0.1 if known else None,
    }
    return {kind: figures | {"spirals": figures} for kind in ("recommended", "answer_only")}


def _agreement(test: pd.DataFrame) -> dict[str, Any]:
    """Return the same agreement for simulated and for real volunteers."""
    scores, calibration = {}, {}
    for place, question in enumerate(questions()):
        kinds = ([f"{label}_{kind}" for label in question.labels] for kind in ("fraction", "votes"))
        fractions, votes = (test[names].to_numpy(dtype=float) for names in kinds)
        constant = np.full(len(question.answers), 0.2)
        scores[question.name] = agreement(fractions, votes, constant, np.random.default_rng(6))
        calibration[question.name] = {"temperature": 1.1, "concentration": 0.9, "applied": place % 2 == 0}
    return {"calibration": calibration, "simulated": scores, "volunteers": scores}


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
