"""Adaptation to measured galaxies: what one per cent of the training set can mend, and that it does no harm."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from helpers.small_sets import NOISE, SIZE, ellipses, parameters, stamp_files, write_part
from safetensors.torch import load_file

from tuningfork.core.errors import InputError
from tuningfork.training import adaptation
from tuningfork.training.adaptation import MixedData
from tuningfork.training.sets.data import TaskData
from tuningfork.training.sets.dataset import open_training_set
from tuningfork.training.tasks import structure_targets
from tuningfork.training.train import NetworkFiles, TrainingInputs, train_member

HELD_OUT = 150


def write_survey(path: Path, splits: list[str], seed: int = 7) -> Path:
    """Write measured galaxies of a kind that the simulations lack: exponential discs instead of Gaussian ones."""
    number = len(splits)
    stamps, truth = ellipses(np.random.default_rng(seed), number)
    y, x = np.mgrid[:SIZE, :SIZE] - float(SIZE // 2)
    theta, scale = np.deg2rad(truth["angle"])[:, None, None], (1.18 * truth["width"] / 1.678)[:, None, None]
    along, across = -x * np.sin(theta) + y * np.cos(theta), x * np.cos(theta) + y * np.sin(theta)
    ratio, flux = truth["ratio"][:, None, None], truth["flux"][:, None, None]
    disc = np.exp(-np.hypot(along, across / ratio) / scale) * flux / (2 * np.pi * scale**2 * ratio)
    stamps[:, 0] = disc[:, None] + np.random.default_rng(seed + 1).normal(0, NOISE, stamps[:, 0].shape)
    unknown = pa.nulls(number, pa.float32())
    write_part(path, number, seed, split=splits, sersic_n=np.ones(number), bulge_to_total=unknown)
    np.save(path.with_suffix(".npy"), stamps)
    return path


def train(folder: Path, measurements: Path | None, training_epochs: int = 1, **settings: Any) -> Path:
    """Train a small network, adapt it, and return its card."""
    values = {"start": "random", "width": 8, "epochs": training_epochs, "batch_size": 32, "learning_rate": 0.005}
    values["measurements"] = settings
    card = folder / "member.json"
    train_member(
        parameters("train-structure", train={"structure": values}),
        task="structure",
        member=0,
        inputs=TrainingInputs(
            [stamp_files(folder / "part-0.parquet")],
            measurements=None if measurements is None else stamp_files(measurements),
        ),
        outputs=NetworkFiles(card.with_suffix(".safetensors"), card, folder / "checkpoint.safetensors"),
    )
    return card


def test_one_per_cent_of_measured_galaxies_takes_the_bias_from_those_held_out(tmp_path: Path) -> None:
    """The networks know Gaussian profiles alone; ten measured discs for a thousand simulated galaxies mend most of it."""
    write_part(tmp_path / "part-0.parquet", 1000)
    survey = write_survey(tmp_path / "m.parquet", ["train"] * 10 + ["test"] * HELD_OUT)
    found = json.loads(train(tmp_path, survey, 5, epochs=60).read_text())["adaptation"]
    before, after = found["test"]["before"], found["test"]["after"]
    assert found["galaxies"] == {"train": 10, "validation": 0, "test": HELD_OUT}
    assert before["log_r_eff"]["n"] == HELD_OUT
    for name, least in (("log_r_eff", 0.08), ("log_sersic_n", 0.5)):
        assert abs(before[name]["bias"]) > least
        assert abs(after[name]["bias"]) < 0.7 * abs(before[name]["bias"]), name
    assert after["log_r_eff"]["r2"] > before["log_r_eff"]["r2"] + 0.1
    assert after["mag"]["r2"] > 0.95


def test_an_adaptation_that_makes_it_worse_is_not_kept(tmp_path: Path) -> None:
    """What the table says of the galaxies to learn from contradicts what it says of those that test it."""
    write_part(tmp_path / "part-0.parquet", 200)
    plain = load_file(train(tmp_path, None, 2).with_suffix(".safetensors"))
    splits = np.array(["train"] * 16 + ["validation"] * 20)
    wrong = {"mag": np.where(splits == "train", 30.0, 16.0), "r_eff": np.where(splits == "train", 50.0, 1.6)}
    write_part(tmp_path / "m.parquet", len(splits), 7, split=splits, **wrong)
    card = train(tmp_path, tmp_path / "m.parquet", 2, share=1.0, learning_rate=0.005)
    found = json.loads(card.read_text())["adaptation"]
    assert found["validation_loss"]["after"] > found["validation_loss"]["before"]
    assert not found["kept"]
    assert all(torch.equal(value, plain[name]) for name, value in load_file(card.with_suffix(".safetensors")).items())


class KilledError(Exception):
    """Stands for the end of a job by force."""


def test_a_killed_adaptation_goes_on_to_exactly_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_part(tmp_path / "part-0.parquet")
    survey = write_survey(tmp_path / "m.parquet", ["train"] * 20 + ["validation"] * 6)
    whole = load_file(train(tmp_path, survey, share=1.0).with_suffix(".safetensors"))
    fit = adaptation.fit

    def die(*arguments: Any, **options: Any) -> list[dict[str, Any]]:
        fit(*arguments, **options)
        raise KilledError

    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(adaptation, "fit", die)
        train(tmp_path, survey, share=1.0)
    assert (tmp_path / "checkpoint.measured.safetensors").is_file()
    card = train(tmp_path, survey, share=1.0)
    again = load_file(card.with_suffix(".safetensors"))
    assert all(torch.equal(value, again[name]) for name, value in whole.items())
    assert not list(tmp_path.glob("checkpoint*"))
    assert json.loads(card.read_text())["lineage"] == {"simulate": "s", "train-structure": "d" * 16}


@pytest.mark.parametrize(
    ("share", "measured", "simulated", "steps"), [(0.5, 4, 4, 3), (1.0, 8, 0, 2), (0.01, 1, 7, 10)]
)
def test_a_batch_holds_its_share_of_measured_galaxies_and_an_epoch_each_of_them_once(
    tmp_path: Path, share: float, measured: int, simulated: int, steps: int
) -> None:
    part = write_part(tmp_path / "part-0.parquet", 40, sersic_n=np.full(40, 0.5))
    survey = write_part(tmp_path / "m.parquet", 10, split=["train"] * 10, sersic_n=np.arange(1.0, 11.0))
    sets = [open_training_set([stamp_files(path)], reference_alone=True) for path in (survey, part)]
    data = MixedData(*(TaskData(found, structure_targets("r"), 8, 1, ("t",)) for found in sets), share)
    batches = list(data.training(0))
    indices = [np.exp(batch["structure"][:, 2].numpy()) for batch in batches]
    assert len(batches) == data.steps == steps
    assert all(np.sum(values < 0.9) == simulated for values in indices)
    assert max(np.sum(values > 0.9) for values in indices) <= measured
    seen = np.concatenate([values[values > 0.9] for values in indices])
    np.testing.assert_allclose(np.sort(seen), np.arange(1, 11), rtol=1e-5)


def test_measured_stamps_unlike_the_simulated_ones_are_refused(tmp_path: Path) -> None:
    write_part(tmp_path / "part-0.parquet")
    survey = write_survey(tmp_path / "m.parquet", ["train"] * 6)
    np.save(survey.with_suffix(".npy"), np.load(survey.with_suffix(".npy"))[..., :24, :24])
    with pytest.raises(InputError, match=r"stamps of 24 px.*the simulated ones have 32 px"):
        train(tmp_path, survey)
    write_survey(tmp_path / "m.parquet", ["test"] * 6)
    with pytest.raises(InputError, match="no measured galaxy to train on"):
        train(tmp_path, survey)
