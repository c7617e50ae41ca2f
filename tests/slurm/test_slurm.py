"""The test's own Slurm: without it, a failure of the workflow's test would be hard to read."""

import subprocess

import pytest

pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("slurm")]


def _srun(*options: str) -> dict[str, str]:
    done = subprocess.run(["srun", *options, "env"], capture_output=True, text=True, check=True, timeout=60)
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def test_a_job_runs_in_each_partition_and_sees_a_gpu_only_if_it_asks() -> None:
    assert _srun("--partition=cpu")["SLURM_JOB_PARTITION"] == "cpu"
    with_gpu = _srun("--partition=gpu", "--gpus=1")
    assert (with_gpu["SLURM_JOB_PARTITION"], with_gpu["CUDA_VISIBLE_DEVICES"]) == ("gpu", "0")
    assert (
        "CUDA_VISIBLE_DEVICES" not in _srun("--partition=gpu") or not _srun("--partition=gpu")["CUDA_VISIBLE_DEVICES"]
    )
