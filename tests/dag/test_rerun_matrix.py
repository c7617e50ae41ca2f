"""What an edit makes stale: every key of the configuration, modules of every room, and the user's own files.

The expected rules stand in rerun_matrix.yaml. To write that file anew, after a stage or a rule has changed:

    PYTHONPATH=src:tests python tests/dag/rerun_matrix.py

and read the difference: it says what users will have to compute again.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from dag.rerun_matrix import (
    BRING_LABELS,
    FILE,
    MATRIX,
    MEASURED,
    STALE,
    UNUSED_IN_A_SINGLE_FOOTPRINT,
    VOTED,
    changed_rules,
    edited,
    leaves,
    matrix,
    text,
)
from dag.stub_workflow import TINY, StubWorkflow, nested
from tuningfork.core.config import Configuration
from tuningfork.core.stage.parameters import STAGES

GROWS: dict[str, tuple[Any, set[str]]] = {
    "sky.footprint.ra_max": (210.5, changed_rules(["sources"])),
    "sky.shard_order": (9, changed_rules(["sources"])),
    "simulate.size": (300, changed_rules(["simulate"])),
    "selection.shards": (9, set()),
    "pretrain.shards": (["8-416155"], {"sources", "tiles", "stamps"} | changed_rules(["pretrain"])),
    "train.morphology.members": (3, changed_rules(["train-morphology"])),
    "train.morphology.votes.table": (VOTED, changed_rules(["match_votes"])),
    "train.morphology.votes.vizier": ("J/MNRAS/435/2835/table5", changed_rules(["match_votes"])),
    "train.morphology.votes.shards": (["8-416155"], set()),
    "train.morphology.votes.max_shards": (65, set()),
    "train.structure.members": (3, changed_rules(["train-structure"])),
    "train.structure.measurements.table": (MEASURED, changed_rules(["match_measurements"])),
    "train.structure.measurements.max_shards": (65, set()),
}
"""Keys that decide which jobs exist, a value that makes more of them, and the rules that then have work."""
EXAMPLES = ["seed", "survey.name", "stamps.size", "pretrain.epochs", "bars.method", "evaluate.bars", "transfer.retries"]
"""Keys whose rules are also asked of Snakemake, as examples."""


def readers(key: str) -> set[str]:
    """Return the stages that read a key, by the matrix."""
    sections = [name for name in MATRIX["keys"] if key == name or key.startswith(f"{name}.")]
    return set(MATRIX["keys"][sections[0]]) if sections else set()


def rules(workflow: StubWorkflow, changes: dict[str, Any], folder: Path) -> set[str]:
    """Return the rules that a dry run with changed keys announces."""
    path = folder / f"{next(iter(changes))}.yaml"
    path.write_text(yaml.safe_dump(nested(TINY, changes)))
    return set(workflow.jobs_to_run("--configfile", str(path), "--nolock")) - {"parameters"}


def test_the_matrix_is_that_of_the_workflow(root: Path) -> None:
    assert text(matrix(root)) == FILE.read_text(), f"run {FILE.with_suffix('.py').name} and read the difference"


def test_every_key_decides_on_results_or_on_jobs() -> None:
    """None is forgotten: a key has readers, or makes jobs, or belongs to the transfer, or to surveys not chosen."""
    idle = {f"survey.{name}" for name in ("sdss", "legacy", "euclid", "panstarrs", "des", "folder")} | {"transfer"}
    for key in leaves(Configuration()):
        known = key in GROWS or key in BRING_LABELS | UNUSED_IN_A_SINGLE_FOOTPRINT
        assert known or readers(key) or any(key.startswith(section) for section in idle), key


def test_a_stage_makes_its_own_rule_stale() -> None:
    assert set(STALE) == set(STAGES)
    assert all(stage.split("-")[0] in rules for stage, rules in STALE.items())


FEW = (
    "seed",
    "bars.method",
    "transfer.retries",
    "sky.footprint.ra_max",
    "pretrain.shards",
    "train.morphology.votes.table",
)
"""Keys that every test run asks about; the others are asked about by hand."""


def require_exact(finished: StubWorkflow, folder: Path, keys: set[str]) -> None:
    """Check that a change of each of some keys reruns exactly the rules that the matrix says."""
    known = leaves(Configuration())
    expected = {key: (edited(key, known[key][0]), changed_rules(readers(key))) for key in EXAMPLES} | GROWS
    expected = {key: value for key, value in expected.items() if key in keys}
    assert expected.keys() == keys
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        plans = pool.map(lambda key: rules(finished, {key: expected[key][0]}, folder), expected)
        announced = dict(zip(expected, plans, strict=True))
    wrong = {key: (announced[key], expected[key][1]) for key in expected if announced[key] != expected[key][1]}
    assert not wrong, "\n".join(
        f"{key}: reruns {a - b or ''}, does not rerun {b - a or ''}" for key, (a, b) in wrong.items()
    )


def test_examples_and_growth_make_exactly_their_rules_stale(finished: StubWorkflow, tmp_path: Path) -> None:
    require_exact(finished, tmp_path, set(FEW))


@pytest.mark.byhand
def test_more_examples_and_growth_make_exactly_their_rules_stale(finished: StubWorkflow, tmp_path: Path) -> None:
    require_exact(finished, tmp_path, {*EXAMPLES, *GROWS} - set(FEW))


def test_growing_a_run_keeps_what_is_there(finished: StubWorkflow, tmp_path: Path) -> None:
    """More sky leaves the networks and the finished shards alone; more galaxies leave the finished parts alone."""
    path = tmp_path / "grown.yaml"
    path.write_text(yaml.safe_dump(nested(TINY, {"sky.footprint.ra_max": 211.5})))
    jobs = finished.jobs_to_run("--configfile", str(path), "--nolock")
    more = jobs["sources"]
    assert more > 1
    for rule in ("tiles", "stamps", "infer_morphology", "classify", "structure", "saliency", "bars", "features"):
        assert jobs[rule] == more, rule
    assert not {"simulate", "train", "pretrain", "calibrate_votes", "evaluate", "audit_votes"} & set(jobs)
    path.write_text(yaml.safe_dump(nested(TINY, {"simulate.size": 300})))
    assert finished.jobs_to_run("--configfile", str(path), "--nolock")["simulate"] == 1


@pytest.mark.parametrize(
    "module", ["training/sets/balance.py", "explain/gradcam.py", "measure/features/azimuthal.py", "label/queue.py"]
)
def test_an_edited_module_makes_exactly_its_rules_stale(own: StubWorkflow, module: str) -> None:
    path = own.root / "src" / "tuningfork" / module
    path.write_text(path.read_text() + "\n\nEDITED = True\n")
    assert set(own.jobs_to_run()) - {"parameters"} == changed_rules(MATRIX["modules"][module])


def test_touched_files_reordered_keys_and_new_comments_rerun_nothing(own: StubWorkflow) -> None:
    for path in [*own.root.rglob("*.py"), *own.root.rglob("*.smk"), own.root / "Snakefile"]:
        os.utime(path)
    module = own.root / "src" / "tuningfork" / "measure" / "bars" / "maps.py"
    module.write_text(module.read_text() + "\n# a comment\n")
    own.write_configuration(dict(reversed(TINY.items())) | {"seed": Configuration().seed})
    assert own.jobs_to_run() == {}


def test_a_restored_configuration_is_clean(own: StubWorkflow) -> None:
    own.configure({"bars.method": "paper"})
    own.run()
    own.configure({})
    own.run()
    assert own.jobs_to_run() == {}


def test_new_votes_make_exactly_the_training_stages_stale(own: StubWorkflow) -> None:
    votes = own.directory / "labels" / "votes.parquet"
    votes.parent.mkdir()
    votes.with_suffix(".npy").write_text("stamps")
    votes.write_text("votes")
    jobs = own.jobs_to_run()
    assert set(jobs) - {"parameters"} == STALE["train-morphology"]
    assert jobs["train"] == Configuration().train.morphology.members


def test_the_content_of_labels_counts_and_their_time_does_not(own: StubWorkflow) -> None:
    """Labels can be saved while a network learns from earlier ones, or be copied with their old time."""
    votes = own.directory / "labels" / "votes.parquet"
    votes.parent.mkdir()
    votes.with_suffix(".npy").write_text("stamps")
    votes.write_text("votes")
    own.run()
    os.utime(votes)
    assert own.jobs_to_run() == {}
    votes.write_text("more votes")
    os.utime(votes, ns=(1, 1))
    assert set(own.jobs_to_run()) - {"parameters"} == STALE["train-morphology"]


def test_measured_galaxies_reach_the_structure_networks_alone(own: StubWorkflow, tmp_path: Path) -> None:
    """A table adds one job and their training; its content, or how it is matched, repeats both and cuts no stamp."""
    table = tmp_path / "measured.csv"
    table.write_text(Path(MEASURED).read_text())
    own.configure({"train.structure.measurements.table": str(table)})
    before = own.jobs_to_run()
    assert before["train"] == Configuration().train.structure.members
    own.run()
    assert own.jobs_to_run() == {}
    table.write_text(Path(MEASURED).read_text().replace("16.2", "16.3"))
    assert set(own.jobs_to_run()) - {"parameters"} == STALE["match_measurements"]
    table.write_text(Path(MEASURED).read_text())
    own.configure({"train.structure.measurements.table": str(table), "train.structure.measurements.epochs": 7})
    assert set(own.jobs_to_run()) - {"parameters"} == STALE["train-structure"]


def test_votes_of_volunteers_reach_the_morphology_networks_alone(own: StubWorkflow, tmp_path: Path) -> None:
    """A table adds one job and their training; its content, or how it is matched, repeats both and cuts no stamp."""
    table = tmp_path / "voted.csv"
    table.write_text(Path(VOTED).read_text())
    own.configure({"train.morphology.votes.table": str(table)})
    before = own.jobs_to_run()
    assert before["train"] == Configuration().train.morphology.members
    assert before["match_votes"] == 1
    own.run()
    assert own.jobs_to_run() == {}
    table.write_text(Path(VOTED).read_text().replace("20", "21"))
    assert set(own.jobs_to_run()) - {"parameters"} == STALE["match_votes"]
    table.write_text(Path(VOTED).read_text())
    own.configure({"train.morphology.votes.table": str(table), "train.morphology.balance": 0.5})
    assert set(own.jobs_to_run()) - {"parameters"} == STALE["train-morphology"]


def test_measured_galaxies_elsewhere_bring_their_shards(own: StubWorkflow, tmp_path: Path) -> None:
    table = tmp_path / "measured.csv"
    table.write_text("ra,dec,mag\n211.5,0.11,16\n")
    own.configure({"train.structure.measurements.table": str(table)})
    jobs = own.jobs_to_run()
    assert {rule: jobs[rule] for rule in ("sources", "tiles", "stamps")} == dict.fromkeys(
        ("sources", "tiles", "stamps"), 1
    )
    assert jobs.get("saliency", 0) == 0
