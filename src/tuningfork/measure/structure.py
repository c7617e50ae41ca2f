"""Profile parameters of every source of a shard, with uncertainties, in magnitudes, arcsec and degrees on the sky."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from tuningfork.core.flags import Flag
from tuningfork.core.parameters import Parameters
from tuningfork.core.tables import lineage_of, numpy_column, shard_table, write_table
from tuningfork.measure.ensemble import answers_of, mixture
from tuningfork.networks.ensemble import Ensemble, load_ensemble, open_store
from tuningfork.networks.inputs import undo_dihedral_angle
from tuningfork.networks.structure import TARGETS, unlink_axis_ratio
from tuningfork.sky.coordinates import left_handed, pixel_to_sky_angle

UNKNOWN_ANGLE = 180 / np.sqrt(12)
"""Standard deviation (deg) of a position angle of which nothing is known."""
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
AXIS_RATIO = TARGETS.index("axis_ratio")


@dataclass(frozen=True)
class Profiles:
    """Profile parameters of N sources in the space of the network; NaN without a stamp.

    Attributes
    ----------
    mean, sigma : ndarray
        (N, 6) mean and standard deviation of `TARGETS`; the axis ratio itself instead of its link, and cosine and
        sine in the pixel frame.
    """

    mean: np.ndarray
    sigma: np.ndarray


def structure_shard(parameters: Parameters, stamps: Path, models: Sequence[Path], output: Path) -> None:
    """Write the structure table of a shard.

    Parameters
    ----------
    parameters : Parameters
        Of the stage structure.
    stamps : Path
        The shard's stamps table, with the .npy beside it.
    models : sequence of Path
        Cards of the structure networks.
    output : Path
        structure.parquet.

    Raises
    ------
    InputError
        A model or table is missing, damaged or of other bands.
    """
    settings = parameters.configuration.structure
    ensemble = load_ensemble(models, "structure")
    table, pixels = open_store(stamps, ensemble.bands, ensemble.reference_band)
    profiles = predict_profiles(ensemble, table, pixels, settings.rotations, settings.batch_size)
    values = _physical(profiles, table, ensemble.reference_band)
    north, left = numpy_column(table, "north_angle"), left_handed(table["east_is_left"])
    values["position_angle"] = pixel_to_sky_angle(values["position_angle"], north, left)
    outside = outside_range(profiles, ensemble.cards[0]["heads"]["range"])
    flags = numpy_column(table, "flags") | np.where(outside, Flag.STRUCTURE_OUTSIDE_TRAINING.value, 0)
    columns = {"source_id": table["source_id"], "flags": flags, **values}
    lineage = parameters.lineage(lineage_of(stamps, *models))
    write_table(output, shard_table("structure", columns), lineage, members=len(models))


def profile_values(
    ensemble: Ensemble, table: pa.Table, stamps: np.ndarray, rotations: int, batch_size: int
) -> dict[str, np.ndarray]:
    """Return the columns of the stage structure, with the position angle in the pixel frame.

    Parameters
    ----------
    ensemble : Ensemble
        Of structure networks.
    table : pyarrow.Table
        Columns of the stamps table, N rows.
    stamps : ndarray
        (N, 2, B, S, S)
    rotations : int
        Orientations of each stamp that are averaged.
    batch_size : int

    Returns
    -------
    dict
        Column -> array (N,), NaN without a stamp: mag, r_eff (arcsec), sersic_n, axis_ratio, position_angle (deg,
        from the +y axis counter-clockwise), each with `_error`.
    """
    profiles = predict_profiles(ensemble, table, stamps, rotations, batch_size)
    return _physical(profiles, table, ensemble.reference_band)


def predict_profiles(
    ensemble: Ensemble, table: pa.Table, stamps: np.ndarray, rotations: int, batch_size: int
) -> Profiles:
    """Return the mixture over networks and orientations; the parameters are those of :func:`profile_values`."""
    mean, sigma = (np.full((table.num_rows, len(TARGETS)), np.nan) for _ in range(2))
    for rows, values, turns in answers_of(ensemble, table, stamps, rotations, batch_size, lambda output: output):
        centre, width = values[..., 0].copy(), np.exp(values[..., 1])
        for place, turn in enumerate(turns):
            centre[place, :, 4:] = undo_turn(centre[place, :, 4:], turn)
        centre[..., AXIS_RATIO], width[..., AXIS_RATIO] = axis_ratio_moments(
            centre[..., AXIS_RATIO], width[..., AXIS_RATIO]
        )
        mean[rows], sigma[rows] = mixture(centre, width)
    return Profiles(mean, sigma)


def undo_turn(components: np.ndarray, turn: int) -> np.ndarray:
    """Return cosine and sine (N, 2) of twice an angle as they were before the image was turned."""
    angle = np.rad2deg(np.arctan2(components[:, 1], components[:, 0])) / 2
    double = 2 * np.deg2rad(undo_dihedral_angle(angle, turn))
    return np.hypot(*components.T)[:, None] * np.stack([np.cos(double), np.sin(double)], axis=1)


def axis_ratio_moments(link: np.ndarray, sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of the axis ratio whose link is normally distributed."""
    ratio = unlink_axis_ratio(link[..., None] + sigma[..., None] * NODES)
    weight = WEIGHTS / WEIGHTS.sum()
    mean = (ratio * weight).sum(axis=-1)
    return mean, np.sqrt(np.maximum((ratio**2 * weight).sum(axis=-1) - mean**2, 0))


