"""Which frozen parameters differ from what the present configuration and code give.

The comparison needs nothing but the files params/<stage>.json and the lineages of the results, so it holds when
Snakemake's own records are gone.
"""

import contextlib
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from tuningfork.core.errors import InputError
from tuningfork.core.files import write_text
from tuningfork.core.stage import paths
from tuningfork.core.stage.lineage import same_digest
from tuningfork.core.stage.lock import is_locked
from tuningfork.core.stage.made import Made
from tuningfork.core.stage.parameters import ACCEPTED, canonical, frozen_digest, read_frozen, token_digest

BEFORE_ALL_RESULTS = 946_684_800 * 10**9
"""The year 2000 (ns): a file of this time is older than all results."""


def outdated_parameters(tokens: Mapping[str, str]) -> set[str]:
    """Return the files of frozen parameters by which results were made and that must be written anew.

    A file that is missing although its stage has results counts as well: nobody knows what it said, so the results have
    to be made again. :func:`restore_parameters`, called before, has written those whose results say it themselves.

    Parameters
    ----------
    tokens : mapping
        Stage -> text that its file should have.

    Returns
    -------
    set of str
        Paths, as the rules name them.
    """
    made = Made()
    return {
        file
        for stage, file in _files(tokens).items()
        if (not _holds(file, tokens[stage]) if Path(file).is_file() else made.has_results(stage))
    }


def restore_parameters(tokens: Mapping[str, str]) -> list[str]:
    """Write the files of frozen parameters whose results are all those of the present ones, and make new files old.

    A file that is missing, or that an interrupted run of another configuration has written, thus reruns nothing; nor does
    one that was touched, although Snakemake compares times. A file is left as it is if any result of its stage was made by
    other parameters or does not say by which, if a run has locked the folder, or if it cannot be written.

    Parameters
    ----------
    tokens : mapping
        Stage -> text that its file should have.

    Returns
    -------
    list of str
        The paths that were written or made old.
    """
    if is_locked():
        return []
    made, restored = Made(), []
    for stage, file in _files(tokens).items():
        path = Path(file)
        holds = _holds(file, tokens[stage])
        if holds:
            oldest, present = made.oldest(stage), frozen_digest(path)
            due = oldest is not None and path.stat().st_mtime_ns > oldest
            due = due and made.all_made_by(stage, partial(same_digest, present))
        else:
            due = made.all_made_by(stage, token_digest(tokens[stage]).__eq__)
        if due:
            with contextlib.suppress(OSError):
                if not holds:
                    write_text(path, tokens[stage] + "\n")
                os.utime(path, ns=(BEFORE_ALL_RESULTS, BEFORE_ALL_RESULTS))
                restored.append(file)
    return restored


def _files(tokens: Mapping[str, str]) -> dict[str, str]:
    """Return stage -> the file of its frozen parameters."""
    return {stage: paths.PARAMETERS.format(stage=stage) for stage in tokens}


def _holds(file: str, token: str) -> bool:
    """Return whether a file holds the parameters of a token, however many earlier ones it accepts."""
    try:
        frozen = read_frozen(file)
    except InputError:
        return False
    return canonical({key: value for key, value in frozen.items() if key != ACCEPTED}) == token
