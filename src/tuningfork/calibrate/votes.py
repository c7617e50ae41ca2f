"""Predicted votes beside the votes on held-out galaxies, of simulated volunteers and of people."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tuningfork.calibrate.held_out_stamps import CHUNK, chunks, mean_fractions
from tuningfork.core.columns import vote_columns
from tuningfork.core.config.stages import Classify
from tuningfork.core.decision_tree import answers, question, questions
from tuningfork.core.files import write_json
from tuningfork.core.progress import track
from tuningfork.core.seeds import generator_for
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import lineage_of
from tuningfork.evaluate.votes import agreement
from tuningfork.measure.votes.correction import (
    FEWEST_TO_LEARN,
    corrected,
    corrections_of,
    learn_correction,
    log_likelihood,
)
from tuningfork.measure.votes.shard import vote_values
from tuningfork.networks.ensemble import Ensemble, load_ensemble

DIRICHLET = [f"{label}_dirichlet" for label in answers()]


def measure_agreement(
    parameters: Parameters, training: Sequence[Path], people: Path | None, models: Sequence[Path], output: Path
) -> None:
    """Write how predicted votes agree with those on held-out galaxies, and the calibration that follows.

    The calibration of a question is learnt on the validation galaxies that people have voted on, or, where these are
    too few, on simulated ones. Every other figure is of the test galaxies.

    Parameters
    ----------
    parameters : Parameters
        Of the stage agreement.
    training : sequence of Path
        Tables of the parts of the simulated training set, with the stamps beside them.
    people : Path or None
        The part with votes of people.
    models : sequence of Path
        Cards of the morphology networks.
    output : Path
        agreement.json: `calibration`, by question; `simulated` and `people` (None without), by question what
        :func:`tuningfork.evaluate.votes.agreement` gives, `..._uncalibrated` likewise where a correction is
        applied, and `likelihood_gain`, what the correction adds to ln likelihood a galaxy.
    """
    ensemble = load_ensemble(models, "morphology")
    parts: dict[str, Sequence[Path]] = {"simulated": training, "people": [people] if people is not None else []}
    frames = {
        name: predictions(tables, ensemble, parameters.configuration.classify)
        for name, tables in parts.items()
        if tables
    }
    calibration = {entry.name: _learn(entry.name, frames) for entry in questions()}
    lineage = parameters.lineage(lineage_of(*training, *parts["people"], *models))
    result: dict[str, Any] = {"lineage": lineage, "calibration": calibration, "people": None}
    for name, frame in frames.items():
        constant = mean_fractions(parts[name])
        result[name] = {
            entry.name: _scores(entry.name, frame, calibration, constant, parameters.configuration.seed)
            for entry in questions()
        }
    write_json(output, result)


def predictions(tables: Sequence[Path], ensemble: Ensemble, settings: Classify) -> pd.DataFrame:
    """Return `split`, votes and predicted columns of the held-out galaxies of some parts."""
    frames = []
    for rows, pixels in track(chunks(tables, ensemble), f"held-out galaxies, {CHUNK} at a time"):
        values = vote_values(ensemble, rows, pixels, settings.rotations, settings.batch_size)
        known = rows.select(["split", *vote_columns()]).to_pandas()
        frames.append(pd.concat([known, pd.DataFrame({name: values[name] for name in DIRICHLET})], axis=1))
    empty = pd.DataFrame(columns=["split", *vote_columns(), *DIRICHLET])
    return pd.concat(frames, ignore_index=True) if frames else empty


def _votes(name: str, frame: pd.DataFrame, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return concentrations and votes (N, answers) of a question for the galaxies of a split."""
    rows, labels = frame[frame["split"] == split], question(name).labels
    alpha = rows[[f"{label}_dirichlet" for label in labels]].to_numpy(dtype=float)
    return alpha, rows[[f"{label}_votes" for label in labels]].to_numpy(dtype=float)


def _learn(name: str, frames: dict[str, pd.DataFrame]) -> dict[str, Any]:
    known = {source: _votes(name, frame, "validation") for source, frame in frames.items()}
    asked = {source: np.count_nonzero(votes.sum(axis=1) > 0) for source, (_, votes) in known.items()}
    source = "people" if asked.get("people", 0) >= FEWEST_TO_LEARN else "simulated"
    return {"learnt_from": source, **learn_correction(*known[source])}


def _scores(
    name: str, frame: pd.DataFrame, calibration: dict[str, Any], constant: dict[str, np.ndarray], seed: int
) -> dict[str, Any]:
    alpha, votes = _votes(name, frame, "test")
    correction = corrections_of({"calibration": calibration}).get(name)
    given = agreement(_means(alpha), votes, constant[name], generator_for(seed, "agreement", name))
    if correction is None:
        return given
    better = corrected(alpha, correction)
    found = agreement(_means(better), votes, constant[name], generator_for(seed, "agreement", name))
    gain = log_likelihood(better, votes) - log_likelihood(alpha, votes)
    gain = gain[np.isfinite(gain) & (votes.sum(axis=1) > 0)]
    before = {f"{key}_uncalibrated": given.get(key) for key in ("mae", "volunteers", "calibration_error")}
    return found | before | {"likelihood_gain": float(gain.mean()) if len(gain) else None}


def _means(alpha: np.ndarray) -> np.ndarray:
    return np.asarray(alpha / alpha.sum(axis=1, keepdims=True))
