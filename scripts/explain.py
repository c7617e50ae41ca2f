"""Explain the answers about a sample of the sources."""

import argparse
from pathlib import Path

from tuningfork.core.stage.parameters import read_parameters
from tuningfork.core.stage.program import run
from tuningfork.explain.sample import explain_sample


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True)
    parser.add_argument("--stamps", type=Path, nargs="+", required=True)
    parser.add_argument("--morphology", type=Path, nargs="+", required=True)
    parser.add_argument("--models", type=Path, nargs="+", required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--maps", type=Path, required=True)
    run(
        parser,
        lambda a: explain_sample(read_parameters(a.parameters), a.stamps, a.morphology, a.models, a.output, a.maps),
    )


if __name__ == "__main__":
    main()
