"""Join the injected galaxies of all shards and write their selection function."""

import argparse
from pathlib import Path

from tuningfork.core.stage.parameters import read_parameters
from tuningfork.core.stage.program import run
from tuningfork.injection.function import gather


def main() -> None:
    """Parse the options and join."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="frozen parameters of the stage")
    parser.add_argument("--shards", type=Path, nargs="+", required=True, help="table of the galaxies of each shard")
    parser.add_argument("--output", type=Path, required=True, help="selection.parquet to write")
    parser.add_argument("--table", type=Path, required=True, help="selection_function.parquet to write")
    run(parser, lambda a: gather(read_parameters(a.parameters), shards=a.shards, output=a.output, table=a.table))


if __name__ == "__main__":
    main()
