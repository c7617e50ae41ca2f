"""The structure network: profile parameters as Gaussians in a space where they are unbounded."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from tuningfork.networks.inputs import conditions_size
from tuningfork.networks.trunk import HIDDEN, Trunk, bounded

TARGETS = ("mag", "log_r_eff", "log_sersic_n", "axis_ratio", "cosine", "sine")
"""What is predicted: magnitude relative to that of one noise unit; ln(r_eff / px); ln(n); the link of the axis
ratio; and (1 - axis ratio) times cosine and sine of twice the position angle."""
CENTRE = (-9.0, 2.5, 0.6, 0.7, 0.0, 0.0)
SCALE = (1.5, 0.7, 0.6, 1.0, 0.3, 0.3)
"""Typical mean and spread of the targets; the network predicts in these units."""
LOG_SIGMA = (-4.5, 1.0)
"""Limits of ln(standard deviation), in units of SCALE."""
AXIS_RATIO_TOP = 1.05
"""Axis ratio at which the link diverges: a little above one, so that round galaxies have a finite link."""
AXIS_RATIO_LOW = 0.02


def link_axis_ratio(axis_ratio: np.ndarray) -> np.ndarray:
    """Map axis ratios in (0, 1] to the unbounded link."""
    q = np.clip(axis_ratio, AXIS_RATIO_LOW, 1)
    return np.log(q / (AXIS_RATIO_TOP - q))


def unlink_axis_ratio(link: np.ndarray) -> np.ndarray:
    """Map the link to axis ratios in (0, 1]."""
    return np.clip(AXIS_RATIO_TOP / (1 + np.exp(-np.asarray(link))), 1e-3, 1)


class StructureNetwork(nn.Module):
    """Profile parameters with uncertainties, after DeepLeGATo (Tuccillo+ 2018).

    Parameters
    ----------
    bands : sequence of str
    reference_band : str
    width, size : int
        See :class:`~tuningfork.networks.trunk.Trunk`.
    """

    kind = "structure"
    centre: Tensor
    scale: Tensor

    def __init__(self, bands: Sequence[str], reference_band: str, width: int, size: int = 128) -> None:
        super().__init__()
        self.trunk = Trunk(bands, reference_band, width, size)
        self.head = nn.Linear(HIDDEN, 2 * len(TARGETS))
        self.skip = nn.Linear(conditions_size(len(bands)), len(TARGETS))
        self.register_buffer("centre", torch.tensor(CENTRE), persistent=False)
        self.register_buffer("scale", torch.tensor(SCALE), persistent=False)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        nn.init.zeros_(self.skip.weight)
        nn.init.zeros_(self.skip.bias)

    def forward(self, inputs: Tensor, conditions: Tensor) -> Tensor:
        """Predict.

        Parameters
        ----------
        inputs : Tensor
            (N, B, S, S), from :func:`tuningfork.networks.inputs.prepare`.
        conditions : Tensor
            (N, C), likewise.

        Returns
        -------
        Tensor
            float32 (N, 6, 2): mean and log standard deviation of each of `TARGETS`.
        """
        vector, facts = self.trunk(inputs, conditions)
        with torch.autocast(inputs.device.type, enabled=False):
            mean, log_sigma = self.head(vector).chunk(2, dim=1)
            # The growth curve gives magnitude and size to first order; the image needs only to correct them.
            mean = self.centre + self.scale * (mean + self.skip(facts))
            log_sigma = bounded(log_sigma, *LOG_SIGMA) + self.scale.log()
            return torch.stack([mean, log_sigma], dim=2)
