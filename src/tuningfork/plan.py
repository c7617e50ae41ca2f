"""The plan of a run: which shards, parts and members there are, and the frozen text of every stage's parameters.

The main process computes the plan and writes it to results/plan.json; a cluster job reads that file and nothing
of the configuration, so an edit of the configuration during a run cannot reach it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tuningfork.core.errors import InputError
from tuningfork.core.files import read_json, write_json
from tuningfork.core.stage import paths

TASKS = ("morphology", "structure")
SAMPLE = 8
"""Shards whose stamps are used for explanations, report and labels of a large survey."""


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
        Shards in which galaxies are looked up that people have voted on.
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
        """At most `SAMPLE` shards, evenly spread over the list."""
        return spread(self.shards, SAMPLE)


def spread(shards: list[str], number: int) -> list[str]:
    """Return at most `number` of the shards, evenly spread over the list."""
    return shards[:: max(1, -(-len(shards) // number))]


def plan_run(values: Mapping[str, Any], root: Path) -> Plan:
    """Check the configuration and return the plan that follows from it.

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
    # Imported here because a cluster job, which only reads the plan, should start quickly.
    from tuningfork.core.config import validate
    from tuningfork.core.description import describe
    from tuningfork.core.stage.parameters import freeze
    from tuningfork.networks.compact import start_digest
    from tuningfork.surveys.area import shards_of, shards_of_measurements
    from tuningfork.surveys.inputs import inputs_of
    from tuningfork.surveys.lists.labels.votes import shards_with_votes

    configuration = validate(values)
    description = describe(configuration, root / "config" / "surveys")
    inputs = inputs_of(configuration, description)
    starts = {task: getattr(configuration.train, task).start for task in TASKS}
    for task, start in starts.items():
        if digest := start_digest(task, start):
            inputs.setdefault(f"train-{task}", {})["start"] = digest
    shards = shards_of(configuration, description)
    selection = configuration.selection
    parts = -(-configuration.simulate.size // configuration.simulate.galaxies_per_part)
    members = {task: getattr(configuration.train, task).members for task in TASKS}
    return Plan(
        shards=[shard.name for shard in shards],
        parts=[str(part) for part in range(parts)],
        members={task: [str(member) for member in range(number)] for task, number in members.items()},
        threads={task: getattr(configuration.train, task).threads for task in TASKS}
        | {"pretrain": configuration.pretrain.threads},
        tokens=freeze(configuration, description, root / "scripts", inputs),
        pretraining=_pretraining(configuration),
        from_encoder=[task for task, start in starts.items() if start == "pretrained"],
        measured=[shard.name for shard in shards_of_measurements(configuration, shards)],
        voted=[shard.name for shard in shards_with_votes(configuration.train.morphology.votes, shards)],
        injected=spread([shard.name for shard in shards], selection.shards) if selection.galaxies else [],
        labels=Path(paths.VOTES).is_file(),
        transfer=configuration.transfer.model_dump(),
    )


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
    """Write the plan for the jobs of this run, unless it is there already."""
    path = Path(paths.PLAN)
    if (
        not path.is_file()
        or path.read_text(encoding="utf-8") != json.dumps(asdict(plan), indent=2, sort_keys=True) + "\n"
    ):
        write_json(path, asdict(plan))


def _pretraining(configuration: Any) -> list[str]:
    from tuningfork.core.errors import ConfigurationError
    from tuningfork.sky.shards import Shard

    try:
        return [Shard.parse(name).name for name in configuration.pretrain.shards]
    except InputError as error:
        raise ConfigurationError(f"pretrain.shards: {error}") from None
