"""Keep the results of a stage after an upgrade that changes its code and not what it computes."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tuningfork.core.errors import InputError
from tuningfork.core.files import write_text
from tuningfork.core.stage import paths
from tuningfork.core.stage.lock import LOCKS, is_locked
from tuningfork.core.stage.made import Made
from tuningfork.core.stage.parameters import ACCEPTED, canonical, frozen_digest, read_frozen


def accept_results(stages: Sequence[str], tokens: Mapping[str, str]) -> dict[str, bool]:
    """Mark the existing results of stages as made by the present code; of all, or if one cannot be, of none.

    The file of frozen parameters gets the new token and keeps the earlier hash under `accepted`; the lineage of all that
    is made later names both. The file's time stays, so nothing reruns.

    Parameters
    ----------
    stages : sequence of str
    tokens : mapping
        Stage -> text of the frozen parameters that the present configuration and code give.

    Returns
    -------
    dict
        Stage -> False if its results were made by the present code already.

    Raises
    ------
    InputError
        A run has locked the folder, there is no such stage, it has no results, or more than its code has changed.
    """
    if is_locked():
        raise InputError(
            f"{LOCKS}: a run works in this folder, so nothing is accepted; wait until it has ended, or unlock the folder of "
            "a killed one with `tuningfork run --unlock`"
        )
    made = Made()
    texts = {stage: _accepted(stage, tokens, made) for stage in dict.fromkeys(stages)}
    for stage, text in texts.items():
        if text is not None:
            path = Path(paths.PARAMETERS.format(stage=stage))
            times = path.stat()
            write_text(path, text)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    return {stage: text is not None for stage, text in texts.items()}


def _accepted(stage: str, tokens: Mapping[str, str], made: Made) -> str | None:
    """Return what the file of a stage must say for its results to be accepted, None if it need not change."""
    if stage not in tokens:
        raise InputError(f"{stage!r} is no stage; it is one of {', '.join(sorted(tokens))}")
    path = Path(paths.PARAMETERS.format(stage=stage))
    if not made.has_results(stage):
        raise InputError(f"{path}: the stage {stage} has no results in this folder that could be accepted")
    earlier, present = read_frozen(path), json.loads(tokens[stage])
    accepted = earlier.pop(ACCEPTED, [])
    if canonical(earlier) == tokens[stage]:
        return None
    if changed := _changes(earlier, present):
        raise InputError(
            f"{path}: more than the code of the stage {stage} has changed ({', '.join(changed)}), so its results are "
            "not those of the present configuration; run the workflow, which makes them anew"
        )
    entry = {"digest": frozen_digest(path), "source": earlier["source"]}
    return canonical(present | {ACCEPTED: [*accepted, entry]}) + "\n"


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
