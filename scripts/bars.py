"""Measure the bars of one shard."""

import argparse
from pathlib import Path

from tuningfork.core.stage.parameters import read_parameters
from tuningfork.core.stage.program import run
from tuningfork.measure.bars.shard import BarInputs, measure_bars
from tuningfork.stamps.store import StampFiles


def main() -> None:
    """Parse the options and run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="frozen parameters of the stage")
    parser.add_argument("--sources", type=Path, required=True, help="table of the sources")
    parser.add_argument("--stamps", type=Path, required=True, help="table of the shard's stamps")
    parser.add_argument("--pixels", type=Path, required=True, help="pixels of the shard's stamps (.npy)")
    parser.add_argument("--answers", type=Path, required=True, help="the morphology networks' answers")
    parser.add_argument("--masks", type=Path, required=True, help="their bar masks (.npy)")
    parser.add_argument("--saliency", type=Path, required=True, help="table of the saliency maps")
    parser.add_argument("--maps", type=Path, required=True, help="saliency maps (.npy)")
    parser.add_argument("--morphology", type=Path, required=True, help="table of the stage classify")
    parser.add_argument("--structure", type=Path, required=True, help="table of the stage structure")
    parser.add_argument("--calibration", type=Path, required=True, help="calibration of the bars")
    parser.add_argument("--output", type=Path, required=True, help="file to write")
    run(
        parser,
        lambda a: measure_bars(
            read_parameters(a.parameters),
            inputs=BarInputs(
                stamps=StampFiles(a.stamps, a.pixels),
                sources=a.sources,
                morphology=a.morphology,
                structure=a.structure,
                answers=a.answers,
                masks=a.masks,
                saliency=a.saliency,
                maps=a.maps,
                calibration=a.calibration,
            ),
            output=a.output,
        ),
    )


if __name__ == "__main__":
    main()
