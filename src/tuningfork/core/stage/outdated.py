"""Which frozen parameters differ from what the present configuration and code give.

The comparison needs nothing but the files params/<stage>.json, so it holds when Snakemake's own records are gone.
"""

from collections.abc import Mapping
from pathlib import Path

from tuningfork.core.errors import InputError
from tuningfork.core.stage import paths
from tuningfork.core.stage.parameters import ACCEPTED, canonical, read_frozen


def outdated_parameters(tokens: Mapping[str, str]) -> set[str]:
    """Return the files of frozen parameters that are there and must be written anew.

    Parameters
    ----------
    tokens : mapping
        Stage -> text that its file should have.

    Returns
    -------
    set of str
        Paths, as the rules name them.
    """
    files = {stage: paths.PARAMETERS.format(stage=stage) for stage in tokens}
    return {file for stage, file in files.items() if Path(file).is_file() and not _holds(file, tokens[stage])}


def _holds(file: str, token: str) -> bool:
    """Return whether a file holds the parameters of a token, however many earlier ones it accepts."""
    try:
        frozen = read_frozen(file)
    except InputError:
        return False
    return canonical({key: value for key, value in frozen.items() if key != ACCEPTED}) == token
