"""The report: one HTML page that holds all its pictures and loads nothing from the network."""

from importlib import resources
from pathlib import Path

import jinja2
from markupsafe import Markup

from tuningfork.calibrate.bars import MIN_BAR_LENGTH_PSF
from tuningfork.core.figure_style import style
from tuningfork.core.files import write_text
from tuningfork.core.stage.parameters import Parameters
from tuningfork.report import gallery, summary
from tuningfork.report.charts import charts
from tuningfork.report.figures import disagreement
from tuningfork.report.figures.features import rows_of, spirals
from tuningfork.report.figures.residuals import MAX_RESIDUAL, residuals
from tuningfork.report.inputs import ReportFiles, ReportInputs, read_inputs

MAX_EXPLAINED = 12
"""Explained galaxies that are shown."""
MAX_RESIDUALS = 8
"""Galaxies that are shown with model and residual."""


def build_report(parameters: Parameters, files: ReportFiles, output: Path) -> None:
    """Write the report.

    Parameters
    ----------
    parameters : Parameters
        Parameters of the stage `report`.
    files : ReportFiles
        What the report reads.
    output : Path
        report.html.

    Raises
    ------
    InputError
        A file cannot be used, or files were made with different parameters or not with the present ones.
    """
    inputs = read_inputs(files)
    parameters.lineage(inputs.lineage)
    with style():
        write_text(output, render(inputs, parameters.configuration.report.gallery))


def render(inputs: ReportInputs, max_barred: int) -> str:
    """Return the page, with a gallery of up to `max_barred` barred galaxies."""
    folder = resources.files("tuningfork.report")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((folder / "template.html").read_text(encoding="utf-8"))
    return template.render(
        css=Markup((folder / "style.css").read_text(encoding="utf-8")),
        summary=summary.of_run(inputs),
        charts=charts(inputs),
        barred=gallery.barred(inputs, max_barred),
        classes=gallery.of_classes(inputs),
        explained=gallery.explained(inputs, MAX_EXPLAINED),
        residuals=residuals(inputs, MAX_RESIDUALS),
        morphology=summary.morphology_rows(inputs.evaluation),
        agreement=summary.agreement_rows(inputs.evaluation),
        learned_classes=summary.class_rows(inputs),
        auc=summary.auc_rows(inputs.evaluation),
        presence=inputs.evaluation.get("bar_presence"),
        presence_rows=summary.presence_rows(inputs.evaluation),
        structure=summary.structure_rows(inputs.evaluation),
        bars=summary.bar_rows(inputs.evaluation),
        features=rows_of(inputs.evaluation),
        spirals=spirals(inputs),
        bars_published=summary.bar_rows(inputs.evaluation, "bars_published"),
        disagreement=disagreement.rows_of(inputs),
        selection=disagreement.totals(inputs.selection),
        costs=inputs.stage_costs,
        min_bar_length=f"{MIN_BAR_LENGTH_PSF:g}",
        residual_range=f"{MAX_RESIDUAL:g}",
    )
