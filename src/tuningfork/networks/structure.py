"""The structure network: profile parameters with all their correlations, transformed to have no bounds."""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tuningfork.networks.inputs import conditions_size
from tuningfork.networks.trunk import Trunk, bounded

TARGETS = ("mag", "log_r_eff", "log_sersic_n", "eta_1", "eta_2", "bulge_logit")
"""The predicted quantities: magnitude minus that of a source whose flux is the sky noise of one pixel; ln(semi-major
half-light radius / px); ln(Sersic index); the two components of -ln(axis ratio), the conformal shear (Bernstein &
Jarvis 2002), by twice the position angle; the logit of the bulge-to-total ratio."""
PROFILE = TARGETS[:5]
"""The targets that a Sersic profile has."""
COLUMNS = {
    "mag": ("mag",),
    "r_eff": ("log_r_eff",),
    "sersic_n": ("log_sersic_n",),
    "axis_ratio": ("eta_1", "eta_2"),
    "position_angle": ("eta_1", "eta_2"),
    "bulge_to_total": ("bulge_logit",),
}
"""Name in catalogue and configuration -> the targets from which it is computed."""
AXIS_RATIO_MIN = 0.05
BULGE_LIMITS = (0.01, 0.99)
"""Axis ratios and bulge-to-total ratios beyond these limits are set to them."""

TARGET_CENTRE = (-9.0, 2.5, 0.6, 0.0, 0.0, -0.5)
TARGET_SCALE = (1.5, 0.7, 0.6, 0.5, 0.5, 2.5)
"""Typical mean and spread of the targets; the network predicts in these units."""
SIGMA_LIMITS = ((2e-3, 2e-3, 3e-3, 2e-3, 2e-3, 0.1), (4.0, 2.0, 2.0, 1.5, 1.5, 6.0))
"""Limits of the standard deviations. The lower limit for the bulge-to-total ratio is large because many galaxies lie
exactly at the ends of its range, where the likelihood would grow without limit."""
MAX_FACTOR_ENTRY = 8.0
"""Limit of the entries of the correlations' factor, before its rows are normalised to unit length."""
STRUCTURE_VECTOR_LENGTH = 256


