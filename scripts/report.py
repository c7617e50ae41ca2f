"""Write the report."""

import argparse
from pathlib import Path

from tuningfork.core.stage.parameters import read_parameters
from tuningfork.core.stage.program import run
from tuningfork.report.inputs import ReportFiles
from tuningfork.report.page import build_report
from tuningfork.stamps.store import paired

OF_SHARDS = {
    "sources": "sources tables",
    "stamps": "stamps tables",
    "pixels": "pixels of the stamps (.npy)",
    "saliency": "saliency tables",
    "saliency-maps": "saliency maps (.npy)",
    "features": "features tables",
    "arm-masks": "masks of the spiral arms (.npy)",
}
OF_THE_RUN = {
    "catalogue": "catalogue.parquet",
    "accounting": "accounting.json",
    "evaluation": "figures of merit (JSON)",
    "evaluation-table": "the test galaxies behind them (Parquet)",
    "vote-bias": "vote_bias.json",
    "label-errors": "label_errors.parquet",
    "explanations": "explanations.parquet",
    "explanation-maps": "Grad-CAM maps of the explanations (.npy)",
    "benchmarks": "folder of Snakemake's benchmark files",
}


def main() -> None:
    """Read the options and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="params/report.json")
    for name, text in OF_SHARDS.items():
        parser.add_argument(f"--{name}", type=Path, nargs="+", required=True, help=f"{text} of the shown shards")
    for name, text in OF_THE_RUN.items():
        parser.add_argument(f"--{name}", type=Path, required=True, help=text)
    parser.add_argument("--selection", type=Path, help="selection_function.parquet, if there is one")
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="model cards")
    parser.add_argument("--output", type=Path, required=True, help="report.html")
    run(parser, lambda a: build_report(read_parameters(a.parameters), _files(a), a.output))


def _files(a: argparse.Namespace) -> ReportFiles:
    return ReportFiles(
        sources=a.sources,
        stamps=paired(a.stamps, a.pixels),
        saliency=a.saliency,
        saliency_maps=a.saliency_maps,
        features=a.features,
        arm_masks=a.arm_masks,
        catalogue=a.catalogue,
        accounting=a.accounting,
        evaluation=a.evaluation,
        evaluation_table=a.evaluation_table,
        vote_bias=a.vote_bias,
        label_errors=a.label_errors,
        selection=a.selection,
        models=a.models,
        explanations=a.explanations,
        explanation_maps=a.explanation_maps,
        benchmarks=a.benchmarks,
    )


if __name__ == "__main__":
    main()
