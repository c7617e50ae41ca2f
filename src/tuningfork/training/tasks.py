"""What each task learns: its targets, its loss, and its figures of merit on held-out galaxies."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tuningfork.core.decision_tree import question, vote_columns
from tuningfork.networks.inputs import dihedral_angle
from tuningfork.networks.losses import gaussian_nll, mean_of_known, multivariate_nll, vote_nll
from tuningfork.networks.structure import COLUMNS, TARGETS, bulge_logit, shear_of
from tuningfork.training import metrics
from tuningfork.training.evidence import angle_loss, answer_loss, bars_of, evidence_loss, mask_loss, presence_loss
from tuningfork.training.sets.dataset import Targets, TrainingBatch, TrainingSet

MIN_RESOLVED_RADIUS_PSF = 1.5
"""Half-light radius, in FWHM of the PSF, from which on a galaxy counts as resolved."""

TruthColumns = Mapping[str, np.ndarray]
"""Column -> values (N,) of some rows of a training set."""


@dataclass(frozen=True)
class Task:
    """What a network learns, and how well it has learned it.

    Attributes
    ----------
    name : str
    targets : callable
        From columns and orientations to the tensors to learn.
    loss : callable
        From a model and a batch to the mean loss.
    figures : callable
        From the network's outputs for some rows of a training set, the set and the rows to figures of merit.
    """

    name: str
    targets: Targets
    loss: Callable[[nn.Module, TrainingBatch], Tensor]
    figures: Callable[[Mapping[str, np.ndarray], TrainingSet, np.ndarray], dict[str, Any]]


def morphology_task(evidence: float = 0.0) -> Task:
    """Return the task `morphology`; `evidence` is the weight of :func:`~tuningfork.training.evidence.evidence_loss`."""
    return Task("morphology", morphology_targets, morphology_loss(evidence), morphology_figures)


def structure_task(reference_band: str, learned: Sequence[str] = tuple(COLUMNS)) -> Task:
    """Return the task `structure`; `learned` are catalogue names of the parameters to learn."""
    targets = structure_targets(reference_band, learned)
    return Task("structure", targets, structure_loss, structure_figures(targets))


def noise_magnitude(columns: TruthColumns, reference_band: str) -> np.ndarray:
    """Return the magnitude of a source as faint as the sky noise of one pixel in the reference band.

    Parameters
    ----------
    columns : mapping
        `zero_point` (mag) and `sky_noise_{band}` (flux units).
    reference_band : str

    Returns
    -------
    ndarray
        (N,) mag.
    """
    return columns["zero_point"] - 2.5 * np.log10(columns[f"sky_noise_{reference_band}"])


def log_bar_length(columns: TruthColumns) -> np.ndarray:
    """Return the logarithm of the full bar length.

    Parameters
    ----------
    columns : mapping
        `bar_length` and `pixel_scale` (arcsec).

    Returns
    -------
    ndarray
        (N,) ln(length / px); NaN where it is not known.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        length = np.log(columns["bar_length"] / columns["pixel_scale"])
    return np.where(np.isfinite(length), length, np.nan)


def morphology_targets(columns: TruthColumns, turns: np.ndarray) -> TrainingBatch:
    """Return what the morphology network learns.

    Parameters
    ----------
    columns : mapping
        Votes and the bar's truth.
    turns : ndarray
        int (N,), orientations of the stamps.

    Returns
    -------
    dict
        `votes` (N, answers); `log_bar_length`, `bar_axis_ratio` and `bar_angle` (deg, in the turned image), each (N,),
        NaN without a bar or where unknown; `bar_known` (N,), whether it is known if the galaxy has a bar, and `barred`
        (N,), whether it is known to have one.
    """
    votes = np.stack([columns[name] for name in vote_columns()], axis=1)
    return {
        "votes": _tensor(votes),
        "log_bar_length": _tensor(log_bar_length(columns)),
        "bar_axis_ratio": _tensor(columns["bar_axis_ratio"]),
        "bar_angle": _tensor(turned_angles(columns["bar_position_angle"], turns)),
        "bar_known": torch.from_numpy(np.isfinite(columns["bar_strength"])),
        "barred": torch.from_numpy(columns["bar_strength"] > 0),
    }


