"""The morphology network: votes as Dirichlet concentrations, and the position, length and angle of the bar."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from tuningfork.core.decision_tree import answers, question, questions
from tuningfork.networks.encoder import StandardisedConv
from tuningfork.networks.trunk import Rings, Trunk, bounded

CONCENTRATION_MIN = 1e-3
LOG_TOTAL = (-1.0, 6.0)
"""Limits of ln(sum of the concentrations of a question)."""
LOG_LENGTH_MEAN = 3.2
"""About the mean of ln(bar length / px); the network predicts the difference from it."""
LOG_LENGTH_SIGMA = (-4.0, 1.0)
"""Limits of the natural logarithm of the standard deviation of ln(bar length)."""
MORPHOLOGY_RINGS: Rings = (
    (1.5, 3.0, 4.5, 6.5, 9.0, 12.0, 16.0, 21.0, 27.0, 34.0, 42.0),
    (2.0, 5.0, 9.0, 14.0, 20.0, 28.0, 38.0, 48.0),
    (6.0, 20.0, 42.0),
)
"""Finer than for profiles, because the bar ends where the second harmonic of the light does."""
MORPHOLOGY_VECTOR_LENGTH = 192
MASK_SHRINK = 4
"""Width of a cell of the bar's mask in pixels of the stamp."""
MASK_START_LOGIT = -3.0
"""Logit of a cell of the mask before training; few cells belong to a bar."""


class Decoder(nn.Module):
    """Features at a quarter of the stamp's resolution, from the encoder's three maps.

    Parameters
    ----------
    channels : sequence of int
        Of the three maps.
    depth : int
        Channels of the features.
    """

    def __init__(self, channels: Sequence[int], depth: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(number, depth, 1) for number in channels)
        self.blend = StandardisedConv(depth)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Combine the maps.

        Parameters
        ----------
        maps : sequence of Tensor
            From the encoder.

        Returns
        -------
        Tensor
            (N, depth, S / 4, S / 4)
        """
        quarter, eighth, sixteenth = (layer(x) for layer, x in zip(self.lateral, maps, strict=True))
        features = functional.silu(quarter + enlarged(eighth + enlarged(sixteenth, eighth), quarter))
        return functional.silu(features + self.blend(features))


def enlarged(x: Tensor, like: Tensor) -> Tensor:
    """Enlarge maps to the resolution of another.

    Parameters
    ----------
    x : Tensor
        (N, C, h, w)
    like : Tensor
        (N, C, H, W), with about twice the resolution.

    Returns
    -------
    Tensor
        (N, C, H, W)
    """
    return functional.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


class BarMask(nn.Conv2d):
    """Finds the cells that lie on the bar, and averages the features on the bar and over the stamp."""

    def __init__(self, depth: int) -> None:
        super().__init__(depth, 1, 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Find the bar.

        Parameters
        ----------
        features : Tensor
            (N, depth, H, W)

        Returns
        -------
        mask : Tensor
            float32 (N, 1, H, W), logits.
        means : Tensor
            float32 (N, 2 x depth), on the bar and over the stamp.
        """
        mask = super().forward(features)
        with torch.autocast(features.device.type, enabled=False):
            mask, features = mask.float(), features.float()
            weight = share_of_bar(mask)
            return mask, torch.cat([(features * weight).sum((2, 3)), features.mean((2, 3))], dim=1)


def share_of_bar(mask: Tensor) -> Tensor:
    """Return the weight of every cell in a mean over the bar.

    Parameters
    ----------
    mask : Tensor
        (N, 1, H, W), logits.

    Returns
    -------
    Tensor
        (N, 1, H, W)
    """
    weight = torch.sigmoid(mask)
    # A tenth of a cell keeps the mean finite, and small, in galaxies without a bar.
    return weight / (weight.sum((2, 3), keepdim=True) + 0.1)


class MorphologyNetwork(nn.Module):
    """Predicts the votes for every question of the decision tree, as Zoobot does (Walmsley+ 2022), and the bar.

    The bar's mask tells which cells of the image lie on the bar; features averaged over it help to predict the votes
    and the length.

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
        depth = 2 * width
        self.trunk = Trunk(
            bands,
            reference_band,
            width,
            size,
            profile=False,
            hidden=MORPHOLOGY_VECTOR_LENGTH,
            rings=MORPHOLOGY_RINGS,
            further=2 * depth,
        )
        self.decoder = Decoder(self.trunk.encoder.channels, depth)
        self.mask = BarMask(depth)
        self.votes = nn.Linear(MORPHOLOGY_VECTOR_LENGTH, len(answers()) + len(questions()))
        self.evidence = nn.Linear(MORPHOLOGY_VECTOR_LENGTH, 1)
        self.length = nn.Linear(MORPHOLOGY_VECTOR_LENGTH, 2)
        self.angle = nn.Linear(MORPHOLOGY_VECTOR_LENGTH, 2)
        biases = (
            (self.votes, 0.0),
            (self.evidence, 0.0),
            (self.length, 0.0),
            (self.angle, 0.0),
            (self.mask, MASK_START_LOGIT),
        )
        for head, bias in biases:
            nn.init.normal_(head.weight, std=0.02)
            head.bias = nn.Parameter(torch.full_like(cast(Tensor, head.bias), bias))
        self.barred = nn.Linear(MORPHOLOGY_VECTOR_LENGTH, 1)

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
            `bar_evidence` (N,), the same by a head whose derivative is trained to lie on the bar; `barred` (N,), the
            logit of the probability that the galaxy has a bar, whether or not volunteers see it;
            `log_bar_length` (N, 2), mean and log standard deviation of ln(full bar length / px); `bar_mask`
            (N, S / 4, S / 4), the logit that a cell lies on the bar; `bar_angle` (N, 2), cosine and sine of twice the
            position angle in the pixel frame, a vector that is shorter than one if the angle is uncertain; `features`
            (N, `MORPHOLOGY_VECTOR_LENGTH`), the vector from which votes, length and angle are predicted.
        """
        maps = self.trunk.encoder(inputs)
        mask, on_bar_and_everywhere = self.mask(self.decoder(maps))
        vector, _ = self.trunk.join_up(maps, conditions, on_bar_and_everywhere)
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
                "bar_evidence": self.evidence(vector)[:, 0],
                "barred": self.barred(vector)[:, 0],
                "log_bar_length": torch.stack([mean + LOG_LENGTH_MEAN, bounded(log_sigma, *LOG_LENGTH_SIGMA)], dim=1),
                "bar_mask": mask[:, 0],
                "bar_angle": self.angle(vector),
                "features": vector,
            }