def shear_of(axis_ratio: np.ndarray, position_angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the conformal shear of shapes.

    Parameters
    ----------
    axis_ratio : ndarray
    position_angle : ndarray
        deg, from +y counter-clockwise.

    Returns
    -------
    eta_1, eta_2 : ndarray
    """
    eta = -np.log(np.clip(axis_ratio, AXIS_RATIO_MIN, 1))
    angle = 2 * np.deg2rad(position_angle)
    return eta * np.cos(angle), eta * np.sin(angle)


def shape_of(eta_1: np.ndarray, eta_2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Undo :func:`shear_of`.

    Parameters
    ----------
    eta_1, eta_2 : ndarray

    Returns
    -------
    axis_ratio : ndarray
    position_angle : ndarray
        deg, in [0, 180).
    """
    return np.exp(-np.hypot(eta_1, eta_2)), np.mod(np.rad2deg(np.arctan2(eta_2, eta_1)) / 2, 180)


def bulge_logit(bulge_to_total: np.ndarray) -> np.ndarray:
    """Return the logit of bulge-to-total ratios.

    Parameters
    ----------
    bulge_to_total : ndarray

    Returns
    -------
    ndarray
        Of the same shape.
    """
    ratio = np.clip(bulge_to_total, *BULGE_LIMITS)
    return np.log(ratio / (1 - ratio))


def bulge_ratio(logit: np.ndarray) -> np.ndarray:
    """Undo :func:`bulge_logit`.

    Parameters
    ----------
    logit : ndarray

    Returns
    -------
    ndarray
        Of the same shape.
    """
    return 1 / (1 + np.exp(-np.asarray(logit)))


class StructureNetwork(nn.Module):
    """Predicts profile parameters with uncertainties and correlations, from the reference band alone.

    The idea is that of DeepLeGATo (Tuccillo+ 2018). The network is given the PSF, which Li+ (2022, GaLNets) found
    necessary. Sizes and fluxes are in units of pixels and noise, so that one network serves every survey.

    Parameters
    ----------
    reference_band : str
        The band that it reads.
    width, size : int
        See :class:`~tuningfork.networks.trunk.Trunk`.
    """

    kind = "structure"
    centre: Tensor
    scale: Tensor
    log_sigma: Tensor

    def __init__(self, reference_band: str, width: int, size: int = 128) -> None:
        super().__init__()
        number, facts = len(TARGETS), conditions_size(1)
        self.trunk = Trunk([reference_band], reference_band, width, size, hidden=STRUCTURE_VECTOR_LENGTH)
        self.widen = nn.Linear(STRUCTURE_VECTOR_LENGTH + facts, 2 * STRUCTURE_VECTOR_LENGTH)
        self.narrow = nn.Linear(2 * STRUCTURE_VECTOR_LENGTH, STRUCTURE_VECTOR_LENGTH)
        self.head = nn.Linear(STRUCTURE_VECTOR_LENGTH, 2 * number + number * (number - 1) // 2)
        self.skip = nn.Linear(facts, number)
        scale = torch.tensor(TARGET_SCALE)
        self.register_buffer("centre", torch.tensor(TARGET_CENTRE), persistent=False)
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("log_sigma", (torch.tensor(SIGMA_LIMITS) / scale).log(), persistent=False)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        for layer in (self.skip, self.narrow):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        # Uncertainties start at the spread of the targets; with small ones, the first losses would be enormous.
        low, high = self.log_sigma.unbind(0)
        half = (high - low) / 2
        self.head.bias.data[number : 2 * number] = half * torch.atanh(-(low + high) / (2 * half))

    def forward(self, inputs: Tensor, conditions: Tensor) -> dict[str, Tensor]:
        """Predict.

        Parameters
        ----------
        inputs : Tensor
            (N, 1, S, S), from :func:`tuningfork.networks.inputs.prepare`.
        conditions : Tensor
            (N, C), likewise.

        Returns
        -------
        dict
            float32 tensors: `mean` (N, 6) of `TARGETS`, and `factor` (N, 6, 6), lower triangular with a positive
            diagonal; factor @ factor.T is their covariance.
        """
        vector, facts = self.trunk(inputs, conditions)
        with torch.autocast(inputs.device.type, enabled=False):
            mixed = functional.silu(self.widen(torch.cat([vector, facts], dim=1)))
            vector = vector + self.narrow(mixed)
            number = len(TARGETS)
            mean, width, tangle = self.head(vector).split([number, number, number * (number - 1) // 2], dim=1)
            # The growth curve gives magnitude and size to first order; the image only corrects them.
            mean = self.centre + self.scale * (mean + self.skip(facts))
            low, high = self.log_sigma.unbind(0)
            sigma = self.scale * bounded(width, low, high).exp()
            return {"mean": mean, "factor": sigma[:, :, None] * correlations(tangle)}


def correlations(entries: Tensor) -> Tensor:
    """Return Cholesky factors of correlation matrices.

    The rows have unit length, so that the standard deviations are separate from the correlations.

    Parameters
    ----------
    entries : Tensor
        (N, K (K - 1) / 2), the free entries.

    Returns
    -------
    Tensor
        (N, K, K)
    """
    size = (1 + math.isqrt(1 + 8 * entries.shape[1])) // 2
    rows, columns = torch.tril_indices(size, size, -1, device=entries.device)
    factor = torch.eye(size, dtype=entries.dtype, device=entries.device).repeat(len(entries), 1, 1)
    factor[:, rows, columns] = bounded(entries, -MAX_FACTOR_ENTRY, MAX_FACTOR_ENTRY)
    return functional.normalize(factor, dim=2)
