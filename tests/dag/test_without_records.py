"""Changes are seen from the frozen parameters alone, when Snakemake's own records are gone."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from dag.rerun_matrix import MATRIX, STALE, changed_rules
from dag.stub_workflow import TINY, StubWorkflow, nested
from tuningfork.core.stage.parameters import frozen_digest
from tuningfork.core.tables import write_table
from tuningfork.plan import GATHERED

GROWN = {"sky.footprint.ra_max": 210.5}


def state(folder: Path) -> dict[str, tuple[int, str]]:
    """Return path -> time and hash of the content of all files."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files}


@pytest.fixture(scope="module")
def bare(finished: StubWorkflow, tmp_path_factory: pytest.TempPathFactory) -> StubWorkflow:
    """A finished run without .snakemake, as after `rsync` of the results alone; tests must leave it as it is."""
    folder = tmp_path_factory.mktemp("bare")
    shutil.copytree(finished.directory, folder / "run", copy_function=shutil.copy2)
    shutil.rmtree(folder / "run" / ".snakemake")
    return StubWorkflow(finished.root, folder / "run")


def gathering(name: str) -> set[str]:
    """Return the stages whose jobs take what a list of the plan names."""
    return {stage for stage, lists in GATHERED.items() if name in lists}


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({}, set()),
        ({"seed": 7}, changed_rules(MATRIX["keys"]["seed"])),
        ({"bars.min_probability": 0.6}, changed_rules(MATRIX["keys"]["bars.min_probability"])),
        (GROWN, changed_rules(["sources"])),
        ({"pretrain.shards": ["8-416155"]}, {"sources", "tiles", "stamps"} | STALE["pretrain"]),
        ({"train.morphology.members": 3}, STALE["train-morphology"]),
        ({"train.morphology.members": 1}, changed_rules(gathering("morphology_members"))),
        ({"simulate.size": 100}, changed_rules(gathering("parts"))),
    ],
)
def test_a_dry_run_shows_what_a_change_reruns_and_changes_nothing(
    bare: StubWorkflow, tmp_path: Path, changes: dict, rules: set[str]
) -> None:
    before = state(bare.directory / "results")
    path = tmp_path / "changed.yaml"
    path.write_text(yaml.safe_dump(nested(TINY, changes)))
    jobs = set(bare.jobs_to_run("--configfile", str(path), "--nolock"))
    assert jobs - {"parameters"} == rules
    assert ("parameters" in jobs) == bool(rules)
    assert state(bare.directory / "results") == before


def test_a_changed_module_reruns_its_stages(own: StubWorkflow) -> None:
    shutil.rmtree(own.directory / ".snakemake")
    module = own.root / "src" / "tuningfork" / "catalogue" / "hats.py"
    module.write_text(module.read_text() + "\n\nEDITED = True\n")
    assert set(own.jobs_to_run()) - {"parameters"} == STALE["catalogue"]


def test_a_changed_command_reruns_its_rule_and_changed_resources_do_not(own: StubWorkflow) -> None:
    rule = own.root / "workflow" / "rules" / "catalogue.smk"
    text = rule.read_text()
    rule.write_text(text.replace("memory(4000)", "memory(5000)").replace('"""Join', '"""Bring together'))
    assert own.jobs_to_run() == {}
    rule.write_text(text.replace("--log {log}", "--log {log} --table {output.table}"))
    assert set(own.jobs_to_run()) - {"parameters"} == STALE["catalogue"]


def test_modules_that_cannot_change_a_result_rerun_nothing(own: StubWorkflow) -> None:
    for name in ("surveys/des/survey.py", "surveys/sdss/frame.py", "core/running/progress.py", "core/stage/program.py"):
        module = own.root / "src" / "tuningfork" / name
        module.write_text(module.read_text() + "\n\nEDITED = True\n")
    assert own.jobs_to_run() == {}


def test_the_run_after_a_change_leaves_nothing_to_do(own: StubWorkflow) -> None:
    shutil.rmtree(own.directory / ".snakemake")
    own.configure({"seed": 7})
    own.run()
    assert json.loads((own.directory / "results" / "params" / "sources.json").read_text())["values"]["seed"] == 7
    shutil.rmtree(own.directory / ".snakemake")
    assert own.jobs_to_run() == {}


