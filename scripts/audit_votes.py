"""Rank votes that are likely wrong, and measure what the bar fraction depends on."""

import argparse
from pathlib import Path

from tuningfork.calibrate.held_out import HeldOutAnswers
from tuningfork.core.stage.parameters import read_parameters
from tuningfork.core.stage.program import run
from tuningfork.evaluate.audit.bias import audit_votes
from tuningfork.evaluate.audit.volunteers import VolunteerFiles


def main() -> None:
    """Parse the options and run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parameters", type=Path, required=True, help="frozen parameters of the stage")
    parser.add_argument("--galaxies", type=Path, required=True, help="table of the test galaxies")
    parser.add_argument("--volunteers", type=Path, help="table of the part with votes of volunteers")
    parser.add_argument("--volunteers-held-out", type=Path, help="the networks' answers about its held-out galaxies")
    parser.add_argument("--volunteers-masks", type=Path, help="their bar masks (.npy)")
    parser.add_argument(
        "--sources", type=Path, nargs="+", help="tables of the sources of the shards with votes of volunteers"
    )
    parser.add_argument("--calibration", type=Path, help="calibration of the votes")
    parser.add_argument("--output", type=Path, required=True, help="file to write")
    parser.add_argument("--table", type=Path, required=True, help="table of likely errors, to write")
    run(
        parser,
        lambda a: audit_votes(
            read_parameters(a.parameters),
            galaxies=a.galaxies,
            volunteers=VolunteerFiles(
                a.volunteers, a.sources, HeldOutAnswers(a.volunteers_held_out, a.volunteers_masks), a.calibration
            )
            if a.volunteers
            else None,
            output=a.output,
            table=a.table,
        ),
    )


if __name__ == "__main__":
    main()
