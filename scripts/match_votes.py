"""Match volunteer votes with the stamps of their galaxies."""

import argparse
from pathlib import Path

from tuningfork.core.stage.parameters import read_parameters, read_transfer
from tuningfork.core.stage.program import run
from tuningfork.stamps.store import StampFiles, paired
from tuningfork.training.labels.matched import MatchedFiles
from tuningfork.training.labels.votes import match_votes


def main() -> None:
    """Parse the options and match."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="frozen parameters of the stage")
    parser.add_argument("--plan", type=Path, required=True, help="plan.json of the run, which says how to transfer")
    parser.add_argument("--sources", type=Path, nargs="+", required=True, help="table of the sources of each shard")
    parser.add_argument(
        "--stamps", type=Path, nargs="+", required=True, help="table of the stamps of each shard, in the same order"
    )
    parser.add_argument("--pixels", type=Path, nargs="+", required=True, help="their pixels, in the same order")
    parser.add_argument("--output", type=Path, required=True, help="stamps to write (.npy)")
    parser.add_argument("--table", type=Path, required=True, help="votes to write (.parquet)")
    parser.add_argument("--rows", type=Path, required=True, help="the fate of every row, to write (.csv)")
    run(
        parser,
        lambda a: match_votes(
            read_parameters(a.parameters),
            sources=a.sources,
            stamps=paired(a.stamps, a.pixels),
            transfer=read_transfer(a.plan),
            outputs=MatchedFiles(StampFiles(a.table, a.output), a.rows),
        ),
    )


if __name__ == "__main__":
    main()
