"""Frozen stage parameters: all that a stage knows of the configuration, and the source that will run.

Snakemake re-reads the configuration in every cluster job and sees neither changed imports nor changed helpers.
So each stage gets one file params/<stage>.json, its frozen parameters; the stage's jobs take the file as input and
read nothing else of the configuration. Before Snakemake plans any job, the files are compared with the present
configuration and code (:mod:`tuningfork.core.stage.outdated`).
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tuningfork.core.config import Configuration, validate
from tuningfork.core.config.base import Section
from tuningfork.core.config.transfer import Transfer
from tuningfork.core.description import Description
from tuningfork.core.errors import InputError
from tuningfork.core.stage import paths
from tuningfork.core.stage.lineage import base_digest, same_digest
from tuningfork.core.stage.source import source_digest

S = TypeVar("S", bound=Section)
SURVEY = ("survey", "description")
NAMES = {"title", "flux_unit"}
MATCHED = ("table", "columns", "units", "extension", "match_radius")
"""Keys that say how a table of votes or of measurements is read and matched with the sources."""
STAGES: dict[str, tuple[str, ...]] = {
    "sources": ("seed", *SURVEY, "sources"),
    "tiles": ("seed", *SURVEY, "stamps"),
    "stamps": ("seed", *SURVEY, "stamps"),
    "simulate": ("seed", "imaging", "stamps", "simulate"),
    "pretrain": ("seed", "pretrain"),
    "match_measurements": tuple(f"train.structure.measurements.{key}" for key in MATCHED),
    "match_votes": tuple(f"train.morphology.votes.{key}" for key in ("vizier", "tap_url", "tree", *MATCHED)),
    "train-morphology": ("seed", "train.morphology"),
    "train-structure": ("seed", "train.structure"),
    "infer_held_out": ("infer",),
    "infer_held_out_structure": ("infer",),
    "calibrate_votes": (),
    "calibrate_structure": ("structure",),
    "calibrate_bars": ("seed", "calibrate.bars", "saliency", "bars.method"),
    "calibrate_features": ("seed", "calibrate.features", "features"),
    "evaluate_structure": ("structure",),
    "evaluate": ("seed", "evaluate", "saliency", "bars.method", "bars.min_probability", "features"),
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
REFUSAL = (
    "the stage {stage} reads {section}, which is not among its frozen parameters; declare it in STAGES "
    "(core/stage/parameters.py), or, if it only decides which jobs exist, leave it to the plan (plan.py)"
)
ACCEPTED = "accepted"
"""Key of a frozen file with the earlier parameters whose results were accepted, oldest first."""


@dataclass(frozen=True)
class Parameters:
    """The frozen parameters of one stage.

    Attributes
    ----------
    stage : str
    digest : str
        Hash of the frozen text; it is written into the metadata of every output.
    configuration : Configuration
        Only the parts named in `STAGES`; to read another one raises InputError.
    description : Description or None
        The survey's description, for the stages that read it; those that read only `imaging` see no names.
    folder : Path or None
        Where the frozen parameters of all stages are; None if these were not read from a file.
    """

    stage: str
    digest: str
    configuration: Configuration
    description: Description | None
    folder: Path | None = None

    def lineage(self, upstream: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the lineage of an output: that of its inputs and this stage's own hash.

        Parameters
        ----------
        upstream : mapping, optional
            Stage -> hash, as :func:`tuningfork.core.tables.lineage_of` returns it for the inputs.

        Returns
        -------
        dict
            Stage -> hash.

        Raises
        ------
        InputError
            An input was made with other parameters of a stage than the present ones, or these are missing.
        """
        lineage = dict(upstream or {})
        for stage, digest in lineage.items():
            current = self._current(stage)
            if current is None:
                continue
            if not current:
                raise InputError(
                    f"{self.folder}/{stage}.json is missing, by which {_file_of(stage, upstream)} was made; run again, and "
                    "the workflow writes it"
                )
            if not same_digest(current, digest):
                file = _file_of(stage, upstream)
                raise InputError(
                    f"{file} was made with other parameters of the stage {stage} ({digest}) than "
                    f"{self.folder}/{stage}.json has now ({current}); delete it and run again"
                )
            lineage[stage] = current
        return lineage | {self.stage: self.digest}

    def _current(self, stage: str) -> str | None:
        """Return the present hash of a stage's parameters, or if their file is missing, "" in a run and None elsewhere.

        A run is where the plan is; elsewhere a program was given the parameters of its own stage alone.
        """
        path = self.folder / f"{stage}.json" if self.folder else None
        if path is not None and path.is_file():
            return frozen_digest(path)
        return "" if self.folder and (self.folder.parent / Path(paths.PLAN).name).is_file() else None

    @property
    def survey(self) -> Description:
        """The survey's description, which the stage must have."""
        if self.description is None:
            raise InputError(
                f"the stage {self.stage} does not read the survey's description; declare it in STAGES "
                "(core/stage/parameters.py)"
            )
        return self.description


