"""Frozen parameters that are missing or touched: what the results themselves say decides."""

import json
import os
from pathlib import Path

import pyarrow as pa
import pytest

from tuningfork.core.errors import InputError
from tuningfork.core.stage import paths
from tuningfork.core.stage.made import OUTPUTS, Made
from tuningfork.core.stage.outdated import outdated_parameters, restore_parameters
from tuningfork.core.stage.parameters import STAGES, canonical, read_parameters, token_digest
from tuningfork.core.tables import write_table

FILE = Path("results/params/bars.json")
BARS, OTHER_BARS, CATALOGUE = "results/bars/8-1.parquet", "results/bars/8-2.parquet", "results/catalogue.parquet"


def tokens(seed: int = 1) -> dict[str, str]:
    return {
        stage: canonical({"stage": stage, "source": "s", "values": {"seed": seed}})
        for stage in ("bars", "inject", "catalogue")
    }


def made(path: str, *stages: str, seed: int = 1) -> None:
    """Write a result with its lineage."""
    write_table(path, pa.table({}), {stage: token_digest(tokens(seed)[stage]) for stage in stages})


@pytest.fixture(autouse=True)
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parameters of a finished run, without those of a stage that has never run."""
    monkeypatch.chdir(tmp_path)
    for path, stages in ((BARS, ["bars"]), (CATALOGUE, ["bars", "catalogue"])):
        made(path, *stages)
    FILE.parent.mkdir()
    for stage in ("bars", "catalogue"):
        FILE.with_stem(stage).write_text(tokens()[stage] + "\n")
        os.utime(FILE.with_stem(stage), ns=(1, 1))


def test_every_stage_has_files_of_its_own() -> None:
    assert set(OUTPUTS) == set(STAGES)


def test_a_finished_run_is_up_to_date_and_not_written() -> None:
    assert restore_parameters(tokens()) == []
    assert outdated_parameters(tokens()) == set()
    assert not FILE.with_stem("inject").exists()


def test_missing_parameters_of_the_present_configuration_are_written_again() -> None:
    FILE.unlink()
    assert outdated_parameters(tokens()) == {str(FILE)}
    assert restore_parameters(tokens()) == [str(FILE)]
    assert FILE.read_text() == tokens()["bars"] + "\n"
    assert FILE.stat().st_mtime_ns < Path(BARS).stat().st_mtime_ns
    assert outdated_parameters(tokens()) == set()


@pytest.mark.parametrize("own", [True, False])
def test_missing_parameters_of_another_configuration_are_outdated(own: bool) -> None:
    """Whether the stage's own results are there or, as they can be temporary, only those made from them."""
    FILE.unlink()
    if not own:
        Path(BARS).unlink()
    changed = tokens() | {"bars": tokens(7)["bars"]}
    assert restore_parameters(changed) == []
    assert outdated_parameters(changed) == {str(FILE)}


def test_results_of_several_configurations_or_without_lineage_are_made_anew() -> None:
    FILE.unlink()
    made(OTHER_BARS, "bars", seed=7)
    assert len(set(Made().digests("bars"))) == 2
    assert restore_parameters(tokens()) == []
    assert outdated_parameters(tokens()) == {str(FILE)}
    Path(OTHER_BARS).write_text("no table")
    assert restore_parameters(tokens()) == []


def test_what_an_interrupted_run_of_another_configuration_wrote_is_taken_back() -> None:
    """Its parameters are there, and all results are still those of the present ones."""
    FILE.write_text(tokens(7)["bars"] + "\n")
    assert restore_parameters(tokens()) == [str(FILE)]
    assert FILE.read_text() == tokens()["bars"] + "\n"
    assert FILE.stat().st_mtime_ns < Path(BARS).stat().st_mtime_ns


def test_results_that_were_accepted_do_not_bring_the_earlier_code_back() -> None:
    """After a downgrade: what was made since then is by the code that the user has accepted."""
    earlier = token_digest(tokens()["bars"])
    FILE.write_text(canonical(json.loads(tokens(7)["bars"]) | {"accepted": [{"digest": earlier, "source": "s"}]}))
    write_table(OTHER_BARS, pa.table({}), {"bars": f"{earlier}+{token_digest(tokens(7)['bars'])}"})
    assert restore_parameters(tokens()) == []
    assert outdated_parameters(tokens()) == {str(FILE)}


def test_touched_parameters_are_made_older_than_their_results() -> None:
    os.utime(FILE)
    assert restore_parameters(tokens()) == [str(FILE)]
    assert FILE.stat().st_mtime_ns < Path(BARS).stat().st_mtime_ns


def test_new_parameters_of_which_results_are_left_to_make_stay_new() -> None:
    made(OTHER_BARS, "bars", seed=7)
    os.utime(FILE)
    assert restore_parameters(tokens()) == []


def test_a_run_that_has_locked_the_folder_is_left_alone() -> None:
    FILE.unlink()
    Path(".snakemake/locks").mkdir(parents=True)
    Path(".snakemake/locks/0.output.lock").touch()
    assert restore_parameters(tokens()) == []


def test_inputs_whose_parameters_are_missing_are_refused() -> None:
    """Else results of another configuration would pass."""
    content = json.loads(tokens()["catalogue"]) | {"values": {}}
    FILE.with_stem("catalogue").write_text(canonical(content))
    FILE.unlink()
    Path(paths.PLAN).write_text("{}")
    with pytest.raises(InputError, match=r"params/bars\.json is missing, by which an input was made; run again"):
        read_parameters(FILE.with_stem("catalogue")).lineage({"bars": "0" * 16})
    Path(paths.PLAN).unlink()
    assert read_parameters(FILE.with_stem("catalogue")).lineage({"bars": "0" * 16})["bars"] == "0" * 16
