"""Fetch the tiles of one shard into the cache."""

import argparse
from pathlib import Path

from tuningfork.core.stage.parameters import read_parameters, read_transfer
from tuningfork.core.stage.program import run
from tuningfork.surveys.jobs import fetch_tiles


def main() -> None:
    """Read the options and fetch the tiles."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="params/tiles.json")
    parser.add_argument("--shard", required=True, help="name of the shard: order-pixel")
    parser.add_argument("--sources", type=Path, required=True, help="the table of sources (Parquet)")
    parser.add_argument("--plan", type=Path, required=True, help="plan.json of the run, which says how to transfer")
    parser.add_argument("--output", type=Path, required=True, help="the manifest (Parquet)")
    run(
        parser,
        lambda a: fetch_tiles(
            parameters=read_parameters(a.parameters),
            shard=a.shard,
            sources=a.sources,
            transfer=read_transfer(a.plan),
            output=a.output,
        ),
    )


if __name__ == "__main__":
    main()