def position_angle(mean: np.ndarray, sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return position angle and standard deviation (deg) from the cosine and sine components.

    Parameters
    ----------
    mean, sigma : ndarray
        (N, 2) of (1 - axis ratio) times cosine and sine of twice the angle. A round galaxy has a small vector, and so
        an angle that is not known.
    """
    double = np.arctan2(mean[:, 1], mean[:, 0])
    across = np.hypot(np.sin(double) * sigma[:, 0], np.cos(double) * sigma[:, 1])
    error = np.rad2deg(np.arctan2(across, np.hypot(*mean.T))) / 2
    return np.mod(np.rad2deg(double) / 2, 180), np.minimum(error, UNKNOWN_ANGLE)


def outside_range(profiles: Profiles, limits: dict[str, list[float]]) -> np.ndarray:
    """Return which sources lie at the edge of the range of magnitude, size or Sersic index that was trained on.

    Parameters
    ----------
    profiles : Profiles
    limits : dict
        Target -> low and high end, from the model card.
    """
    outside = np.zeros(len(profiles.mean), dtype=bool)
    for name, (low, high) in limits.items():
        values = profiles.mean[:, TARGETS.index(name)]
        with np.errstate(invalid="ignore"):
            outside |= (values < low) | (values > high)
    return outside


def _physical(profiles: Profiles, table: pa.Table, reference_band: str) -> dict[str, np.ndarray]:
    """Return the columns of the stage, with the position angle in the pixel frame."""
    noise = numpy_column(table, f"sky_noise_{reference_band}").astype(float)
    scale = numpy_column(table, "pixel_scale").astype(float)
    mean, sigma = profiles.mean.T, profiles.sigma.T
    with np.errstate(divide="ignore", invalid="ignore"):
        mag = mean[0] + numpy_column(table, "zero_point") - 2.5 * np.log10(noise)
    r_eff, sersic_n = np.exp(mean[1]) * scale, np.exp(mean[2])
    angle, angle_error = position_angle(profiles.mean[:, 4:], profiles.sigma[:, 4:])
    return {
        "mag": mag,
        "mag_error": sigma[0],
        "r_eff": r_eff,
        "r_eff_error": r_eff * sigma[1],
        "sersic_n": sersic_n,
        "sersic_n_error": sersic_n * sigma[2],
        "axis_ratio": mean[AXIS_RATIO],
        "axis_ratio_error": sigma[AXIS_RATIO],
        "position_angle": angle,
        "position_angle_error": angle_error,
    }
