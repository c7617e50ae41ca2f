"""Find likely label errors, and what the bar fraction depends on beyond the truth."""

import argparse
from pathlib import Path

from tuningfork.core.stage.parameters import read_parameters
from tuningfork.core.stage.program import run
from tuningfork.evaluate.audit.bias import report_bias
from tuningfork.evaluate.audit.volunteers import People


def main() -> None:
    """Parse the options and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="params/bias.json")
    parser.add_argument("--evaluation-table", type=Path, required=True, help="evaluation.parquet")
    parser.add_argument("--people", type=Path, help="part of the training set with votes of people, if there is one")
    parser.add_argument(
        "--sources", type=Path, nargs="*", default=[], help="sources of the shards that have their galaxies"
    )
    parser.add_argument(
        "--models", type=Path, nargs="*", default=[], help="cards of the networks that predict their votes"
    )
    parser.add_argument("--agreement", type=Path, help="agreement.json, with the calibration of the votes")
    parser.add_argument("--output", type=Path, required=True, help="vote_bias.json to write")
    parser.add_argument("--table", type=Path, required=True, help="label_errors.parquet to write")
    run(parser, _report)


def _report(a: argparse.Namespace) -> None:
    people = People(a.people, a.sources, a.models, a.agreement) if a.people else None
    report_bias(read_parameters(a.parameters), a.evaluation_table, people, a.output, a.table)


if __name__ == "__main__":
    main()
