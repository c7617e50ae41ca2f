"""The morphology network: votes as Dirichlet concentrations, and the bar's length."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tuningfork.core.decision_tree import answers, question, questions
from tuningfork.networks.trunk import HIDDEN, Trunk, bounded

CONCENTRATION_MIN = 1e-3
LOG_TOTAL = (-1.0, 6.0)
"""Limits of ln(sum of the concentrations of a question)."""
LOG_LENGTH_MEAN = 3.2
"""About the mean of ln(bar length / px); the network predicts the difference."""
LOG_LENGTH_SIGMA = (-4.0, 1.0)
"""Limits of the natural logarithm of the standard deviation of ln(bar length)."""


class MorphologyNetwork(nn.Module):
    """Votes for every question of the decision tree, after Zoobot (Walmsley+ 2022), and the bar's length.

    Parameters
    ----------
    bands : sequence of str
    reference_band : str
    width, size : int
        See :class:`~tuningfork.networks.trunk.Trunk`.
    """

    kind = "morphology"

    def __init__(self, bands: Sequence[str], reference_band: str, width: int, size: int = 128) -> None:
        super().__init__()
        self.trunk = Trunk(bands, reference_band, width, size, profile=False)
        self.votes = nn.Linear(HIDDEN, len(answers()) + len(questions()))
        self.length = nn.Linear(HIDDEN, 2)
        for head in (self.votes, self.length):
            nn.init.normal_(head.weight, std=0.02)
            nn.init.zeros_(head.bias)

    def forward(self, inputs: Tensor, conditions: Tensor) -> dict[str, Tensor]:
        """Predict.

        Parameters
        ----------
        inputs : Tensor
            (N, B, S, S), from :func:`tuningfork.networks.inputs.prepare`.
        conditions : Tensor
            (N, C), likewise.

        Returns
        -------
        dict
            float32 tensors: `concentrations` (N, A) of the Dirichlet distributions of all answers, in the order of
            the decision tree; `bar_logit` (N,), the log ratio of the expected votes for and against a bar;
            `log_bar_length` (N, 2), mean and log standard deviation of ln(full bar length / px).
        """
        vector, _ = self.trunk(inputs, conditions)
        with torch.autocast(inputs.device.type, enabled=False):
            scores, totals = self.votes(vector).split([len(answers()), len(questions())], dim=1)
            totals = bounded(totals, *LOG_TOTAL).exp()
            parts = [
                scores[:, entry.slice].softmax(1) * totals[:, place, None] for place, entry in enumerate(questions())
            ]
            bar = question("bar")
            mean, log_sigma = self.length(vector).unbind(1)
            return {
                "concentrations": torch.cat(parts, dim=1) + CONCENTRATION_MIN,
                "bar_logit": scores[:, bar.first] - scores[:, bar.first + 1],
                "log_bar_length": torch.stack([mean + LOG_LENGTH_MEAN, bounded(log_sigma, *LOG_LENGTH_SIGMA)], dim=1),
            }
