"""Explain the networks' answers for a sample of the sources."""

import argparse
from pathlib import Path

from tuningfork.core.stage.parameters import read_parameters
from tuningfork.core.stage.program import run
from tuningfork.explain.sample import explain_sample
from tuningfork.stamps.store import paired


def main() -> None:
    """Parse the options and explain."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="frozen parameters of the stage")
    parser.add_argument("--stamps", type=Path, nargs="+", required=True, help="table of the stamps of each shard")
    parser.add_argument("--pixels", type=Path, nargs="+", required=True, help="their pixels, in the same order")
    parser.add_argument("--morphology", type=Path, nargs="+", required=True, help="classes, in the same order")
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="cards of the morphology networks")
    parser.add_argument("--output", type=Path, required=True, help="explanations to write (.parquet)")
    parser.add_argument("--maps", type=Path, required=True, help="Grad-CAM maps to write (.npy)")
    run(
        parser,
        lambda a: explain_sample(
            read_parameters(a.parameters),
            stamps=paired(a.stamps, a.pixels),
            morphology=a.morphology,
            models=a.models,
            output=a.output,
            maps=a.maps,
        ),
    )


if __name__ == "__main__":
    main()
