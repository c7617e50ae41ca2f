"""Train one network: one member of the ensemble of one task."""

import argparse
from pathlib import Path

from tuningfork.core.stage.parameters import read_parameters
from tuningfork.core.stage.program import run
from tuningfork.stamps.store import StampFiles, paired
from tuningfork.training.train import NetworkFiles, TrainingInputs, train_member

OPTIONAL_SETS = {
    "expert-labels": "labels of astronomers",
    "volunteer-votes": "volunteer votes",
    "measurements": "measured galaxies to which the network is adapted",
}
"""Sets that a training may have besides the simulated one: option, and what it is."""


def main() -> None:
    """Parse the options and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="frozen parameters of the stage")
    parser.add_argument("--task", choices=["morphology", "structure"], required=True, help="what the network learns")
    parser.add_argument("--member", type=int, required=True, help="number of the network in its ensemble")
    parser.add_argument("--training", type=Path, nargs="+", required=True, help="tables of the training set")
    parser.add_argument(
        "--training-pixels", type=Path, nargs="+", required=True, help="their pixels, in the same order"
    )
    parser.add_argument("--encoder", type=Path, help="card of the pretrained encoder, for networks that start from it")
    for option, what in OPTIONAL_SETS.items():
        parser.add_argument(
            f"--{option}", type=Path, nargs=2, metavar=("TABLE", "PIXELS"), help=f"table and pixels of {what}"
        )
    parser.add_argument("--checkpoint", type=Path, required=True, help="file from which a killed training continues")
    parser.add_argument("--output", type=Path, required=True, help="weights to write")
    parser.add_argument("--card", type=Path, required=True, help="model card to write")
    run(parser, train)


def train(options: argparse.Namespace) -> None:
    """Train the network that the options name."""
    names = [option.replace("-", "_") for option in OPTIONAL_SETS]
    sets = {name: StampFiles(*files) for name in names if (files := getattr(options, name)) is not None}
    train_member(
        read_parameters(options.parameters),
        task=options.task,
        member=options.member,
        inputs=TrainingInputs(paired(options.training, options.training_pixels), options.encoder, **sets),
        outputs=NetworkFiles(options.output, options.card, options.checkpoint),
    )


if __name__ == "__main__":
    main()