def _file_of(stage: str, upstream: Mapping[str, str] | None) -> str:
    """Return the file that has the hash of a stage in a lineage."""
    return str(getattr(upstream, "files", {}).get(stage, "an input"))


def freeze(
    configuration: Configuration,
    description: Description,
    root: Path,
    inputs: Mapping[str, Mapping[str, str]] | None = None,
    jobs: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, str]:
    """Return the text of params/<stage>.json for every stage.

    Parameters
    ----------
    configuration : Configuration
    description : Description
    root : Path
        The root of the repository, with one program a stage in scripts/ and the rules in workflow/rules/.
    inputs : mapping, optional
        Stage -> input -> hash of the user's own files that the stage reads.
    jobs : mapping, optional
        Stage -> name -> what its jobs gather, such as the shards of the catalogue.

    Returns
    -------
    dict
        Stage -> text.
    """
    facts = {"inputs": inputs or {}, "jobs": jobs or {}}
    texts = {}
    for stage in STAGES:
        frozen: dict[str, Any] = {
            "stage": stage,
            "source": source_digest(root, stage, configuration.survey.name),
            "values": {part: _value(part, configuration, description) for part in STAGES[stage]},
        }
        frozen |= {key: dict(of_stage[stage]) for key, of_stage in facts.items() if of_stage.get(stage)}
        texts[stage] = canonical(frozen)
    return texts


def canonical(frozen: Mapping[str, Any]) -> str:
    """Return frozen parameters as text: the same whatever the order of the keys."""
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
        if not _plans(field):
            value = getattr(section, name)
            values[name] = without_plan(value) if isinstance(value, BaseModel) else value
    return values


def _plans(field: FieldInfo) -> bool:
    """Return whether a key only decides which jobs exist."""
    return isinstance(field.json_schema_extra, dict) and bool(field.json_schema_extra.get("plan"))


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


def read_frozen(path: str | Path) -> dict[str, Any]:
    """Return the content of params/<stage>.json.

    Raises
    ------
    InputError
        The file is missing or was not written by this pipeline.
    """
    try:
        frozen: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(frozen["stage"], str) or not isinstance(frozen["values"], dict):
            raise ValueError("stage and values are missing")
        if not all(isinstance(entry[key], str) for entry in frozen.get(ACCEPTED, []) for key in ("digest", "source")):
            raise ValueError(f"{ACCEPTED} must give texts")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: no frozen parameters of a stage ({error}); run the workflow, which writes them"
        ) from None
    return frozen


def frozen_digest(path: str | Path) -> str:
    """Return the hash of the frozen parameters in the file `path`, as a lineage has it.

    Results that were accepted under new parameters keep their hash; the lineage then says `<earlier>+<present>`.

    Raises
    ------
    InputError
        The file is missing or was not written by this pipeline.
    """
    return _digest(read_frozen(path))


def token_digest(token: str) -> str:
    """Return the hash of the frozen parameters that a token is the text of, as a lineage has it."""
    return _digest(json.loads(token))


def _digest(frozen: Mapping[str, Any]) -> str:
    plain = {key: value for key, value in frozen.items() if key != ACCEPTED}
    digest = hashlib.sha256(canonical(plain).encode()).hexdigest()[:16]
    earlier = frozen.get(ACCEPTED)
    return f"{base_digest(earlier[0]['digest'])}+{digest}" if earlier else digest


def read_parameters(path: str | Path) -> Parameters:
    """Return the frozen parameters in the file `path`.

    Raises
    ------
    InputError
        The file is missing or was not written by this pipeline.
    """
    frozen = read_frozen(path)
    values: dict[str, Any] = dict(frozen["values"])
    parts = _paths(values)
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
    configuration = _declared(frozen["stage"], validate(tree), parts)
    return Parameters(
        frozen["stage"],
        _digest(frozen),
        configuration,
        Description.model_validate(description) if description else None,
        Path(path).parent,
    )


def _paths(values: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the keys of the configuration that frozen values stand for; of the surveys the chosen one."""
    paths = [tuple(part.split(".")) for part in values if part != "survey"]
    return [*paths, *(("survey", key) for key in values.get("survey", {}))]


def _declared(stage: str, section: S, parts: Collection[tuple[str, ...]], above: tuple[str, ...] = ()) -> S:
    """Return the section with those keys alone that a stage declares; to read another one raises InputError."""
    values: dict[str, Any] = {}
    for name, field in type(section).model_fields.items():
        value, path = getattr(section, name), (*above, name)
        whole = any(path[: len(part)] == part for part in parts)
        if (whole and not _plans(field)) or any(part[: len(path)] == path for part in parts):
            values[name] = _declared(stage, value, parts, path) if isinstance(value, Section) else value
    if values == section.__dict__:
        return section
    return section.restricted(values, REFUSAL.format(stage=stage, section=".".join([*above, "{key}"])))
