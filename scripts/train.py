"""Train one network: one member of the ensemble of one task."""

import argparse
from pathlib import Path

from tuningfork.core.stage.parameters import read_parameters
from tuningfork.core.stage.program import run
from tuningfork.training.train import train_member


def main() -> None:
    """Parse the options and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="frozen parameters of the stage")
    parser.add_argument("--task", choices=["morphology", "structure"], required=True, help="what the network learns")
    parser.add_argument("--member", type=int, required=True, help="number of the network in its ensemble")
    parser.add_argument("--training", type=Path, nargs="+", required=True, help="tables of the training set")
    parser.add_argument("--encoder", type=Path, help="card of the pretrained encoder, for networks that start from it")
    parser.add_argument("--labels", type=Path, help="table of human votes")
    parser.add_argument("--people", type=Path, help="table of the votes of people, with their stamps beside it")
    parser.add_argument("--measurements", type=Path, help="table of measured galaxies to which the network is adapted")
    parser.add_argument("--checkpoint", type=Path, required=True, help="file from which a killed training goes on")
    parser.add_argument("--output", type=Path, required=True, help="weights to write")
    parser.add_argument("--card", type=Path, required=True, help="model card to write")
    run(
        parser,
        lambda a: train_member(
            read_parameters(a.parameters),
            a.task,
            a.member,
            a.training,
            a.encoder,
            a.labels,
            a.checkpoint,
            a.output,
            a.card,
            a.measurements,
            a.people,
        ),
    )


if __name__ == "__main__":
    main()
