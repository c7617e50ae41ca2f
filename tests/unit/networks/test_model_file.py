"""The model file."""

import json
from pathlib import Path

import pytest
import torch
from helpers.small_sets import SIZE, write_model

from tuningfork.core.errors import InputError
from tuningfork.networks.ensemble import load_ensemble
from tuningfork.networks.inputs import conditions_size
from tuningfork.networks.model_file import build, load


@pytest.mark.parametrize("task", ["encoder", "morphology", "structure"])
def test_a_network_comes_back_as_it_was_written(tmp_path: Path, task: str) -> None:
    card = write_model(tmp_path / "model.json", task, seed=4)
    model, content = load(card, task)
    expected = build(content["architecture"], 4).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())
    assert not model.training
    assert not any(value.requires_grad for value in model.parameters())
    assert content["format"] == 2
    assert content["versions"]["torch"]
    assert len(content["weights_sha256"]) == 64


def test_a_trained_network_predicts_the_same_after_a_round_trip(tmp_path: Path) -> None:
    card = write_model(tmp_path / "model.json", "structure", seed=4)
    inputs, conditions = torch.randn(2, 1, SIZE, SIZE), torch.randn(2, conditions_size(1))
    model, content = load(card)
    expected = build(content["architecture"], 4)(inputs, conditions)
    for name, values in model(inputs, conditions).items():
        torch.testing.assert_close(values, expected[name])


def test_other_weights_than_those_of_the_card_are_refused(tmp_path: Path) -> None:
    card = write_model(tmp_path / "one.json", "structure", seed=1)
    other = write_model(tmp_path / "two.json", "structure", seed=2)
    other.with_suffix(".safetensors").rename(card.with_suffix(".safetensors"))
    with pytest.raises(InputError, match=r"one.safetensors.*sha256"):
        load(card)


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.json"):
        load(tmp_path / "none.json")
    card = write_model(tmp_path / "one.json", "structure")
    card.with_suffix(".safetensors").unlink()
    with pytest.raises(InputError, match=r"one.safetensors"):
        load(card)
    card.write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"one.json: not a model card"):
        load(card)


def test_another_task_or_format_is_refused(tmp_path: Path) -> None:
    card = write_model(tmp_path / "one.json", "structure")
    with pytest.raises(InputError, match=r"'structure'.*'morphology'"):
        load(card, "morphology")
    card.write_text(json.dumps(json.loads(card.read_text()) | {"format": 99}), encoding="utf-8")
    with pytest.raises(InputError, match="99"):
        load(card)


def test_an_ensemble_needs_members_with_the_same_bands(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no model cards"):
        load_ensemble([], "structure")
    one, other = (write_model(tmp_path / f"{k}.json", "structure") for k in range(2))
    card = json.loads(other.read_text())
    card["input"]["bands"] = ["r", "i"]
    other.write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(InputError, match=r"1.json"):
        load_ensemble([one, other], "structure")
