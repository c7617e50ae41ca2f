"""The charts of the report: one table that names each chart, what draws it, and what its caption says."""

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from tuningfork.calibrate.bars import MIN_BAR_LENGTH_PSF
from tuningfork.report import summary
from tuningfork.report.figures import comparisons, costs, quality
from tuningfork.report.figures.explain import importance
from tuningfork.report.figures.features import held_out_features
from tuningfork.report.figures.selection import bar_fractions, selection_panels
from tuningfork.report.figures.structure import integral_transforms, scatter_against_signal
from tuningfork.report.figures.survey import histograms, sky_map
from tuningfork.report.figures.training import training_curves
from tuningfork.report.images import Chart, chart
from tuningfork.report.inputs import ReportInputs


@dataclass(frozen=True)
class ChartEntry:
    """One chart of the page.

    Attributes
    ----------
    draw : callable
        Takes the report's inputs and returns a figure, or None if they do not hold what it shows.
    alt : str
        What the chart shows, for readers who cannot see it.
    caption : str
        What the chart shows and what the reader can conclude from it.
    """

    draw: Callable[[ReportInputs], Figure | None]
    alt: str
    caption: str


CHARTS: dict[str, ChartEntry] = {
    "costs": ChartEntry(
        lambda inputs: costs.stage_times(inputs.stage_costs),
        "Time of each stage, and time of its longest job.",
        "Time that the jobs of each stage took, one after the other, and time of the longest job. A stage with many jobs "
        "gets faster with more cores; a stage with one long job does not.",
    ),
    "training": ChartEntry(
        lambda inputs: training_curves(inputs.cards),
        "Loss of each network against the epoch, for training and validation galaxies.",
        "Loss on the training galaxies (dashed) and on the validation galaxies (solid). A network is trained long enough "
        "when the solid line no longer falls; it learns the training galaxies by heart when the solid line rises. The "
        "training loss alone includes the term that pulls the evidence for a bar onto the bar.",
    ),
    "confusion": ChartEntry(
        lambda inputs: comparisons.confusion_chart(inputs.evaluation),
        "Confusion matrix: share of each class of the volunteers that gets each class.",
        "Each row is a class that most simulated volunteers gave to test galaxies, and shows the share that the networks put into each "
        "class, with the number of galaxies in brackets. Use it to judge how pure and how complete a sample of one class "
        "is.",
    ),
    "reliability": ChartEntry(
        lambda inputs: quality.reliability(comparisons.reliability_bins(inputs.evaluation.get("morphology") or {})),
        "Observed against predicted vote fractions for each answer; a calibrated network lies on the diagonal.",
        "Mean observed vote fraction in ten bins of the predicted one, for simulated test galaxies. Predictions on the "
        "diagonal can be taken at face value. Larger dots stand for more galaxies.",
    ),
    "reliability_people": ChartEntry(
        lambda inputs: quality.reliability(
            comparisons.reliability_bins((inputs.evaluation.get("agreement") or {}).get("volunteers") or {})
        ),
        "Observed against predicted vote fractions of volunteers for each answer.",
        "The same for test galaxies with volunteer votes: the diagonal says that predictions for real galaxies can be "
        "taken at face value.",
    ),
    "vote_errors": ChartEntry(
        lambda inputs: quality.vote_errors(summary.agreement_rows(inputs.evaluation)),
        "Mean error of the vote fractions of each question, between a constant and a perfect predictor.",
        "Mean error of the predicted vote fractions. The network (dot) should lie close to the perfect predictor, which "
        "knows the true probabilities and still errs because each galaxy has few volunteers, and far from the constant, "
        "which predicts the mean for every galaxy.",
    ),
    "roc": ChartEntry(
        lambda inputs: quality.roc(*comparisons.bar_scores(inputs.held_out)),
        "Share of bars found against share of unbarred galaxies called barred.",
        "Share of barred and of unbarred test galaxies above a threshold in bar_probability, for every threshold. Use it to choose "
        "a threshold of your own.",
    ),
    "structure": ChartEntry(
        lambda inputs: quality.comparisons(comparisons.held_out_structure(inputs.held_out)),
        "Measured against true profile parameters, held-out galaxies.",
        "Published against true profile parameters of simulated test galaxies, which no network has seen.",
    ),
    "structure_errors": ChartEntry(
        lambda inputs: integral_transforms(inputs.evaluation.get("structure") or {}),
        "Histograms of the probability integral transform of each profile parameter; honest errors give flat ones.",
        "Position of the true value within the predicted distribution (probability integral transform), simulated test "
        "galaxies. A flat histogram says that the published errors are right, a hill that they are too large, a bowl that "
        "they are too small. The grey band is twice the counting error.",
    ),
    "structure_signal": ChartEntry(
        lambda inputs: scatter_against_signal(inputs.evaluation.get("structure_by_signal") or []),
        "Scatter of each profile parameter against the signal-to-noise ratio within the half-light ellipse.",
        "Robust scatter of each parameter in bins of the true signal-to-noise ratio within the half-light ellipse, for "
        "the network alone and for the published value. Use it to choose a limit in signal-to-noise ratio.",
    ),
    "structure_survey": ChartEntry(
        lambda inputs: quality.comparisons(comparisons.survey_structure(inputs.galaxies)),
        "Measured against true profile parameters, galaxies of the survey.",
        "Published against true profile parameters of the survey's own galaxies, whose truth is known because the sky is "
        "simulated. Larger scatter than for the test galaxies points to deblending, sky level or tile edges.",
    ),
    "bars": ChartEntry(
        lambda inputs: quality.comparisons(comparisons.held_out_bars(inputs)),
        "Bar length by each estimator against the true length, held-out galaxies.",
        f"Bar length by each estimator against the true length, for simulated test galaxies whose bar is longer than "
        f"{MIN_BAR_LENGTH_PSF:g} FWHM of the PSF. An estimator must beat the last panel, which predicts the bar from the true size "
        "of the galaxy without looking at the bar.",
    ),
    "bars_survey": ChartEntry(
        lambda inputs: quality.comparisons(comparisons.survey_bars(inputs.galaxies)),
        "Bar lengths and angles against the truth, galaxies of the survey.",
        "Bar lengths and angles against the truth for the survey's own galaxies that are barred and were found to be.",
    ),
    "features": ChartEntry(
        lambda inputs: quality.comparisons(held_out_features(inputs)),
        "Fractions of bulge and spiral arms against the truth, held-out galaxies.",
        "Published against true fractions of light for simulated test galaxies of all kinds.",
    ),
    "bias": ChartEntry(
        lambda inputs: bar_fractions(inputs.vote_bias.get("bars") or {}),
        "Bar fraction of votes and model against magnitude, size, inclination and PSF, with what it should be.",
        "Bar fraction among galaxies whose volunteers were asked about a bar, by votes and by the networks. The dashed "
        "line is the target: the truth for simulated galaxies, and the fraction in the bin that is seen best for real "
        "ones. Where votes or networks leave the dashed line, bar fractions need a correction.",
    ),
    "selection": ChartEntry(
        lambda inputs: selection_panels(inputs.selection),
        "Completeness of bars, and bias and scatter of their lengths, against magnitude, length over PSF and axis ratio.",
        "Simulated barred galaxies that were put into the survey's own images. Above: share that is found to be barred, "
        "with its 68 % interval. Below: median of ln(measured / true length) of those that are found; the band holds "
        "68 % of them. Restrict bar statistics to the range where the upper curve is high and the lower one near zero.",
    ),
    "sky": ChartEntry(
        lambda inputs: sky_map(inputs.overview, summary.shards(inputs)),
        "Map of the sources on the sky, coloured by class, with the shards' outlines.",
        "Sources on the sky by most likely class, with the outlines of the shards. An empty shard or strip points to "
        "missing tiles.",
    ),
    "histograms": ChartEntry(
        lambda inputs: histograms(inputs.overview),
        "Histograms of the main quantities of the catalogue.",
        "Distribution of the main columns of the catalogue, stars and artifacts left out; the line is the median.",
    ),
    "importance": ChartEntry(
        lambda inputs: importance(inputs.explanations, *comparisons.evidence(inputs.explanations)),
        "Fall of the deciding answer's vote fraction without each band and without the structure of each ring.",
        "Fall of the expected vote fraction of the answer that decides the class when a band is replaced by empty sky, or "
        "when the structure within a ring (centre, inner, outer) is replaced by its mean over azimuth. High columns show "
        "what the networks use. Lines: standard error; numbers of galaxies in brackets.",
    ),
}
"""Name in the template -> chart."""


def charts(inputs: ReportInputs) -> dict[str, Chart | None]:
    """Return every chart of the page by its name; a chart without data is None."""
    drawn = {name: entry.draw(inputs) for name, entry in CHARTS.items()}
    return {
        name: None if figure is None else chart(figure, CHARTS[name].alt, CHARTS[name].caption)
        for name, figure in drawn.items()
    }
