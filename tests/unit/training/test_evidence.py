"""What teaches the network where a bar is: ellipses, masks, angles and the derivative of the bar's logit."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tuningfork.networks.inputs import dihedral
from tuningfork.networks.model_file import build
from tuningfork.training.evidence import MASK_WEIGHT, angle_loss, divergence, ellipses, evidence_loss, mask_loss

SIZE = 64


def ellipse(length: float, ratio: float, angle: float, size: int = SIZE) -> torch.Tensor:
    return ellipses(*(torch.tensor([value]) for value in (length, ratio, angle)), size)


@settings(max_examples=20, deadline=None)
@given(st.floats(12, 50), st.floats(0.25, 0.9), st.floats(0, 180))
def test_an_ellipse_has_the_moments_of_its_axes(length: float, ratio: float, angle: float) -> None:
    image = ellipse(length, ratio, angle)[0].double()
    axis = torch.arange(SIZE, dtype=torch.float64) - SIZE // 2
    y, x = axis[:, None], axis[None]
    theta = np.deg2rad(angle)
    along, across = y * np.cos(theta) - x * np.sin(theta), x * np.cos(theta) + y * np.sin(theta)
    found = [4 * float(torch.sqrt((image * part**2).sum() / image.sum())) for part in (along, across)]
    assert found == pytest.approx([length, length * ratio], rel=0.05, abs=0.8)
    assert float(image.sum()) == pytest.approx(np.pi / 4 * length**2 * ratio, rel=0.06)


def test_the_ellipse_turns_with_its_image() -> None:
    for turn in (1, 2, 3):
        # The centre is a pixel, not a corner: an odd image turns into itself.
        turned = dihedral(ellipse(30, 0.3, 25, 65), turn)
        np.testing.assert_allclose(turned, ellipse(30, 0.3, 25 + 90 * turn, 65), atol=1e-3)


def test_a_map_on_the_bar_is_near_and_one_across_it_is_far() -> None:
    bar, across, disc = ellipse(30, 0.3, 20), ellipse(30, 0.3, 110), ellipse(40, 1.0, 0)
    assert float(divergence(3 * bar, bar)) == pytest.approx(0, abs=1e-6)
    assert float(divergence(disc, bar)) > 0.5
    assert float(divergence(across, bar)) > float(divergence(disc, bar))


def test_masks_count_where_they_are_known() -> None:
    bars = torch.cat([ellipse(30, 0.3, 20), torch.zeros(2, SIZE, SIZE)])
    right = torch.where(torch.nn.functional.avg_pool2d(bars[:, None], 4)[:, 0] > 0.5, 8.0, -8.0)
    known = torch.tensor([True, True, False])
    wrong = right.clone()
    wrong[2] = 8.0
    assert float(mask_loss(wrong, bars, known)) == float(mask_loss(right, bars, known)) < MASK_WEIGHT * 20
    wrong[1] = 8.0
    assert float(mask_loss(wrong, bars, known)) > 10 * float(mask_loss(right, bars, known))


def test_an_angle_is_that_of_an_axis() -> None:
    found = torch.tensor([[np.cos(np.deg2rad(20)), np.sin(np.deg2rad(20))]] * 3, dtype=torch.float32)
    assert float(angle_loss(found, torch.tensor([10.0, 190.0, np.nan]))) == pytest.approx(0, abs=1e-6)
    assert float(angle_loss(found[:1], torch.tensor([100.0]))) == pytest.approx(4, abs=1e-4)


def test_the_derivative_of_the_bar_answer_learns_to_lie_on_the_bar() -> None:
    """A few steps on one galaxy; the same noise seed gives the same loss."""
    torch.manual_seed(0)
    network = build({"network": "morphology", "bands": ["r"], "reference_band": "r", "width": 8, "size": SIZE}, 1)
    bar = ellipse(28, 0.3, 30)
    inputs = 3 * bar[:, None] + 2 * torch.exp(-ellipse(40, 1.0, 0)[:, None]) + 0.3 * torch.randn(1, 1, SIZE, SIZE)
    batch = {"inputs": inputs, "conditions": torch.zeros(1, 40), "noise_seed": torch.tensor([5])}
    barred = torch.tensor([True])
    first = evidence_loss(network, batch, barred, bar).detach()
    assert float(evidence_loss(network, batch, barred, bar).detach()) == float(first)
    assert float(evidence_loss(network, batch, torch.tensor([False]), bar)) == 0
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(12):
        optimiser.zero_grad()
        loss = evidence_loss(network, batch, barred, bar)
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.7 * float(first)
