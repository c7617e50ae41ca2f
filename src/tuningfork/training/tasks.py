"""What each task learns: targets from the truth, the loss, and the figures on the held-out test galaxies."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tuningfork.core.columns import vote_columns
from tuningfork.networks.inputs import dihedral_angle
from tuningfork.networks.losses import gaussian_nll, mean_of_known, vote_nll
from tuningfork.networks.structure import link_axis_ratio
from tuningfork.training import metrics
from tuningfork.training.dataset import Batch, Targets, TrainingSet

LENGTH_WEIGHT = 1.0
"""Weight of the bar-length loss beside the vote loss."""
RESOLVED = 1.5
"""A galaxy is resolved if its half-light radius is so many widths of the PSF."""

Columns = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes
    ----------
    name : str
    targets : callable
        (columns, orientations) -> tensors to learn.
    loss : callable
        (model, batch) -> mean loss.
    figures : callable
        (outputs of the network for some rows of a training set, the set, the rows) -> figures for the model card.
    """

    name: str
    targets: Targets
    loss: Callable[[nn.Module, Batch], Tensor]
    figures: Callable[[Mapping[str, np.ndarray], TrainingSet, np.ndarray], dict[str, Any]]


def task_called(name: str, reference_band: str) -> Task:
    """Return the task `morphology` or `structure`."""
    if name == "morphology":
        return Task(name, morphology_targets, morphology_loss, morphology_figures)
    return Task(name, structure_targets(reference_band), structure_loss, structure_figures)


def noise_magnitude(columns: Columns, reference_band: str) -> np.ndarray:
    """Return the magnitude of a source as faint as the sky noise of one pixel in the reference band."""
    return columns["zero_point"] - 2.5 * np.log10(columns[f"sky_noise_{reference_band}"])


def log_bar_length(columns: Columns) -> np.ndarray:
    """Return ln(full bar length / px), NaN where it is not known."""
    with np.errstate(divide="ignore", invalid="ignore"):
        length = np.log(columns["bar_length"] / columns["pixel_scale"])
    return np.where(np.isfinite(length), length, np.nan)


def morphology_targets(columns: Columns, turns: np.ndarray) -> Batch:
    """Return `votes` (N, answers) and `log_bar_length` (N,); neither changes with the orientation."""
    votes = np.stack([columns[name] for name in vote_columns()], axis=1)
    return {"votes": _tensor(votes), "log_bar_length": _tensor(log_bar_length(columns))}


def morphology_loss(model: nn.Module, batch: Batch) -> Tensor:
    """Return the mean loss of the votes and, over the barred galaxies of known length, of the length."""
    prediction = model(batch["inputs"], batch["conditions"])
    with torch.autocast(batch["inputs"].device.type, enabled=False):
        votes = vote_nll(prediction["concentrations"], batch["votes"]).mean()
        length = gaussian_nll(prediction["log_bar_length"], batch["log_bar_length"])
        return votes + LENGTH_WEIGHT * mean_of_known(length, batch["log_bar_length"])


def morphology_figures(outputs: Mapping[str, np.ndarray], training: TrainingSet, rows: np.ndarray) -> dict[str, Any]:
    """Return the figures of the votes, of finding bars and of their lengths."""
    columns = training.take(rows)
    votes = np.stack([columns[name] for name in vote_columns()], axis=1)
    psf = columns[f"psf_fwhm_{training.reference_band}"]
    bright = columns["mag"] <= np.nanmedian(columns["mag"]) if np.isfinite(columns["mag"]).any() else votes[:, 0] < 0
    return {
        "votes": metrics.of_votes(metrics.expected_fractions(outputs["concentrations"]), votes),
        **metrics.of_bars(
            outputs["bar_logit"],
            outputs["log_bar_length"][:, 0],
            log_bar_length(columns),
            training.kind[rows],
            bright & (columns["r_eff"] >= RESOLVED * psf),
            np.log(psf / columns["pixel_scale"]),
        ),
    }


def structure_truth(columns: Columns, reference_band: str) -> np.ndarray:
    """Return the targets of the structure network (N, 6), NaN where they are not known."""
    q, angle = columns["axis_ratio"], 2 * np.deg2rad(columns["position_angle"])
    with np.errstate(divide="ignore", invalid="ignore"):
        targets = np.stack(
            [
                columns["mag"] - noise_magnitude(columns, reference_band),
                np.log(columns["r_eff"] / columns["pixel_scale"]),
                np.log(columns["sersic_n"]),
                link_axis_ratio(q),
                (1 - q) * np.cos(angle),
                (1 - q) * np.sin(angle),
            ],
            axis=1,
        )
    return np.where(np.isfinite(targets), targets, np.nan)


def structure_targets(reference_band: str) -> Targets:
    """Return the function that makes `structure` (N, 6), with position angles turned with the images."""

    def make(columns: Columns, turns: np.ndarray) -> Batch:
        pairs = zip(columns["position_angle"], turns, strict=True)
        angle = np.array([dihedral_angle(value, k) for value, k in pairs], dtype=float)
        return {"structure": _tensor(structure_truth({**columns, "position_angle": angle}, reference_band))}

    return make


def structure_loss(model: nn.Module, batch: Batch) -> Tensor:
    """Return the mean loss of the profile parameters."""
    prediction = model(batch["inputs"], batch["conditions"])
    with torch.autocast(batch["inputs"].device.type, enabled=False):
        return mean_of_known(gaussian_nll(prediction, batch["structure"]), batch["structure"])


def structure_figures(outputs: Mapping[str, np.ndarray], training: TrainingSet, rows: np.ndarray) -> dict[str, Any]:
    """Return the figures of every profile parameter."""
    truth = structure_truth(training.take(rows), training.reference_band)
    return metrics.of_structure(outputs["structure"][..., 0], truth)


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float32))
