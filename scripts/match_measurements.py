"""Match measured galaxies with their stamps."""

import argparse
from pathlib import Path

from tuningfork.core.stage.parameters import read_parameters
from tuningfork.core.stage.program import run
from tuningfork.stamps.store import StampFiles, paired
from tuningfork.training.labels.matched import MatchedFiles
from tuningfork.training.labels.measurements import match_measurements


def main() -> None:
    """Parse the options and match."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="frozen parameters of the stage")
    parser.add_argument("--sources", type=Path, nargs="+", required=True, help="table of the sources of each shard")
    parser.add_argument(
        "--stamps", type=Path, nargs="+", required=True, help="table of the stamps of each shard, in the same order"
    )
    parser.add_argument("--pixels", type=Path, nargs="+", required=True, help="their pixels, in the same order")
    parser.add_argument("--output", type=Path, required=True, help="stamps to write (.npy)")
    parser.add_argument("--table", type=Path, required=True, help="measurements to write (.parquet)")
    parser.add_argument("--rows", type=Path, required=True, help="the fate of every row, to write (.csv)")
    run(
        parser,
        lambda a: match_measurements(
            read_parameters(a.parameters),
            sources=a.sources,
            stamps=paired(a.stamps, a.pixels),
            outputs=MatchedFiles(StampFiles(a.table, a.output), a.rows),
        ),
    )


if __name__ == "__main__":
    main()
