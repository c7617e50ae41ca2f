"""The recipe for profile parameters: the networks' posterior, combined with a fit and converted to units of the sky."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from tuningfork.core.columns import PROFILE as PROFILE_COLUMNS
from tuningfork.core.config.stages import Structure
from tuningfork.core.flags import Flag
from tuningfork.infer.answers import StructureAnswers
from tuningfork.infer.structure import targets_of
from tuningfork.measure.structure.combine import Combination, StructureCalibration, signal_to_noise
from tuningfork.measure.structure.estimates import ProfileEstimates
from tuningfork.measure.structure.intervals import error_predictors
from tuningfork.measure.structure.profiles import ETA_TARGETS, UNKNOWN_ANGLE_DEVIATION, physical
from tuningfork.measure.structure.refine import Refinement, refine
from tuningfork.networks.posterior import Gaussians
from tuningfork.networks.structure import COLUMNS, PROFILE, TARGETS
from tuningfork.simulate.light.sersic import N_RANGE, sersic_beyond

MAX_LIGHT_BEYOND_STAMP = 0.1
"""Share of a profile's light beyond the edge of the stamp above which the profile counts as truncated."""
MAX_NEIGHBOUR_LIGHT = 0.1
"""Light of neighbours on a galaxy, in units of the galaxy's, above which a source counts as blended."""
SPHEROID_INDEX = 2.5
WEIGHT_TARGETS = {name: TARGETS.index(targets[0]) for name, targets in COLUMNS.items()}
"""Column -> the target whose weight of the fit enters the model of the column's error."""


@dataclass(frozen=True)
class MeasuredProfiles:
    """The profiles measured on N stamps.

    Attributes
    ----------
    answers : StructureAnswers
    estimates : ProfileEstimates
    refinement : Refinement or None
        None without a fit.
    """

    answers: StructureAnswers
    estimates: ProfileEstimates
    refinement: Refinement | None


def measure_profiles(
    answers: StructureAnswers, table: pa.Table, light: np.ndarray, band: str, settings: Structure, device: torch.device
) -> MeasuredProfiles:
    """Fit a profile to every stamp, starting from the networks' answer, if the settings ask for a fit.

    Parameters
    ----------
    answers : StructureAnswers
        About N stamps.
    table : pyarrow.Table
        Columns of the stamps table, N rows.
    light : ndarray
        (N, 2, 1, S, S) stamps in the reference band.
    band : str
        The reference band.
    settings : Structure
    device : torch.device
        Device on which the fits run.

    Returns
    -------
    MeasuredProfiles
    """
    network = answers.posterior
    if not settings.refine or not can_be_refined(answers):
        return MeasuredProfiles(answers, without_fit(network), None)
    refinement = refine(network, table, light, band, settings, device)
    estimates = ProfileEstimates(network, refinement.fit, refinement.misfit, refinement.fitted)
    return MeasuredProfiles(answers, estimates, refinement)


def can_be_refined(answers: StructureAnswers) -> bool:
    """Return whether the networks estimate every parameter of a Sersic profile, so that a fit has a start."""
    return set(PROFILE) <= targets_of(answers.learned)


def without_fit(network: Gaussians) -> ProfileEstimates:
    """Return the estimates of the networks with an empty fit."""
    number, size = len(network), len(PROFILE)
    nothing = Gaussians(np.full((number, size), np.nan), np.full((number, size, size), np.nan))
    return ProfileEstimates(network, nothing, np.full(number, np.nan), np.zeros(number, dtype=bool))


def profile_columns(
    measured: MeasuredProfiles,
    combination: Combination,
    calibration: StructureCalibration,
    table: pa.Table | Mapping[str, Any],
    band: str,
) -> dict[str, Any]:
    """Return the columns of the stage structure, with position angles in the pixel frame.

    Parameters
    ----------
    measured : MeasuredProfiles
        Of N stamps.
    combination : Combination
        Combination of these estimates.
    calibration : StructureCalibration
        Its models of the published errors are applied.
    table : pyarrow.Table or mapping
        See :func:`tuningfork.measure.structure.profiles.physical`.
    band : str
        The reference band.

    Returns
    -------
    dict
        Column -> N values, null without an estimate.
    """
    network = measured.answers.posterior
    values: dict[str, Any] = physical(combination.joint, table, band)
    for name, model in calibration.errors.items():
        values[f"{name}_error"] = values[f"{name}_error"] * model.factor(predictors_of(measured, combination, name))
    values["position_angle_error"] = np.minimum(values["position_angle_error"], UNKNOWN_ANGLE_DEVIATION)
    alone = physical(network, table, band)
    values |= {f"{column.name}_network": alone[column.name] for column in PROFILE_COLUMNS}
    for name in set(COLUMNS) - measured.answers.learned:
        values |= dict.fromkeys([name, f"{name}_error", f"{name}_network"], np.full(len(network), np.nan))
    values.pop("bulge_to_total_network", None)
    seen = np.isfinite(network.mean).any(axis=1)
    method = np.where(combination.refined, "refined", "network")
    values["structure_method"] = [name if has else None for name, has in zip(method, seen, strict=True)]
    values["profile_class"] = profile_class(values["sersic_n"])
    if measured.refinement is not None:
        values["reduced_chi2"] = measured.refinement.reduced_chi2
    return values


