"""Draw one part of the simulated training set."""

import argparse
from pathlib import Path

from tuningfork.core.stage.parameters import read_parameters
from tuningfork.core.stage.program import run
from tuningfork.training.sets.parts import simulate_part


def main() -> None:
    """Read the options and draw the part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="frozen parameters of the stage simulate")
    parser.add_argument("--part", type=int, required=True, help="number of the part, from 0")
    parser.add_argument("--pixels", type=Path, required=True, help="the stamps (.npy)")
    parser.add_argument("--table", type=Path, required=True, help="truth and votes (Parquet)")
    run(
        parser,
        lambda a: simulate_part(parameters=read_parameters(a.parameters), part=a.part, pixels=a.pixels, table=a.table),
    )


if __name__ == "__main__":
    main()
