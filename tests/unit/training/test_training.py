"""Training sets, the loop, checkpoints and the two training stages."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from helpers.small_sets import BANDS, SIZE, parameters, stamp_files, write_model, write_part, write_stamps
from safetensors.torch import load_file
from scipy.stats import pearsonr

from tuningfork.core.decision_tree import vote_columns
from tuningfork.core.errors import ConfigurationError, InputError
from tuningfork.core.running.ahead import ahead
from tuningfork.core.tables import read_table, write_table
from tuningfork.networks.inputs import ORIENTATIONS, dihedral, prepare
from tuningfork.networks.model_file import load
from tuningfork.networks.structure import COLUMNS
from tuningfork.plan import plan_run
from tuningfork.stamps.store import open_store
from tuningfork.training import loop
from tuningfork.training.loop import Recipe, fit, learning_rate
from tuningfork.training.metrics import area_under_curve, determination, of_votes, regression
from tuningfork.training.pretrain import pretrain_encoder
from tuningfork.training.restoration import hide, local_mean
from tuningfork.training.sets.augment import spoil
from tuningfork.training.sets.data import TaskData
from tuningfork.training.sets.dataset import open_training_set
from tuningfork.training.tasks import morphology_targets, noise_magnitude, structure_targets, structure_truth
from tuningfork.training.train import NetworkFiles, TrainingInputs, train_member

NO_TURN = np.zeros(3, dtype=int)


def train(
    folder: Path,
    task: str = "structure",
    training: list[Path] | None = None,
    labels: Path | None = None,
    member: int = 0,
    **settings: Any,
) -> Path:
    """Train a small network in `folder` and return its card."""
    values = {"epochs": 2, "batch_size": 16, "learning_rate": 5e-3, "start": "pretrained", **settings}
    encoder = folder / "encoder.json"
    if not encoder.is_file():
        write_model(encoder, "encoder")
    card = folder / f"{task}-{member}.json"
    train_member(
        parameters(f"train-{task}", train={task: values}),
        task=task,
        member=member,
        inputs=TrainingInputs(
            [stamp_files(path) for path in training or [folder / "part-0.parquet"]],
            encoder,
            expert_labels=None if labels is None else stamp_files(labels),
        ),
        outputs=NetworkFiles(card.with_suffix(".safetensors"), card, folder / "checkpoint.safetensors"),
    )
    return card


def weights(card: Path) -> dict[str, torch.Tensor]:
    """Return the trained weights."""
    return load_file(card.with_suffix(".safetensors"))


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """A part of a training set."""
    return write_part(tmp_path / "part-0.parquet")


@pytest.mark.parametrize("task", ["morphology", "structure"])
def test_a_network_learns_and_its_card_says_how(tmp_path: Path, part: Path, task: str) -> None:
    card = train(tmp_path, task, epochs=4)
    _model, content = load(card, task)
    assert content["history"][-1]["train_loss"] < content["history"][0]["train_loss"]
    assert [entry["epoch"] for entry in content["history"]] == [1, 2, 3, 4]
    assert all(entry["learning_rate"] >= 0 and entry["seconds"] >= 0 for entry in content["history"])
    assert content["training"]["galaxies"] == 48
    assert len(content["training"]["set"]) == 64
    assert content["lineage"] == {"simulate": "s", "train-encoder": "m", f"train-{task}": "d" * 16}
    assert set(content["metrics"]) == {"validation", "test"}
    assert not (tmp_path / "checkpoint.safetensors").exists()
    if task == "structure":
        assert set(content["heads"]["range"]) == {"mag", "log_r_eff", "log_sersic_n"}
        assert "scatter_of_constant" in content["metrics"]["test"]["mag"]
        assert content["input"]["bands"] == ["r"]
        assert content["heads"]["targets"] == list(COLUMNS)
    else:
        assert "accuracy_of_constant" in content["metrics"]["test"]["votes"]["smooth_or_featured"]


class KilledError(Exception):
    """Stands for the end of a job by force."""


def kill(monkeypatch: pytest.MonkeyPatch, after: int, folder: Path, **settings: Any) -> None:
    """Train until the checkpoint of the epoch `after` is written."""
    save = loop.save_checkpoint

    def save_and_die(path: Path, state: Any, token: str) -> None:
        save(path, state, token)
        if state.epoch == after:
            raise KilledError

    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(loop, "save_checkpoint", save_and_die)
        train(folder, **settings)
    assert (folder / "checkpoint.safetensors").is_file()


@pytest.mark.parametrize("killed_after", [1, 2])
def test_a_killed_training_goes_on_to_exactly_the_same_weights(
    tmp_path: Path, part: Path, monkeypatch: pytest.MonkeyPatch, killed_after: int
) -> None:
    whole = weights(train(tmp_path, member=3, epochs=3))
    kill(monkeypatch, killed_after, tmp_path, member=3, epochs=3)
    done: list[str] = []
    monkeypatch.setattr(loop, "track", lambda items, what, total: done.append(what) or items)
    card = train(tmp_path, member=3, epochs=3)
    assert len(done) == 3 - killed_after
    assert all(torch.equal(value, whole[name]) for name, value in weights(card).items())
    assert len(json.loads(card.read_text())["history"]) == 3


def test_a_checkpoint_of_other_parameters_or_a_broken_one_is_not_used(
    tmp_path: Path, part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = weights(train(tmp_path))
    kill(monkeypatch, 1, tmp_path, learning_rate=0.1)
    assert all(torch.equal(value, expected[name]) for name, value in weights(train(tmp_path)).items())
    (tmp_path / "checkpoint.safetensors").write_bytes(b"rubbish")
    assert all(torch.equal(value, expected[name]) for name, value in weights(train(tmp_path)).items())


def test_members_differ_and_repeat_themselves(tmp_path: Path, part: Path) -> None:
    one, again, other = (weights(train(tmp_path, member=k, epochs=1)) for k in (0, 0, 1))
    assert all(torch.equal(value, again[name]) for name, value in one.items())
    assert not torch.equal(one["head.weight"], other["head.weight"])


def test_the_pretrained_encoder_is_where_training_starts(tmp_path: Path, part: Path) -> None:
    encoder = write_model(tmp_path / "encoder.json", "encoder", seed=9)
    trained = weights(train(tmp_path, epochs=1, learning_rate=1e-9))
    start = load_file(encoder.with_suffix(".safetensors"))
    torch.testing.assert_close(trained["trunk.encoder.stem.weight"], start["stem.weight"].sum(1, keepdim=True))
    trained = weights(train(tmp_path, "morphology", epochs=1, learning_rate=1e-9))
    torch.testing.assert_close(trained["trunk.encoder.stem.weight"], start["stem.weight"])


def test_a_trained_network_is_trained_further(tmp_path: Path, part: Path) -> None:
    first = train(tmp_path, epochs=2)
    whole = first.rename(tmp_path / "shipped.json")
    further = train(tmp_path, epochs=1, learning_rate=1e-9, start=str(whole), member=1)
    trained = weights(further)
    for name, value in weights(first).items():
        torch.testing.assert_close(trained[name], value, rtol=1e-4, atol=1e-6)


def test_a_random_start_has_the_width_that_is_asked_for(tmp_path: Path, part: Path) -> None:
    card = json.loads(train(tmp_path, epochs=1, start="random", width=24).read_text())
    assert card["architecture"]["width"] == 24


def test_a_start_that_is_no_structure_network_is_refused(tmp_path: Path, part: Path) -> None:
    other = write_model(tmp_path / "votes.json", "morphology")
    with pytest.raises(InputError, match=r"votes.json.*'morphology'.*'structure'"):
        train(tmp_path, start=str(other))
    with pytest.raises(InputError, match=r"nowhere.json"):
        train(tmp_path, start=str(tmp_path / "nowhere.json"))


def test_another_network_to_start_from_makes_its_own_training_stale_alone(tmp_path: Path, root: Path) -> None:
    start = tmp_path / "start.json"
    values = {"train": {"structure": {"start": str(start)}}}
    with pytest.raises(ConfigurationError, match=r"train.structure.start.*start.json"):
        plan_run(values, root)
    plans = []
    for seed in range(2):
        write_model(start, "structure", seed)
        plans.append(plan_run(values, root).tokens)
    assert {stage for stage, text in plans[0].items() if text != plans[1][stage]} == {"train-structure"}


@pytest.mark.parametrize("task", ["morphology", "structure"])
def test_the_threads_of_a_training_are_those_of_the_configuration(
    tmp_path: Path, part: Path, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    """Neither the environment nor the machine decides them, because they change the weights."""
    threads = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    used: list[int] = []
    save = loop.save_checkpoint

    def observe(*arguments: Any) -> None:
        used.append(torch.get_num_threads())
        save(*arguments)

    monkeypatch.setattr(loop, "save_checkpoint", observe)
    try:
        cards = [json.loads(train(tmp_path, task, epochs=1, threads=number).read_text()) for number in (1, 3)]
    finally:
        torch.set_num_threads(threads)
    assert used == [1, 3]
    assert [card["training"]["threads"] for card in cards] == [1, 3]
    assert cards[0]["training"]["device"] in {"cpu", "cuda"}
    assert {"torch", "numpy", "galsim"} <= set(cards[0]["versions"])


def test_the_plan_reserves_the_threads_of_every_training(root: Path) -> None:
    values = {"pretrain": {"threads": 2}, "train": {"morphology": {"threads": 8}}}
    assert plan_run(values, root).threads == {"pretrain": 2, "morphology": 8, "structure": 1}


def test_human_votes_are_learnt_with_the_simulated_ones(tmp_path: Path, part: Path) -> None:
    labels = write_part(tmp_path / "votes.parquet", 20, seed=5, split=np.full(20, "train"))
    lone = train(tmp_path, "morphology", epochs=1)
    alone = json.loads(lone.read_text())["training"]
    joined = json.loads(train(tmp_path, "morphology", labels=labels, epochs=1).read_text())["training"]
    assert (alone["galaxies"], joined["galaxies"]) == (48, 68)
    assert alone["set"] != joined["set"]
    assert joined["expert_labels"]
    assert not alone["expert_labels"]


def test_pictures_with_votes_are_learnt_with_the_simulated_galaxies(tmp_path: Path, part: Path) -> None:
    """They are files of the user, which no stage has made and which have no lineage."""
    pictures = write_part(tmp_path / "pictures.parquet", 20, seed=5, split=np.full(20, "train"), picture=np.ones(20))
    write_table(pictures, read_table(pictures), {}, bands=BANDS, reference_band="r")
    card = json.loads(train(tmp_path, "morphology", picture_votes=str(pictures), epochs=1).read_text())
    assert card["training"]["galaxies"] == 68
    assert card["training"]["picture_votes"]
    assert "simulate" in card["lineage"]


def test_an_empty_training_set_and_other_bands_are_refused(tmp_path: Path, part: Path) -> None:
    with pytest.raises(InputError, match="no training set"):
        open_training_set([])
    nothing = write_part(tmp_path / "nothing.parquet", 10, split=np.full(10, "test"))
    with pytest.raises(InputError, match=r"nothing.parquet.*simulate.size"):
        train(tmp_path, training=[nothing])
    others = write_part(tmp_path / "others.parquet", 10, bands=["u", "r"])
    with pytest.raises(InputError, match=r"others.parquet.*\['u', 'r'\].*\['g', 'r'\]"):
        train(tmp_path, training=[part, others])
    with pytest.raises(InputError, match=r"encoder.json.*\['g', 'r'\]"):
        train(tmp_path, "morphology", training=[write_part(tmp_path / "lone.parquet", 10, bands=["u", "r"])])
    old = write_part(tmp_path / "old.parquet", 10)
    write_table(old, read_table(old).drop_columns("psf_beta"), {}, bands=BANDS, reference_band="r")
    with pytest.raises(InputError, match=r"old.parquet.*psf_beta"):
        train(tmp_path, training=[old])


def test_a_loss_that_is_not_finite_names_the_learning_rate(tmp_path: Path, part: Path) -> None:
    data = TaskData(open_training_set([stamp_files(part)]), structure_targets("r"), 16, 1, ("train",))
    recipe = Recipe("train.structure", 1, 16, 0.5, 0.0)
    with pytest.raises(InputError, match=r"not finite in epoch 1; lower train.structure.learning_rate \(0.5\)"):
        fit(
            torch.nn.Linear(1, 1),
            lambda model, batch: model.weight.sum() * math.nan,
            data,
            recipe,
            checkpoint=tmp_path / "checkpoint.safetensors",
            token="token",
            device=torch.device("cpu"),
        )


def test_unknown_truth_is_masked(tmp_path: Path) -> None:
    write_part(tmp_path / "part-0.parquet", sersic_n=pa.nulls(60, pa.float32()))
    card = json.loads(train(tmp_path, epochs=1).read_text())
    assert card["metrics"]["test"]["log_sersic_n"] == {"n": 0}
    assert math.isfinite(card["history"][0]["train_loss"])
    data = open_training_set([stamp_files(tmp_path / "part-0.parquet")])
    batch = data.batch(np.arange(3), structure_targets("r"))
    assert torch.isnan(batch["structure"][:, 2]).all()
    assert torch.isfinite(batch["structure"][:, :2]).all()


def test_only_what_is_asked_for_is_learnt(tmp_path: Path, part: Path) -> None:
    card = train(tmp_path, epochs=1, targets=["mag"], learning_rate=0.01, weight_decay=0.0)
    assert json.loads(card.read_text())["heads"]["targets"] == ["mag"]
    bias = weights(card)["skip.bias"]
    assert bias[0] != 0
    assert (bias[1:] == 0).all()


def test_targets_turn_with_the_images(part: Path) -> None:
    data = open_training_set([stamp_files(part)])
    rows = np.arange(8)
    turned = data.batch(rows, structure_targets("r"), np.random.default_rng(1))
    plain = data.batch(rows, structure_targets("r"))
    changed = 0
    for row in rows:
        found = [
            k for k in range(ORIENTATIONS) if torch.equal(dihedral(plain["inputs"][row], k), turned["inputs"][row])
        ]
        if not found:
            continue  # a band or a side was taken away
        columns = data.take(np.array([row]))
        expected = structure_targets("r")(columns, np.array(found))["structure"][0]
        torch.testing.assert_close(turned["structure"][row], expected, equal_nan=True)
        changed += found[0] > 0
    assert changed >= 3


def test_structure_targets_are_in_units_of_noise_and_pixels(part: Path) -> None:
    columns = open_training_set([stamp_files(part)]).take(np.arange(3))
    truth = structure_truth(columns, "r")
    np.testing.assert_allclose(truth[:, 0], columns["mag"] - (22.5 - 2.5 * np.log10(0.03)))
    np.testing.assert_allclose(np.exp(truth[:, 1]), columns["r_eff"] / 0.4)
    np.testing.assert_allclose(np.exp(-np.hypot(truth[:, 3], truth[:, 4])), columns["axis_ratio"])
    np.testing.assert_allclose(truth[:, 5], [np.log(0.25), np.nan, np.log(0.25)], rtol=1e-6)
    assert noise_magnitude(columns, "r")[0] == pytest.approx(22.5 - 2.5 * np.log10(0.03))


def test_the_reference_band_alone_is_read_and_is_that_of_the_whole(part: Path) -> None:
    whole, alone = open_training_set([stamp_files(part)]), open_training_set([stamp_files(part)], reference_alone=True)
    rows = np.array([3, 7])
    np.testing.assert_array_equal(alone.images(rows), whole.images(rows)[:, 1:])
    table, stamps = open_store(stamp_files(part), ["r"], "r")
    inputs, conditions = prepare(stamps[rows], table.take(rows), ["r"], "r")
    batch = alone.batch(rows, lambda columns, turns: {})
    assert torch.equal(batch["inputs"], inputs)
    assert torch.equal(batch["conditions"], conditions)


def test_bar_lengths_of_unbarred_galaxies_are_unknown(part: Path) -> None:
    columns = open_training_set([stamp_files(part)]).take(np.arange(3))
    targets = morphology_targets(columns, NO_TURN)
    assert torch.isfinite(targets["log_bar_length"]).tolist() == [True, False, True]
    assert targets["votes"].shape == (3, len(vote_columns()))


def test_batches_are_those_of_prepare_and_the_same_with_threads(part: Path) -> None:
    data = open_training_set([stamp_files(part)])
    batch = data.batch(np.arange(4), lambda columns, turns: {})
    stamps = np.load(part.with_suffix(".npy"))[:4]
    inputs, conditions = prepare(stamps, data.take(np.arange(4)), BANDS, "r")
    assert torch.equal(batch["inputs"], inputs)
    assert torch.equal(batch["conditions"], conditions)
    alone, helped = (
        list(TaskData(data, structure_targets("r"), 16, 1, ("train",), workers).training(2)) for workers in (0, 3)
    )
    assert len(alone) == 3
    assert all(torch.equal(a["inputs"], b["inputs"]) for a, b in zip(alone, helped, strict=True))
    other = next(TaskData(data, structure_targets("r"), 16, 1, ("train",)).training(3))
    assert not torch.equal(other["inputs"], alone[0]["inputs"])


def test_work_ahead_keeps_the_order() -> None:
    assert list(ahead(lambda x: x * x, range(20), 3)) == [x * x for x in range(20)]


def test_spoiling_takes_away_bands_and_sides_but_never_the_reference_band() -> None:
    images, columns = np.ones((400, 2, 16, 16), dtype=np.float32), {f"sky_noise_{b}": np.ones(400) for b in BANDS}
    spoil(images, columns, BANDS, "r", np.random.default_rng(0))
    missing = np.isnan(columns["sky_noise_g"])
    assert 4 < missing.sum() < 40
    assert np.isfinite(columns["sky_noise_r"]).all()
    assert (images[missing, 0] == 0).all()
    padded = (images[:, 1] == 0).any(axis=(1, 2))
    assert 4 < padded.sum() < 40
    assert (images[:, 1].mean(axis=(1, 2)) > 0.5).all()


def test_the_learning_rate_has_one_cycle() -> None:
    recipe = Recipe("train.structure", 1, 1, 0.01, 0)
    rates = [learning_rate(recipe, done) for done in np.linspace(0, 1, 101)]
    assert rates[0] < 0.001
    assert max(rates) == pytest.approx(0.01)
    assert rates[-1] == pytest.approx(0, abs=1e-9)
    peak = int(np.argmax(rates))
    assert np.all(np.diff(rates[:peak]) > 0)
    assert np.all(np.diff(rates[peak:]) < 0)


def test_pretraining_restores_better_each_epoch_and_says_so(tmp_path: Path, part: Path) -> None:
    stamps = write_stamps(tmp_path / "shard.parquet", 30)
    values = {"epochs": 4, "width": 8, "batch_size": 16, "learning_rate": 5e-3}
    pretrain_encoder(
        parameters("pretrain", pretrain=values),
        training=[stamp_files(part)],
        stamps=[stamp_files(stamps)],
        output=tmp_path / "e.safetensors",
        card=tmp_path / "e.json",
    )
    _, card = load(tmp_path / "e.json", "encoder")
    losses = [entry["validation_loss"] for entry in card["history"]]
    assert losses[-1] < losses[0]
    assert card["training"]["galaxies"] == 48 + 26  # 28 stamps can be read, two of them validate
    assert card["metrics"]["validation"]["hidden_mean_absolute_error_of_local_mean"] > 0
    assert card["lineage"] == {"simulate": "s", "stamps": "t", "pretrain": "d" * 16}
    assert not list(tmp_path.glob("*checkpoint*"))


def test_no_epoch_of_pretraining_writes_random_weights(tmp_path: Path, part: Path) -> None:
    values = {"epochs": 0, "width": 8}
    pretrain_encoder(
        parameters("pretrain", pretrain=values),
        training=[stamp_files(part)],
        stamps=[],
        output=tmp_path / "e.safetensors",
        card=tmp_path / "e.json",
    )
    model, card = load(tmp_path / "e.json", "encoder")
    assert card["history"] == []
    assert card["metrics"] == {}
    assert model.stem.weight.std() > 0.01


def test_stamps_of_another_survey_are_not_pretrained_on(tmp_path: Path, part: Path) -> None:
    others = write_part(tmp_path / "others.parquet", 10, bands=["u", "r"])
    with pytest.raises(InputError, match=r"others.parquet.*\['u', 'r'\]"):
        pretrain_encoder(
            parameters("pretrain"),
            training=[stamp_files(part)],
            stamps=[stamp_files(others)],
            output=tmp_path / "e.safetensors",
            card=tmp_path / "e.json",
        )


def test_hidden_patches_are_zero_and_the_rest_noisy() -> None:
    images = torch.full((4, 2, SIZE, SIZE), 3.0)
    batch = hide(images, 0.5, np.random.default_rng(0))
    hidden = (batch["seen"] == 0).expand_as(images)
    assert (batch["inputs"][hidden] == 0).all()
    assert (batch["inputs"][~hidden] != 3).all()
    assert 0.3 < float(hidden.float().mean()) < 0.7
    torch.testing.assert_close(batch["target"][..., 4:-4, 4:-4], images[..., 4:-4, 4:-4])
    inner = local_mean(torch.where(hidden, 0, images), batch["seen"])[..., 8:-8, 8:-8]
    assert float((inner - np.arcsinh(3)).abs().median()) < 0.01


def test_figures_of_merit() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(size=200)
    prediction = truth + rng.normal(scale=0.3, size=200)
    figures = regression(np.append(prediction, 0), np.append(truth, np.nan))
    assert figures["n"] == 200
    assert figures["r"] == pytest.approx(pearsonr(prediction, truth)[0])
    assert figures["r2"] == determination(prediction, truth)
    assert figures["scatter"] < figures["scatter_of_constant"]
    assert area_under_curve(np.array([1, 2, 3, 4] * 5), np.array([False, False, True, True] * 5)) == 1
    assert area_under_curve(rng.normal(size=5000), rng.random(5000) < 0.3) == pytest.approx(0.5, abs=0.03)
    assert area_under_curve(np.ones(20), np.arange(20) < 10) == 0.5
    assert area_under_curve(np.ones(3), np.array([True, False, False])) is None


def test_vote_figures_have_the_constant_beside_them() -> None:
    votes = np.zeros((20, len(vote_columns())))
    votes[:10, :2], votes[10:, :2] = [8, 2], [1, 9]
    fractions = np.zeros_like(votes)
    fractions[:, :3] = votes[:, :3] / 10
    figures = of_votes(fractions, votes)["smooth_or_featured"]
    assert figures["accuracy"] == 1
    assert figures["mae"] == 0
    assert figures["accuracy_of_constant"] == 0.5
    assert of_votes(fractions, votes)["bar"] == {"n": 0}
    assert not math.isnan(figures["mae_of_constant"])


def test_a_card_has_figures_of_what_was_learnt_alone(tmp_path: Path, part: Path) -> None:
    found = json.loads(train(tmp_path, targets=["mag"], epochs=1).read_text())["metrics"]["test"]
    assert found["mag"]["n"] == 6
    assert {found[name]["n"] for name in ("log_r_eff", "log_sersic_n", "axis_ratio", "position_angle")} == {0}


def test_pictures_are_learnt_from_in_one_band_alone(tmp_path: Path, part: Path) -> None:
    with pytest.raises(InputError, match=r"train.morphology.pictures: 0.5.*\['g', 'r'\]"):
        train(tmp_path, "morphology", pictures=0.5)
    single = open_training_set([stamp_files(part)], reference_alone=True)
    rows = single.rows("train")[:8]
    plain, seen = (
        replace(single, pictures=share).batch(rows, lambda columns, turns: {}, np.random.default_rng(1))["inputs"]
        for share in (0.0, 1.0)
    )
    assert plain.shape == seen.shape
    assert all(not torch.allclose(one, other) for one, other in zip(plain, seen, strict=True))
