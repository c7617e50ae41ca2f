"""Predicted votes beside the votes on test galaxies, of simulated and of real volunteers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tuningfork.calibrate.held_out import mean_fractions
from tuningfork.calibrate.votes import log_likelihood, votes_on
from tuningfork.core.decision_tree import questions
from tuningfork.core.seeds import generator_for
from tuningfork.evaluate.votes import agreement
from tuningfork.infer.answers import MorphologyAnswers
from tuningfork.measure.votes.correction import VoteCorrection, corrected


def vote_agreement(
    tables: Sequence[Path],
    rows: pa.Table,
    answers: MorphologyAnswers,
    corrections: Mapping[str, VoteCorrection],
    seed: int,
) -> dict[str, Any]:
    """Return how predicted votes agree with those on test galaxies, question by question.

    Parameters
    ----------
    tables : sequence of Path
        Of the parts of the training set, whose mean votes are the null baseline.
    rows : pyarrow.Table
        N test galaxies.
    answers : MorphologyAnswers
        About these galaxies.
    corrections : mapping
        Question -> correction that the pipeline applies.
    seed : int
        Of the configuration.

    Returns
    -------
    dict
        Question -> the figures of :func:`tuningfork.evaluate.votes.agreement`; where a correction is applied also
        `..._uncalibrated` and `likelihood_gain`, what the correction adds to ln likelihood per galaxy.
    """
    constant = mean_fractions(tables)
    result = {}
    for entry in questions():
        alpha, votes = votes_on(entry.name, rows, answers)
        given = agreement(_means(alpha), votes, constant[entry.name], generator_for(seed, "agreement", entry.name))
        if entry.name in corrections:
            better = corrected(alpha, corrections[entry.name])
            generator = generator_for(seed, "agreement", entry.name)
            before = {f"{key}_uncalibrated": given.get(key) for key in ("mae", "volunteers", "calibration_error")}
            given = agreement(_means(better), votes, constant[entry.name], generator) | before
            given["likelihood_gain"] = _gain(alpha, better, votes)
        result[entry.name] = given
    return result


def _gain(alpha: np.ndarray, better: np.ndarray, votes: np.ndarray) -> float | None:
    gain = log_likelihood(better, votes) - log_likelihood(alpha, votes)
    gain = gain[np.isfinite(gain) & (votes.sum(axis=1) > 0)]
    return float(gain.mean()) if len(gain) else None


def _means(alpha: np.ndarray) -> np.ndarray:
    return np.asarray(alpha / alpha.sum(axis=1, keepdims=True))
