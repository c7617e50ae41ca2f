"""Jobs, bytes, time and disk of a run."""

from dataclasses import dataclass

from tuningfork.core.columns import published
from tuningfork.core.config import Configuration
from tuningfork.core.description import Description
from tuningfork.core.stage.parameters import STAGES
from tuningfork.survey_plan.figure import Figure

PER_SHARD = ("sources", "tiles", "stamps", "classify", "structure", "saliency", "bars", "features")
ONCE = ("profiles", "agreement", "evaluate", "bias", "explain", "catalogue", "report", "label", "all")
# What one core does in a second (docs/scale.md).
TRAINED = 300.0
"""Stamps, forward and backward."""
EVIDENCE = 3.0
"""How much longer a stamp takes where the network learns what its evidence for a bar is."""
PREDICTED = 950.0
"""Stamps, forward only, in one orientation."""
MAPS, MAP_SAMPLES = 11.0, 32
"""Saliency maps of so many noisy copies."""
CUT = 1000.0
"""Stamps, all bands; reading of the tiles included."""
MEASURED = 1500.0
"""Bars, one on each saliency map."""
OUTLINED = 150.0
"""Bulges and masks of arms."""
FITTED = 60.0
"""Light profiles."""
SIMULATED = 1 / 0.007
"""Galaxies of the training set."""
LEARNT = 0.8
"""Share of the training set that is learnt from; the rest is for validation and test."""
STARTED = 4.0
"""Seconds until a job's program runs."""
PLANNED, PLANNED_BYTES = 1.9e-3, 31e3
"""Seconds and bytes that Snakemake takes to plan a job."""
STAMP_BYTES = 4
MAP_BYTES = 2
COPIES = 3
"""The catalogue is written as HATS and as one file, and the stages keep their parts."""
COMPRESSED = 0.8


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
        Seconds: of the transfers, of all computing on one core, and of the training set and the networks when
        everything that can run side by side does so.
    cache, stamps, training, catalogue : float
        Bytes on disk.
    """

    images: Figure
    fetched: Figure
    jobs: int
    transfer: float
    computing: float
    chain: float
    cache: float
    stamps: float
    training: float
    catalogue: float


def costs(
    configuration: Configuration,
    description: Description,
    shards: int,
    tiles: Figure,
    galaxies: Figure,
    bandwidth: float,
) -> Costs:
    """Return what a run takes.

    Parameters
    ----------
    configuration : Configuration
    description : Description
    shards : int
    tiles, galaxies : Figure
    bandwidth : float
        Bytes a second that come from the service, all connections together.
    """
    bands, size = len(description.bands), configuration.stamps.size
    images = tiles.times(bands)
    jobs = count_jobs(configuration, shards)
    local = configuration.survey.name in {"simulated", "folder"}
    tile_bytes = _tile_bytes(configuration, description)
    stored = tiles.times(tile_bytes or 0.0) if tile_bytes is not None else Figure(None)
    fetched = Figure(0.0) if local else stored
    # One request a file, and a tile has at least one file a band.
    transfer = 0.0 if local else max(fetched.number / bandwidth, images.number / configuration.transfer.rate)
    stamp = 2 * bands * size**2 * STAMP_BYTES
    members = configuration.train.morphology.members
    return Costs(
        images=images,
        fetched=fetched,
        jobs=jobs,
        transfer=transfer,
        computing=_per_galaxy(configuration) * galaxies.number + _networks(configuration) + STARTED * jobs,
        chain=_chain(configuration),
        cache=min(stored.number, configuration.transfer.cache_size * 1e9),
        stamps=galaxies.number * (stamp + members * size**2 * MAP_BYTES),
        training=configuration.simulate.size * stamp,
        catalogue=galaxies.number * _row_bytes(description) * COPIES,
    )


def count_jobs(configuration: Configuration, shards: int) -> int:
    """Return how many jobs Snakemake has when nothing is there yet."""
    parts = -(-configuration.simulate.size // configuration.simulate.galaxies_per_part)
    members = configuration.train.morphology.members + configuration.train.structure.members
    optional = _optional_jobs(configuration, shards)
    frozen = len(STAGES) - sum(number == 0 for number in optional.values())
    return len(PER_SHARD) * shards + frozen + parts + members + len(ONCE) + sum(optional.values())


def _optional_jobs(configuration: Configuration, shards: int) -> dict[str, int]:
    """Return the number of jobs of the stages that not every run has; without one it has no parameters either."""
    train, selection = configuration.train, configuration.selection
    injected = min(selection.shards, shards) if selection.galaxies else 0
    return {
        "pretrain": int(_pretrains(configuration)),
        "measurements": int(train.structure.measurements.table is not None),
        "votes": int(train.morphology.votes.table is not None or train.morphology.votes.vizier is not None),
        "inject": injected,
        "selection": int(injected > 0),
    }


def _pretrains(configuration: Configuration) -> bool:
    train = configuration.train
    return "pretrained" in (train.morphology.start, train.structure.start)


def _tile_bytes(configuration: Configuration, description: Description) -> float | None:
    if configuration.survey.name == "simulated":
        return len(description.bands) * 4.0 * configuration.survey.simulated.tile_size**2
    if configuration.survey.name == "folder":
        return 0.0
    return None if description.tile_megabytes is None else description.tile_megabytes * 1e6


def _per_galaxy(configuration: Configuration) -> float:
    """Return the seconds of a core that a galaxy takes."""
    members = configuration.train.morphology.members
    infer = configuration.infer
    predictions = members * max(infer.rotations, infer.bar_rotations)
    predictions += configuration.train.structure.members * infer.rotations
    maps = configuration.saliency.samples / MAP_SAMPLES / MAPS + 1 / MEASURED
    features = configuration.features.samples
    maps += 2 * features / MAP_SAMPLES / MAPS
    masks = 1 / OUTLINED if features else 0.0
    fits = 1 / FITTED if configuration.structure.refine else 0.0
    return 1 / CUT + predictions / PREDICTED + fits + masks + members * maps


def _networks(configuration: Configuration) -> float:
    """Return the seconds of a core that the training set and the networks take."""
    size = configuration.simulate.size
    passes = float(configuration.pretrain.epochs * _pretrains(configuration))
    lessons = EVIDENCE if configuration.train.morphology.evidence else 1.0
    passes += lessons * configuration.train.morphology.members * configuration.train.morphology.epochs
    passes += configuration.train.structure.members * configuration.train.structure.epochs
    return size / SIMULATED + LEARNT * size * passes / TRAINED


def _chain(configuration: Configuration) -> float:
    """Return the seconds of the longest chain of jobs to the networks: a part, the encoder, one member."""
    train = configuration.train
    passes = configuration.pretrain.epochs * _pretrains(configuration) + max(
        train.morphology.epochs, train.structure.epochs
    )
    part = configuration.simulate.galaxies_per_part / SIMULATED
    return part + LEARNT * configuration.simulate.size * passes / TRAINED + len(STAGES) * STARTED


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
