"""How much work each stage has, and how long a core takes for it by built-in speeds (docs/scale.md)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tuningfork.core.config import Configuration

Unit = Literal["source", "training galaxy", "training pass", "pretraining pass", "injected galaxy", "run"]
"""What the time of a stage is proportional to; a pass is one epoch of one network over one galaxy."""

UNITS: dict[str, Unit] = {
    **dict.fromkeys(
        (
            "sources", "tiles", "stamps", "infer_morphology", "infer_structure", "classify", "structure", "saliency",
            "feature_maps", "bars", "features", "catalogue",
        ),
        "source",
    ),
    **dict.fromkeys(
        (
            "simulate", "infer_held_out", "infer_held_out_structure", "calibrate_votes", "calibrate_structure",
            "calibrate_bars", "calibrate_features", "evaluate_structure", "evaluate",
        ),
        "training galaxy",
    ),
    "pretrain": "pretraining pass",
    "train": "training pass",
    "inject": "injected galaxy",
}  # fmt: skip
"""Stage -> its unit; a stage that is not listed takes the same time in every run."""

# Speeds of one core without a GPU, per second (docs/scale.md).
TRAINED_STAMPS = 300.0
"""Stamps, forward and backward."""
EVIDENCE_FACTOR = 3.0
"""How much longer a stamp takes where the network also learns where its evidence for a bar should lie."""
PREDICTED_STAMPS = 950.0
"""Stamps, forward only, one network and one orientation."""
MAPS, MAP_SAMPLES = 11.0, 32
"""Saliency maps that average this number of noisy copies."""
CUT_STAMPS = 1000.0
"""Stamps, all bands; reading of the tiles included."""
MEASURED_MAPS = 1500.0
"""Saliency maps on which a bar is measured."""
HARMONICS = 400.0
"""Stamps on which the Fourier harmonics of the light are measured."""
OUTLINED_GALAXIES = 150.0
"""Galaxies whose bulge and arms are measured on their maps."""
FITTED_PROFILES = 60.0
"""Light profiles."""
SIMULATED_GALAXIES = 1 / 0.009
"""Galaxies of the training set."""
LEARNED_SHARE = 0.8
"""Share of the training set that networks learn from; the rest is for validation and test."""
JOB_START = 4.0
"""Seconds until a job's program runs."""


@dataclass(frozen=True)
class StageTime:
    """What a stage will take.

    Attributes
    ----------
    seconds : float
        Time of one core.
    measured : bool
        Whether it follows from a previous run, not from built-in speeds.
    """

    seconds: float
    measured: bool = False


def pretrains(configuration: Configuration) -> bool:
    """Return whether a network starts from the pretrained encoder."""
    train = configuration.train
    return "pretrained" in (train.morphology.start, train.structure.start)


def amounts(configuration: Configuration, galaxies: float, injected: int) -> dict[Unit, float]:
    """Return how much work a run has.

    Parameters
    ----------
    configuration : Configuration
    galaxies : float
        Number of sources.
    injected : int
        Number of shards into which galaxies are injected.

    Returns
    -------
    dict
        Unit -> amount.
    """
    size, train = configuration.simulate.size, configuration.train
    passes = train.morphology.members * train.morphology.epochs + train.structure.members * train.structure.epochs
    return {
        "source": galaxies,
        "training galaxy": size,
        "training pass": size * passes,
        "pretraining pass": size * configuration.pretrain.epochs * pretrains(configuration),
        "injected galaxy": configuration.selection.galaxies * injected,
        "run": 1.0,
    }


def built_in_times(configuration: Configuration, work: Mapping[Unit, float]) -> dict[str, StageTime]:
    """Return what every stage that computes for long will take by the built-in speeds.

    Parameters
    ----------
    configuration : Configuration
    work : mapping
        As :func:`amounts` returns it.

    Returns
    -------
    dict
        Stage -> time, without the start of its jobs.
    """
    size = work["training galaxy"]
    lesson = EVIDENCE_FACTOR if configuration.train.morphology.evidence else 1.0
    train = configuration.train
    passes = (
        lesson * train.morphology.members * train.morphology.epochs + train.structure.members * train.structure.epochs
    )
    seconds = {
        "simulate": size / SIMULATED_GALAXIES,
        "pretrain": LEARNED_SHARE * work["pretraining pass"] / TRAINED_STAMPS,
        "train": LEARNED_SHARE * size * passes / TRAINED_STAMPS,
        **_held_out(configuration, (1 - LEARNED_SHARE) * size),
        **{stage: work["source"] * each for stage, each in _per_source(configuration).items()},
    }
    per_injected = sum(_per_source(configuration).values())
    seconds["inject"] = work["injected galaxy"] * per_injected
    return {stage: StageTime(value) for stage, value in seconds.items() if value}


def chain(configuration: Configuration) -> float:
    """Return the seconds of the longest chain of jobs that cannot run side by side.

    It has a part of the training set, the encoder, one member of an ensemble, and the work on held-out galaxies.
    """
    train, size = configuration.train, configuration.simulate.size
    lesson = EVIDENCE_FACTOR if train.morphology.evidence else 1.0
    passes = max(lesson * train.morphology.epochs, train.structure.epochs)
    passes += configuration.pretrain.epochs * pretrains(configuration)
    held_out = sum(_held_out(configuration, (1 - LEARNED_SHARE) * size).values())
    part = configuration.simulate.galaxies_per_part / SIMULATED_GALAXIES
    return part + LEARNED_SHARE * size * passes / TRAINED_STAMPS + held_out


def _per_source(configuration: Configuration) -> dict[str, float]:
    """Return the seconds of a core that one source takes in each stage."""
    members = configuration.train.morphology.members
    orientations = max(configuration.infer.rotations, configuration.infer.bar_rotations)
    features = configuration.features.samples
    return {
        "stamps": 1 / CUT_STAMPS,
        "infer_morphology": members * orientations / PREDICTED_STAMPS,
        "infer_structure": configuration.train.structure.members * configuration.infer.rotations / PREDICTED_STAMPS,
        "structure": 1 / FITTED_PROFILES if configuration.structure.refine else 0.0,
        "saliency": members * configuration.saliency.samples / MAP_SAMPLES / MAPS,
        # One map for the bulge and one for the arms.
        "feature_maps": 2 * members * features / MAP_SAMPLES / MAPS,
        "bars": members / MEASURED_MAPS + 1 / HARMONICS,
        "features": members / OUTLINED_GALAXIES if features else 0.0,
    }


def _held_out(configuration: Configuration, galaxies: float) -> dict[str, float]:
    """Return the seconds of a core that the held-out galaxies of the training set take in each stage."""
    source, split = _per_source(configuration), galaxies / 2
    calibrate, evaluate = configuration.calibrate, configuration.evaluate

    def bars(number: int) -> float:
        return split / HARMONICS + min(number, split) * (source["saliency"] + source["bars"])

    def features(number: int) -> float:
        return min(number, split) * (source["feature_maps"] + source["features"])

    return {
        "infer_held_out": galaxies * source["infer_morphology"],
        "infer_held_out_structure": galaxies * source["infer_structure"],
        "calibrate_structure": split * source["structure"],
        "calibrate_bars": bars(calibrate.bars),
        "calibrate_features": features(calibrate.features),
        "evaluate_structure": split * source["structure"],
        "evaluate": bars(evaluate.bars) + features(evaluate.features),
    }
