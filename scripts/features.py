"""Measure the bulges and spiral arms of one shard."""

import argparse
from pathlib import Path

from tuningfork.core.stage.parameters import read_parameters
from tuningfork.core.stage.program import run
from tuningfork.measure.features.shard import FeatureInputs, features_shard
from tuningfork.stamps.store import StampFiles


def main() -> None:
    """Parse the options and run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="frozen parameters of the stage")
    parser.add_argument("--stamps", type=Path, required=True, help="table of the shard's stamps")
    parser.add_argument("--pixels", type=Path, required=True, help="pixels of the shard's stamps (.npy)")
    parser.add_argument("--morphology", type=Path, required=True, help="table of the stage classify")
    parser.add_argument("--map-table", type=Path, required=True, help="table of the maps")
    parser.add_argument("--maps", type=Path, required=True, help="maps of bulge and arms (.npy)")
    parser.add_argument("--calibration", type=Path, required=True, help="calibration of bulges and arms")
    parser.add_argument("--output", type=Path, required=True, help="masks of the arms to write (.npy)")
    parser.add_argument("--table", type=Path, required=True, help="table to write")
    run(
        parser,
        lambda a: features_shard(
            read_parameters(a.parameters),
            inputs=FeatureInputs(StampFiles(a.stamps, a.pixels), a.morphology, a.map_table, a.maps, a.calibration),
            output=a.output,
            table=a.table,
        ),
    )


if __name__ == "__main__":
    main()
