"""The networks' input and the networks."""

import numpy as np
import pytest
import torch
from helpers.small_sets import BANDS, NOISE, SCALE, SIZE, ellipses, facts
from hypothesis import given
from hypothesis import strategies as st

from tuningfork.core.decision_tree import answers, questions
from tuningfork.core.errors import InputError
from tuningfork.networks.encoder import Encoder
from tuningfork.networks.inputs import (
    APERTURE_RADII,
    ORIENTATIONS,
    conditions_size,
    dihedral,
    dihedral_angle,
    measurable,
    prepare,
    undo_dihedral,
    undo_dihedral_angle,
)
from tuningfork.networks.model_file import build
from tuningfork.networks.structure import SIGMA_LIMITS, TARGETS, bulge_logit, bulge_ratio, shape_of, shear_of


@pytest.fixture
def stamps() -> np.ndarray:
    """Five noisy ellipses."""
    return ellipses(np.random.default_rng(3), 5)[0]


def test_the_input_is_arcsinh_of_flux_over_noise(stamps: np.ndarray) -> None:
    inputs, conditions = prepare(stamps, facts(5), BANDS, "r")
    np.testing.assert_allclose(inputs.numpy(), np.arcsinh(stamps[:, 0] / NOISE), rtol=1e-4, atol=1e-5)
    assert conditions.shape == (5, conditions_size(2))


