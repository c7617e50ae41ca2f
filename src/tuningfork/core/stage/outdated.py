"""Which frozen parameters differ from what the present configuration and code give.

The comparison needs nothing but the files params/<stage>.json and the lineages of the results, so it holds when
Snakemake's own records are gone.
"""

import os
from collections.abc import Mapping
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
        if (not _holds(file, tokens[stage]) if Path(file).is_file() else made.digests(stage))
    }


def restore_parameters(tokens: Mapping[str, str]) -> list[str]:
    """Write missing files of frozen parameters whose results are those of the present ones, and make new files old.

    Nothing then reruns because a file was deleted and is back, or was touched: Snakemake compares times alone. A file is
    left as it is if any result of its stage was made by other parameters or does not say by which, if a run has locked
    the folder, or if it cannot be written.

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
        if path.is_file():
            oldest = made.oldest(stage)
            due = oldest is not None and path.stat().st_mtime_ns > oldest and _holds(file, tokens[stage])
        else:
            due = True
        if due and _made_by(
            made.digests(stage), frozen_digest(path) if path.is_file() else token_digest(tokens[stage])
        ):
            try:
                if not path.is_file():
                    write_text(path, tokens[stage] + "\n")
                os.utime(path, ns=(BEFORE_ALL_RESULTS, BEFORE_ALL_RESULTS))
            except OSError:
                continue
            restored.append(file)
    return restored


def _files(tokens: Mapping[str, str]) -> dict[str, str]:
    """Return stage -> the file of its frozen parameters."""
    return {stage: paths.PARAMETERS.format(stage=stage) for stage in tokens}


def _made_by(digests: set[str], present: str) -> bool:
    """Return whether there are results and all were made by the present parameters."""
    return bool(digests) and all(same_digest(digest, present) for digest in digests)


def _holds(file: str, token: str) -> bool:
    """Return whether a file holds the parameters of a token, however many earlier ones it accepts."""
    try:
        frozen = read_frozen(file)
    except InputError:
        return False
    return canonical({key: value for key, value in frozen.items() if key != ACCEPTED}) == token
