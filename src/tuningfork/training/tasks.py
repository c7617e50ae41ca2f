"""What each task learns: targets from the truth, the loss, and the figures on the held-out test galaxies."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tuningfork.core.columns import vote_columns
from tuningfork.core.decision_tree import question
from tuningfork.networks.inputs import dihedral_angle
from tuningfork.networks.losses import gaussian_nll, mean_of_known, multivariate_nll, vote_nll
from tuningfork.networks.structure import COLUMNS, TARGETS, bulge_logit, shear_of
from tuningfork.training import metrics
from tuningfork.training.evidence import angle_loss, answer_loss, bars_of, evidence_loss, mask_loss
from tuningfork.training.sets.dataset import Batch, Targets, TrainingSet

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


def morphology_task(evidence: float = 0.0) -> Task:
    """Return the task `morphology`, with the weight of where the evidence for a bar lies."""
    return Task("morphology", morphology_targets, morphology_loss(evidence), morphology_figures)


def structure_task(reference_band: str, learnt: Sequence[str] = tuple(COLUMNS)) -> Task:
    """Return the task `structure`, with the parameters (names of the catalogue) that are to be learnt."""
    targets = structure_targets(reference_band, learnt)
    return Task("structure", targets, structure_loss, structure_figures(targets))


def noise_magnitude(columns: Columns, reference_band: str) -> np.ndarray:
    """Return the magnitude of a source as faint as the sky noise of one pixel in the reference band."""
    return columns["zero_point"] - 2.5 * np.log10(columns[f"sky_noise_{reference_band}"])


def log_bar_length(columns: Columns) -> np.ndarray:
    """Return ln(full bar length / px), NaN where it is not known."""
    with np.errstate(divide="ignore", invalid="ignore"):
        length = np.log(columns["bar_length"] / columns["pixel_scale"])
    return np.where(np.isfinite(length), length, np.nan)


def morphology_targets(columns: Columns, turns: np.ndarray) -> Batch:
    """Return what the morphology network learns.

    Returns
    -------
    dict
        `votes` (N, answers); of the bar `log_bar_length`, `bar_axis_ratio` and `bar_angle` (deg, turned with the image),
        each (N,), NaN without a bar or where it is not known; `bar_known` (N,), whether it is known if there is a bar.
    """
    votes = np.stack([columns[name] for name in vote_columns()], axis=1)
    return {
        "votes": _tensor(votes),
        "log_bar_length": _tensor(log_bar_length(columns)),
        "bar_axis_ratio": _tensor(columns["bar_axis_ratio"]),
        "bar_angle": _tensor(turned_angles(columns["bar_position_angle"], turns)),
        "bar_known": torch.from_numpy(np.isfinite(columns["bar_strength"])),
    }


def turned_angles(angle: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Return position angles (deg) in images that are turned."""
    return np.array([dihedral_angle(value, k) for value, k in zip(angle, turns, strict=True)], dtype=float)


def morphology_loss(evidence: float) -> Callable[[nn.Module, Batch], Tensor]:
    """Return the function that gives the mean loss of the votes and of the bar's length, angle, mask and evidence.

    Parameters
    ----------
    evidence : float
        Weight of the evidence, which is learnt but not asked for where no gradients are taken.
    """

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        prediction = model(batch["inputs"], batch["conditions"])
        barred, bars = bars_of(batch)
        with torch.autocast(batch["inputs"].device.type, enabled=False):
            length = gaussian_nll(prediction["log_bar_length"], batch["log_bar_length"])
            total = (
                vote_nll(prediction["concentrations"], batch["votes"]).mean()
                + mean_of_known(length, batch["log_bar_length"])
                + angle_loss(prediction["bar_angle"], batch["bar_angle"])
                + mask_loss(prediction["bar_mask"], bars, batch["bar_known"])
                + answer_loss(prediction["bar_evidence"], batch["votes"][:, question("bar").slice])
            )
        if evidence and torch.is_grad_enabled():
            total = total + evidence * evidence_loss(model, batch, barred, bars)
        return total

    return loss


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
    with np.errstate(divide="ignore", invalid="ignore"):
        targets = np.stack(
            [
                columns["mag"] - noise_magnitude(columns, reference_band),
                np.log(columns["r_eff"] / columns["pixel_scale"]),
                np.log(columns["sersic_n"]),
                *shear_of(columns["axis_ratio"], columns["position_angle"]),
                bulge_logit(columns["bulge_to_total"]),
            ],
            axis=1,
        )
    return np.where(np.isfinite(targets), targets, np.nan)


def structure_targets(reference_band: str, learnt: Sequence[str] = tuple(COLUMNS)) -> Targets:
    """Return the function that makes `structure` (N, 6), with position angles turned with the images.

    Targets of which no parameter in `learnt` is made are taken as unknown.
    """
    wanted = {target for name in learnt for target in COLUMNS[name]}
    unknown = [place for place, target in enumerate(TARGETS) if target not in wanted]

    def make(columns: Columns, turns: np.ndarray) -> Batch:
        angle = turned_angles(columns["position_angle"], turns)
        truth = structure_truth({**columns, "position_angle": angle}, reference_band)
        truth[:, unknown] = np.nan
        return {"structure": _tensor(truth)}

    return make


def structure_loss(model: nn.Module, batch: Batch) -> Tensor:
    """Return the mean loss of a profile parameter."""
    prediction = model(batch["inputs"], batch["conditions"])
    with torch.autocast(batch["inputs"].device.type, enabled=False):
        loss = multivariate_nll(prediction["mean"], prediction["factor"], batch["structure"])
        return mean_of_known(loss, batch["structure"])


def structure_figures(
    targets: Targets,
) -> Callable[[Mapping[str, np.ndarray], TrainingSet, np.ndarray], dict[str, Any]]:
    """Return the function that gives the figures of every profile parameter that is learnt."""

    def figures(outputs: Mapping[str, np.ndarray], training: TrainingSet, rows: np.ndarray) -> dict[str, Any]:
        truth = targets(training.take(rows), np.zeros(len(rows), dtype=int))["structure"].numpy()
        return metrics.of_structure(outputs["mean"], outputs["factor"], truth)

    return figures


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float32))
