"""`snakemake --profile slurm` in a clone, on a real Slurm, while the user edits the configuration."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from tuningfork.core.stage.parameters import read_frozen, read_parameters
from tuningfork.core.tables import lineage_of

pytestmark = pytest.mark.slurm

TINY = {
    "sky": {"footprint": {"kind": "box", "ra_min": 210.19, "ra_max": 210.21, "dec_min": 0.14, "dec_max": 0.16}},
    "survey": {"simulated": {"galaxy_density": 400.0, "star_density": 100.0}},
    "simulate": {"size": 200, "galaxies_per_part": 200},
    "train": {"morphology": {"members": 1, "epochs": 1, "start": "pretrained"}, "structure": {"epochs": 1}},
    "calibrate": {"bars": 10, "features": 10},
    "evaluate": {"bars": 10, "features": 10},
    "saliency": {"samples": 4},
    "features": {"samples": 2},
    "explain": {"sources": 2},
    "label": {"queue": 5},
}
EDITED = TINY | {"seed": 1, "infer": {"rotations": 1}, "bars": {"min_probability": 0.9}}
ON_GPU = {
    "pretrain", "train", "infer_held_out", "infer_held_out_structure", "calibrate_structure", "calibrate_bars",
    "calibrate_features", "evaluate_structure", "evaluate", "infer_morphology", "infer_structure", "structure", "saliency",
    "feature_maps",
}  # fmt: skip
ON_CPU = {
    "sources", "tiles", "stamps", "simulate", "calibrate_votes", "audit_votes", "classify", "bars", "features", "catalogue",
    "explain", "report", "queue_labels",
}  # fmt: skip


@dataclass(frozen=True)
class Clone:
    """A clone in which the workflow has run once."""

    folder: Path
    status: int
    output: str

    @property
    def results(self) -> Path:
        return self.folder / "results"


def _command(*options: str) -> list[str]:
    # A small run need not wait long between two looks at its jobs; all else stands in the profile.
    quick = ["--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "2"]
    return [
        sys.executable, "-m", "snakemake", "--profile", "slurm", "--configfile", "mine.yaml", "--slurm-keep-successful-logs",
        *quick, *options,
    ]  # fmt: skip


def _environment(folder: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(folder / "src")}


def _configure(folder: Path, values: dict) -> None:
    (folder / "mine.yaml").write_text(yaml.safe_dump(values, sort_keys=False))


@pytest.fixture(scope="module")
def clone(slurm: None, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A run in which the configuration is edited as soon as the first jobs have ended, and restored at the end."""
    folder = tmp_path_factory.mktemp("slurm") / "clone"
    for name in ("workflow", "config", "src", "scripts", "envs", "slurm"):
        shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "Snakefile", folder)
    _configure(folder, TINY)
    log = folder / "output.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            _command(), cwd=folder, env=_environment(folder), stdout=output, stderr=subprocess.STDOUT
        )
        deadline = time.monotonic() + 300
        while (
            process.poll() is None
            and time.monotonic() < deadline
            and not list(folder.glob("results/sources/*.parquet"))
        ):
            time.sleep(0.2)
        _configure(folder, EDITED)
        status = process.wait(timeout=1200)
    _configure(folder, TINY)
    return Clone(folder, status, log.read_text())


def _jobs(clone: Clone) -> list[dict[str, str]]:
    """Return what Slurm knows about the jobs of the run."""
    shown = subprocess.run(["scontrol", "show", "jobs", "--oneliner"], capture_output=True, text=True, check=True)
    jobs = [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in shown.stdout.splitlines()]
    return [job for job in jobs if job.get("WorkDir") == str(clone.folder)]


def _rule(job: dict[str, str]) -> str:
    return job["Comment"].removeprefix("rule_").split("_wildcards_")[0]


def test_the_catalogue_is_made(clone: Clone) -> None:
    assert clone.status == 0, clone.output[-5000:]
    table = pq.read_table(clone.results / "catalogue.parquet")
    sources = sum(pq.read_metadata(path).num_rows for path in (clone.results / "sources").glob("*.parquet"))
    assert table.num_rows == sources > 0
    assert (clone.results / "catalogue" / "hats.properties").is_file()
    assert (clone.results / "report.html").is_file()


def test_each_rule_runs_where_the_profile_says(clone: Clone) -> None:
    jobs = _jobs(clone)
    assert {_rule(job) for job in jobs if job["Partition"] == "gpu"} == ON_GPU
    assert {_rule(job) for job in jobs if job["Partition"] == "cpu"} == ON_CPU
    for job in jobs:
        assert job["JobState"] == "COMPLETED"
        assert job["TimeLimit"] != "UNLIMITED"
        assert job["MinMemoryNode"] != "0"
        assert (job.get("TresPerJob") == "gres:gpu:1") == (_rule(job) in ON_GPU)


@pytest.mark.parametrize("rule", ["train", "saliency"])
def test_a_gpu_job_sees_its_gpu(clone: Clone, rule: str) -> None:
    logs = [path.read_text() for path in (clone.folder / ".snakemake" / "slurm_logs" / f"rule_{rule}").rglob("*.log")]
    assert logs
    for text in logs:
        seen = [line.split("=")[1] for line in text.splitlines() if line.startswith("CUDA_VISIBLE_DEVICES=")]
        # once in the batch script and once in the step that does the work
        assert len(seen) == 2
        assert all(seen)


def test_an_edit_of_the_configuration_during_the_run_reaches_no_job(clone: Clone) -> None:
    frozen = {path.stem: read_frozen(path)["values"] for path in (clone.results / "params").glob("*.json")}
    assert frozen["sources"]["seed"] != 1
    assert frozen["train-morphology"]["seed"] != 1
    assert frozen["infer_morphology"]["infer"]["rotations"] != 1
    assert frozen["bars"]["bars"]["min_probability"] != 0.9
    digests = {path.stem: read_parameters(path).digest for path in (clone.results / "params").glob("*.json")}
    outputs = [*clone.results.rglob("*.parquet"), *clone.results.glob("models/*/member-*.json")]
    outputs = [path for path in outputs if "catalogue/" not in str(path)]
    assert len(outputs) > 10
    for path in outputs:
        for stage, digest in lineage_of(path).items():
            assert digest == digests[stage], (path, stage)


def test_nothing_is_rerun_when_the_configuration_is_restored(clone: Clone) -> None:
    again = subprocess.run(
        _command("--dry-run"),
        cwd=clone.folder,
        env=_environment(clone.folder),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert again.returncode == 0, again.stderr
    assert "Nothing to be done" in again.stdout + again.stderr
