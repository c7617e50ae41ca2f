"""Cut the stamps of one shard."""

import argparse
from pathlib import Path

from tuningfork.core.stage.parameters import read_parameters, read_transfer
from tuningfork.core.stage.program import run
from tuningfork.stamps.shard import cut_shard


def main() -> None:
    """Read the options and cut the stamps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="params/stamps.json")
    parser.add_argument("--shard", required=True, help="name of the shard: order-pixel")
    parser.add_argument("--sources", type=Path, required=True, help="the table of sources (Parquet)")
    parser.add_argument("--tiles", type=Path, required=True, help="the manifest (Parquet)")
    parser.add_argument("--plan", type=Path, required=True, help="plan.json of the run, which says how to transfer")
    parser.add_argument("--pixels", type=Path, required=True, help="the stamps (.npy)")
    parser.add_argument("--table", type=Path, required=True, help="the table of the stamps (Parquet)")
    run(
        parser,
        lambda a: cut_shard(
            parameters=read_parameters(a.parameters),
            shard=a.shard,
            sources=a.sources,
            tiles=a.tiles,
            transfer=read_transfer(a.plan),
            pixels=a.pixels,
            table=a.table,
        ),
    )


if __name__ == "__main__":
    main()