def profile_class(sersic_n: np.ndarray) -> list[str | None]:
    """Return whether the light has the profile of a disc or of a spheroid.

    Parameters
    ----------
    sersic_n : ndarray
        (N,), NaN without a profile.

    Returns
    -------
    list of str or None
        Above an index of 2.5, as in Bell+ (2003), "spheroid".
    """
    return [None if not np.isfinite(n) else "spheroid" if n > SPHEROID_INDEX else "disc" for n in sersic_n]


def predictors_of(measured: MeasuredProfiles, combination: Combination, name: str) -> np.ndarray:
    """Return what the error of a parameter may depend on.

    Parameters
    ----------
    measured : MeasuredProfiles
        Of N stamps.
    combination : Combination
        Combination of these estimates.
    name : str
        Column of the catalogue.

    Returns
    -------
    ndarray
        (N, 4), see :func:`tuningfork.measure.structure.intervals.error_predictors`.
    """
    mean, fit = combination.joint.mean, measured.refinement
    neighbours = np.full(len(mean), np.nan) if fit is None else fit.neighbour_light
    flatness = np.hypot(*mean[:, ETA_TARGETS].T)
    weight = combination.weight[:, WEIGHT_TARGETS[name]]
    return error_predictors(signal_to_noise(mean), weight, flatness, neighbours)


def structure_flags(measured: MeasuredProfiles, combination: Combination, size: int) -> np.ndarray:
    """Return the bits that the recipe adds to the flags.

    Parameters
    ----------
    measured : MeasuredProfiles
        Of N stamps.
    combination : Combination
        Combination of these estimates.
    size : int
        Width of the stamps (px).

    Returns
    -------
    ndarray
        (N,) int64.
    """
    network = measured.answers.posterior
    seen = np.isfinite(network.mean).any(axis=1)
    outside = outside_range(combination.joint.mean, measured.answers.limits)
    bits = np.where(outside, int(Flag.STRUCTURE_OUTSIDE_TRAINING), 0)
    bits |= np.where(
        light_beyond(combination.joint.mean, size) > MAX_LIGHT_BEYOND_STAMP, int(Flag.STRUCTURE_TRUNCATED), 0
    )
    if measured.refinement is not None:
        fit, refined = measured.refinement, combination.refined
        bits |= np.where(fit.neighbour_light > MAX_NEIGHBOUR_LIGHT, int(Flag.STRUCTURE_BLENDED), 0)
        bits |= np.where(seen & ~refined, int(Flag.STRUCTURE_NOT_REFINED), 0)
        bits |= np.where(fit.star, int(Flag.STAR_OR_ARTIFACT), 0)
    return bits


def light_beyond(mean: np.ndarray, size: int) -> np.ndarray:
    """Return the share of each profile's light beyond the edge of the stamp along the major axis.

    Parameters
    ----------
    mean : ndarray
        (N, 6) targets; the result is NaN where the half-light radius or the Sersic index is NaN.
    size : int
        Width of the stamps (px).

    Returns
    -------
    ndarray
        (N,)
    """
    n = np.exp(np.clip(mean[:, TARGETS.index("log_sersic_n")], *np.log(N_RANGE)))
    radii = size / 2 * np.exp(-np.clip(mean[:, TARGETS.index("log_r_eff")], -10, 10))
    return sersic_beyond(n, radii)


def outside_range(mean: np.ndarray, limits: dict[str, list[float]]) -> np.ndarray:
    """Return which sources lie outside the range of magnitude, size or Sersic index of the training galaxies.

    Parameters
    ----------
    mean : ndarray
        (N, 6) targets.
    limits : dict
        Target -> low and high end, from the model card.

    Returns
    -------
    ndarray
        bool (N,).
    """
    outside = np.zeros(len(mean), dtype=bool)
    for name, (low, high) in limits.items():
        values = mean[:, TARGETS.index(name)]
        with np.errstate(invalid="ignore"):
            outside |= (values < low) | (values > high)
    return outside
