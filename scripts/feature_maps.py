"""Map where the answers about bulge and spiral arms of one shard come from."""

import argparse
from pathlib import Path

from tuningfork.core.stage.parameters import read_parameters
from tuningfork.core.stage.program import run
from tuningfork.explain.feature_maps import feature_maps_shard
from tuningfork.stamps.store import StampFiles


def main() -> None:
    """Parse the options and run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="frozen parameters of the stage")
    parser.add_argument("--stamps", type=Path, required=True, help="table of the shard's stamps")
    parser.add_argument("--pixels", type=Path, required=True, help="pixels of the shard's stamps (.npy)")
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="cards of the networks")
    parser.add_argument("--output", type=Path, required=True, help="maps to write (.npy)")
    parser.add_argument("--table", type=Path, required=True, help="table to write")
    run(
        parser,
        lambda a: feature_maps_shard(
            read_parameters(a.parameters),
            stamps=StampFiles(a.stamps, a.pixels),
            models=a.models,
            output=a.output,
            table=a.table,
        ),
    )


if __name__ == "__main__":
    main()
