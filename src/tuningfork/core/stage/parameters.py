"""Frozen stage parameters: all that a stage knows of the configuration, and the source that will run.

Snakemake re-reads the configuration in every cluster job and sees neither changed imports nor changed helpers.
So each stage gets one file params/<stage>.json, whose text is the only parameter of the rule that writes it; the
stage's jobs take the file as input and read nothing else.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tuningfork.core.config import Configuration, validate
from tuningfork.core.config.transfer import Transfer
from tuningfork.core.description import Description
from tuningfork.core.errors import InputError
from tuningfork.core.stage.source import source_digest

SURVEY = ("survey", "description")
NAMES = {"title", "flux_unit"}
STAGES: dict[str, tuple[str, ...]] = {
    "sources": ("seed", *SURVEY, "sources"),
    "tiles": ("seed", *SURVEY, "stamps"),
    "stamps": ("seed", *SURVEY, "stamps"),
    "simulate": ("seed", "imaging", "stamps", "simulate"),
    "pretrain": ("seed", "pretrain"),
    "match_measurements": tuple(f"train.structure.measurements.{key}" for key in ("table", "columns", "match_radius")),
    "match_votes": tuple(
        f"train.morphology.votes.{key}" for key in ("table", "vizier", "tap_url", "tree", "columns", "match_radius")
    ),
    "train-morphology": ("seed", "train.morphology"),
    "train-structure": ("seed", "train.structure"),
    "infer_held_out": ("infer",),
    "infer_held_out_structure": ("infer",),
    "calibrate_votes": (),
    "calibrate_structure": ("structure",),
    "calibrate_bars": ("seed", "calibrate.bars", "saliency", "bars.method"),
    "calibrate_features": ("seed", "calibrate.features", "features"),
    "evaluate_structure": ("structure",),
    "evaluate": ("seed", "evaluate", "saliency", "bars.method", "bars.min_fraction", "features"),
    "audit_votes": ("seed",),
    "infer_morphology": ("infer",),
    "infer_structure": ("infer",),
    "classify": (),
    "structure": ("structure",),
    "saliency": ("seed", "saliency"),
    "bars": ("bars",),
    "feature_maps": ("seed", "features"),
    "features": (),
    "inject": ("seed", *SURVEY, "stamps", "simulate.population", "infer", "saliency", "bars", "selection"),
    "selection_function": ("seed",),
    "catalogue": ("catalogue", "description"),
    "explain": ("seed", "explain"),
    "report": ("report",),
    "queue_labels": ("label",),
}
"""The parts of the configuration that each stage reads; `description` is the survey's YAML file, and `imaging` what
it says of the images: surveys with the same kind of images share training sets and networks."""


@dataclass(frozen=True)
class Parameters:
    """The frozen parameters of one stage.

    Attributes
    ----------
    stage : str
    digest : str
        Hash of the frozen text; it is written into the metadata of every output.
    configuration : Configuration
        Only the parts named in `STAGES` carry the user's values.
    description : Description or None
        The survey's description, for the stages that read it; those that read only `imaging` see no names.
    """

    stage: str
    digest: str
    configuration: Configuration
    description: Description | None

    def lineage(self, upstream: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the lineage of an output: that of its inputs and this stage's own hash."""
        return dict(upstream or {}) | {self.stage: self.digest}

    @property
    def survey(self) -> Description:
        """The survey's description, which the stage must have."""
        if self.description is None:
            raise InputError(
                f"the stage {self.stage} does not read the survey's description; add it in core/parameters.py"
            )
        return self.description


def freeze(
    configuration: Configuration,
    description: Description,
    scripts: Path,
    inputs: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, str]:
    """Return the text of params/<stage>.json for every stage.

    Parameters
    ----------
    configuration : Configuration
    description : Description
    scripts : Path
        The folder with one program a stage.
    inputs : mapping, optional
        Stage -> input -> hash of the user's own files that the stage reads.
    """
    inputs = inputs or {}
    return {stage: _text(stage, configuration, description, scripts, inputs.get(stage, {})) for stage in STAGES}


def _text(
    stage: str, configuration: Configuration, description: Description, scripts: Path, inputs: Mapping[str, str]
) -> str:
    values = {part: _value(part, configuration, description) for part in STAGES[stage]}
    program = scripts / f"{stage.split('-')[0]}.py"
    frozen = {"stage": stage, "source": source_digest(program), "values": values}
    if inputs:
        frozen["inputs"] = dict(inputs)
    return json.dumps(frozen, sort_keys=True, separators=(",", ":"))


def _value(part: str, configuration: Configuration, description: Description) -> Any:
    if part == "description":
        return without_plan(description)
    if part == "imaging":
        return {name: value for name, value in without_plan(description).items() if name not in NAMES}
    if part == "survey":
        name = configuration.survey.name
        return {"name": name, name: without_plan(getattr(configuration.survey, name))}
    value: Any = configuration
    for key in part.split("."):
        value = getattr(value, key)
    return without_plan(value) if isinstance(value, BaseModel) else value


def without_plan(section: BaseModel) -> dict[str, Any]:
    """Return the values of a section without the keys that only decide which jobs exist."""
    values: dict[str, Any] = {}
    for name, field in type(section).model_fields.items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        if not extra.get("plan"):
            value = getattr(section, name)
            values[name] = without_plan(value) if isinstance(value, BaseModel) else value
    return values


def read_transfer(plan: str | Path) -> Transfer:
    """Return the section `transfer` of the run that wrote the plan `plan`.

    It is no frozen parameter of any stage, because it changes no result; a job reads it beside its parameters.

    Raises
    ------
    InputError
        The file is missing or was not written by this pipeline.
    """
    try:
        return Transfer.model_validate(json.loads(Path(plan).read_text(encoding="utf-8"))["transfer"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{plan}: not the plan of a run ({error}); start the workflow, which writes it") from None


def read_parameters(path: str | Path) -> Parameters:
    """Return the frozen parameters in the file `path`.

    Raises
    ------
    InputError
        The file is missing or was not written by this pipeline.
    """
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
        frozen = json.loads(text)
        values: dict[str, Any] = frozen["values"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: no frozen parameters of a stage ({error}); run the workflow, which writes them"
        ) from None
    description = values.pop("description", None)
    if "imaging" in values:
        description = dict.fromkeys(NAMES, "") | values.pop("imaging")
    tree: dict[str, Any] = {}
    for part, value in values.items():
        branch = tree
        *above, last = part.split(".")
        for key in above:
            branch = branch.setdefault(key, {})
        branch[last] = value
    return Parameters(
        frozen["stage"],
        hashlib.sha256(text.encode()).hexdigest()[:16],
        validate(tree),
        Description.model_validate(description) if description else None,
    )
