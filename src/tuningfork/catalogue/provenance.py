"""The origin of a catalogue: the frozen parameters of every stage, the models, the software."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tuningfork.core.errors import InputError
from tuningfork.core.files import read_json
from tuningfork.core.stage.software import versions

INTERVALS_KEY = "tuningfork.intervals"


def models(cards: Sequence[Path]) -> list[dict[str, Any]]:
    """Return name, task and the hash of the weights of each model card.

    Raises
    ------
    InputError
        A card is missing or is no model card.
    """
    entries = []
    for path in cards:
        try:
            card = read_json(path)
            entries.append(
                {
                    "model": f"{path.parent.name}/{path.stem}",
                    "task": card["task"],
                    "weights_sha256": card["weights_sha256"],
                }
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: not a model card ({error!r}); delete it and run again") from None
    return entries


def intervals(structure: Sequence[Path]) -> str:
    """Return, as JSON, how wide the 95 % intervals of the profile parameters are in units of their errors.

    Parameters
    ----------
    structure : sequence of Path
        Tables of the stage structure; they share one calibration.

    Returns
    -------
    str
        See :func:`tuningfork.measure.structure.intervals.published_widths`; empty for tables of an earlier version.
    """
    return str((pq.read_schema(structure[0]).metadata or {}).get(INTERVALS_KEY.encode(), b"{}").decode())


def facts(
    name: str, lineage: dict[str, str], cards: Sequence[Path], accepted: Mapping[str, Sequence[str]] | None = None
) -> dict[str, str]:
    """Return the provenance as the texts that go into a file's metadata.

    Parameters
    ----------
    name : str
        Name of the catalogue.
    lineage : dict
        Stage -> hash of its frozen parameters.
    cards : sequence of Path
        The cards of the models behind the catalogue.
    accepted : mapping, optional
        Stage -> hashes of the earlier code whose results were kept after an upgrade (`tuningfork accept`).

    Returns
    -------
    dict
        Key -> text.
    """
    return {
        "tuningfork.name": name,
        "tuningfork.lineage": json.dumps(lineage, sort_keys=True),
        "tuningfork.accepted": json.dumps(accepted or {}, sort_keys=True),
        "tuningfork.models": json.dumps(models(cards), sort_keys=True),
        "tuningfork.versions": json.dumps(versions(), sort_keys=True),
    }