def turned_angles(angle: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Return position angles in turned images.

    Parameters
    ----------
    angle : ndarray
        (N,) deg, in the image as it is stored.
    turns : ndarray
        int (N,), orientations.

    Returns
    -------
    ndarray
        (N,) deg.
    """
    return np.array([dihedral_angle(value, k) for value, k in zip(angle, turns, strict=True)], dtype=float)


def morphology_loss(evidence: float) -> Callable[[nn.Module, TrainingBatch], Tensor]:
    """Return the loss of the votes and of the bar's length, angle, mask and evidence.

    Parameters
    ----------
    evidence : float
        Weight of :func:`~tuningfork.training.evidence.evidence_loss`, which counts in training but not in validation.

    Returns
    -------
    callable
        From a model and a batch to the mean loss.
    """

    def loss(model: nn.Module, batch: TrainingBatch) -> Tensor:
        prediction = model(batch["inputs"], batch["conditions"])
        barred, bars = bars_of(batch)
        with torch.autocast(batch["inputs"].device.type, enabled=False):
            length = gaussian_nll(prediction["log_bar_length"], batch["log_bar_length"])
            total = (
                vote_nll(prediction["concentrations"], batch["votes"]).mean()
                + mean_of_known(length, batch["log_bar_length"])
                + angle_loss(prediction["bar_angle"], batch["bar_angle"])
                + mask_loss(prediction["bar_mask"], bars, batch["bar_known"])
                + presence_loss(prediction["barred"], batch["barred"], batch["bar_known"])
                + answer_loss(prediction["bar_evidence"], batch["votes"][:, question("bar").slice])
            )
        if evidence and torch.is_grad_enabled():
            total = total + evidence * evidence_loss(model, batch, barred, bars)
        return total

    return loss


def morphology_figures(outputs: Mapping[str, np.ndarray], training: TrainingSet, rows: np.ndarray) -> dict[str, Any]:
    """Return the figures of merit of the votes, of finding bars and of their lengths.

    Parameters
    ----------
    outputs : mapping
        The network's outputs for the N rows.
    training : TrainingSet
    rows : ndarray
        int (N,)

    Returns
    -------
    dict
    """
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
            bright & (columns["r_eff"] >= MIN_RESOLVED_RADIUS_PSF * psf),
            np.log(psf / columns["pixel_scale"]),
        ),
    }


def structure_truth(columns: TruthColumns, reference_band: str) -> np.ndarray:
    """Return the true values of the structure network's targets.

    Parameters
    ----------
    columns : mapping
        The true profile parameters and what describes the imaging.
    reference_band : str

    Returns
    -------
    ndarray
        (N, 6), in the order of :data:`tuningfork.networks.structure.TARGETS`; NaN where unknown.
    """
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


def structure_targets(reference_band: str, learned: Sequence[str] = tuple(COLUMNS)) -> Targets:
    """Return the function that makes the targets `structure` (N, 6), with position angles in the turned images.

    Targets that no parameter in `learned` needs count as unknown.
    """
    wanted = {target for name in learned for target in COLUMNS[name]}
    unknown = [place for place, target in enumerate(TARGETS) if target not in wanted]

    def make(columns: TruthColumns, turns: np.ndarray) -> TrainingBatch:
        angle = turned_angles(columns["position_angle"], turns)
        truth = structure_truth({**columns, "position_angle": angle}, reference_band)
        truth[:, unknown] = np.nan
        return {"structure": _tensor(truth)}

    return make


def structure_loss(model: nn.Module, batch: TrainingBatch) -> Tensor:
    """Return the mean loss per known profile parameter.

    Parameters
    ----------
    model : Module
    batch : dict
        `inputs`, `conditions` and `structure`.

    Returns
    -------
    Tensor
        A scalar.
    """
    prediction = model(batch["inputs"], batch["conditions"])
    with torch.autocast(batch["inputs"].device.type, enabled=False):
        loss = multivariate_nll(prediction["mean"], prediction["factor"], batch["structure"])
        return mean_of_known(loss, batch["structure"])


def structure_figures(
    targets: Targets,
) -> Callable[[Mapping[str, np.ndarray], TrainingSet, np.ndarray], dict[str, Any]]:
    """Return the function that computes the figures of merit of every learned profile parameter.

    Parameters
    ----------
    targets : callable
        From :func:`structure_targets`.

    Returns
    -------
    callable
        From outputs, training set and rows to figures of merit.
    """

    def figures(outputs: Mapping[str, np.ndarray], training: TrainingSet, rows: np.ndarray) -> dict[str, Any]:
        truth = targets(training.take(rows), np.zeros(len(rows), dtype=int))["structure"].numpy()
        return metrics.of_structure(outputs["mean"], outputs["factor"], truth)

    return figures


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float32))
