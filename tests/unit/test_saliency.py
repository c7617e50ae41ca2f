"""SmoothGrad against an analytic case and against captum."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tuningfork.explain.saliency import SmoothGrad, bar_logit, gradient, scale_to_unit, smoothgrad


class Quadratic(nn.Module):
    """A network whose derivatives are known: logit = sum of weight * x + curvature / 2 * x^2."""

    def __init__(self, weight: Tensor, curvature: Tensor) -> None:
        super().__init__()
        self.weight, self.curvature = weight, curvature

    def forward(self, inputs: Tensor, conditions: Tensor) -> dict[str, Tensor]:
        logit = (self.weight * inputs + self.curvature / 2 * inputs**2).sum((1, 2, 3))
        return {"bar_logit": logit + conditions.sum(1)}


class Small(nn.Module):
    """A small convolutional network, smooth but not linear, without symmetry."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 5, stride=2, padding=2),
            nn.SiLU(),
            nn.Conv2d(8, 8, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(8 * 8 * 8, 1),
        )

    def forward(self, inputs: Tensor, conditions: Tensor) -> dict[str, Tensor]:
        return {"bar_logit": self.layers(inputs)[:, 0] * (1 + conditions[:, 0])}


@pytest.fixture
def images() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(5, 3, 32, 32, generator=generator) * 4, torch.zeros(5, 2)


def settings(**changes: object) -> SmoothGrad:
    return SmoothGrad(**({"samples": 8, "noise_level": 0.1, "batch_size": 16} | changes))  # type: ignore[arg-type]


def test_a_linear_answer_has_its_weights_as_the_map(images: tuple[Tensor, Tensor]) -> None:
    weight = torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(2))
    maps = smoothgrad([Quadratic(weight, torch.zeros(()))], *images, [1, 2, 3, 4, 5], settings())
    assert maps.shape == (5, 1, 32, 32)
    torch.testing.assert_close(maps, weight.abs().amax(0).expand(5, 1, 32, 32))


def test_the_mean_is_of_absolute_values_and_the_noise_is_a_share_of_each_images_range() -> None:
    # |derivative| is |curvature * (x + noise)|; at x = 0 its mean is curvature * sigma * sqrt(2 / pi).
    inputs = torch.zeros(2, 1, 32, 32)
    inputs[0, 0, 0, 0], inputs[1, 0, 0, 0] = 1.0, 10.0
    model = Quadratic(torch.zeros(()), torch.tensor(2.0))
    maps = smoothgrad([model], inputs, torch.zeros(2, 1), [7, 8], settings(samples=64, noise_level=0.3))
    expected = 2.0 * 0.3 * np.sqrt(2 / np.pi) * np.array([1.0, 10.0])
    assert maps[:, 0, 1:, 1:].mean((1, 2)).numpy() == pytest.approx(expected, rel=0.02)


def test_the_maximum_over_bands_comes_after_the_mean_over_copies() -> None:
    # At x = 0 each band's derivative is noise alone: the mean of maxima would be larger than the maximum of means.
    inputs = torch.zeros(1, 3, 16, 16)
    inputs[:, :, 0, 0] = torch.tensor([0.0, 0.5, 1.0])
    model = Quadratic(torch.zeros(()), torch.tensor(1.0))
    maps = smoothgrad([model], inputs, torch.zeros(1, 1), [3], settings(samples=256, noise_level=1.0))
    assert float(maps[0, 0, 1:].mean()) == pytest.approx(np.sqrt(2 / np.pi), rel=0.08)


@pytest.mark.parametrize("batch_size", [1, 3, 8, 20, 64])
def test_a_map_depends_neither_on_the_batch_nor_on_the_stamps_beside_it(
    images: tuple[Tensor, Tensor], batch_size: int
) -> None:
    inputs, conditions = images
    model, seeds = Small().eval(), [11, 12, 13, 14, 15]
    reference = smoothgrad([model], inputs, conditions, seeds, settings(batch_size=8, rotations=8))
    found = smoothgrad([model], inputs, conditions, seeds, settings(batch_size=batch_size, rotations=8))
    torch.testing.assert_close(found, reference, rtol=1e-4, atol=1e-6)
    alone = smoothgrad([model], inputs[3:4], conditions[3:4], seeds[3:4], settings(batch_size=batch_size, rotations=8))
    torch.testing.assert_close(alone[0], reference[3], rtol=1e-4, atol=1e-6)


def test_the_same_seed_gives_the_same_map_and_another_seed_another(images: tuple[Tensor, Tensor]) -> None:
    inputs, conditions = images
    one, same, other = (smoothgrad([Small()], inputs[:1], conditions[:1], [seed], settings()) for seed in (5, 5, 6))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_every_network_of_an_ensemble_has_its_own_map(images: tuple[Tensor, Tensor]) -> None:
    models = [Small(), Quadratic(torch.ones(3, 1, 1), torch.zeros(()))]
    both = smoothgrad(models, *images, [1, 2, 3, 4, 5], settings())
    for member, model in enumerate(models):
        torch.testing.assert_close(both[:, member], smoothgrad([model], *images, [1, 2, 3, 4, 5], settings())[:, 0])


def test_turned_copies_are_turned_back() -> None:
    # An input with a gradient only in one corner: without turning back, the eight copies would fill all corners.
    corner = torch.zeros(1, 32, 32)
    corner[0, :4, :3] = 1
    maps = smoothgrad(
        [Quadratic(torch.zeros(()), corner * 0 + 1)],
        corner[None] * 9,
        torch.zeros(1, 1),
        [1],
        settings(noise_level=1e-6, rotations=8),
    )
    torch.testing.assert_close(maps[0, 0], 9 * corner[0], rtol=1e-3, atol=1e-3)


def test_maps_agree_with_captum(images: tuple[Tensor, Tensor]) -> None:
    from captum.attr import NoiseTunnel, Saliency

    inputs, conditions = images[0][:1], images[1][:1]
    model, samples = Small().eval(), 400
    spread = 0.1 * float(inputs.max() - inputs.min())
    ours = smoothgrad([model], inputs, conditions, [4], settings(samples=samples, batch_size=100))[0, 0]
    torch.manual_seed(0)
    tunnel = NoiseTunnel(Saliency(lambda x: bar_logit(model(x, conditions.expand(len(x), -1)))))
    theirs = tunnel.attribute(inputs, nt_type="smoothgrad", nt_samples=samples, nt_samples_batch_size=50, stdevs=spread)
    expected = theirs[0].detach().amax(0)
    assert float((ours - expected).abs().mean() / expected.mean()) < 0.02
    assert float(torch.corrcoef(torch.stack([ours.flatten(), expected.flatten()]))[0, 1]) > 0.99


def test_gradient_does_not_touch_the_input_or_need_weight_gradients(images: tuple[Tensor, Tensor]) -> None:
    inputs, conditions = images
    model = Small().eval().requires_grad_(False)
    before = inputs.clone()
    slopes = gradient(model, inputs, conditions, bar_logit)
    assert slopes.shape == inputs.shape
    assert torch.equal(inputs, before)
    assert all(weight.grad is None for weight in model.parameters())


def test_maps_are_scaled_to_the_unit_interval_each_for_itself() -> None:
    maps = torch.stack([torch.arange(16.0).reshape(4, 4), torch.full((4, 4), 3.0)])
    unit, scale = scale_to_unit(maps)
    assert unit[0].min() == 0
    assert unit[0].max() == 1
    assert torch.equal(unit[1], torch.zeros(4, 4))
    assert scale.tolist() == [15.0, 0.0]
