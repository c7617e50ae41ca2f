"""Compare votes, bars, bulges and arms of the test galaxies with the truth."""

import argparse
from pathlib import Path

from tuningfork.calibrate.held_out import HeldOutAnswers
from tuningfork.core.stage.parameters import read_parameters
from tuningfork.core.stage.program import run
from tuningfork.evaluate.stage import EvaluationInputs, evaluate
from tuningfork.stamps.store import paired


def main() -> None:
    """Parse the options and run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="frozen parameters of the stage")
    parser.add_argument(
        "--training", type=Path, nargs="+", required=True, help="tables of the parts of the training set"
    )
    parser.add_argument(
        "--training-pixels", type=Path, nargs="+", required=True, help="stamps of the parts (.npy), in the same order"
    )
    parser.add_argument(
        "--held-out", type=Path, required=True, help="the morphology networks' answers about its held-out galaxies"
    )
    parser.add_argument("--held-out-masks", type=Path, required=True, help="their bar masks (.npy)")
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="cards of the networks")
    parser.add_argument("--votes", type=Path, required=True, help="calibration of the votes")
    parser.add_argument("--bars", type=Path, required=True, help="calibration of the bars")
    parser.add_argument("--bars-table", type=Path, required=True, help="the galaxies behind it")
    parser.add_argument("--features", type=Path, required=True, help="calibration of bulges and arms")
    parser.add_argument("--features-table", type=Path, required=True, help="the galaxies behind it")
    parser.add_argument("--structure", type=Path, required=True, help="figures of the profiles")
    parser.add_argument("--structure-table", type=Path, required=True, help="profiles of the test galaxies")
    parser.add_argument("--volunteers", type=Path, help="table of the part with votes of volunteers")
    parser.add_argument("--volunteers-held-out", type=Path, help="the networks' answers about its held-out galaxies")
    parser.add_argument("--volunteers-masks", type=Path, help="their bar masks (.npy)")
    parser.add_argument("--output", type=Path, required=True, help="file to write")
    parser.add_argument("--table", type=Path, required=True, help="table of the test galaxies, to write")
    run(
        parser,
        lambda a: evaluate(
            read_parameters(a.parameters),
            inputs=EvaluationInputs(
                training=paired(a.training, a.training_pixels),
                held_out=HeldOutAnswers(a.held_out, a.held_out_masks),
                models=a.models,
                votes=a.votes,
                bars=a.bars,
                bars_table=a.bars_table,
                features=a.features,
                features_table=a.features_table,
                structure=a.structure,
                structure_table=a.structure_table,
                volunteers=a.volunteers,
                volunteers_answers=HeldOutAnswers(a.volunteers_held_out, a.volunteers_masks) if a.volunteers else None,
            ),
            output=a.output,
            table=a.table,
        ),
    )


if __name__ == "__main__":
    main()
