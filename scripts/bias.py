"""Find likely label errors, and what the bar fraction depends on beyond the truth."""

import argparse
from pathlib import Path

from tuningfork.core.parameters import read_parameters
from tuningfork.core.program import run
from tuningfork.measure.vote_bias import report_bias


def main() -> None:
    """Parse the options and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="params/bias.json")
    parser.add_argument("--evaluation-table", type=Path, required=True, help="evaluation.parquet")
    parser.add_argument("--output", type=Path, required=True, help="vote_bias.json to write")
    parser.add_argument("--table", type=Path, required=True, help="label_errors.parquet to write")
    run(
        parser,
        lambda a: report_bias(read_parameters(a.parameters), a.evaluation_table, a.output, a.table),
    )


if __name__ == "__main__":
    main()
