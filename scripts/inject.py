"""Put simulated barred galaxies into the images of one shard and measure them."""

import argparse
from pathlib import Path

from tuningfork.core.stage.parameters import read_parameters, read_transfer
from tuningfork.core.stage.program import run
from tuningfork.injection.shard import InjectionInputs, inject_shard


def main() -> None:
    """Parse the options, inject and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="params/inject.json")
    parser.add_argument("--shard", required=True, help="name of the shard")
    parser.add_argument("--tiles", type=Path, required=True, help="manifest of its tiles")
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="cards of the morphology networks")
    parser.add_argument("--votes", type=Path, required=True, help="calibration of the votes")
    parser.add_argument("--bars", type=Path, required=True, help="calibration of the bars")
    parser.add_argument("--plan", type=Path, required=True, help="plan of the run, for its section transfer")
    parser.add_argument("--output", type=Path, required=True, help="table of the galaxies to write")
    run(
        parser,
        lambda a: inject_shard(
            read_parameters(a.parameters),
            shard=a.shard,
            inputs=InjectionInputs(a.tiles, a.models, a.votes, a.bars),
            transfer=read_transfer(a.plan),
            output=a.output,
        ),
    )


if __name__ == "__main__":
    main()
