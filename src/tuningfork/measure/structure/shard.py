"""Profile parameters of every source of a shard: the networks' answer, refined by a fit, in units of the sky."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from tuningfork.core.columns import PROFILE as PROFILE_COLUMNS
from tuningfork.core.config.stages import Structure
from tuningfork.core.files import read_json
from tuningfork.core.flags import Flag
from tuningfork.core.stage.parameters import Parameters
from tuningfork.core.tables import lineage_of, numpy_column, shard_table, write_table
from tuningfork.measure.structure.combine import Combination, StructureCalibration, combine, signal_to_noise
from tuningfork.measure.structure.estimates import Estimates, Gaussians
from tuningfork.measure.structure.profiles import UNKNOWN_ANGLE, physical
from tuningfork.measure.structure.refine import Refinement, refine
from tuningfork.networks.answers import answers_of
from tuningfork.networks.ensemble import Ensemble, load_ensemble
from tuningfork.networks.structure import COLUMNS, PROFILE, TARGETS
from tuningfork.simulate.light.sersic import N_RANGE, sersic_beyond
from tuningfork.sky.coordinates import left_handed, pixel_to_sky_angle
from tuningfork.stamps.store import StampFiles, open_store

LOST = 0.1
"""Share of a profile's light beyond the edge of the stamp above which it counts as truncated."""
WEIGHED = {name: TARGETS.index(targets[0]) for name, targets in COLUMNS.items()}
"""Column -> the target whose weight of the fit counts for its error."""
CROWDED = 0.2
"""Share of the pixels within two half-light radii that are masked as neighbours above which a source is blended."""


@dataclass(frozen=True)
class Measured:
    """What was measured on N stamps.

    Attributes
    ----------
    estimates : Estimates
    refinement : Refinement or None
        None if nothing was fitted.
    """

    estimates: Estimates
    refinement: Refinement | None


def structure_shard(parameters: Parameters, stamps: Path, models: Sequence[Path], profiles: Path, output: Path) -> None:
    """Write the structure table of a shard.

    Parameters
    ----------
    parameters : Parameters
        Of the stage structure.
    stamps : Path
        The shard's stamps table, with the .npy beside it.
    models : sequence of Path
        Cards of the structure networks.
    profiles : Path
        profiles.json, which says how to weight network and fit.
    output : Path
        structure.parquet.

    Raises
    ------
    InputError
        A model or table is missing, damaged or of other bands.
    """
    ensemble = load_ensemble(models, "structure")
    table, pixels = open_store(StampFiles.beside(stamps), ensemble.bands, ensemble.reference_band)
    calibration = StructureCalibration.from_dict(read_json(profiles)["structure_calibration"])
    measured = measure(ensemble, table, pixels, parameters.configuration.structure)
    combination = combine(measured.estimates, calibration)
    values = profile_columns(measured, combination, calibration, table, ensemble)
    north, left = numpy_column(table, "north_angle"), left_handed(table["east_is_left"])
    for name in ("position_angle", "position_angle_network"):
        values[name] = pixel_to_sky_angle(values[name], north, left)
    flags = numpy_column(table, "flags") | structure_flags(measured, combination, ensemble, pixels.shape[-1])
    columns = {"source_id": table["source_id"], "flags": flags, **values}
    lineage = parameters.lineage(lineage_of(stamps, *models, profiles))
    write_table(output, shard_table("structure", columns), lineage, members=len(models))


def measure(ensemble: Ensemble, table: pa.Table, stamps: np.ndarray, settings: Structure) -> Measured:
    """Ask the networks about every stamp and, if the settings say so, fit a profile that starts from their answer.

    Parameters
    ----------
    ensemble : Ensemble
        Of structure networks.
    table : pyarrow.Table
        Columns of the stamps table, N rows.
    stamps : ndarray
        (N, 2, 1, S, S) in the reference band.
    settings : Structure
    """
    network = predict(ensemble, table, stamps, settings.rotations, settings.batch_size)
    if not settings.refine or not set(PROFILE) <= learnt_targets(ensemble):
        return Measured(without_fit(network), None)
    found = refine(network, table, stamps, ensemble.reference_band, settings, ensemble.device)
    return Measured(Estimates(network, found.fit, found.misfit, found.fitted), found)


def without_fit(network: Gaussians) -> Estimates:
    """Return the estimates where nothing was fitted."""
    number, size = len(network), len(PROFILE)
    nothing = Gaussians(np.full((number, size), np.nan), np.full((number, size, size), np.nan))
    return Estimates(network, nothing, np.full(number, np.nan), np.zeros(number, dtype=bool))


def predict(ensemble: Ensemble, table: pa.Table, stamps: np.ndarray, rotations: int, batch_size: int) -> Gaussians:
    """Return mean and covariance of the mixture over networks and orientations, in the space of `TARGETS`.

    Rows without a stamp, and targets that the networks did not learn, are NaN.
    """
    number = len(TARGETS)
    mean, covariance = np.full((table.num_rows, number), np.nan), np.full((table.num_rows, number, number), np.nan)
    for rows, values, turns in answers_of(ensemble, table, stamps, rotations, batch_size, _mean_and_factor):
        signs = np.stack([undone_signs(turn) for turn in turns])[:, None]
        centre, factor = values[..., 0] * signs, values[..., 1:] * signs[..., None]
        mean[rows] = centre.mean(axis=0)
        miss = centre - mean[rows]
        within = (factor @ factor.swapaxes(-1, -2)).mean(axis=0)
        covariance[rows] = within + np.einsum("mni,mnj->nij", miss, miss) / len(miss)
    unknown = [place for place, target in enumerate(TARGETS) if target not in learnt_targets(ensemble)]
    mean[:, unknown], covariance[:, unknown], covariance[:, :, unknown] = np.nan, np.nan, np.nan
    return Gaussians(mean, covariance)


