"""The tables of the report: what ran, what it produced, and the figures of merit."""

from typing import Any

from tuningfork.calibrate.bars import MIN_BAR_LENGTH_PSF
from tuningfork.core.classes import ARTIFACT
from tuningfork.core.decision_tree import questions
from tuningfork.core.flags import MEANINGS, Flag
from tuningfork.report.figures.structure import PARAMETER_NAMES
from tuningfork.report.inputs import ReportInputs
from tuningfork.sky.shards import Shard

MAX_SHARDS_LISTED = 100
"""Shards that are listed one by one."""
MAX_REASONS_LISTED = 20
"""Reasons for missing tiles that are listed, the most frequent first."""
ESTIMATOR_TITLES = {
    "recommended": "recommended: all estimators combined",
    "direct": "direct: regressed by the network",
    "mask": "mask drawn by the network",
    "saliency": "saliency map, as in the catalogue",
    "saliency-moments": "saliency map, second moments",
    "saliency-paper": "saliency map, published algorithm (Bhambra+ 2022)",
    "fourier": "Fourier harmonics of the light, no network",
    "size_only": "size alone: the null",
}


def of_run(inputs: ReportInputs) -> dict[str, Any]:
    """Return what ran and the account of the sources."""
    accounting = inputs.accounting
    total, shards = accounting["total"], accounting["shards"]
    rows = total["rows_out"]
    return {
        "name": accounting["name"],
        "survey": accounting["survey"],
        "bands": accounting["bands"],
        "reference_band": accounting["reference_band"],
        "total": total,
        "tiles_missing": total["tiles"]["missing"],
        "classes": [
            (name.replace("_", " "), number, _share(number, total["measured"]["classified"]))
            for name, number in sorted(total["classes"].items())
            if name != ARTIFACT
        ],
        "artifacts": total["classes"].get(ARTIFACT, 0),
        "flags": [
            (
                flag.name,
                total["flags"].get(flag.name, 0),
                _share(total["flags"].get(flag.name, 0), rows),
                MEANINGS[flag],
            )
            for flag in Flag
        ],
        "reasons": list(total["tiles"]["reasons"].items())[:MAX_REASONS_LISTED],
        "shards": list(shards.items())[:MAX_SHARDS_LISTED],
        "number_of_shards": len(shards),
        "shown_shards": len(inputs.stamps),
        "shown_galaxies": len(inputs.galaxies),
        "models": [_model(card) for card in inputs.cards],
        "lineage": sorted(inputs.lineage.items()),
        "versions": sorted(accounting["versions"].items()),
        "has_truth": "true_class" in inputs.galaxies,
    }


def shards(inputs: ReportInputs) -> list[Shard]:
    """Return the shards of the run."""
    return [Shard.parse(name) for name in inputs.accounting["shards"]]


def _model(card: dict[str, Any]) -> dict[str, Any]:
    training = card.get("training", {})
    seconds = training.get("seconds")
    return {
        "name": card["name"],
        "galaxies": training.get("galaxies"),
        "epochs": training.get("epochs"),
        "minutes": None if seconds is None else seconds / 60,
        "device": training.get("device", ""),
        "weights": card["weights_sha256"][:12],
    }


def _share(number: int, rows: int) -> str:
    share = number / rows if rows else 0.0
    return "0 %" if number == 0 else f"{100 * share:.1f} %" if share >= 0.001 else "< 0.1 %"


def morphology_rows(evaluation: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return for each question its text and its figures of merit."""
    scores = evaluation.get("morphology") or {}
    return [(question.text, scores[question.name]) for question in questions() if scores.get(question.name)]


def agreement_rows(evaluation: dict[str, Any]) -> list[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    """Return the name of the voters, and for each question its text and how prediction and votes agree."""
    agreement = evaluation.get("agreement") or {}
    calibration = agreement.get("calibration") or {}
    voters = {"volunteers": "votes of volunteers", "simulated": "votes of simulated volunteers"}
    return [
        (
            label,
            [
                (
                    entry.text,
                    agreement[key][entry.name] | {"calibrated": calibration.get(entry.name, {}).get("applied", False)},
                )
                for entry in questions()
                if agreement[key].get(entry.name, {}).get("mae") is not None
            ],
        )
        for key, label in voters.items()
        if agreement.get(key)
    ]


def class_rows(inputs: ReportInputs) -> list[tuple[str, int, int]]:
    """Return class, training galaxies and how many are shown per epoch, of the first morphology network."""
    cards = [card["training"]["classes"] for card in inputs.cards if card.get("training", {}).get("classes")]
    return [(name, entry["galaxies"], entry["seen"]) for name, entry in cards[0].items()] if cards else []


def auc_rows(evaluation: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the name of each sample and the area under the curve of the bar answer."""
    scores = evaluation.get("bar_auc") or {}
    names = {"all": "all held-out galaxies", "clear": "clear cases: bright, well resolved, at low inclination"}
    return [(label, scores[key]) for key, label in names.items() if scores.get(key)]


def presence_rows(evaluation: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return completeness and purity of the galaxies that count as barred, each with its binomial error."""
    scores = evaluation.get("bar_presence") or {}
    names = {
        "completeness": f"completeness: bars longer than {MIN_BAR_LENGTH_PSF:g} PSF FWHM that count as barred",
        "purity": "purity: galaxies that count as barred and have a bar",
    }
    return [(label, scores[key]) for key, label in names.items() if (scores.get(key) or {}).get("share") is not None]


def structure_rows(evaluation: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Return name, unit of bias and scatter, and figures of merit of each profile parameter.

    `scatter_network` is the scatter of the network alone.
    """
    scores, alone = evaluation.get("structure") or {}, evaluation.get("structure_network") or {}
    return [
        (*PARAMETER_NAMES[key], scores[key] | {"scatter_network": (alone.get(key) or {}).get("scatter")})
        for key in PARAMETER_NAMES
        if scores.get(key)
    ]


def bar_rows(evaluation: dict[str, Any], sample: str = "bars") -> list[tuple[str, dict[str, Any]]]:
    """Return the name of each bar estimator and its figures of merit, the recommended one first and the null last."""
    scores = evaluation.get(sample) or {}
    names = [name for name in ESTIMATOR_TITLES if name in scores] + [
        name for name in scores if name not in ESTIMATOR_TITLES
    ]
    return [(str(ESTIMATOR_TITLES.get(name, name)), scores[name]) for name in names if isinstance(scores[name], dict)]
