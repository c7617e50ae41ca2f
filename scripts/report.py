"""Write the report."""

import argparse
from pathlib import Path

from tuningfork.core.stage.parameters import read_parameters
from tuningfork.core.stage.program import run
from tuningfork.report.page import build_report


def main() -> None:
    """Read the options and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="params/report.json")
    for stage in ("sources", "stamps", "saliency", "features"):
        parser.add_argument(
            f"--{stage}", type=Path, nargs="+", required=True, help=f"the {stage} table of each shard shown"
        )
    parser.add_argument("--catalogue", type=Path, required=True, help="catalogue.parquet")
    parser.add_argument("--accounting", type=Path, required=True, help="accounting.json")
    parser.add_argument("--evaluation", type=Path, required=True, help="evaluation.json")
    parser.add_argument("--evaluation-table", type=Path, required=True, help="evaluation.parquet")
    parser.add_argument("--vote-bias", type=Path, required=True, help="vote_bias.json")
    parser.add_argument("--label-errors", type=Path, required=True, help="label_errors.parquet")
    parser.add_argument("--selection", type=Path, help="selection_function.parquet, if there is one")
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="cards of the models")
    parser.add_argument("--explanations", type=Path, required=True, help="explanations.parquet")
    parser.add_argument("--maps", type=Path, required=True, help="the Grad-CAM maps of the explanations")
    parser.add_argument("--output", type=Path, required=True, help="report.html")
    run(
        parser,
        lambda a: build_report(
            read_parameters(a.parameters),
            a.sources,
            a.stamps,
            a.saliency,
            a.features,
            a.catalogue,
            a.accounting,
            a.evaluation,
            a.evaluation_table,
            a.vote_bias,
            a.label_errors,
            a.selection,
            a.models,
            a.explanations,
            a.maps,
            a.output,
        ),
    )


if __name__ == "__main__":
    main()
