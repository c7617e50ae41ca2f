"""The explanations, where the right answer is known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.small_networks import BANDS, SIZE, model_card, morphology_table, parameters, stamp_store
from torch import Tensor, nn

from tuningfork.core.files import open_array
from tuningfork.core.tables import lineage_of, numpy_column, read_table
from tuningfork.explain.adversarial import FLIP_STEPS, smallest_flip
from tuningfork.explain.azimuthal import azimuthal_mean
from tuningfork.explain.gradcam import gradcam
from tuningfork.explain.importance import REGIONS, band_importance, region_importance
from tuningfork.explain.saliency import bar_logit, scale_to_unit
from tuningfork.explain.sample import choose, explain_sample
from tuningfork.networks.inputs import conditions_size
from tuningfork.networks.model_file import load
from tuningfork.stamps.store import paired


class Features(nn.Module):
    """Two feature maps; the logit counts the first and ignores the second."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Identity()

    def forward(self, inputs: Tensor, conditions: Tensor) -> dict[str, Tensor]:
        features = self.layer(nn.functional.avg_pool2d(inputs, 4))
        return {"bar_logit": features[:, 0].sum((1, 2)) + 0 * features[:, 1].sum((1, 2))}


class Linear(nn.Module):
    """logit = sum(weight * x) + offset."""

    def __init__(self, weight: Tensor, offset: float) -> None:
        super().__init__()
        self.weight, self.offset = weight, offset

    def forward(self, inputs: Tensor, conditions: Tensor) -> dict[str, Tensor]:
        return {"bar_logit": (self.weight * inputs).sum((1, 2, 3)) + self.offset}


def test_gradcam_shows_the_feature_that_counts_and_not_the_other() -> None:
    inputs = torch.zeros(1, 2, 32, 32)
    inputs[0, 0, 4:8, 4:8] = 1
    inputs[0, 1, 24:28, 24:28] = 1
    model = Features()
    found = gradcam(model, model.layer, inputs, torch.zeros(1, 1), bar_logit)[0]
    assert found.shape == (32, 32)
    assert found[5, 5] > 0.5
    assert found[20:, 20:].max() == 0
    assert not model.layer._forward_hooks


def test_gradcam_is_the_positive_part_of_the_features_weighted_with_their_mean_derivative(tmp_path: Path) -> None:
    """The definition, computed by hand on a real network whose weights need no derivatives."""
    network, _ = load(model_card(tmp_path, "morphology"), "morphology")
    generator = torch.Generator().manual_seed(2)
    inputs = torch.rand(2, len(BANDS), SIZE, SIZE, generator=generator) * 3
    conditions = torch.rand(2, conditions_size(len(BANDS)), generator=generator)
    kept: list[Tensor] = []
    layer = network.trunk.encoder.sixteenth
    handle = layer.register_forward_hook(lambda module, arguments, output: kept.append(output))
    answer = bar_logit(network(inputs.clone().requires_grad_(), conditions)).sum()
    handle.remove()
    weights = torch.autograd.grad(answer, kept[0])[0].mean((2, 3), keepdim=True)
    maps = torch.relu((weights * kept[0].detach()).sum(1, keepdim=True))
    maps = nn.functional.interpolate(maps, size=(SIZE, SIZE), mode="bilinear", align_corners=False)[:, 0]
    found = gradcam(network, layer, inputs, conditions, bar_logit)
    torch.testing.assert_close(found, scale_to_unit(maps)[0], rtol=1e-4, atol=1e-5)
    assert 0 < float((found > 0.5).float().mean()) < 1


def test_a_band_is_as_important_as_its_weight() -> None:
    weight = torch.tensor([1.0, 0.0, -2.0])[:, None, None]
    loss = band_importance(lambda x: (weight * x).sum((1, 2, 3)), torch.ones(2, 3, 8, 8))
    torch.testing.assert_close(loss, torch.tensor([[64.0, 0.0, -128.0]]).expand(2, 3))


def test_circles_keep_their_mean_and_round_images_do_not_change() -> None:
    y, x = torch.meshgrid(torch.arange(32.0) - 16, torch.arange(32.0) - 16, indexing="ij")
    radius = torch.hypot(x, y)
    round_image = torch.exp(-radius.round() / 5)[None, None]
    torch.testing.assert_close(azimuthal_mean(round_image, radius), round_image)
    image = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    smooth = azimuthal_mean(image, radius)
    torch.testing.assert_close(smooth.sum((2, 3)), image.sum((2, 3)))