def test_the_input_does_not_depend_on_the_unit_of_flux_and_the_width_of_the_psf_is_in_pixels(
    stamps: np.ndarray,
) -> None:
    inputs, conditions = prepare(stamps, facts(5), BANDS, "r")
    columns = facts(5)
    scaled = {name: values * 50 if name.startswith("sky") else values * 3 for name, values in columns.items()}
    scaled["psf_beta"] = columns["psf_beta"]
    others, same = prepare(stamps * np.float32(50), scaled, BANDS, "r")
    torch.testing.assert_close(others, inputs, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(same, conditions, rtol=1e-4, atol=1e-4)


def test_masked_and_missing_pixels_are_zero_and_everything_is_finite(stamps: np.ndarray) -> None:
    stamps[0, 1, 0, :4] = 0
    stamps[1, 0, 1, 3, 3] = np.nan
    columns = facts(5)
    columns["sky_noise_g"][2] = columns["psf_fwhm_g"][2] = np.nan
    columns["sky_noise_r"][3] = 0
    inputs, conditions = prepare(stamps, columns, BANDS, "r")
    assert (inputs[0, 0, :4] == 0).all()
    assert inputs[1, 1, 3, 3] == 0
    assert (inputs[2, 0] == 0).all()
    assert torch.isfinite(inputs).all()
    assert torch.isfinite(conditions).all()
    np.testing.assert_array_equal(measurable(columns, "r"), [True, True, True, False, True])


def test_the_growth_curve_holds_the_flux(stamps: np.ndarray) -> None:
    _, conditions = prepare(stamps, facts(5), BANDS, "r")
    place = 1 + 3 * len(BANDS) + len(APERTURE_RADII) * 1 + 4
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE // 2
    inside = np.hypot(x, y) <= APERTURE_RADII[4]
    np.testing.assert_allclose(
        conditions[:, place], np.arcsinh((stamps[:, 0, 1] * inside).sum((1, 2)) / NOISE), rtol=1e-4
    )


def test_another_number_of_bands_is_refused(stamps: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"\['r'\]"):
        prepare(stamps, facts(5), ["r"], "r")


@pytest.mark.parametrize("k", range(ORIENTATIONS))
def test_an_orientation_is_undone_and_turns_angles_with_images(k: int) -> None:
    generator = np.random.default_rng(k)
    images = torch.from_numpy(generator.normal(size=(2, 3, 8, 8)))
    assert torch.equal(undo_dihedral(dihedral(images, k), k), images)
    assert len({dihedral(images, j).numpy().tobytes() for j in range(ORIENTATIONS)}) == ORIENTATIONS
    line = np.zeros((65, 65))
    reach = np.arange(-20, 21)
    line[32 + reach, 32 - np.round(reach * np.tan(np.deg2rad(30))).astype(int)] = 1  # 30 deg from +y towards -x
    y, x = np.nonzero(dihedral(torch.from_numpy(line), k).numpy())
    angle = np.rad2deg(0.5 * np.arctan2(-2 * np.sum((x - 32) * (y - 32)), np.sum((y - 32) ** 2 - (x - 32) ** 2)))
    assert abs((angle - dihedral_angle(np.array(30.0), k) + 90) % 180 - 90) < 1.5


@given(st.floats(0, 179.9), st.integers(0, ORIENTATIONS - 1))
def test_turned_angles_come_back(angle: float, k: int) -> None:
    back = undo_dihedral_angle(dihedral_angle(np.array(angle), k), k)
    assert abs((back - angle + 90) % 180 - 90) < 1e-9


@given(st.floats(0.05, 0.999), st.floats(0, 179.9), st.floats(0.01, 0.99))
def test_shapes_and_bulges_come_back_from_the_space_of_the_network(ratio: float, angle: float, bulge: float) -> None:
    back, turned = shape_of(*shear_of(np.array(ratio), np.array(angle)))
    assert back == pytest.approx(ratio)
    assert abs((turned - angle + 90) % 180 - 90) < 1e-6
    assert bulge_ratio(bulge_logit(np.array(bulge))) == pytest.approx(bulge)


def test_the_ends_of_the_ranges_are_finite() -> None:
    assert np.isfinite(shear_of(np.array([0.0, 1.0]), np.array([10.0, 20.0]))).all()
    assert np.isfinite(bulge_logit(np.array([0.0, 1.0]))).all()


def test_morphology_gives_positive_concentrations_and_the_log_ratio_of_the_bar_votes(stamps: np.ndarray) -> None:
    model = build({"network": "morphology", "bands": BANDS, "reference_band": "r", "width": 8, "size": SIZE}, 1)
    output = model(*prepare(stamps, facts(5), BANDS, "r"))
    alpha = output["concentrations"]
    assert alpha.shape == (5, len(answers()))
    assert (alpha > 0).all()
    bar = next(entry for entry in questions() if entry.name == "bar").slice
    ratio = torch.log(alpha[:, bar][:, 0] - 1e-3) - torch.log(alpha[:, bar][:, 1] - 1e-3)
    torch.testing.assert_close(output["bar_logit"], ratio, rtol=1e-3, atol=1e-3)
    assert output["log_bar_length"].shape == (5, 2)


def structure_network() -> torch.nn.Module:
    """An untrained network whose outputs depend on everything."""
    model = build({"network": "structure", "reference_band": "r", "width": 8, "size": SIZE}, 1)
    torch.manual_seed(2)
    with torch.no_grad():
        for layer in (model.head, model.skip, model.narrow):
            layer.weight.normal_()
    return model


def test_structure_gives_a_covariance_within_its_limits_however_sure_it_is(stamps: np.ndarray) -> None:
    output = structure_network()(*prepare(stamps[:, :, 1:] * np.float32(1e4), facts(5), ["r"], "r"))
    mean, factor = output["mean"], output["factor"]
    assert mean.shape == (5, len(TARGETS))
    assert (factor.triu(1) == 0).all()
    assert (factor.diagonal(dim1=1, dim2=2) > 0).all()
    covariance = factor.double() @ factor.double().mT
    sigma = covariance.diagonal(dim1=1, dim2=2).sqrt()
    assert (sigma >= 0.99 * torch.tensor(SIGMA_LIMITS[0])).all()
    assert (sigma <= 1.01 * torch.tensor(SIGMA_LIMITS[1])).all()
    correlation = covariance / sigma[:, :, None] / sigma[:, None]
    assert (torch.linalg.eigvalsh(correlation) > 0).all()
    assert (correlation.tril(-1).abs() > 0.01).any()


def test_an_untrained_structure_network_is_unsure_and_without_correlations(stamps: np.ndarray) -> None:
    model = build({"network": "structure", "reference_band": "r", "width": 8, "size": SIZE}, 1)
    with torch.no_grad():
        factor = model(*prepare(stamps[:, :, 1:], facts(5), ["r"], "r"))["factor"]
    sigma = torch.linalg.vector_norm(factor, dim=2)
    torch.testing.assert_close(sigma, model.scale.expand(5, -1), rtol=0.5, atol=0)


def test_the_wings_of_the_psf_are_seen(stamps: np.ndarray) -> None:
    model, columns = structure_network(), facts(5)
    found = []
    for beta in (2.0, 5.0):
        inputs, conditions = prepare(stamps[:, :, 1:], columns | {"psf_beta": np.full(5, beta)}, ["r"], "r")
        np.testing.assert_allclose(conditions[:, 0], 1 / beta)
        found.append(model(inputs, conditions)["mean"])
    assert (found[0] - found[1]).abs().max() > 1e-4


def test_a_table_without_the_exponent_of_the_psf_is_refused(stamps: np.ndarray) -> None:
    columns = facts(5)
    del columns["psf_beta"]
    with pytest.raises(InputError, match="psf_beta"):
        prepare(stamps, columns, BANDS, "r")
    with pytest.raises(InputError, match="psf_beta"):
        measurable(columns, "r")


def test_conditions_do_not_change_with_the_orientation(stamps: np.ndarray) -> None:
    """About the centre of the middle pixel, on which stamps of an odd size turn."""
    odd = stamps[..., 1:, 1:]
    _, expected = prepare(odd, facts(5), BANDS, "r")
    for k in range(1, ORIENTATIONS):
        turned = np.stack([dihedral(torch.from_numpy(odd[:, plane]), k).numpy() for plane in range(2)], axis=1)
        _, found = prepare(turned, facts(5), BANDS, "r")
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_the_encoder_does_not_alias() -> None:
    """A pattern of alternating pixels, which subsampling would turn into a constant, is not seen."""
    encoder = Encoder(1, 8)
    with torch.no_grad():
        encoder.stem.bias.zero_()
        stripes = (torch.arange(64) % 2 * 2.0 - 1).expand(1, 1, 64, 64)
        inner = encoder.stem(stripes)[..., 4:-4, 4:-4]
    assert inner.abs().max() < 1e-5


def test_the_gradient_of_the_encoder_has_no_grid() -> None:
    """The gradient of the mean of a map with respect to the image is the same at odd and even pixels."""
    torch.manual_seed(0)
    encoder = Encoder(1, 8)
    image = torch.zeros(1, 1, 64, 64, requires_grad=True)
    encoder(image)[0].sum().backward()
    assert image.grad is not None
    inner = image.grad[0, 0, 24:40, 24:40]
    assert (inner[::2] - inner[1::2]).abs().max() < 1e-3 * inner.abs().max()


def test_the_same_seed_gives_the_same_weights_and_leaves_the_generator_of_torch_alone() -> None:
    architecture = {"network": "encoder", "bands": 2, "width": 8}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, other, third = build(architecture, 1), build(architecture, 1), build(architecture, 2)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(one.stem.weight, other.stem.weight)
    assert not torch.equal(one.stem.weight, third.stem.weight)


def test_pixels_need_a_known_scale() -> None:
    columns = facts(2) | {"pixel_scale": np.array([SCALE, np.nan])}
    np.testing.assert_array_equal(measurable(columns, "r"), [True, False])


def test_gradients_can_be_taken_after_a_prediction(stamps: np.ndarray) -> None:
    model = build({"network": "morphology", "bands": BANDS, "reference_band": "r", "width": 8, "size": 40}, 1)
    with torch.inference_mode():
        wide = np.pad(stamps, [(0, 0)] * 3 + [(4, 4)] * 2)
        expected = model(*prepare(wide, facts(5), BANDS, "r"))["bar_logit"].clone()
    inputs, conditions = prepare(wide, facts(5), BANDS, "r")
    found = model(inputs.requires_grad_(), conditions)["bar_logit"]
    found.sum().backward()
    torch.testing.assert_close(found.detach(), expected)
    assert inputs.grad is not None
    assert inputs.grad.abs().max() > 0
