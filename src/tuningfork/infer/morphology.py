"""Inference with morphology networks: votes, the bar's length, angle and mask, and a feature vector for every stamp."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from tuningfork.core.config.stages import Infer
from tuningfork.core.decision_tree import answers
from tuningfork.core.statistics import circular_deviation
from tuningfork.infer.answers import MorphologyAnswers
from tuningfork.infer.orientations import answers_of, mixture
from tuningfork.infer.votes import join_concentrations
from tuningfork.networks.ensemble import Ensemble
from tuningfork.networks.inputs import undo_dihedral, undo_dihedral_angle
from tuningfork.networks.morphology import MASK_SHRINK, MORPHOLOGY_VECTOR_LENGTH

BAR_NUMBERS = 5
"""Number of outputs about the bar: mean and logarithm of the standard deviation of ln(length), cosine and sine of twice
the angle, and the probability that there is one."""


def mask_shape(ensemble: Ensemble, pixels: np.ndarray) -> tuple[int, int, int, int]:
    """Return the shape of the bar masks of an ensemble.

    Parameters
    ----------
    ensemble : Ensemble
    pixels : ndarray
        (N, 2, B, S, S) stamps.

    Returns
    -------
    tuple of int
        (N, M, s, s): stamps, networks, cells.
    """
    height, width = (side // MASK_SHRINK for side in pixels.shape[-2:])
    return len(pixels), len(ensemble.members), height, width


def ask_morphology(
    ensemble: Ensemble, rows: pa.Table, pixels: np.ndarray, settings: Infer, masks: np.ndarray | None = None
) -> MorphologyAnswers:
    """Apply an ensemble to every stamp, once per network and orientation.

    Parameters
    ----------
    ensemble : Ensemble
        Of morphology networks.
    rows : pyarrow.Table
        N rows of a stamp store.
    pixels : ndarray
        (N, 2, B, S, S) stamps.
    settings : Infer
        Contains the number of orientations averaged for the votes and for the bar, and the batch size.
    masks : ndarray, optional
        Array of the shape :func:`mask_shape` into which the bar masks are written, usually memory-mapped; without it
        they are kept in memory.

    Returns
    -------
    MorphologyAnswers
    """
    number, members, tree = len(pixels), len(ensemble.members), len(answers())
    masks = np.zeros(mask_shape(ensemble, pixels), dtype=np.float32) if masks is None else masks

    def unread(*shape: int) -> np.ndarray:
        return np.full((number, *shape), np.nan)

    features = unread(MORPHOLOGY_VECTOR_LENGTH).astype(np.float16)
    fraction, fraction_error, concentration = (unread(tree) for _ in range(3))
    length, length_spread, angle, angle_spread, probability = (unread() for _ in range(5))
    bar = length, length_spread, angle, angle_spread, probability
    answered = MorphologyAnswers(fraction, fraction_error, concentration, *bar, features, masks)
    votes = answered.fraction, answered.fraction_error, answered.concentration
    orientations = max(settings.rotations, settings.bar_rotations)
    for places, values, turns in answers_of(ensemble, rows, pixels, orientations, settings.batch_size, _answers):
        alpha = values[: settings.rotations * members, :, :tree]
        for column, joined in zip(votes, join_concentrations(alpha), strict=True):
            column[places] = joined
        seen = settings.bar_rotations * members
        bar_numbers = values[:seen, :, tree : tree + BAR_NUMBERS]
        for numbers, joined in zip(bar, _bar_numbers(bar_numbers, turns[:seen]), strict=True):
            numbers[places] = joined
        cells = values[:seen, :, tree + BAR_NUMBERS : -MORPHOLOGY_VECTOR_LENGTH]
        masks[places] = _mean_masks(cells, turns[:seen], masks.shape[1:])
        answered.features[places] = values[::members, :, -MORPHOLOGY_VECTOR_LENGTH:].mean(axis=0)
    return answered


def _answers(output: dict[str, Tensor]) -> Tensor:
    """Return all outputs of a network that are kept as one tensor (N, ...)."""
    cells = torch.sigmoid(output["bar_mask"]).flatten(1)
    probability = torch.sigmoid(output["barred"].float())[:, None]
    numbers = (output["log_bar_length"], output["bar_angle"], probability)
    parts = (output["concentrations"], *numbers, cells, output["features"])
    return torch.cat([part.float() for part in parts], dim=1)


def _bar_numbers(values: np.ndarray, turns: Sequence[int]) -> tuple[np.ndarray, ...]:
    """Return the length, its spread, the angle, its spread and the probability of a bar, (N,) each, from answers (K, N, 5).

    The lengths regressed by all networks in all orientations form an equal mixture of normal distributions.
    """
    log_length, spread = mixture(values[..., 0], np.exp(values[..., 1]))
    return np.exp(log_length), spread, *mean_angle(values[..., 2:4], turns), values[..., 4].mean(axis=0)


def _mean_masks(cells: np.ndarray, turns: Sequence[int], shape: tuple[int, ...]) -> np.ndarray:
    """Return each network's masks (N, M, s, s), rotated back and averaged over the orientations."""
    members, *sides = shape
    back = [
        undo_dihedral(torch.from_numpy(mask.reshape(-1, *sides)), turn).numpy()
        for mask, turn in zip(cells, turns, strict=True)
    ]
    return np.stack([np.mean(back[member::members], axis=0) for member in range(members)], axis=1)


def mean_angle(doubled: np.ndarray, turns: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of the networks' position angles and its standard deviation.

    A network predicts the mean vector of the angles that are possible, which is shorter than one if they differ. The
    length of the mean over all answers tells how uncertain each of them is and how far they are from each other.

    Parameters
    ----------
    doubled : ndarray
        (K, N, 2) cosines and sines of twice the angles of N bars in K answers, times the length of the vector.
    turns : sequence of int
        Orientation in which the stamp was seen, for each answer.

    Returns
    -------
    angle, spread : ndarray
        (N,) deg, in the frame of the stamp.
    """
    angles = np.stack(
        [
            undo_dihedral_angle(np.rad2deg(np.arctan2(pair[:, 1], pair[:, 0])) / 2, turn)
            for pair, turn in zip(doubled, turns, strict=True)
        ]
    )
    weight = np.hypot(doubled[..., 0], doubled[..., 1])
    total = (weight * np.exp(2j * np.deg2rad(angles))).sum(axis=0)
    return np.rad2deg(np.angle(total)) / 2 % 180, circular_deviation(np.abs(total) / len(turns))