def test_only_the_ring_that_holds_the_structure_matters() -> None:
    size = 96
    image = torch.zeros(1, 1, size, size)
    image[0, 0, size // 2 + 10, size // 2] = 1.0  # at 10 px: between 96 / 16 = 6 and 96 / 6 = 16
    loss = region_importance(lambda x: x.amax((1, 2, 3)), image)[0]
    assert list(REGIONS) == ["centre", "inner", "outer"]
    assert loss[0] == 0
    assert loss[1] > 0.9
    assert loss[2] == 0


def test_what_a_region_is_worth_is_what_the_answer_loses_with_it() -> None:
    """For several stamps at once, and beside the region that lies outside of all."""
    image = torch.rand(3, 2, 48, 48, generator=torch.Generator().manual_seed(5))
    y, x = torch.meshgrid(torch.arange(48.0) - 24, torch.arange(48.0) - 24, indexing="ij")
    radius = torch.hypot(x, y)

    def answer(images: Tensor) -> Tensor:
        return images.square().mean((1, 2, 3))

    for place, (low, high) in enumerate(REGIONS.values()):
        inside = (radius >= 48 * low) & (radius < 48 * high)
        without = torch.where(inside, azimuthal_mean(image, radius), image)
        torch.testing.assert_close(region_importance(answer, image)[:, place], answer(image) - answer(without))


@pytest.mark.parametrize("offset", [5.0, -5.0])
def test_the_adversarial_step_is_the_distance_to_the_boundary(offset: float) -> None:
    weight = torch.zeros(1, 8, 8)
    weight[0, :5, :5] = 1.0
    inputs = torch.full((1, 1, 8, 8), 1e-9)
    step = smallest_flip(Linear(weight, offset), inputs, torch.zeros(1, 1))[0]
    assert step == FLIP_STEPS[np.argmax(FLIP_STEPS > 0.2)]


def test_an_answer_that_cannot_be_turned_has_no_step_and_missing_pixels_stay_missing() -> None:
    weight = torch.ones(1, 8, 8)
    assert np.isnan(smallest_flip(Linear(weight, 1e4), torch.ones(1, 1, 8, 8), torch.zeros(1, 1))[0])
    assert np.isnan(smallest_flip(Linear(weight, 1.0), torch.zeros(1, 1, 8, 8), torch.zeros(1, 1))[0])


def test_the_sample_takes_the_classes_in_turn() -> None:
    classes = ["spiral"] * 50 + ["merger"] * 2 + ["smooth"] * 10
    chosen = choose(classes, 8, np.random.default_rng(0))
    assert sorted(classes[k] for k in chosen) == ["merger"] * 2 + ["smooth"] * 3 + ["spiral"] * 3
    assert (
        len(choose(classes, 100, np.random.default_rng(0)))
        == len(set(choose(classes, 100, np.random.default_rng(0))))
        == 62
    )
    assert choose([], 5, np.random.default_rng(0)) == []


@pytest.fixture
def shards(tmp_path: Path) -> dict[str, list]:
    tables = [stamp_store(tmp_path / f"8-{k}.parquet", number, seed=k) for k, number in enumerate((4, 0, 3))]
    barred = [np.arange(number) % 2 == 0 for number in (4, 0, 3)]
    morphology = [morphology_table(tmp_path / f"m{k}.parquet", path, barred[k]) for k, path in enumerate(tables)]
    return {
        "stamps": paired(tables, [path.with_suffix(".npy") for path in tables]),
        "morphology": morphology,
        "models": [model_card(tmp_path, "morphology", k) for k in range(2)],
    }


def test_a_sample_is_explained_the_same_way_every_time(tmp_path: Path, shards: dict[str, list]) -> None:
    tables, maps = [], []
    for name in ("one", "two"):
        output = tmp_path / f"{name}.parquet"
        explain_sample(
            parameters("explain", explain={"sources": 4}), **shards, output=output, maps=output.with_suffix(".npy")
        )
        tables.append(read_table(output))
        maps.append(open_array(output.with_suffix(".npy")))
    assert tables[0].equals(tables[1])
    assert np.array_equal(*maps)
    assert maps[0].shape == (4, SIZE, SIZE)
    table = tables[0]
    assert sorted(table["morphology"].to_pylist()) == ["barred_spiral"] * 2 + ["smooth"] * 2
    assert set(table["answer"].to_pylist()) == {"bar_yes", "smooth_or_featured_smooth"}
    for name in ["fraction", "bar_logit", *(f"band_{band}" for band in BANDS), *(f"ring_{ring}" for ring in REGIONS)]:
        assert np.isfinite(numpy_column(table, name)).all()
    assert lineage_of(tmp_path / "one.parquet")["explain"] == "explain-digest"
    row = table.slice(0, 1).to_pylist()[0]
    number = [files.table.stem for files in shards["stamps"]].index(row["shard"])
    assert read_table(shards["stamps"][number].table)["source_id"][row["row"]].as_py() == row["source_id"]


def test_a_survey_without_galaxies_gives_empty_explanations(tmp_path: Path, shards: dict[str, list]) -> None:
    empty = {"stamps": shards["stamps"][1:2], "morphology": shards["morphology"][1:2], "models": shards["models"]}
    output = tmp_path / "none.parquet"
    explain_sample(parameters("explain"), **empty, output=output, maps=output.with_suffix(".npy"))
    assert read_table(output).num_rows == 0
    assert open_array(output.with_suffix(".npy")).shape == (0, SIZE, SIZE)