def _mean_and_factor(output: dict[str, Tensor]) -> Tensor:
    return torch.cat([output["mean"][..., None], output["factor"]], dim=-1)


def undone_signs(turn: int) -> np.ndarray:
    """Return the signs (6,) that bring the targets of a turned stamp back to the stamp as it was.

    A quarter turn reverses both components of the ellipticity, a mirror image the second.
    """
    signs = np.ones(len(TARGETS))
    quarter = -1.0 if turn % 2 else 1.0
    signs[TARGETS.index("eta_1")] = quarter
    signs[TARGETS.index("eta_2")] = -quarter if turn >= 4 else quarter
    return signs


def learnt_columns(ensemble: Ensemble) -> set[str]:
    """Return the profile parameters, by their names in the catalogue, that every member learned."""
    return set.intersection(*(set(card.get("heads", {}).get("targets", COLUMNS)) for card in ensemble.cards))


def learnt_targets(ensemble: Ensemble) -> set[str]:
    """Return the targets that the members learned."""
    return {target for name in learnt_columns(ensemble) for target in COLUMNS[name]}


def profile_columns(
    measured: Measured,
    combination: Combination,
    calibration: StructureCalibration,
    table: pa.Table | Mapping[str, Any],
    ensemble: Ensemble,
) -> dict[str, Any]:
    """Return the columns of the stage structure, with position angles in the pixel frame.

    Parameters
    ----------
    measured : Measured
    combination : Combination
        Of its estimates.
    calibration : StructureCalibration
        Its models of the published errors are applied.
    table : pyarrow.Table or mapping
        See :func:`tuningfork.measure.structure.profiles.physical`.
    ensemble : Ensemble
    """
    band, network = ensemble.reference_band, measured.estimates.network
    values: dict[str, Any] = physical(combination.joint, table, band)
    signal = signal_to_noise(combination.joint.mean)
    for name, model in calibration.errors.items():
        weight = combination.weight[:, WEIGHED[name]]
        values[f"{name}_error"] = values[f"{name}_error"] * model.factor(signal, weight)
    values["position_angle_error"] = np.minimum(values["position_angle_error"], UNKNOWN_ANGLE)
    alone = physical(network, table, band)
    values |= {f"{column.name}_network": alone[column.name] for column in PROFILE_COLUMNS}
    for name in set(COLUMNS) - learnt_columns(ensemble):
        values |= dict.fromkeys([name, f"{name}_error", f"{name}_network"], np.full(len(network), np.nan))
    values.pop("bulge_to_total_network", None)
    seen = np.isfinite(network.mean).any(axis=1)
    method = np.where(combination.refined, "refined", "network")
    values["structure_method"] = [name if has else None for name, has in zip(method, seen, strict=True)]
    if measured.refinement is not None:
        values["reduced_chi2"] = measured.refinement.reduced_chi2
    return values


def structure_flags(measured: Measured, combination: Combination, ensemble: Ensemble, size: int) -> np.ndarray:
    """Return the bits (N,) that this stage adds, for stamps of `size` pixels along the edge."""
    network = measured.estimates.network
    seen = np.isfinite(network.mean).any(axis=1)
    outside = outside_range(combination.joint.mean, ensemble.cards[0].get("heads", {}).get("range", {}))
    bits = np.where(outside, int(Flag.STRUCTURE_OUTSIDE_TRAINING), 0)
    bits |= np.where(light_beyond(combination.joint.mean, size) > LOST, int(Flag.STRUCTURE_TRUNCATED), 0)
    if measured.refinement is not None:
        fit, refined = measured.refinement, combination.refined
        bits |= np.where(refined & (fit.masked_fraction > CROWDED), int(Flag.STRUCTURE_BLENDED), 0)
        bits |= np.where(seen & ~refined, int(Flag.STRUCTURE_NOT_REFINED), 0)
    return bits


def light_beyond(mean: np.ndarray, size: int) -> np.ndarray:
    """Return the share (N,) of the light of profiles beyond the edge of a stamp of `size` pixels, along the major axis.

    Parameters
    ----------
    mean : ndarray
        (N, 6) targets; the result is NaN where size or index is not known.
    size : int
    """
    n = np.exp(np.clip(mean[:, TARGETS.index("log_sersic_n")], *np.log(N_RANGE)))
    radii = size / 2 * np.exp(-np.clip(mean[:, TARGETS.index("log_r_eff")], -10, 10))
    return sersic_beyond(n, radii)


def outside_range(mean: np.ndarray, limits: dict[str, list[float]]) -> np.ndarray:
    """Return which sources lie at the edge of the range of magnitude, size or Sersic index that was trained on.

    Parameters
    ----------
    mean : ndarray
        (N, 6) targets.
    limits : dict
        Target -> low and high end, from the model card.
    """
    outside = np.zeros(len(mean), dtype=bool)
    for name, (low, high) in limits.items():
        values = mean[:, TARGETS.index(name)]
        with np.errstate(invalid="ignore"):
            outside |= (values < low) | (values > high)
    return outside
