"""Saliency maps against analytic cases and against captum."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tuningfork.explain.azimuthal import azimuthal_mean
from tuningfork.explain.copies import Attribution
from tuningfork.explain.saliency import attribute, bar_logit, gradient, scale_to_unit
from tuningfork.networks.inputs import dihedral


class Quadratic(nn.Module):
    """A network whose derivatives are known: logit = sum of weight * x + curvature / 2 * x^2."""

    def __init__(self, weight: Tensor, curvature: Tensor) -> None:
        super().__init__()
        self.weight, self.curvature = weight, curvature

    def forward(self, inputs: Tensor, conditions: Tensor) -> dict[str, Tensor]:
        logit = (self.weight * inputs + self.curvature / 2 * inputs**2).sum((1, 2, 3))
        return {"bar_logit": logit + conditions.sum(1)}


class Rising(nn.Module):
    """Two convolutions with positive weights: smooth, not linear, and no derivative is negative."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(4)
        self.first = torch.rand(4, 1, 5, 5, generator=generator) / 25
        self.second = torch.rand(1, 4, 3, 3, generator=generator) / 9

    def forward(self, inputs: Tensor, conditions: Tensor) -> dict[str, Tensor]:
        middle = functional.softplus(functional.conv2d(inputs, self.first, stride=2))
        return {"bar_logit": functional.softplus(functional.conv2d(middle, self.second)).square().sum((1, 2, 3))}


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


def maps_of(*arguments: object) -> Tensor:
    return attribute(*arguments)[0]  # type: ignore[arg-type]


@pytest.fixture
def images() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(5, 3, 32, 32, generator=generator) * 4, torch.zeros(5, 2)


def settings(**changes: object) -> Attribution:
    return Attribution(**({"samples": 8, "noise_level": 0.1, "batch_size": 16} | changes))  # type: ignore[arg-type]


def test_a_linear_answer_has_its_weights_as_the_map(images: tuple[Tensor, Tensor]) -> None:
    weight = torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(2))
    maps = maps_of([Quadratic(weight, torch.zeros(()))], *images, [1, 2, 3, 4, 5], settings())
    assert maps.shape == (5, 1, 32, 32)
    torch.testing.assert_close(maps, weight.abs().amax(0).expand(5, 1, 32, 32))


def test_the_mean_is_of_absolute_values_and_the_noise_is_a_share_of_each_images_range() -> None:
    # |derivative| is |curvature * (x + noise)|; at x = 0 its mean is curvature * sigma * sqrt(2 / pi).
    inputs = torch.zeros(2, 1, 32, 32)
    inputs[0, 0, 0, 0], inputs[1, 0, 0, 0] = 1.0, 10.0
    model = Quadratic(torch.zeros(()), torch.tensor(2.0))
    maps = maps_of([model], inputs, torch.zeros(2, 1), [7, 8], settings(samples=64, noise_level=0.3))
    expected = 2.0 * 0.3 * np.sqrt(2 / np.pi) * np.array([1.0, 10.0])
    assert maps[:, 0, 1:, 1:].mean((1, 2)).numpy() == pytest.approx(expected, rel=0.02)


def test_the_maximum_over_bands_comes_after_the_mean_over_copies() -> None:
    # At x = 0 each band's derivative is noise alone: the mean of maxima would be larger than the maximum of means.
    inputs = torch.zeros(1, 3, 16, 16)
    inputs[:, :, 0, 0] = torch.tensor([0.0, 0.5, 1.0])
    model = Quadratic(torch.zeros(()), torch.tensor(1.0))
    maps = maps_of([model], inputs, torch.zeros(1, 1), [3], settings(samples=256, noise_level=1.0))
    assert float(maps[0, 0, 1:].mean()) == pytest.approx(np.sqrt(2 / np.pi), rel=0.08)


@pytest.mark.parametrize("batch_size", [1, 3, 8, 20, 64])
def test_a_map_depends_neither_on_the_batch_nor_on_the_stamps_beside_it(
    images: tuple[Tensor, Tensor], batch_size: int
) -> None:
    inputs, conditions = images
    model, seeds = Small().eval(), [11, 12, 13, 14, 15]
    reference = maps_of([model], inputs, conditions, seeds, settings(batch_size=8, rotations=8))
    found = maps_of([model], inputs, conditions, seeds, settings(batch_size=batch_size, rotations=8))
    torch.testing.assert_close(found, reference, rtol=1e-4, atol=1e-6)
    alone = maps_of([model], inputs[3:4], conditions[3:4], seeds[3:4], settings(batch_size=batch_size, rotations=8))
    torch.testing.assert_close(alone[0], reference[3], rtol=1e-4, atol=1e-6)


