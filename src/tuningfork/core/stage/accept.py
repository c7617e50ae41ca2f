"""Keep the results of a stage after an upgrade that changes its code and not what it computes."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tuningfork.core.errors import InputError
from tuningfork.core.files import write_text
from tuningfork.core.stage import paths
from tuningfork.core.stage.parameters import ACCEPTED, canonical, frozen_digest, read_frozen


def accept_results(stage: str, tokens: Mapping[str, str], results: Path = Path(paths.RESULTS)) -> bool:
    """Mark the existing results of a stage as made by the present code.

    The file of frozen parameters gets the new token and keeps the earlier hash under `accepted`; the lineage of all that
    is made later names both. The file's time stays, so nothing reruns.

    Parameters
    ----------
    stage : str
    tokens : mapping
        Stage -> text of the frozen parameters that the present configuration and code give.
    results : Path
        The folder of the results.

    Returns
    -------
    bool
        False if the results were made by the present code already.

    Raises
    ------
    InputError
        There is no such stage, it has no results, or more than its code has changed.
    """
    if stage not in tokens:
        raise InputError(f"{stage!r} is no stage; it is one of {', '.join(sorted(tokens))}")
    path = results / Path(paths.PARAMETERS).relative_to(paths.RESULTS).with_name(f"{stage}.json")
    earlier, present = read_frozen(path), json.loads(tokens[stage])
    accepted = earlier.pop(ACCEPTED, [])
    if canonical(earlier) == tokens[stage]:
        return False
    if changed := _changes(earlier, present):
        raise InputError(
            f"{path}: more than the code of the stage {stage} has changed ({', '.join(changed)}), so its results are "
            "not those of the present configuration; run the workflow, which makes them anew"
        )
    entry = {"digest": frozen_digest(path), "source": earlier["source"]}
    times = path.stat()
    write_text(path, canonical(present | {ACCEPTED: [*accepted, entry]}) + "\n")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    return True


def _changes(earlier: Mapping[str, Any], present: Mapping[str, Any]) -> list[str]:
    """Return the names of all that differs but the hash of the code."""
    names: list[str] = []
    for group in sorted((set(earlier) | set(present)) - {"source"}):
        one, other = earlier.get(group, {}), present.get(group, {})
        if isinstance(one, dict) and isinstance(other, dict):
            names += [key for key in sorted(set(one) | set(other)) if one.get(key) != other.get(key)]
        elif one != other:
            names.append(group)
    return names


def accepted_digests(folder: Path | None, lineage: Mapping[str, str]) -> dict[str, list[str]]:
    """Return stage -> earlier hashes whose results were accepted, for the stages of a lineage.

    Parameters
    ----------
    folder : Path or None
        With the frozen parameters.
    lineage : mapping
        Stage -> hash.

    Returns
    -------
    dict
        Only stages with such results.
    """
    files = {stage: folder / f"{stage}.json" for stage in lineage} if folder else {}
    earlier = {stage: read_frozen(file).get(ACCEPTED, []) for stage, file in files.items() if file.is_file()}
    return {stage: [entry["digest"] for entry in entries] for stage, entries in earlier.items() if entries}
