"""What pictures teach about votes: where the answers of people differ from the networks', and how probable a bar is."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa

from tuningfork.calibrate.votes import learn_correction, learn_presence, votes_on
from tuningfork.core.classes import DISC_CLASSES, class_of_votes
from tuningfork.core.config import Configuration
from tuningfork.core.config.population import ClassFractions
from tuningfork.core.decision_tree import questions, vote_columns
from tuningfork.core.description import Description
from tuningfork.core.errors import InputError
from tuningfork.core.tables import numpy_column
from tuningfork.infer.answers import MorphologyAnswers
from tuningfork.infer.morphology import ask_morphology
from tuningfork.measure.votes.correction import (
    LearnedCorrection,
    PresenceCorrection,
    VoteCalibration,
    uncorrected,
)
from tuningfork.measure.votes.recipe import vote_columns_of
from tuningfork.networks.ensemble import Ensemble
from tuningfork.pictures.drawn import CALIBRATION_SPLITS, draw_part
from tuningfork.pictures.measure import PICTURE_INFERENCE
from tuningfork.pictures.votes import PICTURE_BAND
from tuningfork.stamps.store import StampFiles, open_store


def learn_picture_votes(people: Path, ensemble: Ensemble) -> tuple[dict[str, LearnedCorrection], dict[str, float]]:
    """Return corrections of the votes towards those of people.

    Parameters
    ----------
    people : Path
        Table from `tuningfork picture-votes`, with its stamps beside it. The corrections are learned from its
        validation pictures; copies with simulated bars are left out.
    ensemble : Ensemble

    Returns
    -------
    corrections : dict
        Question -> its correction; it is applied where it helps on pictures that it was not learned from.
    figures : dict
        On its test pictures: their number, and the balanced accuracy of the class, barred or not, with and without the
        corrections.

    Raises
    ------
    InputError
        A file cannot be read, or there is no validation picture.
    """
    table, pixels = open_store(StampFiles(people, people.with_suffix(".npy")), [PICTURE_BAND], PICTURE_BAND)
    split = np.array(table["split"].to_pylist())
    copies = "bar_length" in table.column_names
    real = ~np.isfinite(numpy_column(table, "bar_length")) if copies else np.ones(table.num_rows, dtype=bool)
    known: dict[str, tuple[pa.Table, MorphologyAnswers]] = {}
    for name in CALIBRATION_SPLITS:
        chosen = np.flatnonzero(real & (split == name))
        if not chosen.size:
            raise InputError(f"{people}: no {name} pictures; give a table of at least some 50 pictures with votes")
        rows = _with_all_votes(_in_band(table.take(chosen), ensemble.reference_band))
        known[name] = rows, ask_morphology(ensemble, rows, pixels[chosen], PICTURE_INFERENCE)
    learned = {
        entry.name: learn_correction(*votes_on(entry.name, *known["validation"]), "volunteers") for entry in questions()
    }
    rows, answers = known["test"]
    votes = np.stack([numpy_column(rows, name) for name in vote_columns()], axis=1)
    truth = _class_of_shape(class_of_votes(votes))
    kinds = [kind for kind in set(truth.tolist()) if kind is not None]
    figures = {"n": float(len(truth))}
    for name, corrections in (
        ("balanced_accuracy", learned),
        ("balanced_accuracy_uncorrected", uncorrected().questions),
    ):
        columns = vote_columns_of(answers, VoteCalibration(corrections, PresenceCorrection()))
        found = _class_of_shape(columns["morphology"])
        figures[name] = float(np.mean([np.mean(found[truth == kind] == kind) for kind in kinds]))
    return learned, figures


def _with_all_votes(table: pa.Table) -> pa.Table:
    """Return the table with zeros for answers that nobody gave."""
    for name in vote_columns():
        if name not in table.column_names:
            table = table.append_column(name, pa.array(np.zeros(table.num_rows)))
    return table


def _class_of_shape(kinds: np.ndarray) -> np.ndarray:
    """Return the classes with all discs as one, as not all people are asked for bars and arms."""
    return np.where(np.isin(kinds.astype(str), DISC_CLASSES), "disc", kinds)


def _in_band(table: pa.Table, band: str) -> pa.Table:
    """Return the table with the columns of the imaging named after the networks' band."""
    ending = f"_{PICTURE_BAND}"
    names = [
        name.removesuffix(ending) + f"_{band}" if name in (f"psf_fwhm{ending}", f"sky_noise{ending}") else name
        for name in table.column_names
    ]
    return table.rename_columns(names)


def learn_picture_presence(
    number: int, ensemble: Ensemble, configuration: Configuration, description: Description
) -> tuple[PresenceCorrection, dict[str, float]]:
    """Return the correction of the bar probability, learned from simulated galaxies of all kinds.

    Parameters
    ----------
    number : int
        Galaxies to learn from, and as many to test on.
    ensemble : Ensemble
    configuration : Configuration
        The galaxies are drawn from its population, with the usual shares of the classes, and from the next seed.
    description : Description
        Of the survey.

    Returns
    -------
    presence : PresenceCorrection
    figures : dict
        On the test galaxies: number, share of barred ones, expected share, and Brier scores with and without it.
    """
    population = configuration.simulate.population.model_copy(update={"classes": ClassFractions()})
    simulate = configuration.simulate.model_copy(update={"population": population})
    configuration = configuration.model_copy(update={"simulate": simulate, "seed": configuration.seed + 1})
    band = ensemble.reference_band
    with TemporaryDirectory() as folder:
        part = StampFiles(Path(folder) / "part-0.parquet", Path(folder) / "part-0.npy")
        draw_part(part, number, band, configuration, description)
        table, pixels = open_store(part, ensemble.bands, band)
        rows = {split: np.flatnonzero(np.array(table["split"].to_pylist()) == split) for split in CALIBRATION_SPLITS}
        known = {split: table.take(chosen) for split, chosen in rows.items()}
        answers = {
            split: ask_morphology(ensemble, known[split], pixels[chosen], PICTURE_INFERENCE)
            for split, chosen in rows.items()
        }
    presence = learn_presence(known["validation"], answers["validation"])
    barred = numpy_column(known["test"], "bar_strength") > 0
    before = answers["test"].bar_probability
    good, after = np.isfinite(before), presence.apply(before)
    return presence, {
        "n": int(good.sum()),
        "barred_share": float(barred[good].mean()),
        "brier": float(np.mean((after[good] - barred[good]) ** 2)),
        "brier_uncorrected": float(np.mean((before[good] - barred[good]) ** 2)),
        "expected_share": float(after[good].mean()),
    }
