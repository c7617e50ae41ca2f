"""Inference networks predict what the networks that they are made from predict, with the same derivatives."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tuningfork.explain.copies import Attribution, MapInProgress, gaussian
from tuningfork.explain.saliency import SALIENCY_TARGETS, gradient
from tuningfork.networks.encoder import SmoothDown
from tuningfork.networks.inference.encoder import InferenceStart
from tuningfork.networks.inference.network import inference_network
from tuningfork.networks.inputs import conditions_size, dihedral, undo_dihedral
from tuningfork.networks.model_file import build

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "morphology": {"network": "morphology", "bands": ["g", "r"], "reference_band": "r", "width": 16, "size": 64},
    "structure": {"network": "structure", "reference_band": "r", "width": 16, "size": 64},
}


def network(kind: str) -> tuple[nn.Module, Tensor, Tensor]:
    """Return a random network whose gains and biases are not those of the start, inputs and conditions."""
    torch.manual_seed(5)
    model = build(ARCHITECTURES[kind]).eval()
    for name, weight in model.named_parameters():
        if name.endswith(("gain", "bias")):
            weight.data += 0.2 * torch.rand_like(weight)
    bands = len(ARCHITECTURES[kind].get("bands", ["r"]))
    return model, torch.randn(3, bands, 64, 64), torch.randn(3, conditions_size(bands))


@pytest.mark.parametrize("kind", sorted(ARCHITECTURES))
def test_outputs_and_derivatives_stay_the_same(kind: str) -> None:
    model, inputs, conditions = network(kind)
    twin = inference_network(model)
    expected, found = model(inputs, conditions), twin(inputs, conditions)
    assert expected.keys() == found.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-5)

    def of_everything(prediction: Any) -> Tensor:
        return sum(value.reshape(len(value), -1).sum(1) for value in prediction.values())

    slopes = gradient(model, inputs, conditions, of_everything)
    torch.testing.assert_close(
        gradient(twin, inputs, conditions, of_everything), slopes, rtol=1e-3, atol=1e-4 * float(slopes.abs().max())
    )


def test_the_network_itself_can_still_be_trained() -> None:
    model, inputs, conditions = network("morphology")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    twin = inference_network(model)
    twin(inputs, conditions)["bar_logit"].sum().backward()
    model.train()
    assert not twin.training
    model(inputs, conditions)["bar_logit"].sum().backward()
    assert model.trunk.encoder.stem.weight.grad.abs().sum() > 0  # type: ignore[union-attr, operator]
    assert model.trunk.encoder.quarter[1].first.gain.grad.abs().sum() > 0  # type: ignore[union-attr, index, operator]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert set(model.state_dict()) == set(build(ARCHITECTURES["morphology"]).state_dict())


def test_half_precision_loses_no_more_with_kernels_that_are_stored_in_it() -> None:
    model, inputs, conditions = network("morphology")
    exact = gradient(model, inputs, conditions, SALIENCY_TARGETS["bar"])
    errors = []
    for candidate in (model, inference_network(model, torch.bfloat16)):
        leaf = inputs.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            answer = candidate(leaf, conditions)["bar_logit"].sum()
        (found,) = torch.autograd.grad(answer, leaf)
        errors.append(float((found - exact).norm() / exact.norm()))
    assert errors[1] < 1.5 * errors[0] + 1e-3


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(20, 12), (21, 13)])
def test_cells_of_pixels_give_the_strided_convolution_and_its_derivative(
    height: int, width: int, channels: int
) -> None:
    torch.manual_seed(1)
    stem, down = SmoothDown(channels, 8, blur=4, standardise=False), SmoothDown(8, 12)
    x = torch.randn(20, channels, height, width, requires_grad=True)
    weight = torch.randn(20, 12, 5, 3)
    answers = [down(functional.silu(stem(0.3 * x))), InferenceStart(stem, down, torch.float32)(x)]
    torch.testing.assert_close(answers[1], answers[0], rtol=1e-4, atol=1e-5)
    slopes = [torch.autograd.grad((answer * weight).sum(), x)[0] for answer in answers]
    torch.testing.assert_close(slopes[1], slopes[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("rotations", "cell"), [(8, 2), (3, 2), (5, 1)])
def test_the_noise_of_a_pair_is_opposite_pixel_by_pixel_in_whatever_orientation_its_copies_are(
    rotations: int, cell: int
) -> None:
    image = torch.randn(3, 12, 12)
    how = Attribution(4 * rotations, 0.1, 64, rotations=rotations)
    galaxy = MapInProgress(0, image, 7, how, 1, cell)
    cells = torch.empty(galaxy.due, 12 // cell, 12 // cell, 3 * cell**2)
    galaxy.copy_to(cells)
    shown = functional.pixel_shuffle(cells.permute(0, 3, 1, 2), cell)
    back = torch.stack([undo_dihedral(copy, place % rotations) for place, copy in enumerate(shown)])
    torch.testing.assert_close((back[0::2] + back[1::2]) / 2, image.expand(len(back) // 2, -1, -1, -1))
    noise = (back[0::2] - image) / (0.1 * (image.max() - image.min()))
    assert float(noise.std()) == pytest.approx(1, abs=0.05)
    turned = functional.pixel_shuffle(galaxy.turned.permute(0, 3, 1, 2), cell)
    assert all(torch.equal(view, dihedral(image, turn)) for turn, view in enumerate(turned))
    torch.testing.assert_close(galaxy.views.turned_back(galaxy.turned[None])[0], rotations * image)


def test_noise_is_gaussian() -> None:
    noise = gaussian((1000, 1001), 2.0, torch.Generator().manual_seed(3)).double()
    expected = torch.tensor([0.0, 4.0, 0.0, 3 * 16.0], dtype=torch.float64)
    moments = torch.stack([noise.pow(power).mean() for power in range(1, 5)])
    torch.testing.assert_close(moments, expected, rtol=0.01, atol=0.03)
