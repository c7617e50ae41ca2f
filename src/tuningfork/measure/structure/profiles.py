"""Conversion of the networks' targets to the profile parameters of the catalogue: mag, arcsec, axis ratios, deg.

Ellipticities are conformal shears (Bernstein & Jarvis 2002, AJ 123, 583), eta = -ln(axis ratio). The axis ratio and the
position angle are not linear functions of the two components, so their means are integrals over both components.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from tuningfork.networks.posterior import Gaussians
from tuningfork.training.tasks import noise_magnitude

ETA_TARGETS = slice(3, 5)
BULGE_TARGET = 5
UNKNOWN_ANGLE_DEVIATION = 180 / np.sqrt(12)
"""Standard deviation (deg) of an unknown position angle, which is uniform over 180 deg."""
HERMITE_NODES, HERMITE_WEIGHTS = np.polynomial.hermite_e.hermegauss(12)
# The number of nodes is even, so that no node lies at the origin, where the axis ratio has a cusp.
CORRELATED_TARGETS = {"mag_r_eff": (0, 1), "mag_sersic_n": (0, 2), "r_eff_sersic_n": (1, 2)}


def physical(targets: Gaussians, table: pa.Table | Mapping[str, Any], reference_band: str) -> dict[str, np.ndarray]:
    """Return the profile parameters, with position angles in the pixel frame (deg, from the +y axis counter-clockwise).

    Parameters
    ----------
    targets : Gaussians
        Distributions of the targets of N sources.
    table : pyarrow.Table or mapping
        The rows' `zero_point`, `pixel_scale` (arcsec) and `sky_noise_{reference_band}` (flux units).
    reference_band : str

    Returns
    -------
    dict
        Column -> array (N,), NaN without an estimate: mag, r_eff (arcsec), sersic_n (the latter two are medians of
        their distributions), axis_ratio, position_angle, bulge_to_total (means), each with `_error`, and the
        correlations of the first three.
    """
    noise = f"sky_noise_{reference_band}"
    facts = {name: np.asarray(table[name], dtype=float) for name in ("zero_point", "pixel_scale", noise)}
    mean, sigma = targets.mean.T, np.sqrt(np.diagonal(targets.covariance, axis1=1, axis2=2)).T
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        mag = mean[0] + noise_magnitude(facts, reference_band)
        r_eff, sersic_n = np.exp(mean[1]) * facts["pixel_scale"], np.exp(mean[2])
    ratio, ratio_error, angle, angle_error = shape(
        targets.mean[:, ETA_TARGETS], targets.covariance[:, ETA_TARGETS, ETA_TARGETS]
    )
    bulge, bulge_error = bulge_to_total(mean[BULGE_TARGET], sigma[BULGE_TARGET])
    values = {
        "mag": mag,
        "mag_error": sigma[0],
        "r_eff": r_eff,
        "r_eff_error": r_eff * sigma[1],
        "sersic_n": sersic_n,
        "sersic_n_error": sersic_n * sigma[2],
        "axis_ratio": ratio,
        "axis_ratio_error": ratio_error,
        "position_angle": angle,
        "position_angle_error": angle_error,
        "bulge_to_total": bulge,
        "bulge_to_total_error": bulge_error,
    }
    for name, (row, column) in CORRELATED_TARGETS.items():
        with np.errstate(divide="ignore", invalid="ignore"):
            values[f"{name}_correlation"] = targets.covariance[:, row, column] / (sigma[row] * sigma[column])
    return values


def shape(mean: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return axis ratio and position angle (deg), each with its standard deviation, from the ellipticity.

    Parameters
    ----------
    mean, covariance : ndarray
        (N, 2) and (N, 2, 2) of eta_1 and eta_2: eta times the cosine and the sine of twice the position angle.

    Returns
    -------
    axis_ratio, axis_ratio_error, angle, angle_error : ndarray
        (N,) mean and standard deviation over the normal distribution; the error of an angle is the circular standard
        deviation, at most `UNKNOWN_ANGLE_DEVIATION`.
    """
    known = np.isfinite(mean).all(axis=1)
    result = np.full((4, len(mean)), np.nan)
    values, vectors = np.linalg.eigh(covariance[known])
    root = vectors * np.sqrt(np.maximum(values, 0))[:, None, :]
    nodes = np.stack(np.meshgrid(HERMITE_NODES, HERMITE_NODES, indexing="ij"), axis=-1).reshape(-1, 2)
    weight = np.outer(HERMITE_WEIGHTS, HERMITE_WEIGHTS).ravel() / HERMITE_WEIGHTS.sum() ** 2
    eta = mean[known][:, None, :] + nodes @ root.transpose(0, 2, 1)
    ratio = np.exp(-np.hypot(eta[..., 0], eta[..., 1]))
    result[0, known] = ratio @ weight
    result[1, known] = np.sqrt(np.maximum(ratio**2 @ weight - result[0, known] ** 2, 0))
    direction = np.exp(1j * np.arctan2(eta[..., 1], eta[..., 0])) @ weight
    # The modulus is taken twice, because the first one turns a tiny negative angle into 180.
    result[2, known] = np.mod(np.mod(np.rad2deg(np.angle(direction)) / 2, 180), 180)
    # Half the circular standard deviation of twice the angle.
    circular = np.rad2deg(np.sqrt(-2 * np.log(np.clip(np.abs(direction), 1e-6, 1)))) / 2
    result[3, known] = np.minimum(circular, UNKNOWN_ANGLE_DEVIATION)
    return result[0], result[1], result[2], result[3]


def bulge_to_total(logit: np.ndarray, sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of the bulge-to-total ratio, whose logit is normally distributed.

    Parameters
    ----------
    logit, sigma : ndarray
        (N,) mean and standard deviation of the logit.

    Returns
    -------
    mean, error : ndarray
        (N,)
    """
    share = 1 / (1 + np.exp(-(logit[:, None] + sigma[:, None] * HERMITE_NODES)))
    weight = HERMITE_WEIGHTS / HERMITE_WEIGHTS.sum()
    mean = share @ weight
    return mean, np.sqrt(np.maximum(share**2 @ weight - mean**2, 0))
