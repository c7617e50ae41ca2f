"""Results that are kept after an upgrade, and what then says so."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from tuningfork.core.config import validate
from tuningfork.core.description import describe
from tuningfork.core.errors import InputError
from tuningfork.core.stage.accept import accept_results, accepted_digests
from tuningfork.core.stage.outdated import outdated_parameters
from tuningfork.core.stage.parameters import Parameters, freeze, read_parameters
from tuningfork.core.tables import lineage_of, write_table


class Run:
    """The frozen parameters of a run whose code and configuration can change."""

    def __init__(self, root: Path, folder: Path) -> None:
        configuration = validate({})
        self.tokens = freeze(configuration, describe(configuration, root / "config" / "surveys"), root)
        self.folder = folder / "results" / "params"
        self.folder.mkdir(parents=True)
        for stage, token in self.tokens.items():
            (self.folder / f"{stage}.json").write_text(token + "\n")
        for name, stage in (("bars/8-1", "bars"), ("catalogue", "catalogue")):
            write_table(f"results/{name}.parquet", pa.table({}), self.parameters(stage).lineage())

    def upgraded(self, stage: str, source: str = "0", **changes: object) -> dict[str, str]:
        """Return the tokens after a change of the stage's code."""
        frozen = json.loads(self.tokens[stage]) | {"source": source} | changes
        return self.tokens | {stage: json.dumps(frozen, sort_keys=True, separators=(",", ":"))}

    def parameters(self, stage: str) -> Parameters:
        return read_parameters(self.folder / f"{stage}.json")


@pytest.fixture
def run(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    return Run(root, tmp_path)


def test_accepted_results_are_up_to_date_and_their_time_stays(run: Run) -> None:
    tokens, file = run.upgraded("bars"), run.folder / "bars.json"
    before = file.stat().st_mtime_ns
    assert outdated_parameters(tokens) == {"results/params/bars.json"}
    assert accept_results(["bars"], tokens) == {"bars": True}
    assert outdated_parameters(tokens) == set()
    assert file.stat().st_mtime_ns == before
    assert accept_results(["bars"], tokens) == {"bars": False}
    assert outdated_parameters(run.upgraded("bars", "1")) == {"results/params/bars.json"}


def test_the_lineage_says_what_was_accepted(run: Run, tmp_path: Path) -> None:
    """Tables from before and after agree, and all that follows names both hashes."""
    earlier = run.parameters("bars").digest
    write_table(tmp_path / "old.parquet", pa.table({}), run.parameters("bars").lineage())
    accept_results(["bars"], run.upgraded("bars"))
    present = run.parameters("bars")
    assert present.digest.startswith(f"{earlier}+")
    write_table(tmp_path / "new.parquet", pa.table({}), present.lineage())
    catalogue = run.parameters("catalogue")
    for files in (["old"], ["new"], ["old", "new"], ["new", "old"]):
        merged = lineage_of(*(tmp_path / f"{name}.parquet" for name in files))
        assert catalogue.lineage(merged)["bars"] == present.digest
    assert accepted_digests(run.folder, catalogue.lineage({"bars": earlier})) == {"bars": [earlier]}
    accept_results(["bars"], run.upgraded("bars", "1"))
    assert run.parameters("bars").digest.startswith(f"{earlier}+")
    assert accepted_digests(run.folder, {"bars": earlier}) == {"bars": [earlier, present.digest]}


def test_results_of_other_parameters_are_still_refused(run: Run, tmp_path: Path) -> None:
    accept_results(["bars"], run.upgraded("bars"))
    write_table(tmp_path / "old.parquet", pa.table({}), {"bars": "0" * 16})
    with pytest.raises(InputError, match=r"old\.parquet was made with other parameters of the stage bars"):
        run.parameters("catalogue").lineage(lineage_of(tmp_path / "old.parquet"))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"values": {"bars": {"method": "paper"}}}, "bars"),
        ({"inputs": {"table": "1"}}, "table"),
        ({"jobs": {"shards": "2"}}, "shards"),
    ],
)
def test_a_change_of_anything_but_the_code_cannot_be_accepted(run: Run, changes: dict, named: str) -> None:
    with pytest.raises(InputError, match=rf"more than the code of the stage bars has changed \({named}\)"):
        accept_results(["bars"], run.upgraded("bars", **changes))


def test_what_is_no_stage_or_has_no_results_cannot_be_accepted(run: Run) -> None:
    with pytest.raises(InputError, match="'bras' is no stage"):
        accept_results(["bras"], run.tokens)
    (run.folder / "bars.json").unlink()
    with pytest.raises(InputError, match="no frozen parameters"):
        accept_results(["bars"], run.tokens)


def test_a_stage_that_has_made_nothing_cannot_be_accepted(run: Run) -> None:
    with pytest.raises(InputError, match="the stage saliency has no results in this folder"):
        accept_results(["saliency"], run.upgraded("saliency"))


@pytest.mark.parametrize("wrong", ["bras", "saliency"])
def test_one_stage_that_cannot_be_accepted_leaves_the_others_as_they_are(run: Run, wrong: str) -> None:
    before = (run.folder / "bars.json").read_bytes()
    with pytest.raises(InputError, match=wrong):
        accept_results(["bars", wrong], run.upgraded("bars"))
    assert (run.folder / "bars.json").read_bytes() == before


def test_nothing_is_accepted_while_a_run_works(run: Run) -> None:
    locks = Path(".snakemake/locks")
    locks.mkdir(parents=True)
    (locks / "0.output.lock").touch()
    before = (run.folder / "bars.json").read_bytes()
    with pytest.raises(InputError, match="a run works in this folder") as caught:
        accept_results(["bars"], run.upgraded("bars"))
    assert "\n" not in str(caught.value)
    assert (run.folder / "bars.json").read_bytes() == before


def test_a_file_that_is_no_frozen_parameters_is_written_anew(run: Run) -> None:
    (run.folder / "bars.json").write_text("half")
    assert outdated_parameters(run.tokens) == {"results/params/bars.json"}