def test_a_smaller_footprint_publishes_anew(own: StubWorkflow) -> None:
    """No table of a shard is missing or new: only the list of shards has changed."""
    own.configure(GROWN)
    own.run()
    shutil.rmtree(own.directory / ".snakemake")
    own.configure({})
    rules = set(own.jobs_to_run()) - {"parameters"}
    assert STALE["catalogue"] <= rules <= STALE["catalogue"] | {"explain", "selection_function"}


def say_how_made(workflow: StubWorkflow) -> None:
    """Give the results of the stage sources the lineage that a real program writes, and their time."""
    params = workflow.directory / "results" / "params" / "sources.json"
    for path in (workflow.directory / "results" / "sources").glob("*.parquet"):
        times = path.stat()
        write_table(path, pa.table({}), {"sources": frozen_digest(params)})
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize("records", [True, False])
def test_missing_parameters_hide_no_change(own: StubWorkflow, records: bool) -> None:
    if not records:
        shutil.rmtree(own.directory / ".snakemake")
    say_how_made(own)
    shutil.rmtree(own.directory / "results" / "params")
    own.configure({"seed": 7})
    assert set(own.jobs_to_run()) - {"parameters"} >= STALE["sources"]


def test_parameters_that_were_deleted_or_touched_rerun_nothing(own: StubWorkflow) -> None:
    """Also where new jobs of the stage need them."""
    say_how_made(own)
    params = own.directory / "results" / "params" / "sources.json"
    os.utime(params)
    assert own.jobs_to_run() == {}
    own.configure({"sky.footprint.ra_max": 211.5})
    grown = own.jobs_to_run()
    params.unlink()
    assert own.jobs_to_run() == grown


def test_a_run_that_is_interrupted_keeps_the_earlier_parameters(own: StubWorkflow) -> None:
    """As Snakemake would remove them, with all that a failed job leaves."""
    rule = own.root / "workflow" / "rules" / "parameters.smk"
    text = rule.read_text()
    rule.write_text(text.replace('"{{ printf', '"exit 1; {{ printf'))
    before = {path.name: path.read_bytes() for path in (own.directory / "results" / "params").iterdir()}
    own.configure({"seed": 7})
    assert own.snakemake("--keep-going").returncode != 0
    assert {path.name: path.read_bytes() for path in (own.directory / "results" / "params").iterdir()} == before
    rule.write_text(text)
    assert set(own.jobs_to_run()) - {"parameters"} == changed_rules(MATRIX["keys"]["seed"])


def test_a_change_of_what_the_target_does_not_need_waits(own: StubWorkflow) -> None:
    own.configure({"bars.min_probability": 0.6})
    assert own.jobs_to_run("training_set") == {}


def test_a_locked_folder_is_left_as_it_is(own: StubWorkflow) -> None:
    locks = own.directory / ".snakemake" / "locks"
    locks.mkdir(exist_ok=True)
    (locks / "0.output.lock").write_text("results/report.html\n")
    before = state(own.directory / "results")
    own.configure({"seed": 7})
    done = own.snakemake()
    assert done.returncode != 0
    assert "cannot be locked" in done.stderr
    assert state(own.directory / "results") == before


def accept(workflow: StubWorkflow, *arguments: str) -> tuple[int, str]:
    """Run `tuningfork accept` and return its status and what it says."""
    done = workflow.tuningfork("accept", *arguments, "--configfile", "config.yaml")
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("records", [True, False])
def test_accepted_results_are_kept(own: StubWorkflow, records: bool) -> None:
    """The module is part of two stages, each of which is accepted by name."""
    module, stages = "catalogue/hats.py", MATRIX["modules"]["catalogue/hats.py"]
    path = own.root / "src" / "tuningfork" / module
    path.write_text(path.read_text() + "\n\nEDITED = True\n")
    if not records:
        shutil.rmtree(own.directory / ".snakemake")
    status, said = accept(own, *stages)
    assert status == 0, said
    assert own.jobs_to_run() == {}
    assert json.loads((own.directory / "results" / "params" / "catalogue.json").read_text())["accepted"]
    path.write_text(path.read_text() + "\n\nEDITED = 2\n")
    assert set(own.jobs_to_run()) - {"parameters"} == changed_rules(stages)


def test_a_changed_configuration_cannot_be_accepted(own: StubWorkflow) -> None:
    own.configure({"catalogue.name": "another"})
    status, text = accept(own, "catalogue")
    assert status == 1
    assert "more than the code of the stage catalogue has changed (catalogue)" in text
    assert set(own.jobs_to_run()) - {"parameters"} == STALE["catalogue"]
