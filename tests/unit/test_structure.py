"""Profile parameters of a shard."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from small_sets import SCALE, parameters, write_model, write_stamps
from torch import Tensor, nn

from tuningfork.core.flags import Flag
from tuningfork.measure.structure import (
    UNKNOWN_ANGLE,
    Profiles,
    axis_ratio_moments,
    outside_range,
    position_angle,
    profile_values,
    structure_shard,
    undo_turn,
)
from tuningfork.networks.ensemble import Ensemble, open_store
from tuningfork.networks.inputs import ORIENTATIONS, dihedral_angle
from tuningfork.networks.model_file import input_of
from tuningfork.networks.structure import link_axis_ratio, unlink_axis_ratio


class Moments(nn.Module):
    """A "network" that measures angle and axis ratio by second moments, so that the truth is known."""

    def forward(self, inputs: Tensor, conditions: Tensor) -> Tensor:
        """See StructureNetwork."""
        light = torch.sinh(inputs[:, 1]).clamp(min=0) * (inputs[:, 1] > 3)
        size = light.shape[-1]
        axis = torch.arange(size) - (light * torch.arange(size)).sum((1, 2))[:, None] / light.sum((1, 2))[:, None]
        x = axis[:, None, :]
        y = (torch.arange(size) - (light.sum(2) * torch.arange(size)).sum(1)[:, None] / light.sum((1, 2))[:, None])[
            :, :, None
        ]
        xx, yy, xy = ((light * z).sum((1, 2)) for z in (x * x, y * y, x * y))
        cosine, sine = (yy - xx) / (xx + yy), -2 * xy / (xx + yy)
        one = torch.ones_like(cosine)
        mean = torch.stack([-5 * one, np.log(10) * one, np.log(2) * one, 0.5 * one, cosine, sine], dim=1)
        return torch.stack([mean, torch.full_like(mean, -3)], dim=2)


def moments() -> Ensemble:
    """Return an ensemble of one such network."""
    return Ensemble([Moments()], [{"input": input_of(["g", "r"], "r", 32)}], torch.device("cpu"))


def test_every_source_has_a_row_in_physical_units(tmp_path: Path) -> None:
    stamps = write_stamps(tmp_path / "shard.parquet")
    models = [write_model(tmp_path / f"{k}.json", "structure", k) for k in range(2)]
    structure_shard(parameters("structure", structure={"rotations": 2}), stamps, models, tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet").to_pandas()
    assert list(table["source_id"]) == list(range(100, 107))
    for name in ("mag", "r_eff", "sersic_n", "axis_ratio", "position_angle"):
        assert list(np.flatnonzero(table[name].isna())) == [1, 4]
        assert (table[f"{name}_error"].dropna() > 0).all()
    assert table["axis_ratio"].dropna().between(0, 1).all()
    assert table["position_angle"].dropna().between(0, 180).all()
    assert list(table["flags"][[1, 4]]) == [4, 4]


def test_pixels_and_noise_become_arcsec_and_magnitudes(tmp_path: Path) -> None:
    table, stamps = open_store(write_stamps(tmp_path / "shard.parquet"), ["g", "r"], "r")
    values = profile_values(moments(), table, stamps, 1, 4)
    assert values["r_eff"][0] == pytest.approx(10 * SCALE)
    assert values["sersic_n"][0] == pytest.approx(2)
    assert values["r_eff_error"][0] == pytest.approx(10 * SCALE * np.exp(-3))
    assert values["mag"][0] == pytest.approx(-5 + 22.5 - 2.5 * np.log10(0.03))


def test_the_angle_is_the_same_whatever_orientations_are_averaged(tmp_path: Path) -> None:
    table, stamps = open_store(write_stamps(tmp_path / "shard.parquet"), ["g", "r"], "r")
    once = profile_values(moments(), table, stamps, 1, 4)["position_angle"]
    often = profile_values(moments(), table, stamps, 8, 4)["position_angle"]
    good = np.isfinite(once)
    assert np.abs((once - often + 90) % 180 - 90)[good].max() < 0.5


def test_the_angle_is_turned_to_the_sky(tmp_path: Path) -> None:
    plain = write_stamps(tmp_path / "one.parquet")
    turned = write_stamps(tmp_path / "two.parquet", north_angle=np.full(7, 30.0), east_is_left=np.zeros(7, dtype=bool))
    model = [write_model(tmp_path / "m.json", "structure")]
    angles = []
    for path in (plain, turned):
        structure_shard(parameters("structure"), path, model, tmp_path / "out.parquet")
        angles.append(pq.read_table(tmp_path / "out.parquet")["position_angle"].to_numpy())
    difference = angles[1] - (30 - angles[0])
    assert np.nanmax(np.abs((difference + 90) % 180 - 90)) < 1e-2


@pytest.mark.parametrize("turn", range(ORIENTATIONS))
def test_components_turn_back(turn: int) -> None:
    angle = np.array([10.0, 75.0, 170.0])
    seen = 2 * np.deg2rad(dihedral_angle(angle, turn))
    back = undo_turn(0.4 * np.stack([np.cos(seen), np.sin(seen)], axis=1), turn)
    np.testing.assert_allclose(
        back, 0.4 * np.stack([np.cos(2 * np.deg2rad(angle)), np.sin(2 * np.deg2rad(angle))], axis=1)
    )


def test_a_round_galaxy_has_no_known_angle_and_an_elongated_one_has() -> None:
    mean, sigma = np.array([[0.0, 0.0], [0.5, 0.0], [0.0, 0.5]]), np.full((3, 2), 0.02)
    angle, error = position_angle(mean, sigma)
    assert error[0] > 40
    assert error.max() <= UNKNOWN_ANGLE
    np.testing.assert_allclose(angle[1:], [0, 45])
    np.testing.assert_allclose(error[1:], np.rad2deg(0.04) / 2, rtol=1e-3)


def test_moments_of_the_axis_ratio_agree_with_draws() -> None:
    rng = np.random.default_rng(0)
    for ratio, sigma in ((0.5, 0.2), (0.95, 0.5)):
        link = link_axis_ratio(np.array(ratio))
        draws = unlink_axis_ratio(rng.normal(link, sigma, 200_000))
        mean, width = axis_ratio_moments(np.array([link]), np.array([sigma]))
        assert mean[0] == pytest.approx(draws.mean(), abs=0.01)
        assert width[0] == pytest.approx(draws.std(), abs=0.01)


def test_sources_beyond_the_training_range_are_flagged(tmp_path: Path) -> None:
    mean = np.zeros((3, 6))
    mean[:, 0] = [-9, -15, np.nan]
    limits = {"mag": [-12.0, -3.0], "log_r_eff": [-1.0, 1.0]}
    np.testing.assert_array_equal(outside_range(Profiles(mean, mean), limits), [False, True, False])
    assert Flag.STRUCTURE_OUTSIDE_TRAINING.value == 1 << 16
