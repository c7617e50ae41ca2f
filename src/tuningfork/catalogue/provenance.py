"""The origin of a catalogue: the frozen parameters of every stage, the models, the software."""

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tuningfork.core.errors import InputError
from tuningfork.core.files import read_json

RECORDED_PACKAGES = ("tuningfork", "torch", "galsim", "numpy", "astropy", "snakemake", "pyarrow")


def versions() -> dict[str, str]:
    """Return the versions of the packages on which the numbers depend."""
    return {package: version(package) for package in RECORDED_PACKAGES}


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


def facts(name: str, lineage: dict[str, str], cards: Sequence[Path]) -> dict[str, str]:
    """Return the provenance as the texts that go into a file's metadata.

    Parameters
    ----------
    name : str
        Name of the catalogue.
    lineage : dict
        Stage -> hash of its frozen parameters.
    cards : sequence of Path
        The cards of the models behind the catalogue.

    Returns
    -------
    dict
        Key -> text.
    """
    return {
        "tuningfork.name": name,
        "tuningfork.lineage": json.dumps(lineage, sort_keys=True),
        "tuningfork.models": json.dumps(models(cards), sort_keys=True),
        "tuningfork.versions": json.dumps(versions(), sort_keys=True),
    }
