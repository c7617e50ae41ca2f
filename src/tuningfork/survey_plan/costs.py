"""Jobs, bytes, time and disk of a run."""

from dataclasses import dataclass

from tuningfork.core.columns import published
from tuningfork.core.config import Configuration
from tuningfork.core.description import Description
from tuningfork.core.stage.parameters import STAGES
from tuningfork.survey_plan.figure import Figure
from tuningfork.survey_plan.previous_run import PreviousRun
from tuningfork.survey_plan.work import JOB_START, StageTime, amounts, built_in_times, chain, pretrains

PER_SHARD = (
    "sources",
    "tiles",
    "stamps",
    "infer_morphology",
    "infer_structure",
    "classify",
    "structure",
    "saliency",
    "feature_maps",
    "bars",
    "features",
)
"""Stages with one job per shard."""
MANY_JOBS = ("simulate", "pretrain", "train-morphology", "train-structure", "inject")
"""Stages whose number of jobs follows from the configuration."""
WITHOUT_PARAMETERS = ("publish", "all")
"""Jobs that exist once and have no frozen parameters."""
PLANNED, PLANNED_BYTES = 1.9e-3, 31e3
"""Seconds and bytes that Snakemake takes to plan a job."""
STAMP_BYTES = 4
MAP_BYTES = 2
CATALOGUE_COPIES = 3
"""The catalogue is written as HATS and as one file, and the stages keep their parts."""
COMPRESSED = 0.8
"""Size of a compressed column relative to the plain one."""


@dataclass(frozen=True)
class Costs:
    """What a run takes.

    Attributes
    ----------
    images : Figure
    fetched : Figure
        Bytes that are transferred; zero for surveys that need no network.
    jobs : int
    transfer, computing, chain : float
        Seconds: of the transfers; of all computing on one core; of the longest chain of jobs that cannot run side by
        side.
    stages : dict
        Stage -> time of one core.
    cache, stamps, training, catalogue : float
        Bytes on disk.
    """

    images: Figure
    fetched: Figure
    jobs: int
    transfer: float
    computing: float
    chain: float
    stages: dict[str, StageTime]
    cache: float
    stamps: float
    training: float
    catalogue: float


def costs(
    configuration: Configuration,
    description: Description,
    *,
    shards: int,
    tiles: Figure,
    galaxies: Figure,
    bandwidth: float,
    previous: PreviousRun | None = None,
) -> Costs:
    """Return what a run takes.

    Parameters
    ----------
    configuration : Configuration
    description : Description
    shards : int
    tiles, galaxies : Figure
    bandwidth : float
        Bytes per second that come from the service, all connections together.
    previous : PreviousRun, optional
        Times of a previous run, which replace the built-in speeds of the stages that it measured.

    Returns
    -------
    Costs
    """
    bands, size = len(description.bands), configuration.stamps.size
    images = tiles.times(bands)
    local = configuration.survey.name in {"simulated", "folder"}
    tile_bytes = _tile_bytes(configuration, description)
    stored = tiles.times(tile_bytes or 0.0) if tile_bytes is not None else Figure(None)
    fetched = Figure(0.0) if local else stored
    # One request per file, and a tile has at least one file per band.
    transfer = 0.0 if local else max(fetched.number / bandwidth, images.number / configuration.transfer.rate)
    stamp = 2 * bands * size**2 * STAMP_BYTES
    members = configuration.train.morphology.members
    jobs = count_jobs(configuration, shards)
    stages = stage_times(configuration, shards, galaxies.number, previous)
    return Costs(
        images=images,
        fetched=fetched,
        jobs=jobs,
        transfer=transfer,
        computing=sum(stage.seconds for stage in stages.values()),
        chain=chain(configuration) + JOB_START * len(STAGES),
        stages=stages,
        cache=min(stored.number, configuration.transfer.cache_size * 1e9),
        stamps=galaxies.number * (stamp + members * size**2 * MAP_BYTES),
        training=configuration.simulate.size * stamp,
        catalogue=galaxies.number * _row_bytes(description) * CATALOGUE_COPIES,
    )


def stage_times(
    configuration: Configuration, shards: int, galaxies: float, previous: PreviousRun | None
) -> dict[str, StageTime]:
    """Return what each stage takes, with the start of its jobs.

    Parameters
    ----------
    configuration : Configuration
    shards : int
    galaxies : float
        Number of sources.
    previous : PreviousRun or None
        Times of a previous run.

    Returns
    -------
    dict
        Stage -> time of one core; `other` is the start of all jobs without an entry of their own.
    """
    work = amounts(configuration, galaxies, _injected(configuration, shards))
    jobs = jobs_of_stages(configuration, shards)
    measured = previous.times(work) if previous else {}
    computed = {
        stage: StageTime(time.seconds + JOB_START * jobs.get(stage, 0))
        for stage, time in built_in_times(configuration, work).items()
        if stage not in measured
    }
    other = sum(number for stage, number in jobs.items() if stage not in measured and stage not in computed)
    return measured | computed | {"other": StageTime(JOB_START * other)}


def count_jobs(configuration: Configuration, shards: int) -> int:
    """Return how many jobs Snakemake has when nothing is there yet."""
    return sum(jobs_of_stages(configuration, shards).values())


def jobs_of_stages(configuration: Configuration, shards: int) -> dict[str, int]:
    """Return how many jobs each stage has when nothing is there yet; `parameters` has one per stage with a job."""
    train = configuration.train
    jobs = {stage: shards for stage in PER_SHARD if stage in STAGES}
    jobs |= {stage: 1 for stage in STAGES if stage not in PER_SHARD and stage not in MANY_JOBS}
    jobs |= _optional_jobs(configuration, shards)
    jobs = {stage: number for stage, number in jobs.items() if number}
    # Each task of training has frozen parameters of its own, and so has the training set.
    parameters = len(jobs) + 3
    return jobs | {
        "simulate": configuration.simulate.parts,
        "train": train.morphology.members + train.structure.members,
        "parameters": parameters,
        **dict.fromkeys(WITHOUT_PARAMETERS, 1),
    }


def _optional_jobs(configuration: Configuration, shards: int) -> dict[str, int]:
    """Return the number of jobs of the stages that not every run has."""
    train, injected = configuration.train, _injected(configuration, shards)
    votes = int(train.morphology.votes.table is not None or train.morphology.votes.vizier is not None)
    measurements = int(train.structure.measurements.table is not None)
    optional = {
        "pretrain": int(pretrains(configuration)),
        "match_measurements": measurements,
        "match_votes": votes,
        "inject": injected,
        "selection": int(injected > 0),
        "selection_function": int(injected > 0),
    }
    return {stage: number for stage, number in optional.items() if stage in STAGES}


def _injected(configuration: Configuration, shards: int) -> int:
    """Return the number of shards into which galaxies are injected."""
    return min(configuration.selection.shards, shards) if configuration.selection.galaxies else 0


def _tile_bytes(configuration: Configuration, description: Description) -> float | None:
    if configuration.survey.name == "simulated":
        return len(description.bands) * 4.0 * configuration.survey.simulated.tile_size**2
    if configuration.survey.name == "folder":
        return 0.0
    return None if description.tile_megabytes is None else description.tile_megabytes * 1e6


def _row_bytes(description: Description) -> float:
    widths = [
        getattr(column.dtype, "bit_width", 8) if _fixed(column.dtype) else 64 for column in published(description.bands)
    ]
    return COMPRESSED * sum(widths) / 8


def _fixed(dtype: object) -> bool:
    try:
        return bool(dtype.bit_width)  # type: ignore[attr-defined]
    except ValueError:
        return False
