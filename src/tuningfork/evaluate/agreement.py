"""Comparison of predicted votes with those of simulated and real volunteers on test galaxies."""

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
    """Return figures of the agreement of predicted votes with those on test galaxies, per question.

    Parameters
    ----------
    tables : sequence of Path
        Tables of the parts of the training set, whose mean votes are the null baseline.
    rows : pyarrow.Table
        N test galaxies.
    answers : MorphologyAnswers
        About these galaxies.
    corrections : mapping
        Question -> correction that the pipeline applies.
    seed : int
        Seed of the configuration.

    Returns
    -------
    dict
        Question -> the figures of :func:`tuningfork.evaluate.votes.agreement`. For a question with a correction also
        the figures without it, `..._uncalibrated`, and `likelihood_gain`, the gain of ln(likelihood) per galaxy.
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
