"""Make the saliency maps of one shard."""

import argparse
from pathlib import Path

from tuningfork.core.stage.parameters import read_parameters
from tuningfork.core.stage.program import run
from tuningfork.explain.shard import saliency_shard
from tuningfork.stamps.store import StampFiles


def main() -> None:
    """Parse the options and make the maps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="frozen parameters of the stage")
    parser.add_argument("--stamps", type=Path, required=True, help="table of the shard's stamps")
    parser.add_argument("--pixels", type=Path, required=True, help="their pixels (.npy)")
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="cards of the morphology networks")
    parser.add_argument("--output", type=Path, required=True, help="maps to write (.npy)")
    parser.add_argument("--table", type=Path, required=True, help="table of the maps to write (.parquet)")
    run(
        parser,
        lambda a: saliency_shard(
            read_parameters(a.parameters),
            stamps=StampFiles(a.stamps, a.pixels),
            models=a.models,
            output=a.output,
            table=a.table,
        ),
    )


if __name__ == "__main__":
    main()
