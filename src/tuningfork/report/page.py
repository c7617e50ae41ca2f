"""The report: one HTML page that holds all its pictures and asks the network for nothing."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from matplotlib.figure import Figure

from tuningfork.core.figure_style import style
from tuningfork.core.files import write_text
from tuningfork.core.stage.parameters import Parameters
from tuningfork.report import gallery, summary
from tuningfork.report.figures import comparisons, disagreement
from tuningfork.report.figures.explain import importance
from tuningfork.report.figures.features import held_out_features, rows_of, spirals
from tuningfork.report.figures.quality import comparisons as comparison_chart
from tuningfork.report.figures.quality import confusion, reliability, roc, vote_errors
from tuningfork.report.figures.residuals import residuals
from tuningfork.report.figures.selection import bar_fractions, selection_panels
from tuningfork.report.figures.structure import integral_transforms, scatter_against_signal
from tuningfork.report.figures.survey import histograms, sky_map
from tuningfork.report.figures.training import training_curves
from tuningfork.report.images import Chart, chart
from tuningfork.report.inputs import Inputs, read_inputs

EXPLAINED = 12
"""Explained galaxies that are shown."""
RESIDUALS = 8
"""Galaxies that are shown with model and residual."""


def build_report(
    parameters: Parameters,
    sources: Sequence[Path],
    stamps: Sequence[Path],
    saliency: Sequence[Path],
    features: Sequence[Path],
    catalogue: Path,
    accounting: Path,
    evaluation: Path,
    evaluation_table: Path,
    vote_bias: Path,
    label_errors: Path,
    selection: Path | None,
    models: Sequence[Path],
    explanations: Path,
    maps: Path,
    output: Path,
) -> None:
    """Write the report.

    Parameters
    ----------
    parameters : Parameters
        Of the stage `report`.
    sources, stamps, saliency, features : sequence of Path
        Tables of the shards whose galaxies are shown, in the same order; the arrays stand beside the last three.
    catalogue, accounting : Path
        catalogue.parquet and accounting.json of the whole run.
    evaluation, evaluation_table : Path
        What was found on held-out simulated galaxies.
    vote_bias, label_errors : Path
        What was found where model and votes disagree.
    selection : Path or None
        The selection function, if galaxies were put into the images.
    models : sequence of Path
        Model cards.
    explanations, maps : Path
        explanations.parquet and its Grad-CAM maps.
    output : Path
        report.html.

    Raises
    ------
    InputError
        A file cannot be used, or they were made with different parameters.
    """
    inputs = read_inputs(
        sources,
        stamps,
        saliency,
        features,
        catalogue,
        accounting,
        evaluation,
        evaluation_table,
        vote_bias,
        label_errors,
        selection,
        models,
        explanations,
        maps,
    )
    with style():
        write_text(output, render(inputs, parameters.configuration.report.gallery))


def render(inputs: Inputs, barred: int) -> str:
    """Return the page, with a gallery of up to `barred` barred galaxies."""
    folder = files("tuningfork.report")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((folder / "template.html").read_text(encoding="utf-8"))
    return template.render(
        css=Markup((folder / "style.css").read_text(encoding="utf-8")),
        summary=summary.of_run(inputs),
        charts=charts(inputs),
        barred=gallery.barred(inputs, barred),
        classes=gallery.of_classes(inputs),
        explained=gallery.explained(inputs, EXPLAINED),
        residuals=residuals(inputs, RESIDUALS),
        morphology=summary.morphology_rows(inputs.evaluation),
        agreement=summary.agreement_rows(inputs.evaluation),
        learnt_classes=summary.class_rows(inputs),
        auc=summary.auc_rows(inputs.evaluation),
        structure=summary.structure_rows(inputs.evaluation),
        calibration=inputs.evaluation.get("structure_calibration") or {"note": ""},
        bars=summary.bar_rows(inputs.evaluation),
        features=rows_of(inputs.evaluation),
        spirals=spirals(inputs),
        bars_published=summary.bar_rows(inputs.evaluation, "bars_published"),
        combination=inputs.evaluation.get("bar_combination"),
        disagreement=disagreement.rows_of(inputs),
        selection=disagreement.totals(inputs.selection),
    )


def charts(inputs: Inputs) -> dict[str, Chart | None]:
    """Return every chart of the page by its name; one without data is None."""
    matrix = comparisons.confusion_matrix(inputs.evaluation)
    score, barred = comparisons.bar_scores(inputs.held_out)
    explained = inputs.explanations
    shards = summary.shards(inputs)
    return {
        "training": _chart(
            training_curves(inputs.cards),
            "Loss of each network against the epoch, for training and validation galaxies.",
            "Loss on the training galaxies (dashed) and on the validation galaxies (solid). Where the evidence for a bar "
            "shall lie counts in training alone.",
        ),
        "confusion": _chart(
            confusion(*matrix) if matrix else None,
            "Confusion matrix: share of each true class that gets each class.",
            "Held-out simulated galaxies: of each true class (row), the share that gets each class; numbers of galaxies "
            "in brackets.",
        ),
        "reliability": _chart(
            reliability(comparisons.reliability_bins(inputs.evaluation.get("morphology") or {})),
            "Observed against predicted vote fractions for each answer; a calibrated network lies on the diagonal.",
            "Calibration on held-out simulated galaxies: mean vote fraction in ten bins of the predicted one. Larger dots "
            "are more galaxies.",
        ),
        "reliability_people": _chart(
            reliability(comparisons.reliability_bins((inputs.evaluation.get("agreement") or {}).get("people") or {})),
            "Observed against predicted vote fractions of people for each answer.",
            "Calibration on held-out galaxies that people have voted on.",
        ),
        "vote_errors": _chart(
            vote_errors(summary.agreement_rows(inputs.evaluation)),
            "Mean error of the vote fractions of each question, between a constant and a perfect predictor.",
            "Mean error of the vote fractions. Perfect: who knows the true probabilities still misses the votes of a few "
            "volunteers by so much.",
        ),
        "roc": _chart(
            roc(score, barred),
            "Share of bars found against share of unbarred galaxies called barred.",
            "Held-out simulated galaxies, ranked by the probability of a bar.",
        ),
        "structure": _compared(
            comparisons.held_out_structure(inputs.held_out),
            "Measured against true profile parameters, held-out galaxies.",
            "Held-out simulated galaxies, which no network has seen.",
        ),
        "structure_errors": _chart(
            integral_transforms(inputs.evaluation.get("structure") or {}),
            "Histograms of the probability integral transform of each profile parameter; honest errors give flat ones.",
            "Where the truth lies in the predicted distribution, held-out simulated galaxies: flat if errors are honest, "
            "a hill if they are too large, a bowl if they are too small. Grey: twice the counting error.",
        ),
        "structure_signal": _chart(
            scatter_against_signal(inputs.evaluation.get("structure_by_signal") or []),
            "Scatter of each profile parameter against the signal-to-noise ratio within the half-light ellipse.",
            "Robust scatter in bins of the true signal-to-noise ratio within the half-light ellipse: the network alone, "
            "and what the catalogue recommends.",
        ),
        "structure_survey": _compared(
            comparisons.survey_structure(inputs.galaxies),
            "Measured against true profile parameters, galaxies of the survey.",
            "Galaxies of the survey itself, cut from its tiles, whose truth is known because the sky is simulated.",
        ),
        "bars": _compared(
            comparisons.held_out_bars(inputs),
            "Bar length by each estimator against the true length, held-out galaxies.",
            "Held-out simulated galaxies with bars longer than 2 FWHM of the PSF. Size alone is the null: what the true size "
            "of the galaxy tells without a look at its bar.",
        ),
        "bars_survey": _compared(
            comparisons.survey_bars(inputs.galaxies),
            "Bar lengths and angles against the truth, galaxies of the survey.",
            "Galaxies of the survey itself that were found to be barred and are.",
        ),
        "features": _compared(
            held_out_features(inputs),
            "Fractions of bulge and spiral arms against the truth, held-out galaxies.",
            "Held-out simulated galaxies of all kinds, which no network has seen.",
        ),
        "bias": _chart(
            bar_fractions(inputs.vote_bias.get("bars") or {}),
            "Bar fraction of votes and model against magnitude, size, inclination and PSF, with what it should be.",
            "Bar fraction among galaxies whose volunteers were asked for a bar: by votes, by the model, and as it should be, "
            "which is the truth of simulated galaxies and the best-seen bin's fraction of others.",
        ),
        "selection": _chart(
            selection_panels(inputs.selection),
            "Completeness of bars, and bias and scatter of their lengths, against magnitude, length over PSF and axis ratio.",
            "Simulated barred galaxies put into the survey's own images. Above: share that is found to be barred, with its "
            "68 % interval. Below: median of ln(measured / true length) of those that are found; the band holds 68 %.",
        ),
        "sky": _chart(
            sky_map(inputs.overview, shards),
            "Map of the sources on the sky, coloured by class, with the shards' outlines.",
            f"The sources on the sky, by most likely class, in {len(shards)} shards (outlined).",
        ),
        "histograms": _chart(
            histograms(inputs.overview),
            "Histograms of the main quantities of the catalogue.",
            "The catalogue. The line is the median.",
        ),
        "importance": _chart(
            importance(explained, *comparisons.evidence(explained)),
            "Fall of the deciding answer's vote fraction without each band and without the structure of each ring.",
            "How far the expected vote fraction of the answer that decides the class falls when a band is replaced by "
            "empty sky, or the structure of a ring (centre, inner, outer) is smoothed to its circular mean. Bars: standard "
            "error; numbers of galaxies in brackets.",
        ),
    }


def _compared(items: list[Any], alt: str, caption: str) -> Chart | None:
    return _chart(comparison_chart(items), alt, caption)


def _chart(figure: Figure | None, alt: str, caption: str) -> Chart | None:
    return None if figure is None else chart(figure, alt, caption)
