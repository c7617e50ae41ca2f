"""Inference with structure networks: the posterior of the profile's targets for every stamp."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from tuningfork.core.config.stages import Infer
from tuningfork.infer.answers import StructureAnswers
from tuningfork.infer.orientations import answers_of
from tuningfork.networks.ensemble import Ensemble
from tuningfork.networks.posterior import Gaussians
from tuningfork.networks.structure import COLUMNS, TARGETS


def learned_columns(cards: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """Return the profile parameters, by their names in the catalogue, that the networks of all cards learned."""
    return frozenset.intersection(*(frozenset(card.get("heads", {}).get("targets", COLUMNS)) for card in cards))


def targets_of(columns: frozenset[str]) -> set[str]:
    """Return the targets from which profile parameters of the catalogue are computed."""
    return {target for name in columns for target in COLUMNS[name]}


def ask_structure(ensemble: Ensemble, rows: pa.Table, pixels: np.ndarray, settings: Infer) -> StructureAnswers:
    """Apply an ensemble to every stamp: the mean and covariance of the mixture over networks and orientations.

    Parameters
    ----------
    ensemble : Ensemble
        Of structure networks.
    rows : pyarrow.Table
        N rows of a stamp store.
    pixels : ndarray
        (N, 2, B, S, S) stamps in the bands of the ensemble.
    settings : Infer
        Contains the number of orientations that are averaged, and the batch size.

    Returns
    -------
    StructureAnswers
    """
    number, learned = len(TARGETS), learned_columns(ensemble.cards)
    mean = np.full((rows.num_rows, number), np.nan)
    covariance = np.full((rows.num_rows, number, number), np.nan)
    read = answers_of(ensemble, rows, pixels, settings.rotations, settings.batch_size, _mean_and_factor)
    for places, values, turns in read:
        signs = np.stack([undone_signs(turn) for turn in turns])[:, None]
        centre, factor = values[..., 0] * signs, values[..., 1:] * signs[..., None]
        mean[places] = centre.mean(axis=0)
        miss = centre - mean[places]
        within = (factor @ factor.swapaxes(-1, -2)).mean(axis=0)
        covariance[places] = within + np.einsum("mni,mnj->nij", miss, miss) / len(miss)
    unknown = [column for column, target in enumerate(TARGETS) if target not in targets_of(learned)]
    mean[:, unknown], covariance[:, unknown], covariance[:, :, unknown] = np.nan, np.nan, np.nan
    limits = ensemble.cards[0].get("heads", {}).get("range", {})
    return StructureAnswers(Gaussians(mean, covariance), learned, limits)


def _mean_and_factor(output: dict[str, Tensor]) -> Tensor:
    return torch.cat([output["mean"][..., None], output["factor"]], dim=-1)


def undone_signs(turn: int) -> np.ndarray:
    """Return the signs that convert the targets of a rotated or mirrored stamp to those of the original stamp.

    A quarter turn reverses both components of the ellipticity; a reflection reverses the second component.

    Parameters
    ----------
    turn : int
        One of the eight orientations of the square.

    Returns
    -------
    ndarray
        (6,) with values 1 and -1.
    """
    signs = np.ones(len(TARGETS))
    quarter = -1.0 if turn % 2 else 1.0
    signs[TARGETS.index("eta_1")] = quarter
    signs[TARGETS.index("eta_2")] = -quarter if turn >= 4 else quarter
    return signs
