"""The workflow as a whole: what stops it before the first job, and what each rule must have."""

import re
from pathlib import Path

import pytest
import yaml

from dag.stub_workflow import StubWorkflow


@pytest.fixture(scope="module")
def fresh(root: Path, tmp_path_factory: pytest.TempPathFactory) -> StubWorkflow:
    """A workflow that has not run."""
    return StubWorkflow.make(root, tmp_path_factory.mktemp("fresh"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bars.methd": "paper"}, "bars.methd: unknown key; did you mean method?"),
        ({"bras.method": "paper"}, "bras: unknown key; did you mean bars?"),
        ({"seed": "seven"}, "seed: 'seven' is not allowed: expected an integer from 0 to 4611686018427387904"),
        (
            {"saliency.noise_level": 1.5},
            "saliency.noise_level: 1.5 is not allowed: expected a number from 0 to 1",
        ),
        ({"sky.footprint.dec_max": 0.0}, "sky.footprint: the box is empty (ra 210.1 to 210.12, dec 0.1 to 0.0)"),
        (
            {"survey.name": "2mass"},
            "survey.name: '2mass' is not allowed: expected one of simulated, sdss, legacy, euclid, panstarrs, des, folder",
        ),
        ({"pretrain.shards": ["../../etc"]}, "pretrain.shards: shard '../../etc': expected order-pixel"),
        ({"survey.name": "folder", "survey.folder.images": "nowhere"}, "nowhere"),
        ({"train.morphology.votes.table": "no.csv"}, "train.morphology.votes.table: no.csv: no such file"),
        ({"train.structure.measurements.table": "no.csv"}, "train.structure.measurements.table: no.csv: no such file"),
        ({"train.morphology.members": 0}, "train.morphology.members is 0, which serves the targets models"),
    ],
)
def test_a_wrong_configuration_stops_before_the_first_job(fresh: StubWorkflow, changes: dict, message: str) -> None:
    fresh.configure(changes)
    done = fresh.snakemake()
    fresh.configure({})
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (fresh.directory / "results").exists()


def test_networks_and_training_sets_need_nothing_of_the_survey(fresh: StubWorkflow) -> None:
    """The experiments train one task; a catalogue would need both."""
    fresh.configure({"train.morphology.members": 0})
    jobs = fresh.jobs_to_run("models")
    assert jobs | {"parameters": 0, "models": 0} == {
        "simulate": 2,
        "train": 2,
        "infer_held_out_structure": 1,
        "calibrate_structure": 1,
        "evaluate_structure": 1,
        "parameters": 0,
        "models": 0,
    }
    fresh.configure({})
    assert fresh.jobs_to_run("models")["evaluate"] == 1
    assert set(fresh.jobs_to_run("training_set")) == {"parameters", "simulate", "training_set"}


def test_a_dry_run_leaves_the_plan_of_a_running_workflow_alone(own: StubWorkflow) -> None:
    plan = own.directory / "results" / "plan.json"
    before = plan.read_bytes()
    own.configure({"bars.method": "paper"})
    own.snakemake("--dry-run")
    assert plan.read_bytes() == before


def test_the_slurm_profile_names_only_rules_that_exist(root: Path) -> None:
    """Snakemake ignores unknown names under set-resources without a word."""
    rules = set(
        re.findall(
            r"^rule (\w+):", "".join(path.read_text() for path in (root / "workflow").rglob("*.smk")), re.MULTILINE
        )
    )
    profile = yaml.safe_load((root / "slurm" / "profile.yaml").read_text())
    named = set(profile.get("set-resources", {})) | set(profile.get("set-threads", {}))
    assert named
    assert named <= rules


def test_every_rule_has_a_log_and_an_environment(root: Path) -> None:
    for path in (root / "workflow" / "rules").glob("*.smk"):
        for rule in re.split(r"^rule ", path.read_text(), flags=re.MULTILINE)[1:]:
            assert '    """' in rule, f"{path.name}: {rule.split(':')[0]} has no docstring"
            assert "\n    log:" in rule
            assert "\n    conda:" in rule
