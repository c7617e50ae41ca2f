"""All calibrations of small networks, learned from small training parts, on disk."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.inferred import held_out_answers, held_out_profiles
from helpers.small_networks import model_card, parameters
from helpers.small_sets import stamp_files
from tuningfork.calibrate.bars import calibrate_bars
from tuningfork.calibrate.features import calibrate_features
from tuningfork.calibrate.held_out import HeldOutAnswers
from tuningfork.calibrate.structure import calibrate_structure
from tuningfork.calibrate.votes import calibrate_votes
from tuningfork.stamps.store import StampFiles


@dataclass(frozen=True)
class Learned:
    """The files.

    Attributes
    ----------
    training : list of StampFiles
    morphology, structure_models : list of Path
        Cards of the networks.
    held_out : HeldOutAnswers
        What the morphology networks say about the held-out galaxies.
    held_out_structure : Path
        What the structure networks say about them.
    votes, structure, bars, features : Path
        The calibrations.
    bars_table, features_table : Path
        The galaxies behind the latter two.
    """

    training: list[StampFiles]
    morphology: list[Path]
    structure_models: list[Path]
    held_out: HeldOutAnswers
    held_out_structure: Path
    votes: Path
    structure: Path
    bars: Path
    bars_table: Path
    features: Path
    features_table: Path


def learn_all(folder: Path, parts: list[Path], members: int = 2, **sections: Any) -> Learned:
    """Ask untrained networks about the held-out galaxies of training parts, and learn every calibration from them.

    Parameters
    ----------
    folder : Path
        Where the files are written.
    parts : list of Path
        Tables of the parts.
    members : int
        Morphology networks.
    **sections
        Of the configuration.
    """
    morphology = [model_card(folder, "morphology", member) for member in range(members)]
    structure = [model_card(folder, "structure")]
    training = [stamp_files(part) for part in parts]
    learned = Learned(
        training=training,
        morphology=morphology,
        structure_models=structure,
        held_out=held_out_answers(parts, morphology),
        held_out_structure=held_out_profiles(parts, structure),
        votes=folder / "calibration" / "votes.json",
        structure=folder / "calibration" / "structure.json",
        bars=folder / "calibration" / "bars.json",
        bars_table=folder / "calibration" / "bars.parquet",
        features=folder / "calibration" / "features.json",
        features_table=folder / "calibration" / "features.parquet",
    )
    calibrate_votes(
        parameters("calibrate_votes"),
        training=parts,
        held_out=learned.held_out,
        volunteers=None,
        volunteers_answers=None,
        output=learned.votes,
    )
    calibrate_structure(
        parameters("calibrate_structure", **sections),
        training=training,
        held_out=learned.held_out_structure,
        output=learned.structure,
    )
    calibrate_bars(
        parameters("calibrate_bars", **sections),
        training=training,
        held_out=learned.held_out,
        models=morphology,
        output=learned.bars,
        table=learned.bars_table,
    )
    calibrate_features(
        parameters("calibrate_features", **sections),
        training=training,
        held_out=learned.held_out,
        models=morphology,
        votes=learned.votes,
        output=learned.features,
        table=learned.features_table,
    )
    return learned
