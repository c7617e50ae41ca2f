"""Join the tables of all shards into the published catalogue."""

import argparse
from pathlib import Path

from tuningfork.catalogue.merge import build_catalogue
from tuningfork.core.stage.parameters import read_parameters
from tuningfork.core.stage.program import run


def main() -> None:
    """Read the options and build the catalogue."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="params/catalogue.json")
    for stage in ("sources", "stamps", "morphology", "structure", "bars", "features", "tiles"):
        parser.add_argument(f"--{stage}", type=Path, nargs="+", required=True, help=f"the {stage} table of each shard")
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="cards of the models")
    parser.add_argument("--output", type=Path, required=True, help="folder of the HATS catalogue")
    parser.add_argument("--table", type=Path, required=True, help="the same rows in one Parquet file")
    parser.add_argument("--accounting", type=Path, required=True, help="JSON file that accounts for every source")
    run(
        parser,
        lambda a: build_catalogue(
            read_parameters(a.parameters),
            a.sources,
            a.stamps,
            a.morphology,
            a.structure,
            a.bars,
            a.features,
            a.tiles,
            a.models,
            a.output,
            a.table,
            a.accounting,
        ),
    )


if __name__ == "__main__":
    main()
