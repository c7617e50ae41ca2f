"""A structure network whose answer is known: it measures second moments."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tuningfork.networks.ensemble import Ensemble
from tuningfork.networks.model_file import input_of


class Moments(nn.Module):
    """A "network" that measures angle and axis ratio by second moments, so that the truth is known."""

    def forward(self, inputs: Tensor, conditions: Tensor) -> dict[str, Tensor]:
        """See StructureNetwork."""
        light = torch.sinh(inputs[:, 0]).clamp(min=0) * (inputs[:, 0] > 3)
        size = light.shape[-1]
        place = torch.arange(size) - size / 2
        total = light.sum((1, 2))
        x, y = (light.sum(axis) @ place / total for axis in (1, 2))
        dx, dy = place - x[:, None], place - y[:, None]
        xx, yy = (light.sum(1) * dx**2).sum(1), (light.sum(2) * dy**2).sum(1)
        xy = torch.einsum("nij,ni,nj->n", light, dy, dx)
        one, zero = torch.ones_like(xx), torch.zeros_like(xx)
        cosine, sine = (yy - xx) / (xx + yy), -2 * xy / (xx + yy)
        mean = [-5 * one, np.log(10) * one, np.log(2) * one, cosine, sine, zero]
        factor = 0.05 * torch.eye(6).repeat(len(xx), 1, 1)
        factor[:, 4, 3] = 0.03  # correlated components, so that the covariance has to be turned back too
        return {"mean": torch.stack(mean, dim=1), "factor": factor}


def moments(**heads: Any) -> Ensemble:
    """Return an ensemble of one such network."""
    return Ensemble([Moments()], [{"input": input_of(["r"], "r", 32), "heads": heads}], torch.device("cpu"))
