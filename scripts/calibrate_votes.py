"""Learn from the votes on validation galaxies how to correct predicted votes."""

import argparse
from pathlib import Path

from tuningfork.calibrate.held_out import HeldOutAnswers
from tuningfork.calibrate.votes import calibrate_votes
from tuningfork.core.stage.parameters import read_parameters
from tuningfork.core.stage.program import run


def main() -> None:
    """Parse the options and run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="frozen parameters of the stage")
    parser.add_argument(
        "--training", type=Path, nargs="+", required=True, help="tables of the parts of the training set"
    )
    parser.add_argument(
        "--held-out", type=Path, required=True, help="the morphology networks' answers about its held-out galaxies"
    )
    parser.add_argument("--held-out-masks", type=Path, required=True, help="their bar masks (.npy)")
    parser.add_argument("--volunteers", type=Path, help="table of the part with votes of volunteers")
    parser.add_argument("--volunteers-held-out", type=Path, help="the networks' answers about its held-out galaxies")
    parser.add_argument("--volunteers-masks", type=Path, help="their bar masks (.npy)")
    parser.add_argument("--output", type=Path, required=True, help="file to write")
    run(
        parser,
        lambda a: calibrate_votes(
            read_parameters(a.parameters),
            training=a.training,
            held_out=HeldOutAnswers(a.held_out, a.held_out_masks),
            volunteers=a.volunteers,
            volunteers_answers=HeldOutAnswers(a.volunteers_held_out, a.volunteers_masks) if a.volunteers else None,
            output=a.output,
        ),
    )


if __name__ == "__main__":
    main()
