"""Join the tables of all shards into the published catalogue."""

import argparse
from pathlib import Path

from tuningfork.catalogue.merge import CatalogueFiles, build_catalogue
from tuningfork.core.stage.parameters import read_parameters
from tuningfork.core.stage.program import run

OF_SHARDS = ("sources", "stamps", "morphology", "structure", "bars", "features", "tiles")


def main() -> None:
    """Read the options and build the catalogue."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="params/catalogue.json")
    for stage in OF_SHARDS:
        parser.add_argument(f"--{stage}", type=Path, nargs="+", required=True, help=f"the {stage} table of each shard")
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="model cards")
    parser.add_argument("--output", type=Path, required=True, help="folder of the HATS catalogue")
    parser.add_argument("--table", type=Path, required=True, help="the same rows in one Parquet file")
    parser.add_argument("--accounting", type=Path, required=True, help="JSON file that accounts for every source")
    run(parser, lambda a: build_catalogue(read_parameters(a.parameters), _files(a)))


def _files(a: argparse.Namespace) -> CatalogueFiles:
    return CatalogueFiles(
        **{stage: getattr(a, stage) for stage in OF_SHARDS},
        models=a.models,
        output=a.output,
        table=a.table,
        accounting=a.accounting,
    )


if __name__ == "__main__":
    main()
