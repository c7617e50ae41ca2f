"""Vote fractions of every source of a shard, their uncertainty, and the class that follows from them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from tuningfork.core.classes import class_of
from tuningfork.core.decision_tree import answers, questions
from tuningfork.core.files import read_json
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import lineage_of, shard_table, write_table
from tuningfork.measure.votes.correction import SMALLEST, Correction, calibrate, corrections_of
from tuningfork.networks.answers import answers_of
from tuningfork.networks.ensemble import Ensemble, load_ensemble
from tuningfork.stamps.store import StampFiles, open_store


def classify_shard(parameters: Parameters, stamps: Path, models: Sequence[Path], agreement: Path, output: Path) -> None:
    """Write the morphology table of a shard.

    Parameters
    ----------
    parameters : Parameters
        Of the stage classify.
    stamps : Path
        The shard's stamps table, with the .npy beside it.
    models : sequence of Path
        Cards of the morphology networks.
    agreement : Path
        agreement.json, with the calibration of their votes.
    output : Path
        morphology.parquet.

    Raises
    ------
    InputError
        A model or table is missing, damaged or of other bands.
    """
    settings = parameters.configuration.classify
    ensemble = load_ensemble(models, "morphology")
    table, pixels = open_store(StampFiles.beside(stamps), ensemble.bands, ensemble.reference_band)
    corrections = corrections_of(read_json(agreement))
    values = vote_values(ensemble, table, pixels, settings.rotations, settings.batch_size, corrections)
    columns = {"source_id": table["source_id"], "flags": table["flags"], **values}
    lineage = parameters.lineage(lineage_of(stamps, *models, agreement))
    write_table(output, shard_table("classify", columns), lineage, members=len(models))


def vote_values(
    ensemble: Ensemble,
    table: pa.Table,
    stamps: np.ndarray,
    rotations: int,
    batch_size: int,
    corrections: Mapping[str, Correction] | None = None,
) -> dict[str, np.ndarray]:
    """Return the columns of the stage classify for every row of a stamp store.

    Parameters
    ----------
    ensemble : Ensemble
        Of morphology networks.
    table : pyarrow.Table
        Columns of the stamps table, N rows.
    stamps : ndarray
        (N, 2, B, S, S)
    rotations : int
        Orientations of each stamp that are averaged.
    batch_size : int
    corrections : mapping, optional
        Question -> correction of its votes; without it they are as the networks give them.

    Returns
    -------
    dict
        Column -> array (N,): `{answer}_fraction`, `{answer}_fraction_error`, `{answer}_dirichlet`, `p_bar` (NaN
        without a stamp) and `morphology` (None without one).
    """
    shape = table.num_rows, len(answers())
    fraction, error, concentration = (np.full(shape, np.nan) for _ in range(3))
    read = answers_of(ensemble, table, stamps, rotations, batch_size, lambda output: output["concentrations"])
    for rows, alpha, _ in read:
        fraction[rows], error[rows], concentration[rows] = combine(alpha)
    calibrate(fraction, error, concentration, corrections or {})
    values: dict[str, np.ndarray] = {}
    for place, label in enumerate(answers()):
        values[f"{label}_fraction"] = fraction[:, place]
        values[f"{label}_fraction_error"] = error[:, place]
        values[f"{label}_dirichlet"] = concentration[:, place]
    values["p_bar"] = probability_of(fraction, "bar_yes")
    values["morphology"] = class_of(fraction)
    return values


def combine(alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Join the Dirichlet distributions that several networks and orientations give.

    Parameters
    ----------
    alpha : ndarray
        (K, N, all answers) concentrations.

    Returns
    -------
    fraction : ndarray
        (N, all answers) mean of the mixture: the expected vote fractions.
    error : ndarray
        Standard deviation of the mixture: the Dirichlet's own and the spread between its members.
    concentration : ndarray
        The one Dirichlet distribution, a question, that has the mixture's mean and its variance summed over
        the answers (matching of moments).
    """
    fraction, error, concentration = (np.empty(alpha.shape[1:]) for _ in range(3))
    for entry in questions():
        part = alpha[..., entry.slice]
        total = part.sum(axis=-1, keepdims=True)
        mean = part / total
        variance = (mean * (1 - mean) / (total + 1)).mean(axis=0) + mean.var(axis=0)
        centre = mean.mean(axis=0)
        width = (centre * (1 - centre)).sum(axis=-1, keepdims=True) / variance.sum(axis=-1, keepdims=True)
        fraction[:, entry.slice] = centre
        error[:, entry.slice] = np.sqrt(variance)
        concentration[:, entry.slice] = np.maximum(centre * np.maximum(width - 1, SMALLEST), SMALLEST)
    return fraction, error, concentration


def probability_of(fraction: np.ndarray, answer: str) -> np.ndarray:
    """Return the product of an answer's vote fraction and those of the answers that lead to it.

    Parameters
    ----------
    fraction : ndarray
        (N, all answers)
    answer : str
        `question_answer`, for instance bar_yes.
    """
    names = list(answers())
    result = np.ones(len(fraction))
    label: str | None = answer
    while label is not None:
        result = result * fraction[:, names.index(label)]
        label = next(entry.after for entry in questions() if label in entry.labels)
    return result
