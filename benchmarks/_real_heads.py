"""New heads on the morphology network for labels of real colour pictures: frozen features, or everything fine-tuned."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from tuningfork.core.seeds import generator_for
from tuningfork.networks.ensemble import mixed_precision
from tuningfork.networks.inputs import ORIENTATIONS, dihedral, prepare
from tuningfork.networks.model_file import load
from tuningfork.pictures.measure import store_of
from tuningfork.pictures.read import read_picture
from tuningfork.stamps.picture.stamp import PictureStamp
from tuningfork.stamps.picture.stretch import unstretch

BATCH = 32
RATE, DECAY, SMOOTHING = 1e-3, 0.05, 0.05
"""Peak learning rate and weight decay of AdamW, label smoothing."""
RIDGE = 1e-2
"""Weight of the squares in the logistic regression."""


@dataclass(frozen=True)
class Labelled:
    """Pictures as networks read them: `inputs` (N, 3, S, S) in three colours, `conditions` (N, C), `labels` (N, ...)."""

    inputs: Tensor
    conditions: Tensor
    labels: Tensor

    def __getitem__(self, rows: np.ndarray) -> "Labelled":
        return Labelled(self.inputs[rows], self.conditions[rows], self.labels[rows])


def read(paths: Sequence[Path], labels: Sequence[int] | np.ndarray, stretch: float) -> Labelled:
    """Read pictures with their labels; those without a galaxy are kept, as they are."""
    readings = [read_picture(path, stretch) for path in paths]
    rows, pixels = store_of(readings, "r")
    _, conditions = prepare(pixels, rows, ["r"], "r")
    colours = [_colours(path, reading.stamp, stretch) for path, reading in zip(paths, readings, strict=True)]
    return Labelled(torch.from_numpy(np.stack(colours)), conditions, torch.as_tensor(labels))


def _colours(path: Path, stamp: PictureStamp, stretch: float) -> np.ndarray:
    """Return arcsinh(light / noise of the mean) of the three colours on the grid of the stamp."""
    channels = unstretch(np.asarray(Image.open(path).convert("RGB"))[::-1] / np.float32(255), stretch)
    offset = (np.arange(len(stamp.image)) - len(stamp.image) // 2) * stamp.step
    grid = np.broadcast_arrays((stamp.y + offset)[:, None], stamp.x + offset)
    smooth = np.sqrt(max(stamp.step**2 - 1, 0) / 12)
    planes = []
    for channel in np.moveaxis(channels, -1, 0):
        level = np.median(channel[stamp_border(channel)])
        image = ndimage.map_coordinates(ndimage.gaussian_filter(channel - level, smooth), grid, order=1)
        planes.append(np.where(stamp.valid, image, 0))
    return np.arcsinh(np.stack(planes) / stamp.sky_noise).astype(np.float32)


def stamp_border(channel: np.ndarray) -> np.ndarray:
    """Return which pixels lie in the outermost eighth of a picture."""
    y, x = (np.minimum(np.arange(n), np.arange(n)[::-1]) < n // 8 for n in channel.shape)
    return y[:, None] | x


def grey(inputs: Tensor) -> Tensor:
    """Return the mean of the colours (N, 1, S, S), in the stretch that the network was trained with."""
    return torch.asinh(torch.sinh(inputs).mean(1, keepdim=True))


def in_colours(card: Path) -> nn.Module:
    """Return the morphology network with its first layer widened to three colours, to be trained further."""
    network = load(card, "morphology")[0].requires_grad_(True)
    stem = network.trunk.encoder.stem
    stem.weight = nn.Parameter(stem.weight.detach().repeat(1, 3, 1, 1) / 3)
    return network


class Head(nn.Module):
    """The morphology network with another answer: from its vector to the logits of some classes.

    Parameters
    ----------
    card : path
    classes : int
    colours : bool
        Whether its first layer is widened to three colours, of which it sees the mean before training.
    """

    def __init__(self, card: Path, classes: int, colours: bool) -> None:
        super().__init__()
        self.colours = colours
        self.network = in_colours(card) if colours else load(card, "morphology")[0]
        self.head = nn.Linear(self.network.votes.in_features, classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.network.votes.register_forward_pre_hook(self._keep)

    def _keep(self, _: nn.Module, arguments: tuple[Tensor]) -> None:
        self.kept = arguments[0]

    def vector(self, inputs: Tensor, conditions: Tensor) -> Tensor:
        """Return what the network's own heads read (N, H)."""
        if not self.colours:
            inputs = grey(inputs)
        self.network(inputs, conditions)
        return self.kept.float()

    def forward(self, inputs: Tensor, conditions: Tensor) -> Tensor:
        """Return the logits (N, classes)."""
        return self.head(self.vector(inputs, conditions))


