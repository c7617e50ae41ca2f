"""The plan of a run: which shards, parts and members there are, and the frozen text of every stage's parameters.

The main process computes the plan and writes it to results/plan.json; a cluster job reads that file and nothing
of the configuration, so an edit of the configuration during a run cannot reach it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuningfork.core.errors import ConfigurationError, InputError, TuningforkError
from tuningfork.core.files import read_json, write_json
from tuningfork.core.stage import paths

if TYPE_CHECKING:  # A cluster job, which only reads the plan, should start quickly.
    from tuningfork.core.config import Configuration
    from tuningfork.core.description import Description
    from tuningfork.sky.shards import Shard

TASKS = ("morphology", "structure")
SAMPLED_SHARDS = 8
"""Shards whose stamps are used for explanations, report and labels of a large survey."""
NETWORKS = ("morphology_members", "structure_members")
GATHERED: dict[str, tuple[str, ...]] = {
    "pretrain": ("parts", "pretraining"),
    "match_measurements": ("measured",),
    "match_votes": ("voted",),
    "train-morphology": ("parts", "with_votes", "with_labels"),
    "train-structure": ("parts", "with_measurements"),
    "infer_held_out": ("parts", "with_votes", "morphology_members"),
    "infer_held_out_structure": ("parts", "structure_members"),
    "calibrate_votes": ("parts", "with_votes"),
    "calibrate_structure": ("parts",),
    "calibrate_bars": ("parts", "morphology_members"),
    "calibrate_features": ("parts", "morphology_members"),
    "evaluate_structure": ("parts",),
    "evaluate": ("parts", "with_votes", "morphology_members"),
    "audit_votes": ("voted",),
    "infer_morphology": ("morphology_members",),
    "infer_structure": ("structure_members",),
    "saliency": ("morphology_members",),
    "feature_maps": ("morphology_members",),
    "inject": ("morphology_members",),
    "selection_function": ("injected",),
    "catalogue": ("shards", *NETWORKS),
    "explain": ("sample", "morphology_members"),
    "report": ("sample", "injected", *NETWORKS),
    "queue_labels": ("sample",),
}
"""Stage -> the lists of the plan that decide which files its jobs take (see :meth:`Plan.gathered`): when such a list
changes, what the stage made from the earlier one is outdated, even if every file was there before."""


@dataclass(frozen=True)
class Plan:
    """What exists in a run.

    Attributes
    ----------
    shards : list of str
    parts : list of str
        Parts of the training set.
    members : dict
        Task -> numbers of the ensemble's members.
    threads : dict
        pretrain, morphology and structure -> threads of that training.
    tokens : dict
        Stage -> text of its frozen parameters.
    pretraining : list of str
        Shards whose stamps the encoder learns from.
    from_encoder : list of str
        Tasks whose training starts from the pretrained encoder.
    measured : list of str
        Shards in which galaxies lie that the user has measured.
    voted : list of str
        Shards in which galaxies are looked up that volunteers have voted on.
    injected : list of str
        Shards into whose images simulated galaxies are put.
    labels : bool
        Whether an astronomer's votes are there to learn from.
    transfer : dict
        The section `transfer`: how jobs deal with services, and the cache.
    """

    shards: list[str]
    parts: list[str]
    members: dict[str, list[str]]
    threads: dict[str, int]
    tokens: dict[str, str]
    pretraining: list[str]
    from_encoder: list[str]
    measured: list[str]
    injected: list[str]
    voted: list[str]
    labels: bool
    transfer: dict[str, Any]

    @property
    def sample(self) -> list[str]:
        """At most `SAMPLED_SHARDS` shards, evenly spread over the list."""
        return spread(self.shards, SAMPLED_SHARDS)

    def gathered(self, stage: str) -> dict[str, str]:
        """Return name -> hash of the lists of `GATHERED` that decide which files the jobs of a stage take."""
        lists = {
            **{
                name: getattr(self, name)
                for name in ("shards", "parts", "pretraining", "measured", "voted", "injected")
            },
            "sample": self.sample,
            "morphology_members": self.members["morphology"],
            "structure_members": self.members["structure"],
            "with_votes": ["yes"] if self.voted else [],
            "with_measurements": ["yes"] if self.measured else [],
            "with_labels": ["yes"] if self.labels else [],
        }
        return {name: _digest_of_list(lists[name]) for name in GATHERED.get(stage, ())}


def _digest_of_list(names: list[str]) -> str:
    """Return the number of names and a hash: thousands of shards would not fit into the command of a job."""
    return f"{len(names)} {hashlib.sha256(' '.join(names).encode()).hexdigest()[:16]}"


def spread(shards: list[str], number: int) -> list[str]:
    """Return at most `number` of the shards, evenly spread over the list."""
    return shards[:: max(1, -(-len(shards) // number))]


def plan_files(files: Sequence[str | Path], settings: Sequence[str], root: Path) -> Plan:
    """Read and check configuration files and return the plan that follows from them.

    Parameters
    ----------
    files : sequence of str or Path
        What a later file says replaces what an earlier one says.
    settings : sequence of str
        `key=value` of the command line, which go before the files.
    root : Path
        The root of the repository.

    Returns
    -------
    Plan

    Raises
    ------
    ConfigurationError
        As of :func:`plan_run`, with the file and line of the key.
    """
    from tuningfork.core.config.load import read_all, validate

    document = read_all(files, settings)
    configuration = validate(document.values, document.places)
    with document.naming_places():
        return plan_configuration(configuration, root)


def plan_run(values: Mapping[str, Any], root: Path) -> Plan:
    """Check the values of a configuration and return the plan that follows from them.

    Parameters
    ----------
    values : mapping
        The configuration as read from YAML.
    root : Path
        The root of the repository.

    Raises
    ------
    ConfigurationError
        Anything about the configuration, or about the user's images and table that it names, is wrong.
    """
    # Imported here for the same reason.
    from tuningfork.core.config import validate

    return plan_configuration(validate(values), root)


def plan_configuration(configuration: "Configuration", root: Path) -> Plan:
    """Return the plan of a checked configuration; raises ConfigurationError if a file that it names is wrong."""
    from tuningfork.core.config.reading.paths import require_paths
    from tuningfork.core.description import describe
    from tuningfork.core.stage.parameters import STAGES, freeze

    require_paths(configuration)
    description = describe(configuration, root / "config" / "surveys")
    inputs = _inputs(configuration, description)
    jobs = _jobs(configuration, description)
    gathered = {stage: jobs.gathered(stage) for stage in STAGES}
    return replace(jobs, tokens=freeze(configuration, description, root, inputs, gathered))


def _inputs(configuration: "Configuration", description: "Description") -> dict[str, dict[str, str]]:
    """Return stage -> input -> hash of the user's own files that the stage reads."""
    from tuningfork.networks.compact import start_digest
    from tuningfork.surveys.inputs import inputs_of

    inputs = inputs_of(configuration, description)
    for task in TASKS:
        if digest := start_digest(task, getattr(configuration.train, task).start, description.bands):
            inputs.setdefault(f"train-{task}", {})["start"] = digest
    return inputs