def test_the_same_seed_gives_the_same_map_and_another_seed_another(images: tuple[Tensor, Tensor]) -> None:
    inputs, conditions = images
    one, same, other = (maps_of([Small()], inputs[:1], conditions[:1], [seed], settings()) for seed in (5, 5, 6))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_every_network_of_an_ensemble_has_its_own_map(images: tuple[Tensor, Tensor]) -> None:
    models = [Small(), Quadratic(torch.ones(3, 1, 1), torch.zeros(()))]
    both = maps_of(models, *images, [1, 2, 3, 4, 5], settings())
    for member, model in enumerate(models):
        torch.testing.assert_close(both[:, member], maps_of([model], *images, [1, 2, 3, 4, 5], settings())[:, 0])


def test_turned_copies_are_turned_back() -> None:
    # An input with a gradient only in one corner: without turning back, the eight copies would fill all corners.
    corner = torch.zeros(1, 32, 32)
    corner[0, :4, :3] = 1
    maps = maps_of(
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
    ours = maps_of([model], inputs, conditions, [4], settings(samples=samples, batch_size=100))[0, 0]
    torch.manual_seed(0)
    tunnel = NoiseTunnel(Saliency(lambda x: bar_logit(model(x, conditions.expand(len(x), -1)))))
    theirs = tunnel.attribute(inputs, nt_type="smoothgrad", nt_samples=samples, nt_samples_batch_size=50, stdevs=spread)
    expected = theirs[0].detach().amax(0)
    assert float((ours - expected).abs().mean() / expected.mean()) < 0.02
    assert float(torch.corrcoef(torch.stack([ours.flatten(), expected.flatten()]))[0, 1]) > 0.99


def test_variances_agree_with_captum(images: tuple[Tensor, Tensor]) -> None:
    from captum.attr import NoiseTunnel, Saliency

    inputs, conditions = images[0][:1], images[1][:1]
    model, samples = Small().eval(), 1600
    how = settings(method="vargrad", samples=samples, batch_size=200)
    ours = maps_of([model], inputs, conditions, [4], how)[0, 0]
    torch.manual_seed(0)
    tunnel = NoiseTunnel(Saliency(lambda x: bar_logit(model(x, conditions.expand(len(x), -1)))))
    spread = 0.1 * float(inputs.max() - inputs.min())
    options = {"nt_samples": samples, "nt_samples_batch_size": 200, "stdevs": spread, "abs": False}
    expected = tunnel.attribute(inputs, nt_type="vargrad", **options)[0].detach().amax(0)
    assert float(ours.mean() / expected.mean()) == pytest.approx(1, abs=0.03)
    assert float(torch.corrcoef(torch.stack([ours.flatten(), expected.flatten()]))[0, 1]) > 0.97


def test_integrated_gradients_are_those_of_captum(images: tuple[Tensor, Tensor]) -> None:
    from captum.attr import IntegratedGradients

    inputs, conditions = images[0][:2], images[1][:2]
    model, steps = Small().eval(), 16
    how = settings(method="integrated_gradients", samples=steps)
    ours = maps_of([model], inputs, conditions, [1, 2], how)[:, 0]
    rows, columns = np.indices((32, 32)) - 16
    smooth = azimuthal_mean(inputs, torch.from_numpy(np.hypot(rows, columns)))
    path = IntegratedGradients(lambda x: bar_logit(model(x, torch.zeros(len(x), 2))))
    theirs = path.attribute(inputs, baselines=smooth, n_steps=steps, method="riemann_middle")
    torch.testing.assert_close(ours, theirs.detach().abs().amax(1).float(), rtol=1e-3, atol=1e-5)


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


def test_the_mean_of_signed_derivatives_has_no_noise_that_is_odd(images: tuple[Tensor, Tensor]) -> None:
    # The derivative of a quadratic is linear in the noise, which cancels within each pair of copies.
    inputs, conditions = images
    weight = torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(2))
    how = settings(sign="signed", noise_level=0.5)
    maps = maps_of([Quadratic(weight, torch.tensor(0.7))], inputs, conditions, range(5), how)
    torch.testing.assert_close(maps[:, 0], (weight + 0.7 * inputs).abs().amax(1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rotations", [1, 3, 8])
def test_vargrad_is_the_variance_of_the_derivatives(rotations: int) -> None:
    inputs = torch.zeros(1, 1, 32, 32)
    inputs[0, 0, 0, 0] = 4.0
    model = Quadratic(torch.tensor(5.0), torch.tensor(2.0))
    how = settings(method="vargrad", samples=96, noise_level=0.25, rotations=rotations)
    maps = maps_of([model], inputs, torch.zeros(1, 1), [7], how)
    assert float(maps[0, 0, 1:, 1:].mean()) == pytest.approx(2.0**2, rel=0.02)


@pytest.mark.parametrize(("samples", "rotations"), [(64, 1), (61, 8)])
def test_integrated_gradients_add_up_to_what_the_bar_changes_in_the_answer(samples: int, rotations: int) -> None:
    inputs = torch.rand(2, 1, 33, 33, generator=torch.Generator().manual_seed(1)) * 4
    rows, columns = np.indices((33, 33)) - 16
    smooth = azimuthal_mean(inputs, torch.from_numpy(np.hypot(rows, columns)))
    model, conditions = Rising(), torch.zeros(2, 1)
    how = settings(method="integrated_gradients", samples=samples, rotations=rotations, tolerance=0.5)
    maps, copies = attribute([model], inputs, conditions, [1, 2], how)
    # No derivative is negative, so that a pixel's share has the sign of what it exceeds its circle by.
    found = (maps[:, 0] * (inputs - smooth)[:, 0].sign()).sum((1, 2))
    turned = [
        (model(dihedral(inputs, k), conditions)["bar_logit"] - model(dihedral(smooth, k), conditions)["bar_logit"])
        * len(range(k, samples, rotations))
        / samples
        for k in range(rotations)
    ]
    torch.testing.assert_close(found, torch.stack(turned).sum(0), rtol=2e-3, atol=1e-3)
    assert copies.tolist() == [samples, samples]
    round_galaxy = maps_of([model], smooth, conditions, [1, 2], how)
    assert float(round_galaxy.max()) < 1e-4 * float(maps.max())


@pytest.mark.parametrize("method", ["smoothgrad", "vargrad"])
def test_a_galaxy_whose_map_has_converged_makes_room_for_others(method: str, images: tuple[Tensor, Tensor]) -> None:
    inputs, conditions = images
    inputs = inputs * torch.tensor([1e-3, 1.0, 3.0, 9.0, 9.0])[:, None, None, None]
    model, seeds = Small().eval(), [1, 2, 3, 4, 5]
    how = settings(method=method, samples=92, rotations=8, noise_level=0.3, tolerance=0.05, batch_size=24)
    maps, copies = attribute([model], inputs, conditions, seeds, how)
    assert copies.min() < copies.max() <= 92
    for row in (0, 3):
        alone, number = attribute(
            [model], inputs[row, None], conditions[row, None], seeds[row : row + 1], replace(how, batch_size=5)
        )
        assert number == copies[row]
        torch.testing.assert_close(alone[0], maps[row], rtol=1e-4, atol=1e-7)
    all_copies = attribute([model], inputs, conditions, seeds, replace(how, tolerance=0.0))[1]
    assert all_copies.tolist() == [92] * 5
    limit = maps_of([model], inputs, conditions, [6, 7, 8, 9, 10], replace(how, tolerance=0.0, samples=600))
    for found, number, final in zip(maps, copies, limit, strict=True):
        error = float((found - final).square().mean().sqrt() / final.square().mean().sqrt())
        assert number > 80 or error < 2 * 0.05


def test_threads_share_the_stamps_and_change_no_map(images: tuple[Tensor, Tensor]) -> None:
    inputs, conditions = images
    threads = torch.get_num_threads()
    how = settings(samples=24, rotations=8, tolerance=0.1)
    found = []
    try:
        for number in (1, 3):
            torch.set_num_threads(number)
            found.append(attribute([Small().eval()], inputs, conditions, range(5), how))
            assert torch.get_num_threads() == number
    finally:
        torch.set_num_threads(threads)
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-6)


def test_blocks_hold_whole_pairs_in_every_orientation() -> None:
    assert [settings(rotations=number).block for number in range(1, 9)] == [8, 8, 12, 8, 10, 12, 14, 8]