def mirrored(labels: Tensor, mirror: Sequence[int]) -> Tensor:
    """Return the labels of mirror images; `mirror` names the class that each class becomes."""
    return torch.tensor(mirror)[labels]


def fine_tuned(card: Path, data: Labelled, mirror: Sequence[int], epochs: int, seed: int) -> Head:
    """Return the network trained further on colour pictures, in turning and mirrored orientations."""

    def loss(logits: Tensor, labels: Tensor, turn: int) -> Tensor:
        truth = mirrored(labels, mirror) if turn >= 4 else labels
        return functional.cross_entropy(logits.float(), truth, label_smoothing=SMOOTHING)

    torch.manual_seed(seed)
    model = Head(card, len(mirror), colours=True)
    train(model, data, loss, epochs, seed)
    return model


def train(model: nn.Module, data: Labelled, loss: Callable[..., Tensor], epochs: int, seed: int) -> None:
    """Train what has gradients of a model; `loss` is of its answer, the labels and the number of the orientation."""
    weights = [weight for weight in model.train().parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=RATE, weight_decay=DECAY)
    steps = epochs * max(len(data.labels) // BATCH, 1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps, pct_start=0.2)
    for epoch in range(epochs):
        generator = generator_for(seed, "real images", epoch)
        order = generator.permutation(len(data.labels))
        for rows in np.array_split(order, max(len(order) // BATCH, 1)):
            turn = int(generator.integers(ORIENTATIONS))
            batch = data[rows]
            with mixed_precision(torch.device("cpu")):
                answer = model(dihedral(batch.inputs, turn), batch.conditions)
            value = loss(answer, batch.labels, turn)
            optimiser.zero_grad()
            value.backward()
            nn.utils.clip_grad_norm_(weights, 1.0)
            optimiser.step()
            if schedule.last_epoch < steps - 1:
                schedule.step()
    model.eval()


def frozen(card: Path, data: Labelled, mirror: Sequence[int]) -> Head:
    """Return the network as it is with a logistic regression on its vector, in all orientations."""
    model = Head(card, len(mirror), colours=False).eval()
    features, labels = [], []
    for turn in range(ORIENTATIONS):
        features.append(_vectors(model, data, turn))
        labels.append(mirrored(data.labels, mirror) if turn >= 4 else data.labels)
    x, y = torch.cat(features), torch.cat(labels)
    mean, spread = x.mean(0), x.std(0).clamp(min=1e-3)
    weight = torch.zeros(len(mirror), x.shape[1], requires_grad=True)
    bias = torch.zeros(len(mirror), requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = functional.cross_entropy((x - mean) / spread @ weight.T + bias, y) + RIDGE * weight.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    with torch.no_grad():
        model.head.weight.copy_(weight / spread)
        model.head.bias.copy_(bias - (weight / spread) @ mean)
    return model


@torch.no_grad()
def _vectors(model: Head, data: Labelled, turn: int) -> Tensor:
    parts = torch.arange(len(data.labels)).split(128)
    return torch.cat([model.vector(dihedral(data.inputs[rows], turn), data.conditions[rows]) for rows in parts])


@torch.no_grad()
def probabilities(model: Head, data: Labelled, mirror: Sequence[int]) -> np.ndarray:
    """Return the probabilities (N, classes), averaged over the orientations."""
    total = torch.zeros(len(data.labels), len(mirror))
    for turn in range(ORIENTATIONS):
        part = model.head(_vectors(model, data, turn)).softmax(1)
        total += part[:, list(mirror)] if turn >= 4 else part
    return (total / ORIENTATIONS).numpy()