def _jobs(configuration: "Configuration", description: "Description") -> Plan:
    """Return which jobs there are, without their tokens."""
    from tuningfork.surveys.area import shards_of, shards_of_measurements

    simulate, selection, train = configuration.simulate, configuration.selection, configuration.train
    shards = shards_of(configuration, description)
    names = [shard.name for shard in shards]
    return Plan(
        shards=names,
        parts=[str(part) for part in range(simulate.parts)],
        members={task: [str(member) for member in range(getattr(train, task).members)] for task in TASKS},
        threads={
            **{task: getattr(train, task).threads for task in TASKS},
            "pretrain": configuration.pretrain.threads,
        },
        tokens={},
        pretraining=_pretraining(configuration),
        from_encoder=[task for task in TASKS if getattr(train, task).start == "pretrained"],
        measured=[shard.name for shard in shards_of_measurements(configuration, shards)],
        voted=_voted(configuration, shards),
        injected=spread(names, selection.shards) if selection.galaxies else [],
        labels=Path(paths.VOTES).is_file(),
        transfer=configuration.transfer.model_dump(),
    )


def _voted(configuration: "Configuration", shards: "Sequence[Shard]") -> list[str]:
    if not configuration.train.morphology.votes.wanted:
        return []
    from tuningfork.surveys.lists.labels.votes import shards_with_votes

    return [shard.name for shard in shards_with_votes(configuration.train.morphology.votes, shards)]


def _pretraining(configuration: "Configuration") -> list[str]:
    from tuningfork.sky.shards import Shard

    try:
        return [Shard.parse(name).name for name in configuration.pretrain.shards]
    except InputError as error:
        raise ConfigurationError(f"pretrain.shards: {error}") from None


def read_plan() -> Plan:
    """Return the plan of the run that this job belongs to.

    Raises
    ------
    InputError
        There is none.
    """
    try:
        return Plan(**read_json(paths.PLAN))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"{paths.PLAN}: not the plan of a run ({error}); start the workflow, which writes it"
        ) from None


def write_plan(plan: Plan) -> None:
    """Write the plan for the jobs of this run, unless it is there already.

    Raises
    ------
    TuningforkError
        The disk is full, or the folder cannot be written to.
    """
    path = Path(paths.PLAN)
    text = json.dumps(asdict(plan), indent=2, sort_keys=True) + "\n"
    try:
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_json(path, asdict(plan))
    except (OSError, UnicodeDecodeError) as error:
        raise TuningforkError(
            f"{path}: cannot be written ({error}); free some space or change its permissions"
        ) from None
