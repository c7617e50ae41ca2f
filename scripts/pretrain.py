"""Pretrain the encoder by letting it restore noisy stamps with hidden patches."""

import argparse
from pathlib import Path

from tuningfork.core.stage.parameters import read_parameters
from tuningfork.core.stage.program import run
from tuningfork.stamps.store import paired
from tuningfork.training.pretrain import pretrain_encoder


def main() -> None:
    """Parse the options and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="frozen parameters of the stage")
    parser.add_argument("--training", type=Path, nargs="+", required=True, help="tables of the training set")
    parser.add_argument(
        "--training-pixels", type=Path, nargs="+", required=True, help="their pixels, in the same order"
    )
    parser.add_argument("--stamps", type=Path, nargs="*", default=[], help="tables of the survey's own stamps")
    parser.add_argument("--pixels", type=Path, nargs="*", default=[], help="their pixels, in the same order")
    parser.add_argument("--output", type=Path, required=True, help="weights to write")
    parser.add_argument("--card", type=Path, required=True, help="model card to write")
    run(
        parser,
        lambda a: pretrain_encoder(
            read_parameters(a.parameters),
            training=paired(a.training, a.training_pixels),
            stamps=paired(a.stamps, a.pixels),
            output=a.output,
            card=a.card,
        ),
    )


if __name__ == "__main__":
    main()
