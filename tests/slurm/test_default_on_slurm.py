"""The whole default workflow on Slurm; about twelve minutes, so it is run by hand: pytest -m byhand tests/slurm."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

pytestmark = [pytest.mark.slurm, pytest.mark.byhand]


def test_the_default_workflow_runs_with_the_profile_alone(slurm: None, root: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(root), str(clone)], check=True)
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--profile", "slurm"],
        cwd=clone,
        env=os.environ | {"PYTHONPATH": str(clone / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    assert pq.read_metadata(clone / "results" / "catalogue.parquet").num_rows >= 300
    assert (clone / "results" / "report.html").is_file()
